import csv
import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import yaml
from forked import Forked, wait_for
from PIL import Image
from wrong_input import CASES, LABELLED, RUN, SENTENCES, WRONG_LINES, Case, changed, prepare_runs

from deep_infomax.cli import main, parser
from deep_infomax.cli.tables import print_comparison
from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import METRICS, Result
from deep_infomax.experiments import train
from deep_infomax.experiments.run_directory import Settings, new_run, read_settings
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.runtime.verdict import FLOORS
from deep_infomax.training import TrainingConfig


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
    [sentence] = [line for line in error.splitlines() if line.startswith("dim: ")]
    assert error.splitlines()[-1] == sentence
    assert re.fullmatch(re.escape(f"dim: {SENTENCES[case.kind]}").replace("…", ".*"), sentence), sentence


SMALL = {
    "train": "--data labelled.npz --training.batch_size 16 --objective.units 8 --out beyond",
    "evaluate": f"{LABELLED} --metrics knn --layers Y",
    "encode": f"{LABELLED} labelled.npz --out beyond.npy",
    "explore": f"{LABELLED} --out far.html",
    "estimate": "left.npy right.npy --estimator gaussian",
    "dependency": "both.npy",
    "compare": "--recipes random --data labelled.npz --out beyond",
    "study beta": "--data labelled.npz --out beyond",
}
COUNTS = [
    (name, flag)
    for name in SMALL
    for flag, option in parser.command(name).flags.items()
    if int in (option.kind, *get_args(option.kind)) and not flag.startswith("slurm")
]


@pytest.mark.parametrize(("name", "flag"), COUNTS)
def test_a_number_beyond_counting_gets_one_sentence(
    name: str, flag: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"{name} {SMALL[name]} --{flag} {2**70}") == 2
    [sentence] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("dim: ")]
    assert str(2**70) in sentence or flag in sentence


def test_every_sentence_is_that_of_a_case() -> None:
    assert list(SENTENCES) == [case.kind for case in CASES]


