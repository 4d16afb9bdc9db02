import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from deep_infomax import commands
from deep_infomax.cli import main


@pytest.fixture
def data(tmp_path: Path) -> str:
    generator = np.random.default_rng(0)
    labels = np.arange(160) % 2
    series = generator.normal(size=(160, 1, 32)) + labels[:, None, None] * np.sin(np.arange(32))
    np.savez(tmp_path / "series.npz", x=series.astype(np.float32), y=labels)
    return str(tmp_path / "series.npz")


def compare(data: str, out: Path, *more: str, recipes: str = "nat,random", seeds: int = 2) -> int:
    flags = ["--metrics", "knn", "--layers", "fc,Y", "--epochs", "1", "--batch_size", "32"]
    where = ["--seeds", str(seeds), "--out", str(out)]
    return main(["compare", "--recipes", recipes, "--data", data, *flags, *where, *more])


def test_methods_are_trained_evaluated_and_shown_side_by_side(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compared"
    assert compare(data, out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["nat-0", "nat-1", "random-0", "random-1", "report.html"]
    table = capsys.readouterr().out.split("knn/1 on test, in %")[-1]
    found = {
        run: {r["layer"]: r["value"] for r in json.loads((out / run / "evaluation.json").read_text())["results"]}
        for run in ("nat-0", "nat-1", "random-0", "random-1")
    }
    for recipe in ("nat", "random"):
        for layer in ("fc", "Y"):
            values = [found[f"{recipe}-{seed}"][layer] for seed in (0, 1)]
            assert f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}" in table
    assert "dim train --recipe nat --data" in (out / "nat-1" / "config.yaml").read_text()
    page = (out / "report.html").read_text()
    assert "over the encoders trained with several seeds" in page
    assert page.count("<small>seeds 0, 1</small>") == 2


def test_what_is_there_is_kept_and_what_is_missing_is_done(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "compared"
    assert compare(data, out, seeds=1) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    asked = []
    evaluate = commands.evaluate
    monkeypatch.setattr(commands, "evaluate", lambda **kwargs: (asked.append(kwargs["metrics"]), evaluate(**kwargs)))
    assert compare(data, out, "--metrics", "knn,linear", recipes="nat,random,local-jsd", seeds=1) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert asked == ["linear", "linear", "knn,linear"]


def test_an_interrupted_comparison_goes_on_where_it_stopped(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, train = tmp_path / "compared", commands._train

    def interrupted(run: Path, *arguments, **options) -> None:
        if run.name == "random-0":
            monkeypatch.setattr(commands, "fit", stopping)
        train(run, *arguments, **options)

    fit = commands.fit

    def stopping(*arguments, **options):
        transform = options["transform"]
        options["transform"] = lambda inputs: (os.kill(os.getpid(), signal.SIGINT), transform or inputs)[1]
        return fit(*arguments, **options)

    monkeypatch.setattr(commands, "_train", interrupted)
    assert compare(data, out, seeds=1) == 130
    assert "give the same command again" in capsys.readouterr().err
    monkeypatch.undo()
    assert compare(data, out, seeds=1) == 0
    assert (out / "random-0" / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--recipes", "nat,vea"], "--recipes names 'vea', which is unknown; known are local-infonce"),
        (["--seeds", "0"], "--seeds is 0; give 1 or more"),
        (["--metrics", "knn,accuracy"], "unknown metric 'accuracy'; known are linear"),
        (["--epochs", "-1"], "training.epochs is -1"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_input_gets_one_sentence(
    flags: list[str], sentence: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"--recipes": "nat", "--data": data, "--out": str(tmp_path / "new")} | dict([flags])
    assert main(["compare", *(part for pair in arguments.items() for part in pair)]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dim: ")]
    assert len(said) == 1
    assert sentence in said[0]
    assert not (tmp_path / "new" / "report.html").exists()


def test_runs_of_other_settings_are_not_mixed(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "compared"
    assert compare(data, out, recipes="random", seeds=1) == 0
    assert compare(data, out, "--epochs", "2", recipes="random", seeds=1) == 2
    assert "random-0 was trained with other settings (training); choose another --out" in capsys.readouterr().err


def test_a_comparison_may_train_on_some_of_the_inputs_and_encodes_all(data: str, tmp_path: Path) -> None:
    out = tmp_path / "compared"
    assert compare(data, out, "--data_options.train_inputs", "64", recipes="random", seeds=1) == 0
    [result, _] = json.loads((out / "random-0" / "evaluation.json").read_text())["results"]
    assert result["n"] == 32
    assert main(["encode", str(out / "random-0"), data, "--out", str(tmp_path / "Y.npy")]) == 0
    assert len(np.load(tmp_path / "Y.npy")) == 160
    log = (out / "random-0" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == 2
