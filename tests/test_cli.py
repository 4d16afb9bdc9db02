import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from deep_infomax import commands
from deep_infomax.cli import main
from deep_infomax.encoders import Encoder
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.training import TrainingConfig
from wrong_input import CASES, LABELLED, RUN, Case, prepare_runs


def dim(command: str) -> int:
    return main(command.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    before = Path.cwd()
    os.chdir(folder)
    prepare_runs(folder, dim)
    os.chdir(before)
    return folder


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
def test_wrong_input_gets_one_sentence_and_exit_code_2(
    case: Case, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    case.prepare(folder)
    assert dim(case.command) == 2
    out, error = capfd.readouterr()
    assert out == ""
    sentences = [line for line in error.splitlines() if line.startswith("dim: ")]
    assert len(sentences) == 1
    assert error.splitlines()[-1] == sentences[0]
    assert len(sentences[0]) > 25


def test_evaluate_prints_results_and_keeps_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"evaluate {LABELLED} --metrics knn,linear --seeds 1 --json") == 0
    printed = json.loads(capsys.readouterr().out)
    kept = json.loads((folder / LABELLED / "evaluation.json").read_text())
    assert [(r["metric"], r["layer"]) for r in printed["results"]] == [
        (metric, layer) for layer in ("conv", "fc", "Y") for metric in ("knn", "linear")
    ]
    assert kept["schema"] == 1
    assert {json.dumps(r, sort_keys=True) for r in kept["results"]} == {
        json.dumps(r, sort_keys=True) for r in printed["results"]
    }
    assert dim(f"evaluate {LABELLED} --metrics knn --layers Y --seeds 2") == 0
    assert "knn/1" in capsys.readouterr().out


def test_data_that_changed_since_the_training_are_not_evaluated(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    shutil.copy("labelled.npz", "growing.npz")
    small = "--epochs 1 --training.batch_size 16 --objective.units 16"
    assert dim(f"train --data growing.npz {small} --out growing") == 0
    with np.load("labelled.npz") as arrays:
        np.savez("growing.npz", x=arrays["x"][:-1], y=arrays["y"][:-1])
    assert dim("evaluate growing --metrics knn") == 2
    assert "is not the data that growing was trained on" in capsys.readouterr().err


def test_encode_writes_what_the_encoder_gives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"encode {RUN} series.npy --out Y.npy --layer fc") == 0
    encoder = Encoder.from_pretrained(folder / RUN)
    expected = encoder.encode(np.load(folder / "series.npy")[:, None], layer="fc").numpy()
    np.testing.assert_allclose(np.load(folder / "Y.npy"), expected, rtol=1e-5, atol=1e-6)


def test_report_writes_one_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"report {RUN} {LABELLED} --out both.html") == 0
    assert "local-infonce" in (folder / "both.html").read_text()


def test_report_prints_results_side_by_side(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"evaluate {LABELLED} --metrics knn --layers Y --seeds 1 --json") == 0
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert dim(f"report {RUN} {LABELLED} --out table.html") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "knn" in line and " Y " in line)
    assert f"{result['value']:.2f} %" in row


def test_flags_win_over_the_file_and_the_file_over_the_recipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    file = {"recipe": "local-jsd", "training": {"batch_size": 16, "epochs": 2}, "objective": {"units": 8}}
    Path("mine.yaml").write_text(yaml.safe_dump(file))
    assert dim("train --config mine.yaml --data series.npy --training.batch_size 32 --epochs 1 --out mine") == 0
    config = yaml.safe_load(Path("mine/config.yaml").read_text())
    assert config["recipe"] == "local-jsd"
    assert config["objective"]["bound"] == "jsd"
    assert config["objective"]["units"] == 8
    assert config["training"]["batch_size"] == 32
    assert config["training"]["epochs"] == 1


def test_a_printed_configuration_is_the_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        dim("train --recipe local-jsd-paper --print_config")
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["recipe"] == "local-jsd-paper"
    assert printed["objective"]["bound"] == "jsd"
    assert printed["training"]["batch_size"] == 64