@pytest.mark.parametrize("line", WRONG_LINES)
def test_every_command_names_the_file_and_the_key_of_a_wrong_configuration(
    line: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    changed(str(tmp_path / "run"), line, LABELLED)(folder)
    run = tmp_path / "run"
    rest = {
        "train --resume": "",
        "evaluate": "",
        "report": f"--out {run}.html",
        "explore": f"--out {tmp_path}/map.html",
        "encode": f"series.npy --out {run}.npy",
    }
    for command, options in rest.items():
        assert dim(f"{command} {run} {options}") == 2
        said = capfd.readouterr().err
        assert f"dim: {run}/config.yaml is damaged: expected " in said
        assert f" at {line.split(':')[0]}; restore it" in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("value", ["rubbish", "schema", "word"])
def test_a_damaged_evaluation_leaves_no_page(
    value: str, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = Result("knn", "default", "Y", 1.0, "%", None, 13, (0,), "test", "knn/1", 0.1).to_json()
    content = {"schema": 1, "data": {}, "results": [result | {"value": "word"}]}
    texts = {"rubbish": "{", "schema": '{"schema": 9}', "word": json.dumps(content)}
    shutil.copytree(folder / RUN, tmp_path / "run")
    (tmp_path / "run" / "evaluation.json").write_text(texts[value])
    assert dim(f"report {tmp_path}/run") == 2
    assert f"{tmp_path}/run/evaluation.json " in capfd.readouterr().err
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_runs_own_configuration_trains_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    changed("elsewhere", "environment: {device: Abacus, precision: bfloat16}")(folder)
    assert dim("train --config elsewhere/config.yaml --out again") == 0
    assert dim("train --config=elsewhere/config.yaml --epochs 2 --out longer") == 0
    first, again, longer = (yaml.safe_load(Path(run, "config.yaml").read_text()) for run in (RUN, "again", "longer"))
    assert again == first | {"command": "dim train --config elsewhere/config.yaml --out again"}
    assert longer["training"] == first["training"] | {"epochs": 2.0}
    Path("mine.yaml").write_text("dataset: cifar10\n")  # not a run's, so a slip
    assert dim("train --config mine.yaml --out slip") == 2


def begin(run: Path) -> None:
    with new_run(run):
        pass


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "encoder.safetensors", "checkpoints/step-1.bin"])
def test_files_that_no_run_wrote_are_not_trained_over(name: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine: 1\n")
    with pytest.raises(ValueError, match=r"would overwrite.*choose another `out`"):
        begin(tmp_path)
    shutil.copy(folder / RUN / "config.yaml", tmp_path)
    if name != "config.yaml":
        with pytest.raises(ValueError, match="already holds a run; continue it with"):
            begin(tmp_path)


def test_a_run_that_never_began_may_begin_again(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("what is printed")
    (tmp_path / "checkpoints").mkdir()
    begin(tmp_path)
    shutil.copy(folder / RUN / "config.yaml", tmp_path)
    begin(tmp_path)


def test_evaluate_prints_results_and_keeps_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"evaluate {LABELLED} --metrics knn,linear --seeds 1 --json") == 0
    printed = json.loads(capsys.readouterr().out)
    kept = json.loads((folder / LABELLED / "evaluation.json").read_text())
    assert [(r["metric"], r["layer"]) for r in printed["results"]] == [
        (metric, layer) for layer in (*FLOORS, "conv", "fc", "Y") for metric in ("knn", "linear")
    ]
    assert kept["schema"] == 1
    assert {json.dumps(r, sort_keys=True) for r in kept["results"]} == {
        json.dumps(r, sort_keys=True) for r in printed["results"]
    }
    assert dim(f"evaluate {LABELLED} --metrics knn --layers Y --seeds 2") == 0
    assert "knn/1" in capsys.readouterr().out
    assert dim(f"evaluate {LABELLED} --metrics knn --layers fc-linear,Y --seeds 1 --json") == 0
    assert [r["layer"] for r in json.loads(capsys.readouterr().out)["results"]] == ["fc-linear", "Y"]


def test_an_interrupted_evaluation_says_where_its_results_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / LABELLED, LABELLED)
    shutil.copy(folder / "labelled.npz", tmp_path)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(METRICS, "linear", METRICS["linear"]._replace(measure=interrupted))
    Path(LABELLED, "evaluation.json").unlink(missing_ok=True)
    assert dim(f"evaluate {LABELLED} --metrics linear --layers Y --seeds 1") == 130
    assert capfd.readouterr().err.splitlines()[-1] == "dim: interrupted"
    assert dim(f"evaluate {LABELLED} --metrics knn,linear --layers Y --seeds 1") == 130
    said = f"dim: interrupted; what was measured is kept in {LABELLED}/evaluation.json"
    assert capfd.readouterr().err.splitlines()[-1] == said
    assert '"knn"' in Path(LABELLED, "evaluation.json").read_text()


def test_several_processes_train_and_do_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert dim("compare --recipes vae,random --data digits") == 2
    assert "dim compare runs in one process, only dim train in several" in capfd.readouterr().err


@pytest.mark.parametrize(
    "change",
    [lambda x, y: {"x": x[:-1], "y": y[:-1]}, lambda x, y: {"x": x, "y": 1 - y[::-1]}],
    ids=["fewer", "other labels, so that others are held out"],
)
def test_data_that_changed_since_the_training_are_not_evaluated(
    change: Callable[..., dict[str, np.ndarray]],
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "labelled.npz", "growing.npz")
    small = "--epochs 1 --training.batch_size 16 --objective.units 16"
    assert dim(f"train --data growing.npz {small} --out growing") == 0
    with np.load("growing.npz") as arrays:
        others = change(arrays["x"], arrays["y"])
    np.savez("growing.npz", **others)
    assert dim("evaluate growing --metrics knn") == 2
    assert "is not the data that growing was trained on" in capsys.readouterr().err


def test_the_training_data_by_another_path_are_no_other_data(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"evaluate {LABELLED} --probe ./labelled.npz --metrics knn --layers Y --seeds 1") == 0
    assert dim(f"evaluate {LABELLED} --probe ./labelled.npz --data_options.held_out 10 --metrics knn") == 2
    assert f"labelled.npz is not the data that {LABELLED} was trained on" in capsys.readouterr().err


