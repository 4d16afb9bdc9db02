"""The commands ``dim estimate`` and ``dim dependency``, and what stands behind them: files and the check of g(y)."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deep_infomax import mutual_information
from deep_infomax.cli import main
from deep_infomax.cli.samples import read_samples
from deep_infomax.mutual_information import estimate_mi, neural_dependency
from deep_infomax.mutual_information.checks import check_data_processing, quarters
from deep_infomax.mutual_information.rows.structure import Rows

GAUSSIAN = "estimate x.npy y.npy --estimator gaussian"
N = 400


def dim(command: str) -> int:
    return main(command.split())


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    z = np.random.default_rng(0).normal(size=(N, 3))
    z[:, 1] += z[:, 0]
    return z


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", samples[:, 0])
    np.save("y.npy", samples[:, 1])
    np.save("z.npy", samples)
    return tmp_path


@pytest.fixture
def printed(capfd: pytest.CaptureFixture[str]) -> Callable[[], tuple[dict, str]]:
    """The one object on standard output, and standard error."""

    def read() -> tuple[dict, str]:
        out, error = capfd.readouterr()
        [line] = out.splitlines()
        return json.loads(line), error

    return read


def interrupt(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let so many signals come before the first fold."""
    original = Rows.split

    def interrupted(*arguments: object) -> object:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(Rows, "split", interrupted)


def test_estimate_prints_one_object_and_nothing_else(samples, printed) -> None:
    assert dim(f"{GAUSSIAN} --json --folds 4 --level 0.9 --seed 3") == 0
    result, _ = printed()
    expected = estimate_mi(samples[:, 0], samples[:, 1], "gaussian", folds=4, level=0.9, seed=3, progress=False)
    read = {name: {"file": f"{name}.npy", "shape": [], "columns": [], "said": []} for name in "xy"}
    assert result | {"seconds": 0} == expected.to_json() | {"seconds": 0, "samples": read}
    assert {"mi", "interval", "lower_bound", "readouts", "warnings", "seconds"} <= result.keys()


def test_estimate_prints_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    assert dim(f"{GAUSSIAN} --permutations 99") == 0
    out = capfd.readouterr().out
    assert out.startswith("Mutual information of 400 pairs, in nats\n")
    assert "p-value" in out


def test_a_network_is_trained(printed) -> None:
    assert dim("estimate x.npy y.npy --time_budget 1 --json") == 0
    result, error = printed()
    assert result["interval"][0] < np.log(2) / 2 < result["interval"][1]
    assert "fitting critics: 1,000 done" in error


def test_ranks_can_be_left_out(printed) -> None:
    np.save("y.npy", np.exp(3 * np.load("y.npy")))
    figures = []
    for ranks in ("true", "false"):
        assert dim(f"{GAUSSIAN} --json --ranks {ranks}") == 0
        figures.append(printed()[0]["mi"])
    assert figures[0] > figures[1] + 0.1


def test_dependency_prints_one_object_and_nothing_else(printed) -> None:
    assert dim("dependency z.npy --time_budget 1 --json") == 0
    result, error = printed()
    assert {"total_correlation", "interval", "method", "per_factor", "warnings", "seconds"} <= result.keys()
    assert result["interval"][0] < np.log(2) / 2 < result["interval"][1]
    assert "done" in error


def test_dependency_prints_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    assert dim("dependency z.npy --time_budget 1 --method chain --ranks false --folds 2") == 0
    assert "chain; 95% interval" in capfd.readouterr().out


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_figures_are_written(ending: str, magic: bytes, printed) -> None:
    assert dim(f"{GAUSSIAN} --json --plot figure.{ending}") == 0
    assert printed()[1].endswith(f"wrote figure.{ending}\n")
    assert Path(f"figure.{ending}").read_bytes().startswith(magic)


def test_a_figure_of_dependency_is_written(printed) -> None:
    assert dim("dependency z.npy --time_budget 1 --folds 2 --json --plot figure.svg") == 0
    assert printed()[0]["finished"]
    assert "</svg>" in Path("figure.svg").read_text()


