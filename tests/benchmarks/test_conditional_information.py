"""Truths of the benchmark of conditional information against counts and regressions, and its table."""

import numpy as np
import pytest

from deep_infomax.mutual_information.samples.discrete import plug_in

benchmark = pytest.importorskip("conditional_information", reason="the benchmarks are not part of this distribution")


def test_the_truth_of_copied_bits_is_that_of_counts() -> None:
    task = benchmark.copied_bits()
    x, y = (series.astype(int) for series in task.draw(np.random.default_rng(0), 200_000))
    both, own = (plug_in(y[1:], past).value for past in (2 * x[:-1] + y[:-1], y[:-1]))
    assert both - own == pytest.approx(task.truth, abs=0.005)


@pytest.mark.parametrize("towards", [0, 1])
def test_the_truth_of_a_linear_process_is_that_of_two_regressions(towards: int) -> None:
    task = benchmark.linear(benchmark.BOTH_WAYS, towards)
    x, y = task.draw(np.random.default_rng(0), 50_000)
    pasts = y[:-1, None], np.stack([y[:-1], x[:-1]], axis=1)
    own, both = ((y[1:] - past @ np.linalg.lstsq(past, y[1:], rcond=None)[0]).var() for past in pasts)
    assert np.log(own / both) / 2 == pytest.approx(task.truth, abs=0.01)


def test_the_table_counts_intervals_that_hold_the_truth() -> None:
    line = {"task": "transfer-slow", "n": 1000, "truth": 0.0, "mi": 0.01, "seconds": 2.0}
    lines = [line | {"seed": 0, "interval": [-0.1, 0.1]}, line | {"seed": 1, "interval": [0.005, 0.1]}]
    assert benchmark.table(lines).splitlines()[-1] == (
        "| transfer-slow | 1,000 | 0.0000 | 0.0100 | 0.0000 | 1 of 2 | 2 |"
    )
