"""Runs on data with missing values: from reading to a report, with nothing guessed in silence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from deep_infomax import DeepInfoMaxTransformer, Run, fit, train
from deep_infomax.cli import main
from deep_infomax.data import DataOptions, from_arrays
from deep_infomax.encoders import Encoder, convolutional
from deep_infomax.experiments.comparison import compare
from deep_infomax.objectives import Untrained
from deep_infomax.training import TrainingConfig

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(1, 255, (64, 1, 8, 8)).astype(np.uint8)
HOLES = np.zeros(IMAGES.shape, bool)
HOLES[:, :, 2:6, 3:8] = True
HOLES[::4] = False
LABELS = np.arange(64) % 2
MARKED = np.where(HOLES, 0, IMAGES).astype(np.uint8)
GAPS = np.where(HOLES, np.nan, IMAGES).astype(np.float32)
SMALL: dict[str, Any] = {"epochs": 2, "training": {"batch_size": 8, "device": "cpu"}, "objective": {"units": 8}}
FLAGS = "--data_options.layout chw --epochs 2 --training.batch_size 8 --training.device cpu --objective.units 8"

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("gaps.npz", x=GAPS, y=LABELS)
    np.savez("marked.npz", x=MARKED, y=LABELS)
    np.savez("whole.npz", x=IMAGES, y=LABELS)


def dim(command: str) -> int:
    return main(command.split())


def said_by(command: str, capfd: pytest.CaptureFixture[str]) -> str:
    """The sentence of a command that fails."""
    capfd.readouterr()
    assert dim(command) == 2
    return capfd.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("data", "missing"), [("gaps.npz", "nan"), ("marked.npz", "0")])
def test_a_run_with_missing_values_from_reading_to_the_report(
    data: str, missing: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if data == "gaps.npz":
        assert "set --data_options.missing to nan" in said_by(f"train --data {data} --out mine {FLAGS}", capfd)
    assert dim(f"train --data {data} --out mine --data_options.missing {missing} {FLAGS}") == 0
    said = f"{HOLES.sum()} of 4,096 values ({100 * HOLES.mean():.1f} %) in 48 of 64 inputs; filled"
    assert f"missing: {said}" in capfd.readouterr().err
    config = yaml.safe_load(Path("mine/config.yaml").read_text())
    assert config["data_options"]["missing"] == ("nan" if missing == "nan" else 0.0)
    assert config["dataset"]["missing_rule"].startswith(said)
    run = Run("mine")
    assert run.encoder.missing == ("nan" if missing == "nan" else 0.0)
    stored = GAPS if data == "gaps.npz" else MARKED
    assert dim(f"encode mine {data} --out y.npy") == 0
    assert f"missing: {said}" in capfd.readouterr().err
    np.testing.assert_allclose(np.load("y.npy"), run.encoder.encode(stored), rtol=1e-4, atol=1e-5)
    assert dim("export mine --format torch --out mine.pt2") == 0
    exported = torch.export.load("mine.pt2").module()(torch.from_numpy(stored).float())["Y"]
    torch.testing.assert_close(exported, run.encoder.encode(stored), rtol=1e-4, atol=1e-4)
    assert dim("evaluate mine --metrics knn,linear,bound --seeds 1") == 0
    results = json.loads(Path("mine/evaluation.json").read_text())["results"]
    assert {"Y", "raw", "pca", "statistics", "untrained"} <= {result["layer"] for result in results}
    assert all(np.isfinite(result["value"]) for result in results)
    assert dim("report mine") == 0
    assert dim("explore mine") == 0


def test_both_ways_to_say_what_is_missing_learn_the_same() -> None:
    marked = train(data="marked.npz", out="a", progress=False, data_options={"missing": 0, "layout": "chw"}, **SMALL)
    gaps = train(data="gaps.npz", out="b", progress=False, data_options={"missing": "nan", "layout": "chw"}, **SMALL)
    assert (marked.path / "encoder.safetensors").read_bytes() == (gaps.path / "encoder.safetensors").read_bytes()


def test_where_nothing_is_missing_the_weights_are_those_of_a_plain_run(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = train(data="whole.npz", out="a", progress=False, data_options={"layout": "chw"}, **SMALL)
    for name in ("gaps", "missing_locations"):
        monkeypatch.setattr(Encoder, name, lambda *_: pytest.fail("a mask was made"))
    run = train(data="whole.npz", out="b", progress=False, data_options={"missing": 0, "layout": "chw"}, **SMALL)
    assert (run.path / "encoder.safetensors").read_bytes() == (plain.path / "encoder.safetensors").read_bytes()
    assert run.encoder.missing is None


def test_a_resumed_run_goes_on_with_what_is_missing() -> None:
    options = {"missing": "nan", "layout": "chw", "random_crop": 6, "flip": True}
    whole = train(data="gaps.npz", out="whole", progress=False, data_options=options, **SMALL)
    part = train(data="gaps.npz", out="part", progress=False, data_options=options, **SMALL | {"epochs": 2})
    (part.path / "encoder.json").unlink()
    (part.path / "encoder.safetensors").unlink()
    assert Run(part.path).resume(progress=False).encoder.missing == "nan"
    assert (whole.path / "encoder.safetensors").read_bytes() == (part.path / "encoder.safetensors").read_bytes()


def test_a_comparison_on_missing_values() -> None:
    options = {"missing": "nan", "layout": "chw"}
    compared = compare(
        ["local-infonce", "random"], "gaps.npz", metrics=("knn",), epochs=1, out="all", data_options=options
    )
    assert {(name, results[0].metric) for name, _, _, results in compared.measurements} == {
        ("local-infonce", "knn"),
        ("random", "knn"),
    }


@pytest.mark.parametrize("recipe", ["local-dv", "local-global", "vae", "supervised"])
def test_every_kind_of_method_takes_missing_values(recipe: str) -> None:
    settings = {name: value for name, value in SMALL.items() if name != "objective"}
    settings |= {"epochs": 1, "encoder": {"dim": 4}, "data_options": {"missing": "nan", "layout": "chw"}}
    run = train(recipe, data="gaps.npz", out="mine", progress=False, **settings)
    assert run.encoder.encode(GAPS).isfinite().all()


def test_other_data_with_gaps_need_an_encoder_that_knows_of_them(capfd: pytest.CaptureFixture[str]) -> None:
    assert dim(f"train --data whole.npz --out mine {FLAGS}") == 0
    said = said_by("encode mine gaps.npz --data_options.missing nan --out y.npy", capfd)
    assert said.startswith(
        "dim: values of gaps train are missing (nan), and the encoder was trained on data without any"
    )
    said = said_by("evaluate mine --probe gaps.npz --data_options.missing nan --metrics knn", capfd)
    assert "values of gaps train are missing (nan)" in said
    said = said_by(f"train --data whole.npz --probe gaps.npz --data_options.missing nan --out other {FLAGS}", capfd)
    assert "values of gaps are missing, and none of whole; fill them" in said


def test_the_library_takes_sources_that_say_what_is_missing() -> None:
    dataset = from_arrays(GAPS, options=DataOptions(missing="nan", layout="chw"))
    encoder = convolutional(1, (8, 8), 4)
    fit(
        encoder, Untrained(), dataset.pretraining, TrainingConfig(epochs=1, batch_size=16, device="cpu"), progress=False
    )
    assert encoder.missing == "nan"
    assert encoder.encode(GAPS).isfinite().all()


def test_the_transformer_takes_gaps_once_they_are_announced() -> None:
    rows = GAPS[:, 0].reshape(64, 64)
    model = DeepInfoMaxTransformer(epochs=1, dim=4, shape=(1, 8, 8), missing="nan", device="cpu")
    found = model.fit(rows).transform(rows)
    np.testing.assert_allclose(found, model.encoder_.encode(GAPS), rtol=1e-5)
    model.set_params(missing=None)
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(rows)
    model.set_params(missing=0).fit(MARKED[:, 0].reshape(64, 64))
    assert model.encoder_.missing == 0
