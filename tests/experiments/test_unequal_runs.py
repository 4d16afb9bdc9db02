"""Runs on series of unequal length: padded with what counts as missing, trained on crops, evaluated whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from deep_infomax import Run, train
from deep_infomax.cli import main
from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.experiments.series import check_series
from deep_infomax.recipes import Config, EncoderConfig

OPTIONS: dict[str, Any] = {"size": "longest", "random_crop": 24, "evaluate_whole": True}
SMALL: dict[str, Any] = {"epochs": 2, "training": {"batch_size": 8, "device": "cpu"}, "objective": {"units": 8}}
FLAGS = (
    "--data_options.size longest --data_options.random_crop 24 --data_options.evaluate_whole true --epochs 2 "
    "--training.batch_size 8 --training.device cpu --objective.units 8"
)

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, count in (("TRAIN", 24), ("TEST", 16)):
        lines = ["@problemName waves", "@classLabel true slow fast", "@data"]
        for number in range(count):
            length = int(rng.integers(20, 70))
            wave = np.sin(np.arange(length) * (0.3 + 0.6 * (number % 2))) + rng.normal(0, 0.1, length)
            lines.append(f"{','.join(f'{value:.4f}' for value in wave)}:{('slow', 'fast')[number % 2]}")
        Path(f"waves_{part}.ts").write_text("\n".join(lines))


def dim(command: str) -> int:
    return main(command.split())


def test_a_run_from_reading_to_the_report(capfd: pytest.CaptureFixture[str]) -> None:
    assert dim(f"train --data waves_TRAIN.ts --out mine {FLAGS}") == 0
    said = capfd.readouterr().err
    assert "the longest, about the centre" in said
    assert "crops: random crops of 24 for training, whole inputs for evaluation" in said
    config = yaml.safe_load(Path("mine/config.yaml").read_text())
    assert config["data_options"] | OPTIONS == config["data_options"]
    run, data = Run("mine"), load_dataset("waves_TRAIN.ts", DataOptions(**OPTIONS))
    assert run.encoder.spatial == (24,)
    assert run.encoder.missing == "nan"
    assert dim("encode mine waves_TRAIN.ts --split test --out y.npz") == 0
    wanted = run.encoder.encode(data.test.inputs)
    np.testing.assert_allclose(np.load("y.npz")["Y"], wanted, rtol=1e-4, atol=1e-5)
    assert dim("evaluate mine --metrics knn,linear,bound --seeds 1") == 0
    results = json.loads(Path("mine/evaluation.json").read_text())["results"]
    assert {"Y", "raw", "pca", "statistics", "untrained"} <= {result["layer"] for result in results}
    assert all(np.isfinite(result["value"]) for result in results)
    assert dim("export mine --format torch --out mine.pt2") == 0
    assert dim("report mine") == 0
    assert dim("explore mine") == 0


def test_a_resumed_run_ends_in_the_same_weights() -> None:
    whole = train(data="waves_TRAIN.ts", out="whole", progress=False, data_options=OPTIONS, **SMALL)
    part = train(data="waves_TRAIN.ts", out="part", progress=False, data_options=OPTIONS, **SMALL | {"epochs": 1})
    config = yaml.safe_load((part.path / "config.yaml").read_text())
    config["training"]["epochs"] = 2
    (part.path / "config.yaml").write_text(yaml.safe_dump(config))
    (part.path / "encoder.json").unlink()
    (part.path / "encoder.safetensors").unlink()
    Run(part.path).resume(progress=False)
    assert (whole.path / "encoder.safetensors").stat().st_size == (part.path / "encoder.safetensors").stat().st_size
    assert Run(part.path).encoder.missing == "nan"


def test_series_of_another_length_are_encoded() -> None:
    run = train(data="waves_TRAIN.ts", out="mine", progress=False, data_options=OPTIONS, **SMALL)
    longer = torch.sin(torch.arange(300) * 0.3)[None, None]
    assert run.encoder.encode(longer).shape == (1, 64)


def test_a_network_of_one_size_is_refused_before_the_training(capfd: pytest.CaptureFixture[str]) -> None:
    sentence = "needs a network that reads inputs of 69 when it is trained on 24; set {} to pooled, or leave it out"
    assert dim(f"train --data waves_TRAIN.ts --out mine {FLAGS} --encoder.architecture convolutional") == 2
    assert sentence.format("--encoder.architecture") in capfd.readouterr().err
    config = Config(encoder=EncoderConfig("convolutional"), data_options=DataOptions(**OPTIONS))
    with pytest.raises(ValueError, match=sentence.format("`encoder.architecture`")):
        check_series("waves_TRAIN.ts", None, [config], ["knn"], None)
