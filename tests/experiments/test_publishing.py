"""A run on the Hub: the card says what the run knows and nothing of this machine, and its snippet runs."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

from deep_infomax import Encoder, Run, TrainingConfig, fit, train
from deep_infomax.encoders import digits
from deep_infomax.evaluation import Result, merge_results
from deep_infomax.experiments.model_card import Known, model_card
from deep_infomax.experiments.publishing import write_publication
from deep_infomax.objectives import Untrained

RESULTS = [
    Result("knn", "default", "Y", 91.25, "%", None, 500, (0,), "test", "knn/1", 0.1),
    Result("linear", "default", "fc", 96.5, "%", 0.25, 500, (0, 1, 2), "test", "linear/2", 0.1),
    Result("ms_ssim", "default", "Y", 0.8125, "", 0.0, 500, (0, 1), "test", "ms_ssim/1", 0.1),
]
SMALL: dict[str, Any] = {"training": {"batch_size": 32}, "objective": {"units": 8}, "epochs": 0.1, "progress": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    train("local-infonce", "digits", out=folder, seed=3, **SMALL)
    merge_results(folder / "evaluation.json", {"name": "digits", "n_train": 1297}, RESULTS)
    return folder


def card_of(folder: Path) -> ModelCard:
    return ModelCard((folder / "README.md").read_text())


def test_the_folder_holds_the_encoder_and_a_card(run: Path, tmp_path: Path) -> None:
    names = write_publication(run, "owner/mine", tmp_path / "pushed", licence="cc-by-4.0")
    assert names == ["README.md", "encoder.json", "encoder.safetensors"]
    assert list(tmp_path.iterdir()) == [tmp_path / "pushed"]
    for name in names[1:]:
        assert (tmp_path / "pushed" / name).read_bytes() == (run / name).read_bytes()


def test_the_hub_reads_results_and_licence_from_the_card(run: Path, tmp_path: Path) -> None:
    write_publication(run, "owner/mine", tmp_path / "pushed", licence="cc-by-4.0")
    data = card_of(tmp_path / "pushed").data
    told = data.to_dict()
    assert [told["license"], told["library_name"]] == ["cc-by-4.0", "deep-infomax"]
    assert data.model_name == "mine"
    assert data.pipeline_tag == "image-feature-extraction"
    found = [(r.task_type, r.dataset_name, r.dataset_split, r.metric_type, r.metric_value) for r in data.eval_results]
    assert sorted(found) == [
        ("image-classification", "digits", "test", "accuracy", 91.25),
        ("image-classification", "digits", "test", "accuracy", 96.5),
        ("other", "digits", "test", "ms_ssim", 0.8125),
    ]
    assert {r.metric_name for r in data.eval_results} == {
        "Nearest neighbours, layer Y (knn/1, %)",
        "Logistic regression, layer fc (linear/2, %)",
        "Reconstruction (MS-SSIM), layer Y (ms_ssim/1)",
    }


def test_people_read_what_the_run_knows(run: Path, tmp_path: Path) -> None:
    write_publication(run, "owner/mine", tmp_path / "pushed", licence="mit")
    text = card_of(tmp_path / "pushed").text
    for line in (
        "# mine",
        "An encoder that gives vectors of 16 numbers. It was trained by the recipe `local-infonce` on 1,297 inputs of"
        " digits.",
        'Other layers: `conv`, `fc-linear`, `fc`, as in `encoder.encode(inputs, layer="conv")`.',
        "| data | digits |",
        "| recipe | local-infonce |",
        "| seed | 3 |",
        "| Logistic regression | fc | 96.5 % | ± 0.2 | 500 | test | linear/2 |",
        "Deep InfoMax. Maximises information between Y and the local map, or its locations, and matches Y to a prior.",
    ):
        assert line in text.splitlines(), text
    assert "licence" not in text.lower()


def test_the_snippet_of_the_card_runs(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pushed"
    write_publication(run, "owner/mine", folder)
    [snippet] = re.findall(r"```python\n(.*?)```", card_of(folder).text, re.DOTALL)
    inputs = torch.randint(256, (3, 1, 8, 8), dtype=torch.uint8)
    namespace: dict[str, Any] = {"inputs": inputs}
    exec(snippet.replace("owner/mine", str(folder)), namespace)
    np.testing.assert_array_equal(namespace["vectors"], Encoder.from_pretrained(run).encode(inputs))


def test_what_is_not_known_is_said_to_be_so(tmp_path: Path) -> None:
    fit(digits(), Untrained(), torch.randn(8, 1, 8, 8), TrainingConfig(1, 4), out=tmp_path / "run", progress=False)
    write_publication(tmp_path / "run", "o/n", tmp_path / "pushed")
    card = card_of(tmp_path / "pushed")
    assert card.data.license is None
    assert card.data.eval_results is None
    assert "It was trained by `deep_infomax.fit`." in card.text
    assert "No licence of these weights is stated." in card.text
    assert "Nothing was measured." in card.text
    assert "## Training" not in card.text


def test_paths_of_this_machine_stay_out_of_the_card(run: Path) -> None:
    settings = Run(run).settings
    secret = replace(
        settings,
        data="/home/someone/photos",
        command="dim train --data '/home/someone/photos' --out=/home/someone/run --probe ~/labels --epochs 2",
        dataset={"name": "photos"},
    )
    text = str(model_card(Known(digits(), secret), "o/n"))
    assert "someone" not in text
    assert "| command | `dim train --data photos --out=run --probe labels --epochs 2` |" in text
    call = replace(secret, command="deep_infomax.train('vae', '/home/someone/photos')")
    assert "someone" not in str(model_card(Known(digits(), call), "o/n"))


def test_strange_names_stay_in_their_place(run: Path) -> None:
    name = "a | b\n# c {{ recipe }} \x1b[31m \udcff `x`"
    strange = replace(Run(run).settings, dataset={"name": name, "n_train": 5})
    card = model_card(Known(digits(), strange, RESULTS, {"name": name}), "o/n")
    card.text.encode()
    assert "\n# c" not in card.text
    assert "{{ recipe }}" in card.text
    [row] = [line for line in card.text.splitlines() if line.startswith("| data |")]
    assert row.count("|") - row.count("\\|") == 3


@pytest.mark.parametrize(
    ("spec", "datasets"), [("cifar10", ["uoft-cs/cifar10"]), ("hub:a/b:c", ["a/b"]), ("photos", None)]
)
def test_data_sets_of_the_hub_are_linked(run: Path, spec: str, datasets: list[str] | None) -> None:
    settings = replace(Run(run).settings, data=spec)
    assert model_card(Known(digits(), settings), "o/n").data.datasets == datasets


def test_what_is_uploaded_is_what_a_dry_run_writes(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Api:
        def __init__(self, token: str | None) -> None:
            calls.append(token)

        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> str:
            calls.append((repo_id, private, exist_ok))
            return f"https://huggingface.co/{repo_id}"

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> None:
            files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
            calls.append((repo_id, commit_message, files))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    address = Run(run).push("owner/mine", license="mit", private=True, token="secret")
    assert address == "https://huggingface.co/owner/mine"
    write_publication(run, "owner/mine", tmp_path / "pushed", licence="mit")
    files = {path.name: path.read_bytes() for path in (tmp_path / "pushed").iterdir()}
    assert calls == ["secret", ("owner/mine", True, True), ("owner/mine", "Upload encoder and card", files)]


def test_a_hub_that_refuses_gets_one_sentence(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, repo_id: str, **_options: Any) -> None:
        raise PermissionError("401 Client Error\nmore")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(ValueError, match=r"could not upload to 'o/n' on the Hugging Face Hub \(401 Client Error\); "):
        Run(run).push("o/n")


def test_a_folder_that_is_not_new_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    for name, said in {"full": "is not empty", "file": "is no folder", "link": "is no folder"}.items():
        with pytest.raises(ValueError, match=f"{said}; name a new"):
            write_publication(run, "o/n", tmp_path / name)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert len(write_publication(run, "o/n", tmp_path / "empty")) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"full", "file", "link", "empty"}