def test_encode_writes_what_the_encoder_gives(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"encode {RUN} series.npy --out Y.npy --layer fc") == 0
    assert "each input" not in capsys.readouterr().err  # which the training has told
    encoder = Encoder.from_pretrained(folder / RUN)
    expected = encoder.encode(np.load(folder / "series.npy"), layer="fc").numpy()
    np.testing.assert_allclose(np.load(folder / "Y.npy"), expected, rtol=1e-5, atol=1e-6)
    assert dim(f"encode {RUN} series.npy --out linear.npy --layer fc-linear") == 0
    linear = encoder.encode(np.load(folder / "series.npy"), layer="fc-linear").numpy()
    np.testing.assert_allclose(np.load(folder / "linear.npy"), linear, rtol=1e-5, atol=1e-6)
    assert ((linear < 0).any(), (expected < 0).any()) == (True, False)


def test_damaged_images_have_no_row_and_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 32), dtype=np.uint8)
    Path("scans").mkdir()
    for number, pixels in zip((0, 1, 3), images, strict=True):
        Image.fromarray(pixels).save(f"scans/{number}.png")
    Path("scans/2.png").write_bytes(b"")
    assert dim(f"encode {RUN} scans --out scans.npy") == 2
    assert dim(f"encode {RUN} scans --out scans.npy --data_options.skip_damaged true") == 0
    said = capsys.readouterr().err
    assert "no rows for damaged images: 1 of 4 images damaged and left out: scans/2.png" in said
    assert "scans: 3 inputs to train on, no labels\n  each input: 1 x 2 x 32\n" in said  # not the training's data
    expected = Encoder.from_pretrained(folder / RUN).encode(images[:, None]).numpy()
    np.testing.assert_allclose(np.load("scans.npy"), expected, atol=1e-5)


def test_labelled_data_are_encoded_whole_and_in_stored_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"encode {LABELLED} labelled.npz --out whole.npy") == 0
    with np.load("labelled.npz") as arrays:
        expected = Encoder.from_pretrained(folder / LABELLED).encode(arrays["x"]).numpy()
    np.testing.assert_allclose(np.load("whole.npy"), expected, rtol=1e-4, atol=1e-5)


def test_encode_names_the_columns_beside_the_values(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"encode {LABELLED} labelled.npz --out whole.csv") == 0
    said = "wrote whole.csv: layer Y of 64 inputs, with index, split, label"
    assert capsys.readouterr().err.splitlines()[-1] == said
    with Path("whole.csv").open(encoding="utf-8") as file, np.load("labelled.npz") as arrays:
        rows = list(csv.DictReader(file))
        assert [int(row["label"]) for row in rows] == arrays["y"].tolist()
    assert sum(row["split"] == "test" for row in rows) == 13


def test_export_says_what_goes_in_and_comes_out(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"export {RUN} --out encoder.pt2") == 0
    said = capsys.readouterr().err.splitlines()[-4:]
    size = Path("encoder.pt2").stat().st_size / 1e6
    assert said[0] == f"wrote encoder.pt2, {size:.1f} MB, for batches of any size n"
    assert said[1] == "inputs, float32, values as stored: (n, 1, 2, 32)"
    assert said[2].startswith("local (n, ")
    assert said[2].endswith("; Y (n, 64)")
    assert said[3].startswith("largest difference from what dim encode gives: ")
    assert said[3].endswith(" (allowed: 1e-04)")
    inputs = torch.from_numpy(np.load("series.npy"))
    vectors = torch.export.load("encoder.pt2").module()(inputs)["Y"]
    expected = Encoder.from_pretrained(RUN).encode(inputs)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


