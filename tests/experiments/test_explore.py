"""The map of Y from a run: what it shows, and that its tables agree with what `dim encode` writes."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file

from deep_infomax import Run, train
from deep_infomax.cli import main
from deep_infomax.data import Source, from_arrays
from deep_infomax.experiments.explore import explore

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(64, 2, 32)).astype(np.float32)
LABELS = np.arange(64) % 2
SMALL: dict[str, Any] = {"epochs": 1, "training": {"batch_size": 16, "device": "cpu"}, "objective": {"units": 8}}


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deep_infomax.report.vector_map.tsne", lambda vectors: None)  # its own tests have it whole


def trained(**changes: Any) -> Run:
    np.savez("labelled.npz", x=SERIES[:, None], y=LABELS)
    return train(data="labelled.npz", out="mine", progress=False, **SMALL, **changes)


def embedded(page: Path) -> dict[str, Any]:
    text = page.read_text()
    [data] = re.findall(r'<script class="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    content: dict[str, Any] = json.loads(data)
    element = rf'<script[^>]* id="{content["thumbnails"]}"[^>]*>(.*?)</script>'
    [thumbnails] = re.findall(element, text, re.DOTALL)
    return content | {"thumbnails": json.loads(thumbnails)}


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_command_and_a_call_write_the_same_page(capfd: pytest.CaptureFixture[str]) -> None:
    run = trained()
    assert run.explore() == Path("mine/explore.html")
    called = Path("mine/explore.html").read_bytes()
    assert main(["explore", "mine"]) == 0
    out, error = capfd.readouterr()
    assert Path("mine/explore.html").read_bytes() == called
    assert out == ""
    assert error.splitlines()[-2].endswith("MB: all 64 inputs")
    assert "mine/explore/outliers.csv (64)" in error.splitlines()[-1]
    assert sorted(path.name for path in Path("mine/explore").iterdir()) == [
        "duplicates.csv", "outliers.csv", "to-label.csv"
    ]  # fmt: skip


def test_inputs_are_called_as_dim_encode_calls_them() -> None:
    trained()
    assert main(["encode", "mine", "labelled.npz", "--out", "Y.csv"]) == 0
    assert main(["explore", "mine"]) == 0
    encoded = {row["index"]: row for row in rows("Y.csv")}
    outliers = rows("mine/explore/outliers.csv")
    assert {row["index"] for row in outliers} == set(encoded)
    assert all(row["split"] == encoded[row["index"]]["split"] for row in outliers)
    found = embedded(Path("mine/explore.html"))
    labels = {str(i): found["classes"][label] for i, label in zip(found["index"], found["labels"], strict=True)}
    assert labels == {index: row["label"] for index, row in encoded.items()}


def test_a_split_and_a_number_of_points_thin_what_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    trained()
    assert main(["explore", "mine", "labelled.npz", "--split", "train", "--points", "20", "--out", "few.html"]) == 0
    found = embedded(Path("few.html"))
    assert len(found["x"]) == 20
    assert found["splits"] == ["train"]
    assert re.search(r"20 of \d+ inputs, evenly spaced \(\d+ %\)", capfd.readouterr().err)
    assert Path("few/outliers.csv").exists()


def test_copies_in_a_folder_of_images_are_found_by_their_names() -> None:
    for kind, shade in (("dark", 60), ("light", 180)):
        Path("images", kind).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(RNG.normal(shade, 30, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(Path("images", kind, f"{i}.png"))
    Path("images/light/again.png").write_bytes(Path("images/light/7.png").read_bytes())
    run = train(data="images", out="mine", progress=False, **SMALL)
    run.explore()
    first = rows("mine/explore/duplicates.csv")[0]
    assert (first["file"], first["other_file"], first["equal"]) == ("light/7.png", "light/again.png", "yes")
    found = embedded(Path("mine/explore.html"))
    assert "folder" in [way["name"] for way in found["colourings"]]
    assert found["thumbnails"]["kind"] == "images"


def test_data_in_memory_are_explored_and_asked_for_where_they_are_gone() -> None:
    run = train(data=from_arrays(SERIES[:, None], LABELS), out="mine", progress=False, **SMALL)
    assert embedded(run.explore())["thumbnails"]["kind"] == "images"
    with pytest.raises(ValueError, match=r"trained on data in memory, which it does not keep; name others to explore"):
        Run("mine").explore()
    assert Run("mine").explore(from_arrays(SERIES[:10, None])).exists()


def test_only_unlabelled_inputs_are_chosen_to_label() -> None:
    run = trained()
    data = from_arrays(SERIES[:40, None], LABELS[:40])
    more = Source(torch.from_numpy(SERIES[40:, None]), None, None, "array", "unlabelled")
    run.explore(replace(data, unlabelled=more))
    assert {row["split"] for row in rows("mine/explore/to-label.csv")} == {"unlabelled"}


def test_a_collapsed_y_has_no_map() -> None:
    run = trained()
    file = Path("mine/encoder.safetensors")
    weights = load_file(file)
    save_file({name: np.zeros_like(w) if name.endswith("weight") else w for name, w in weights.items()}, file)
    with pytest.raises(ValueError, match="Y is the same for all 64 inputs of labelled, so it has no map; train anew"):
        explore(run.path)
    assert not Path("mine/explore.html").exists()


def test_inputs_whose_y_is_not_finite_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained()
    encoder = run.encoder
    whole = encoder._encoded

    def torn(inputs: Any, layers: Any) -> Any:
        found = whole(inputs, layers)
        found["Y"][0] = np.nan
        return found

    monkeypatch.setattr(encoder, "_encoded", torn)
    found = explore(run.path, encoder=encoder)
    assert found.lost >= 1
    assert found.n + found.lost == found.total == 64
