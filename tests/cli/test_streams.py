"""What `dim` prints reaches whoever reads: in any encoding, until a pipe is closed, without control characters."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table

from deep_infomax.cli import main
from deep_infomax.cli.tables import print_results, print_table
from deep_infomax.evaluation import Result
from deep_infomax.runtime.progress import NOTES, progress_bars
from deep_infomax.runtime.terminal import printable

ESTIMATE = ["estimate", "x.npy", "x.npy", "--estimator", "ksg"]
RESULT = Result("knn", "default", "Y", 50.0, "%", 1.0, 10, (0, 1), "test", "knn/1", 0.1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=(60, 1)))


@pytest.mark.parametrize(("encoding", "error"), [("cp1252", "±"), ("ascii", "+-"), ("utf-8", "±"), ("cp437", "±")])
def test_a_finished_result_is_printed_in_any_encoding(
    encoding: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", printed)
    assert main(ESTIMATE) == 0
    text = printed.buffer.getvalue().decode(encoding)
    assert text.startswith("Mutual information of 60 pairs, in nats\n")
    assert f" {error} s.e. " in text
    assert "?" not in text
    assert printed.errors == "strict"


def test_names_are_printed_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setattr("deep_infomax.cli.program._about", lambda *_: print("größe 日本 …"))
    assert main([]) == 0
    assert printed.buffer.getvalue() == b"gr??e ?? ...\nNone\n"


@pytest.mark.parametrize("words", [ESTIMATE, [*ESTIMATE, "--json"], ["--help"], ["train", "--help"]])
def test_a_closed_pipe_ends_without_a_word(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(words) == 141
    assert "dim:" not in capfd.readouterr().err


def test_a_closed_pipe_of_notes_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:  # noqa: PTH123
        monkeypatch.setattr(sys, "stderr", pipe)
        assert main(ESTIMATE) == 141


def test_a_pipe_of_somebody_else_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def lost(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe", "worker")

    monkeypatch.setattr("deep_infomax.cli.information.read_samples", lost)
    assert main(ESTIMATE) == 2
    assert capfd.readouterr().err.splitlines()[-1].startswith("dim: worker cannot be used (Broken pipe)")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_the_output_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(ESTIMATE) == 1
    said = "dim: the output cannot be written (No space left on device); make room and try again"
    assert capfd.readouterr().err.splitlines()[-1] == said


def test_closed_streams_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(ESTIMATE) == 0
    assert main(["trian"]) == 2
    sys.stdout.close()
    sys.stderr.close()


HOSTILE = "run\x1b]0;x\x07\x1b[31m\x9b\r\u202e\udcff"
SPELT = r"run\x1b]0;x\x07\x1b[31m\x9b\r\u202e\udcff"


def test_control_characters_are_spelt_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable(f"{HOSTILE}\n\tß 日本") == f"{SPELT}\n\tß 日本"
    print_results(Path(HOSTILE), [RESULT])
    table = Table(HOSTILE)
    table.add_row(HOSTILE)
    print_table(table)
    NOTES.print(f"next: {HOSTILE} :dog: [bold]")
    with progress_bars() as progress:
        progress(HOSTILE, 1, 1)
    out, error = capsys.readouterr()
    assert out.count(SPELT) == 3
    assert error.splitlines() == [f"next: {SPELT} :dog: [bold]", f"{SPELT}: 1 done"]


@pytest.mark.parametrize(
    "words",
    [
        [HOSTILE], ["train", f"--{HOSTILE}"], ["train", "--data", HOSTILE], ["train", "--config", HOSTILE],
        ["train", "--resume", HOSTILE], ["train", "--recipe", HOSTILE], ["train", "--epochs", HOSTILE],
        ["evaluate", HOSTILE], ["encode", HOSTILE, "digits", "--out", "Y.npy"], ["report", HOSTILE],
        ["estimate", "x.npy", HOSTILE], ["dependency", f"{HOSTILE}.csv"], ["estimate", "x.npy", "x.npy", HOSTILE],
    ],
)  # fmt: skip
def test_no_message_moves_the_cursor(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert error.startswith("dim: ")
    assert error.isprintable() or error[:-1].isprintable()


def test_json_holds_no_control_characters(capfd: pytest.CaptureFixture[str]) -> None:
    name = HOSTILE.replace("\udcff", "") + ".npy"
    Path("x.npy").rename(name)
    assert main(["estimate", name, name, "--estimator", "ksg", "--json"]) == 0
    out, error = capfd.readouterr()
    assert out[:-1].isprintable()
    assert json.loads(out)["samples"]["x"]["file"] == name
    assert all(line.isprintable() for line in error.splitlines())
