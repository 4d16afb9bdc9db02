"""Tables of the benchmark: what counts as a miss, as silent, as held, and what the cells of a task say."""

import pytest

tables = pytest.importorskip("information_tables", reason="the benchmarks are not part of this distribution")


def record(interval, truth=0.5, warnings=(), **more):
    made = {"task": "one", "n": 1000, "seed": 0, "estimator": "auto", "mi": 0.4, "lower_bound": 0.3, "tolerance": 0.05}
    timed = {"seconds": 1.0, "cpu_seconds": 1.0, "peak_mb": 100.0}
    return made | timed | {"interval": interval, "truth": truth, "warnings": list(warnings)} | more


@pytest.mark.parametrize(
    ("interval", "truth", "held"),
    [
        ([0.4, 0.6], 0.5, True),
        ([0.6, 0.7], 0.5, False),
        ([0.4, None], 0.5, True),
        ([0.6, None], 0.5, False),
        ([0.4, None], None, True),  # infinite
        ([0.4, 9.0], None, False),
        (None, 0.5, None),
    ],
)
def test_an_interval_holds_the_truth_or_not_or_is_withheld(interval, truth, held):
    assert tables.holds(record(interval, truth)) is held


@pytest.mark.parametrize(
    ("interval", "warnings", "silent"),
    [
        ([0.6, 0.7], [], True),
        ([0.6, 0.7], ["y: equal values (column 0 has 2 different ones)"], True),
        ([0.6, 0.7], ["y: equal values", "the folds disagree"], False),
        ([0.4, 0.6], [], False),
        (None, [], False),
    ],
)
def test_a_miss_is_silent_without_a_warning_of_its_own(interval, warnings, silent):
    assert tables.is_silent(record(interval, warnings=warnings)) is silent


def test_cells_of_a_task_are_over_its_seeds():
    runs = [record([0.3, 0.6], mi=0.4), record([0.6, None], mi=0.5), record(None, mi=None)]
    cells = ["0.5000", "0.4500", "0.0707", "-0.0500", "0.05", "1/2", "1", "1", "1", "1.0"]
    assert tables.figures(runs)[:3] + tables.figures(runs)[5:] == cells[:3] + cells[5:]
    assert float(tables.figures(runs)[3]) == pytest.approx(-0.05)


def test_every_task_and_every_miss_is_printed(capsys):
    runs = [record([0.3, 0.6]), record([0.6, 0.7], task="two", truth=None, lower_bound=None, tolerance=None)]
    peer = record(None, estimator="ksg-3", mi=0.48)
    tables.print_tables([*runs, peer], {"literature": ["one"], "functions": ["two"]})
    printed = capsys.readouterr().out
    assert "| `one` | 0.5000 | 0.4000 |" in printed
    assert "| `two` | ∞ | 0.4000 | - | - | - | 0/1 | 0 | 0 | 1 |" in printed
    assert "| -0.100 ± - | -0.020 ± - | ksg-3 |" in printed
    assert "missed SILENT: two, n = 1,000, seed 0: [0.6, 0.7], truth None" in printed
    assert "| all | all | 2 | 1/2 | 0 | 0 | 1 | 0 |" in printed
