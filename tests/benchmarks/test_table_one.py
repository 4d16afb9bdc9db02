"""The ladder of table 1: gains are differences to the plain recipe with the same seed, and every step can be built."""

from typing import Any

import pytest

from deep_infomax.experiments.series import Series

ladder = pytest.importorskip("table_one", reason="the benchmarks are not part of this distribution")


def row(step: str, seed: int, y: float, updates: int = 100) -> dict[str, Any]:
    return {"step": step, "seed": seed, "updates": updates, "seconds": 60.0, "bound": 4.0, "accuracy": {"Y": y}}


def test_a_gain_is_the_difference_to_the_plain_recipe_with_the_same_seed_and_updates() -> None:
    rows = [row("plain", 0, 60.0), row("plain", 1, 61.0), row("plain", 0, 50.0, updates=200)]
    rows += [row("flips", 0, 62.0), row("flips", 1, 64.0), row("flips", 2, 99.0), row("flips", 0, 53.0, updates=200)]
    found = ladder.gains(rows)
    assert found[100, "flips"]["Y"] == [2.0, 3.0]  # seed 2 has no plain run beside it
    assert found[200, "flips"]["Y"] == [3.0]
    assert (ladder.said([2.0, 3.0]), ladder.said([3.0])) == ("+2.50 ± 0.50", "+3.00")


@pytest.mark.parametrize("step", ladder.STEPS)
def test_every_step_changes_the_plain_recipe(step: str) -> None:
    plain, changed = (
        Series(data_options=ladder.INPUTS.get(name, {})).config(ladder.STEPS[name]) for name in (ladder.BASE, step)
    )
    assert (plain == changed) == (step == ladder.BASE)