def test_a_figure_that_finds_no_room_is_a_failure_after_the_result(printed, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("figure.png").write_bytes(b"the one before")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    assert dim(f"{GAUSSIAN} --json --plot figure.png") == 1
    said = "dim: figure.png cannot be written (No space left on device); make room for it\n"
    assert printed()[1].endswith(said)
    assert Path("figure.png").read_bytes() == b"the one before"
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize("plot", ["figure.gif", "figure", "nowhere/figure.png"])
@pytest.mark.parametrize(
    ("command", "function"), [("estimate x.npy y.npy", "estimate_mi"), ("dependency z.npy", "neural_dependency")]
)
def test_where_to_draw_is_looked_at_first(
    plot: str, command: str, function: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutual_information, function, None)
    assert dim(f"{command} --plot {plot}") == 2
    assert plot in capfd.readouterr().err


@pytest.mark.parametrize(("header", "quoted"), [("", False), ("a,b,c", False), ("a,b,c", True)])
def test_every_kind_of_file_holds_the_same_samples(header: str, quoted: bool, samples: np.ndarray) -> None:
    rows = [",".join(f'"{value!r}"' if quoted else repr(value) for value in row) for row in samples.tolist()]
    Path("z.csv").write_text("\n".join(([header] if header else []) + [*rows, ""]))
    np.savez("z.npz", anything=samples)
    for name in ("z.npy", "z.npz", "z.csv"):
        np.testing.assert_array_equal(read_samples(Path(name), "z").values, samples)


def test_columns_of_one_table_are_paired(samples: np.ndarray, printed) -> None:
    rows = "".join(f"{i};{row[0]!r};{row[1]!r}\n".replace(".", ",") for i, row in enumerate(samples.tolist()))
    Path("both.csv").write_text(f";a;b\n{rows}", encoding="utf-16")
    assert dim(f"{GAUSSIAN} --json") == 0
    mi = printed()[0]["mi"]
    assert dim("estimate both.csv both.csv --x_columns a --y_columns b --estimator gaussian --json") == 0
    result, error = printed()
    assert result["mi"] == mi
    assert result["samples"]["y"] == {
        "file": "both.csv", "shape": [1], "columns": ["b"],
        "said": [
            "in UTF-16", "semicolons between columns", "decimals with a comma", "the first line names the columns",
        ],
    }  # fmt: skip
    assert error.startswith(
        "x: both.csv: 400 samples of column a; in UTF-16; semicolons between columns; decimals with"
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("estimate short.npy y.npy", "x (short.npy) has 10 samples"),
        ("estimate y.npy short.npy", "y (short.npy) has 10 samples"),
        ("estimate x.npy half.npy", "x (x.npy) has 400 and y (half.npy) has 200 samples"),
        ("estimate x.npy flat.npy", "y (flat.npy) is constant"),
        ("estimate nan.npy y.npy", "x (nan.npy) holds nan in row 7"),
        ("dependency words.npy", "z (words.npy) is constant"),
        ("dependency nan.npy", "z (nan.npy) holds nan in row 7"),
        ("dependency x.npy", "z (x.npy) has one coordinate that varies"),
        ("dependency", "dim dependency needs Z.npy"),
    ],
)
def test_a_sentence_names_the_file(command: str, said: str, samples, capfd: pytest.CaptureFixture[str]) -> None:
    x = samples[:, 0]
    arrays = {
        "short": x[:10], "half": x[:200], "flat": np.ones(N), "words": np.array(["word"] * N),
        "nan": np.where(np.arange(N) == 7, np.nan, x),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(f"{name}.npy", array)
    assert dim(command) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert error.splitlines()[-1].startswith(f"dim: {said}")


def test_an_interrupt_prints_what_is_known_by_then(printed, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, times=1)
    assert dim("estimate x.npy y.npy --json --check_processing") == 130
    result, error = printed()
    assert not result["finished"]
    assert len(result["folds"]) == 5
    assert result["processing"] is None
    assert error.splitlines()[-1] == "dim: interrupted; the figures are those known by then"
    assert dim("dependency z.npy --json --method joint --plot figure.png") == 130
    assert not printed()[0]["finished"]
    assert Path("figure.png").exists()


@pytest.mark.parametrize("command", ["estimate x.npy y.npy", "dependency z.npy"])
def test_a_second_interrupt_ends_at_once(
    command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("deep_infomax.runtime.interrupt.ECHO_SECONDS", 0.0)
    interrupt(monkeypatch, times=2)
    assert dim(f"{command} --json") == 130
    out, error = capfd.readouterr()
    assert out == ""
    assert error.splitlines()[-1] == "dim: interrupted"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate"),
        RuntimeError("you can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_too_little_memory_is_a_failure_and_no_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(mutual_information, "estimate_mi", exhausted)
    assert dim(GAUSSIAN) == 1
    assert capfd.readouterr().err.endswith("dim: out of memory; use fewer samples or coordinates\n")


def test_the_command_line_loads_no_drawing_before_it_is_needed() -> None:
    code = "import sys, deep_infomax.cli, deep_infomax.mutual_information; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_processing_is_checked(printed, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert dim(f"{GAUSSIAN} --check_processing --json") == 0
    result, _ = printed()
    processing = result["processing"]
    assert processing["holds"]
    assert processing["whole"] == {key: result[key] for key in result if key not in ("processing", "samples")}
    assert processing["processed"]["mi"] < result["mi"]
    assert dim(f"{GAUSSIAN} --check_processing") == 0
    assert capfd.readouterr().out.splitlines()[-1] == (
        "Data processing loses information, as it must, as far as can be seen: I(x; g(y)) = {:.4f} nats ({:.4f} to "
        "{:.4f}), I(x; y) = {:.4f} nats ({:.4f} to {:.4f}).".format(
            processing["processed"]["mi"], *processing["processed"]["interval"], result["mi"], *result["interval"]
        )
    )


def test_each_of_both_estimates_is_made_once_and_in_half_the_time(printed, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = []

    def recorded(*samples: object, time_budget: float, **options: object) -> object:
        budgets.append(time_budget)
        return estimate_mi(*samples, time_budget=time_budget, **options)

    monkeypatch.setattr(mutual_information, "estimate_mi", recorded)
    monkeypatch.setattr("deep_infomax.mutual_information.checks.estimate_mi", recorded)
    assert dim(f"{GAUSSIAN} --check_processing --json --time_budget 8") == 0
    assert budgets == [4, 4]
    assert printed()[0]["processing"]["holds"]


def test_what_is_no_processing_is_found(samples: np.ndarray) -> None:
    x, y = samples[:, 0], samples[:, 1]
    check = check_data_processing(x, y, g=lambda _: x + 0.1 * y, estimator="gaussian", progress=False)
    assert not check.holds
    assert str(check).startswith("Data processing seems to add information, so one of these two estimates is wrong: ")
    assert not check.to_json()["holds"]


def test_an_estimate_without_interval_is_compared_by_its_figure(samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deep_infomax.mutual_information.named.MINE_STEPS", 20)
    check = check_data_processing(samples[:, 0], samples[:, 1], estimator="mine", progress=False)
    assert check.holds == (check.processed.mi <= check.whole.mi)
    assert "to" not in str(check).split("I(x; g(y))")[1]


def test_quarters_are_a_function_of_each_coordinate() -> None:
    rng = np.random.default_rng(0)
    columns = [
        rng.normal(size=1000), rng.integers(3, size=1000), rng.random(1000) < 0.05, rng.random(1000) < 0.95,
        np.maximum(rng.normal(size=1000), 0), np.minimum(rng.normal(size=1000), 0), np.full(1000, 7),
    ]  # fmt: skip
    y = np.stack(columns, axis=1).astype(float)
    g = quarters(y)
    assert g.min() >= 0
    assert g.max() <= 3
    assert np.bincount(g[:, 0]).tolist() == [250] * 4
    for column, numbers in zip(y.T, g.T, strict=True):
        order = np.argsort(column)
        assert (np.diff(numbers[order]) >= 0).all()
        assert (np.diff(numbers[order])[np.diff(column[order]) == 0] == 0).all()
        assert (np.ptp(numbers) > 0) == (np.ptp(column) > 0)


def test_groups_of_a_column_or_a_file_are_those_of_the_estimate(samples, printed) -> None:
    who = np.repeat(np.arange(N // 4), 4)
    expected = estimate_mi(*samples.T[:2], "gaussian", groups=who, progress=False)
    lines = [f"s{name},{x!r}" for name, x in zip(who, samples[:, 0].tolist(), strict=True)]
    Path("named.csv").write_text("\n".join(["who,x", *lines]))
    np.save("who.npy", who)
    for command in ("named.csv y.npy --groups who", "x.npy y.npy --groups who.npy"):
        assert dim(f"estimate {command} --estimator gaussian --json") == 0
        result, _ = printed()
        assert result["folds"] == expected.to_json()["folds"]
        assert result["interval"] == pytest.approx(expected.interval)
    assert dim("estimate x.npy y.npy --estimator gaussian --json --blocks 7") == 0
    expected = estimate_mi(*samples.T[:2], "gaussian", blocks=7, progress=False)
    assert printed()[0]["folds"] == expected.to_json()["folds"]


def test_rows_of_a_dependency_that_belong_together(samples, printed) -> None:
    who = np.repeat(np.arange(N // 4), 4)
    np.save("z.npy", samples)
    np.save("who.npy", who)
    for flags, options in (("--groups who.npy", {"groups": who}), ("--blocks 7", {"blocks": 7})):
        assert dim(f"dependency z.npy {flags} --folds 2 --json") == 0
        expected = neural_dependency(samples, folds=2, progress=False, **options).to_json()
        found = printed()[0]
        assert (found["folds"], found["interval"]) == (expected["folds"], expected["interval"])
    lines = [f"s{name},{x!r},{y!r}" for name, (x, y) in zip(who, samples[:, :2].tolist(), strict=True)]
    Path("named.csv").write_text("\n".join(["who,x,y", *lines]))
    assert dim("dependency named.csv --groups who --folds 2 --json") == 0
    found = printed()[0]
    assert len(found["per_factor"]) == 2
    assert found["folds"] == neural_dependency(samples[:, :2], groups=who, folds=2, progress=False).to_json()["folds"]