def test_a_finished_run_resumes_to_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = (folder / RUN / "encoder.safetensors").read_bytes()
    assert dim(f"train --resume {RUN}") == 0
    assert (folder / RUN / "encoder.safetensors").read_bytes() == before


def test_a_resumed_run_keeps_the_precision_it_began_with() -> None:
    cpu = torch.device("cpu")
    for began in ("bfloat16", "float32"):
        settings = {"environment": {"device": "cpu", "precision": began}}
        assert commands._training(settings, Config(), cpu).precision == began
        assert commands._training(settings, Config(), torch.device("cuda")).precision == "auto"
        asked = Config(training=TrainingConfig(precision="float32"))
        assert commands._training(settings, asked, cpu).precision == "float32"
    assert commands._training({}, Config(), cpu).precision == "auto"


def test_a_probe_that_is_the_training_data_is_read_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    same = "--data labelled.npz --probe labelled.npz --data_options.layout channels_first"
    assert dim(f"train {same} --epochs 0.5 --training.batch_size 16 --objective.units 8 --out same") == 0
    assert dim("evaluate same --metrics knn --layers Y --seeds 1") == 0


def test_new_data_are_encoded_in_the_layout_of_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    layout = "--data_options.layout channels_first"
    assert dim(f"train --data series.npy {layout} --epochs 0.5 --training.batch_size 16 --out laid") == 0
    shutil.copy("series.npy", "new.npy")
    assert dim("encode laid new.npy --out new_Y.npy") == 0
    assert len(np.load("new_Y.npy")) == 64


def test_brackets_in_a_path_are_printed_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    small = "--epochs 0.5 --training.batch_size 16 --objective.units 8"
    assert dim(f"train --data labelled.npz {small} --out run[/old]") == 0
    assert "next: dim evaluate run[/old]" in capfd.readouterr().err
    assert dim("evaluate run[/old] --metrics knn --layers Y --seeds 1") == 0
    assert "run[/old]" in capfd.readouterr().out


def test_a_checkpoint_that_cannot_be_written_is_a_failure_and_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.chdir(folder)
    monkeypatch.setattr("deep_infomax.training.checkpoint.save_file", full)
    small = "--epochs 0.5 --training.batch_size 16 --objective.units 8"
    assert dim(f"train --data series.npy {small} --out full") == 1
    error = capfd.readouterr().err
    assert "cannot be written (No space left on device); make room" in error
    assert "Traceback" not in error


def test_an_interrupt_keeps_a_checkpoint_and_prints_the_resume_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deep_infomax.cli", "train", "--data", "digits", "--epochs", "1000"]
    run = tmp_path / "run with space"
    process = subprocess.Popen([*command, "--out", run], stderr=subprocess.PIPE, text=True)
    metrics = run / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text()):
        assert process.poll() is None
    process.terminate()
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"dim train --resume '{run}'" in error
    assert list((run / "checkpoints").glob("step-*.safetensors"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name: str, tmp_path: Path) -> None:
    small = "--epochs 0.1 --training.batch_size 16 --objective.units 16 --data digits"
    assert dim(f"train --recipe {name} {small} --out {tmp_path / name}") == 0


def test_paper_recipes_are_the_papers() -> None:
    for name in ("local-infonce-paper", "local-jsd-paper", "local-dv-paper"):
        config = RECIPES[name]
        objective, training = config.objective, config.training
        assert (objective.alpha, objective.beta, objective.gamma) == (0.0, 1.0, 0.1)
        assert (objective.units, objective.local_scorer, objective.prior) == (2048, "encode-and-dot", "uniform")
        assert (training.batch_size, training.learning_rate, training.schedule) == (64, 1e-4, "constant")
        assert training.epochs == 1000
    both = RECIPES["local-global-paper"].objective
    assert (both.alpha, both.beta) == (0.5, 0.1)
    single = RECIPES["global-jsd-paper"].objective
    assert (single.alpha, single.beta, single.gamma) == (1.0, 0.0, 1.0)
    assert both.global_units == single.global_units == 512
    assert both.global_scorer == single.global_scorer == "concat"
