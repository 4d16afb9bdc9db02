"""Methods side by side: every recipe trained with every seed and measured alike."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from deep_infomax.experiments.series import Measurement, Series, Setting
from deep_infomax.experiments.titles import titles
from deep_infomax.recipes import RECIPES
from deep_infomax.report import write_report
from deep_infomax.runtime import run_files
from deep_infomax.runtime.values import unknown


class Comparison(NamedTuple):
    """What was measured of several methods."""

    folder: Path
    measurements: list[Measurement]
    """One for each recipe and seed."""

    def report(self) -> Path:
        """Write ``report.html`` into the folder; the figures are means over the seeds."""
        return write_report(
            [measurement.run for measurement in self.measurements], self.folder / run_files.REPORT, titles()
        )


def compare(
    recipes: Sequence[str], data: str = "digits", *, layers: Sequence[str] | None = None, **series: Any
) -> Comparison:
    """Train and measure several recipes; what was done in the same folder before is kept, and continued.

    Args:
        recipes: Names of `deep_infomax.recipes.RECIPES`.
        data: What they learn from.
        layers: What is measured; None stands for each metric's own layers.
        series: Fields of `Series`. There is one seed, and ``mlp`` and ``linear`` are measured, unless they say
            otherwise.

    Raises:
        ValueError: a name or a value is wrong, which mostly shows before the first training.
        InterruptedTrainingError: an interrupt arrived; the same call continues.
        FailedTrainingError: all is done but what failed.

    Example::

        compared = compare(["local-infonce", "random"], "digits", epochs=20, seeds=3, out="runs/compared")
        for name, seed, run, results in compared.measurements:
            print(name, seed, [(result.protocol, result.layer, result.value) for result in results])
        compared.report()
    """
    for recipe in recipes:
        if recipe not in RECIPES:
            raise unknown("recipes", recipe, RECIPES)
    given = Series(data=data, **series)
    filled = replace(
        given,
        seeds=1 if given.seeds is None else given.seeds,
        metrics=("mlp", "linear") if given.metrics is None else given.metrics,
    )
    settings = {recipe: Setting(recipe) for recipe in recipes}
    return Comparison(filled.folder("compare"), filled.measure("compare", settings, layers, floors=True))