def test_an_inexact_export_fails_and_leaves_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("deep_infomax.encoders.exporting.TOLERANCE", -1.0)
    assert dim(f"export {RUN} --out inexact.pt2") == 1
    assert "dim: inexact.pt2 is not written: it would differ from the encoder" in capsys.readouterr().err
    assert not list(folder.glob("*inexact*"))


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Grey images of three sizes in class folders, and a run on them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(20):
        file = Path("pictures", "ab"[number % 2], f"{number}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8 + number % 3, 9), np.uint8)).save(file)
    options = "--data_options.resize 8 --data_options.channels 1"
    small = "--epochs 1 --training.batch_size 16 --objective.units 8"
    assert dim(f"train --data pictures {options} {small} --out drawn") == 0
    return tmp_path / "pictures"


def test_data_are_read_as_in_the_training_unless_flags_say_otherwise(pictures: Path) -> None:
    assert dim("encode drawn pictures --out default.npy") == 0
    assert dim("encode drawn pictures --out cropped.npy --data_options.resize 10 --data_options.crop 8") == 0
    Path("crop.yaml").write_text("{resize: 10, crop: 8}")
    assert dim("encode drawn pictures --out file.npy --data_options crop.yaml") == 0
    assert dim("encode drawn pictures --out files.csv") == 0
    with Path("files.csv").open(encoding="utf-8") as file:
        assert {row["file"] for row in csv.DictReader(file)} == {f"{'ab'[n % 2]}/{n}.png" for n in range(20)}
    for file, options in {
        "default.npy": DataOptions(resize=8, channels=1, label_column="none"),
        "cropped.npy": DataOptions(resize=10, crop=8, channels=1, label_column="none"),
        "file.npy": DataOptions(resize=10, crop=8, channels=1, label_column="none"),
    }.items():
        inputs = load_dataset(str(pictures), options).train.inputs
        expected = Encoder.from_pretrained("drawn").encode(np.array(inputs)).numpy()
        np.testing.assert_allclose(np.load(file), expected, rtol=1e-4, atol=1e-5)


def test_a_probe_is_read_by_flags(pictures: Path) -> None:
    shutil.copytree(pictures, "others")
    measured = "--probe others --metrics knn --layers Y --seeds 1"
    assert dim(f"evaluate drawn {measured} --data_options.resize 10 --data_options.crop 8") == 0
    assert dim(f"evaluate drawn {measured} --data_options.resize 10") == 2


def test_where_to_encode_to_is_looked_at_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for out in (".", "nowhere/Y.npy", "y" * 300):
        assert dim(f"encode {RUN} ./nothing --out {out}") == 2
        assert "nothing" not in capfd.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_report_writes_one_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"report {RUN} {LABELLED} --out both.html") == 0
    assert "local-infonce" in (folder / "both.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_report_prints_results_side_by_side(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert dim(f"evaluate {LABELLED} --metrics knn --layers Y --seeds 1 --json") == 0
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert dim(f"report {RUN} {LABELLED} --out table.html") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "knn" in line and " Y " in line)
    assert f"{result['value']:.0f} %" in row  # one of so few inputs is worth several points


def test_figures_of_different_parts_stand_in_rows_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    test = Result("knn", "default", "Y", 90.0, "%", None, 500, (0,), "test", "knn/1", 0.0)
    held_out = replace(test, value=80.0, n=300, split="held-out")
    print_comparison(["one", "two"], [[test], [test]])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if "90.0" in line] == ["knn/1"]
    print_comparison(["one", "two"], [[test], [held_out]])
    rows = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "knn" in line}
    assert "90.0 %" in rows["knn/1, test"]
    assert "90.0" not in rows["knn/1, held-out"]
    assert "80.0 %" in rows["knn/1, held-out"]


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
    assert dim("train --recipe local-jsd-paper --print_config") == 0
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
    cpu, new = torch.device("cpu"), Settings("local-infonce", None, 0, "digits", None, Config())
    for began in ("bfloat16", "float32"):
        settings = replace(new, environment={"device": "cpu", "precision": began})
        assert train._training(settings, cpu).precision == began
        assert train._training(settings, torch.device("cuda")).precision == "auto"
        asked = replace(settings, config=Config(training=TrainingConfig(precision="float32")))
        assert train._training(asked, cpu).precision == "float32"
    assert train._training(new, cpu).precision == "auto"


def test_a_probe_that_is_the_training_data_is_read_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    np.savez("bells.npz", x=np.load("series.npy")[:, 0], y=np.arange(64) % 2)
    same = "--data bells.npz --probe bells.npz --data_options.layout cl"
    assert dim(f"train {same} --epochs 0.5 --training.batch_size 16 --objective.units 8 --out same") == 0
    assert dim("evaluate same --metrics knn --layers Y --seeds 1") == 0


