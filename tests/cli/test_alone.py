"""Commands beside each other, and what is in their way: what they share stays whole, and what is wrong is said."""

import json
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from deep_infomax.cli import main
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import Result, merge_results, read_results
from deep_infomax.evaluation.results import measuring
from deep_infomax.runtime.locks import locked, training_lock

SMALL = "--epochs 1 --training.batch_size 16 --objective.units 16"


def dim(command: str) -> int:
    return main(command.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on series, and the series."""
    folder = tmp_path_factory.mktemp("alone")
    generator = np.random.default_rng(0)
    np.savez(folder / "series.npz", x=generator.normal(size=(64, 32)).astype(np.float32), y=np.arange(64) % 2)
    assert dim(f"train --data {folder}/series.npz {SMALL} --out {folder}/run") == 0
    return folder


@pytest.fixture(autouse=True)
def _here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@contextmanager
def elsewhere(block: object) -> Iterator[None]:
    """A block that another thread is in, as another process would be."""
    entered, over = threading.Event(), threading.Event()

    def stay() -> None:
        with block:  # type: ignore[attr-defined]
            entered.set()
            over.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    assert entered.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize(
    "command",
    ["train --resume run", f"train --data series.npz {SMALL} --out run", f"train --data digits {SMALL} --out new"],
)
def test_a_run_that_is_being_trained_is_left_alone(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    run = Path(command.split()[-1])
    before = contents(Path("run"))
    with elsewhere(training_lock(run)):
        assert dim(command) == 2
        assert capfd.readouterr().err.splitlines()[-1] == (
            f"dim: {run} is being trained by process {os.getpid()}; wait until it ends, or stop it"
        )
    assert contents(Path("run")) == before
    assert not contents(Path("new"))


def test_a_run_that_is_being_trained_can_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    with elsewhere(training_lock(Path("run"))):
        assert dim("evaluate run --metrics knn --layers Y --seeds 1") == 0
        assert dim("encode run series.npz --out read.npy") == 0
        assert dim("report run --out read.html") == 0
    assert not list(Path("run").glob(".*"))


def test_a_name_that_nobody_chose_is_numbered_where_another_process_trains(capfd: pytest.CaptureFixture[str]) -> None:
    from deep_infomax import train

    Path("runs/local-infonce-series-0").mkdir(parents=True)
    with elsewhere(training_lock(Path("runs/local-infonce-series-0"))):
        found = train(data="series.npz", training={"epochs": 0.25, "batch_size": 16}, progress=False)
    assert found.path == Path("runs/local-infonce-series-0-2")


def test_two_series_do_not_share_a_folder(capfd: pytest.CaptureFixture[str]) -> None:
    Path("series").mkdir()
    with elsewhere(locked(Path("series/.lock"), "")):
        assert dim("compare --recipes nat --data series.npz --epochs 1 --out series") == 2
        said = f"dim: series is trained into by process {os.getpid()}; wait until it ends, or stop it"
        assert capfd.readouterr().err.splitlines()[-1] == said
    assert list(Path("series").iterdir()) == []


@pytest.mark.parametrize(("command", "name"), [("compare", "report.html"), ("study beta", "beta.png")])
def test_where_a_series_ends_is_looked_at_first(
    command: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).symlink_to(tmp_path / "outside")
    recipes = "--recipes nat" if command == "compare" else "--betas 1"
    assert dim(f"{command} {recipes} --data series.npz --epochs 1 --out {tmp_path}") == 2
    assert f"{name} is a link to" in capfd.readouterr().err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def found(metric: str, value: float) -> Result:
    return Result(metric, "default", "Y", value, "%", None, 10, (0,), "test", f"{metric}/1", 1.0)


def test_what_many_evaluations_find_at_once_is_all_kept(tmp_path: Path) -> None:
    path, data = tmp_path / "evaluation.json", {"name": "series"}
    threads = [
        threading.Thread(target=merge_results, args=(path, data, [found(f"metric{n}", float(n))])) for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.value for result in read_results(path, data)) == [float(n) for n in range(12)]
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]


def test_an_evaluation_on_other_data_waits_for_its_turn(tmp_path: Path) -> None:
    path, forgotten = tmp_path / "evaluation.json", []
    with elsewhere(measuring(path, {"name": "one"}, lambda: forgotten.append("none"))):
        with measuring(path, {"name": "one"}, lambda: forgotten.append("one")):
            merge_results(path, {"name": "one"}, [found("knn", 1.0)])
        with (
            pytest.raises(ValueError, match=r"is being evaluated on other data by process \d+; wait"),
            measuring(path, {"name": "other"}, lambda: forgotten.append("other")),
        ):
            pass
        assert json.loads(path.read_text())["data"] == {"name": "one"}
    with measuring(path, {"name": "other"}, lambda: forgotten.append("other")):
        assert read_results(path) == []
    assert forgotten == ["none", "other"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["evaluation.json", "evaluation.previous-1.json"]


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "encoder.json", "encoder.safetensors", "config.yaml", "checkpoints", "arrays", ".lock"]
)
def test_no_link_leads_a_training_out_of_its_run(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    assert dim(f"train --data series.npz {SMALL} --out {run}") == 0
    if not (run / name).exists():
        (run / name).mkdir() if name == "arrays" else (run / name).touch()
    (run / name).rename(outside)
    (run / name).symlink_to(outside)
    before = contents(outside) if outside.is_dir() else outside.read_bytes()
    assert dim(f"train --resume {run}") == 2
    assert "link" in capfd.readouterr().err.splitlines()[-1]
    assert (contents(outside) if outside.is_dir() else outside.read_bytes()) == before


@pytest.mark.parametrize("name", ["evaluation.json", "arrays", "report.html"])
def test_no_link_leads_an_evaluation_or_a_report_out_of_its_run(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    for path in Path("run").iterdir():
        if path.is_file() and path.name != name:
            (tmp_path / "run").mkdir(exist_ok=True)
            (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    if name == "arrays":
        outside.mkdir()
        (outside / "representation.npz").write_bytes(b"precious")
    else:
        outside.write_text("precious")
    (tmp_path / "run" / name).symlink_to(outside)
    command = "report" if name == "report.html" else "evaluate --metrics knn --layers Y --seeds 1"
    assert dim(f"{command} {tmp_path}/run") == 2
    assert "link" in capfd.readouterr().err.splitlines()[-1]
    kept = outside / "representation.npz" if name == "arrays" else outside
    assert kept.read_text() == "precious"


@pytest.mark.parametrize("out", ["/dev/null", "pipe", "link.npy", "nowhere.npy"])
@pytest.mark.parametrize("command", ["encode run series.npz --out", "report run --out"])
def test_what_is_no_file_is_no_output(
    command: str, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "series.npz").symlink_to(Path("series.npz").resolve())
    (tmp_path / "run").symlink_to(Path("run").resolve())
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("mine.npy").write_text("precious")
    Path("link.npy").symlink_to("mine.npy")
    Path("nowhere.npy").symlink_to("none")
    assert dim(f"{command} {out}") == 2
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith(f"dim: {out} is a {'link to' if 'npy' in out else 'device, a pipe or a socket; name a'}")
    assert Path("mine.npy").read_text() == "precious"
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("out", ["/dev/null", "pipe", "nowhere"])
def test_what_is_no_folder_is_no_run(out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("nowhere").symlink_to("none")
    assert dim(f"train --data digits {SMALL} --out {out}") == 2


def test_a_disk_without_room_for_an_encoding_is_a_failure_that_keeps_the_old_file(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("Y.npy").write_bytes(b"the one before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        assert dim("encode run series.npz --out Y.npy") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = "dim: Y.npy cannot be written (File too large); raise the limit of sizes (ulimit -f)"
    assert capfd.readouterr().err.splitlines()[-1] == said
    assert Path("Y.npy").read_bytes() == b"the one before"
    assert not list(Path().glob("*.partial"))


def test_an_encoding_is_the_file_that_numpy_would_save(tmp_path: Path) -> None:
    assert dim(f"encode run series.npz --out {tmp_path}/Y.npy") == 0
    x = np.load("series.npz")["x"]
    np.save(tmp_path / "expected.npy", Encoder.from_pretrained("run").encode(x[:, None]).numpy())
    assert np.load(tmp_path / "Y.npy").shape == (64, 64)
    np.testing.assert_allclose(np.load(tmp_path / "Y.npy"), np.load(tmp_path / "expected.npy"), atol=1e-5)
    header = (tmp_path / "expected.npy").read_bytes()[:128]
    assert (tmp_path / "Y.npy").read_bytes()[:128] == header