def test_new_data_are_encoded_in_the_layout_of_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    np.save("bells.npy", np.load("series.npy")[:, 0])
    layout = "--data_options.layout cl"
    assert dim(f"train --data bells.npy {layout} --epochs 0.5 --training.batch_size 16 --out laid") == 0
    shutil.copy("bells.npy", "new.npy")
    assert dim("encode laid new.npy --out new_Y.npy") == 0
    assert len(np.load("new_Y.npy")) == 64


def test_a_probe_is_read_in_the_layout_of_the_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    np.save("bells.npy", np.load("series.npy")[:, 0])
    np.savez("probe.npz", x=np.load("bells.npy"), y=np.arange(64) % 2)
    options = "--data_options.layout cl --epochs 0.5 --training.batch_size 16 --objective.units 8"
    assert dim(f"train --data bells.npy --probe probe.npz {options} --out probed") == 0
    assert dim("evaluate probed --metrics knn --layers Y --seeds 1") == 0


def test_data_are_encoded_by_an_encoder_of_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    asked, read = [], Encoder.from_pretrained

    def from_the_hub(name: str) -> Encoder:
        asked.append(name)
        return read(folder / LABELLED)

    monkeypatch.setattr(Encoder, "from_pretrained", staticmethod(from_the_hub))
    assert dim("encode owner/name labelled.npz --out of_the_hub.npy") == 0
    assert asked == ["owner/name"]


def test_what_an_older_run_does_not_say_is_as_it_was_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    shutil.copytree(LABELLED, "older")
    written = Path("older", "config.yaml")
    settings = yaml.safe_load(written.read_text())
    assert settings["objective"].pop("limit") == 20
    written.write_text(yaml.safe_dump(settings))
    objective = read_settings(Path("older")).config.objective
    assert objective.limit is None
    assert objective.penalty == settings["objective"]["penalty"]


def test_brackets_in_a_path_are_printed_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    small = "--epochs 0.5 --training.batch_size 16 --objective.units 8"
    assert dim(f"train --data labelled.npz {small} --out run[/old]") == 0
    assert "next: dim evaluate 'run[/old]'" in capfd.readouterr().err
    assert dim("evaluate run[/old] --metrics knn --layers Y --seeds 1") == 0
    assert "run[/old]" in capfd.readouterr().out


def test_a_checkpoint_that_cannot_be_written_is_a_failure_and_no_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(_: object, path: Path, **__: object) -> None:
        path.write_bytes(b"some")
        raise OSError("No space left on device")

    monkeypatch.chdir(folder)
    monkeypatch.setattr("deep_infomax.training.checkpoint.save_file", full)
    small = "--epochs 0.5 --training.batch_size 16 --objective.units 8"
    assert dim(f"train --data series.npy {small} --out full") == 1
    error = capfd.readouterr().err
    assert "cannot be written (No space left on device); make room" in error
    assert "no checkpoint had been written; continue with: dim train --resume full" in error
    assert list(Path("full", "checkpoints").iterdir()) == []
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "writer", ["deep_infomax.training.log.MetricsFile.write", "deep_infomax.encoders.Encoder.save_pretrained"]
)
def test_a_full_disk_is_a_failure_that_says_how_to_go_on(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    command = "--epochs 1 --training.batch_size 256 --objective.units 8 --training.log_every 2"
    with monkeypatch.context() as patch:
        patch.setattr(writer, full)
        assert dim(f"train --data digits {command} --training.checkpoint_seconds 0 --out {tmp_path}/full") == 1
    [sentence] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("dim: ")]
    assert "No space left on device); the last good checkpoint is" in sentence
    assert sentence.endswith(f"; continue with: dim train --resume {tmp_path}/full")
    assert dim(f"train --resume {tmp_path}/full") == 0


def test_a_full_disk_after_a_measurement_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "evaluation.json")

    monkeypatch.chdir(folder)
    monkeypatch.setattr("deep_infomax.evaluation.suite.merge_results", full)
    assert dim(f"evaluate {LABELLED} --metrics knn --layers Y --seeds 1") == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert said == "dim: evaluation.json cannot be written (No space left on device); make room and try again"


def test_a_second_interrupt_ends_the_last_checkpoint_with_the_resume_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def impatient(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("deep_infomax.training.checkpoint.save_file", impatient)
    monkeypatch.setattr("deep_infomax.runtime.interrupt.ECHO_SECONDS", 0.0)
    small = "--epochs 1 --objective.units 8 --training.checkpoint_seconds 0"
    assert dim(f"train --data digits {small} --out {tmp_path}/run") == 130
    assert capfd.readouterr().err.splitlines()[-1].endswith(f"continue with: dim train --resume {tmp_path}/run")


def test_an_interrupt_keeps_a_checkpoint_and_prints_the_resume_command(tmp_path: Path) -> None:
    words = ["train", "--data", "digits", "--epochs", "1000", "--training.log_every", "1", "--objective.units", "32"]
    run, metrics = tmp_path / "run with space", tmp_path / "run with space" / "metrics.jsonl"
    process = Forked(main, [*words, "--out", str(run)], out=tmp_path / "out", err=tmp_path / "err")
    try:
        wait_for(lambda: metrics.exists() and metrics.read_text(), process)
        process.send_signal(signal.SIGTERM)
        error = process.end()
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"dim train --resume '{run}'" in error
    assert list((run / "checkpoints").glob("step-*.safetensors"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name: str, tmp_path: Path) -> None:
    small = "--epochs 0.03 --training.batch_size 16 --data digits"
    small += " --objective.units 16" if RECIPES[name].objective.method == "deep-infomax" else ""
    assert dim(f"train --recipe {name} {small} --out {tmp_path / name}") == 0


def test_paper_recipes_are_the_papers() -> None:
    for name in ("local-infonce-paper", "local-jsd-paper", "local-dv-paper"):
        config = RECIPES[name]
        objective, training = config.objective, config.training
        assert (objective.alpha, objective.beta, objective.gamma) == (0.0, 1.0, 0.1)
        assert (objective.units, objective.local_scorer, objective.prior) == (2048, "encode-and-dot", "uniform")
        assert (training.batch_size, training.learning_rate, training.schedule) == (64, 1e-4, "constant")
        assert training.epochs == 1000
        assert (training.betas, config.data_options) == ((0.9, 0.999), DataOptions())
    both = RECIPES["local-global-paper"].objective
    assert (both.alpha, both.beta) == (0.5, 0.1)
    single = RECIPES["global-jsd-paper"].objective
    assert (single.alpha, single.beta, single.gamma) == (1.0, 0.0, 1.0)
    assert both.global_units == single.global_units == 512
    assert both.global_scorer == single.global_scorer == "concat"


@pytest.mark.parametrize("year", [2018, 2019])
@pytest.mark.parametrize("name", ["local-infonce", "local-jsd", "global-jsd", "local-global"])
def test_a_year_is_what_that_release_did(name: str, year: int) -> None:
    """What differs from the form without a year, and nothing else."""
    own, text = RECIPES[f"{name}-paper-{year}"], RECIPES[f"{name}-paper"]
    assert own.training == replace(text.training, betas=(0.5, 0.999))
    assert own.data_options == DataOptions(scaling="symmetric", with_labelled=True)
    changes: dict[str, object] = (
        {"gamma": 1.0, "gradient_penalty_on": "prior"} if year == 2018 else {"gradient_penalty": 1 / 64}
    )
    if year == 2018 and name != "local-infonce":
        changes["others"] = 1
    if year == 2018 and name in ("local-jsd", "local-global"):
        changes |= {"local_scorer": "concat-and-convolve", "units": 512}
    if year == 2019 and text.objective.alpha:
        changes |= {"global_scorer": "encode-and-dot", "global_units": 2048}
    assert own.objective == replace(text.objective, **changes)


def test_a_penalty_of_one_of_64_samples_acts_like_a_64th() -> None:
    """The release of 2019 squares the slope at the last sample, and divides by their number; as a mean over all."""
    config = RECIPES["local-infonce-paper-2019"]
    assert config.objective.gradient_penalty * config.training.batch_size == 1.0
