"""How a representation depends on the number of negatives, on weights of the objective, on a VAE's beta.

All train many encoders, so their defaults are small; ``full`` stands for the size of the paper's figures. A study is
kept in one folder: every run, and ``study.json`` with all points. The same call continues it.

Source: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019,
arXiv 1808.06670.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from matplotlib.figure import Figure

from deep_infomax.bounds import BOUNDS
from deep_infomax.evaluation import METRICS
from deep_infomax.experiments.series import Series, Setting
from deep_infomax.experiments.titles import titles
from deep_infomax.recipes import RECIPES
from deep_infomax.report import StudyPoint, beta_figure, negatives_figure, weights_figure, write_report
from deep_infomax.runtime import run_files
from deep_infomax.runtime.files import save_figure, write_text
from deep_infomax.runtime.values import unknown


class Size(NamedTuple):
    """How large a study is."""

    epochs: float
    seeds: int


SMALL: Final = Size(epochs=20.0, seeds=1)
FULL: Final = Size(epochs=100.0, seeds=3)
LAYER: Final = "Y"
"""What studies measure."""


class Study(NamedTuple):
    """What a study found."""

    kind: str
    folder: Path
    points: list[StudyPoint]
    draw: Callable[[], Figure]
    """Draws the points, as in the paper."""

    @property
    def drawing(self) -> Path:
        """Where the report keeps the figure."""
        return self.folder / f"{self.kind}.png"

    def report(self) -> Path:
        """Write the figure, and ``report.html`` about all runs, into the folder."""
        save_figure(self.drawing, self.draw(), dpi=150)
        return write_report([self.folder], self.folder / run_files.REPORT, titles())


def negatives(
    bounds: Sequence[str] = ("jsd", "infonce", "dv"),
    others: Sequence[int | Literal["all"]] | None = None,
    *,
    full: bool = False,
    **series: Any,
) -> Study:
    """Figures of Y against the number of other inputs that each vector is scored against, by DIM(L) with some bounds.

    Args:
        bounds: Names of `deep_infomax.bounds.BOUNDS`.
        others: Numbers of other inputs; ``"all"`` stands for the whole batch. None: a few, or with ``full`` many.
        full: As many epochs, seeds and numbers as the paper's figure has.
        series: Fields of `Series`.

    Raises:
        ValueError, InterruptedTrainingError, FailedTrainingError: as `compare`; or a number that no batch has.
    """
    common = _common(series, full, ("mlp",))
    settings, varied = {}, {}
    for bound in bounds:
        if bound not in BOUNDS:
            raise unknown("bounds", bound, BOUNDS)
        recipe = own if (own := f"local-{bound}") in RECIPES else "local-infonce"
        for number in others or ((1, 2, 4, 8, 16, 32, 64, "all") if full else (1, 4, 16, "all")):
            if number != "all" and number < 1:
                raise ValueError(f"`others` holds {number}; give numbers of at least 1, and 'all'")
            setting = Setting(recipe, {"bound": bound, "others": None if number == "all" else number})
            most = common.config(setting).training.batch_size - 1
            if number != "all" and number > most:
                raise ValueError(
                    f"`others` asks for {number}, and a batch of {most + 1} has {most}; give a larger `batch_size`"
                )
            settings[f"{bound}-{number}"] = setting
            varied[f"{bound}-{number}"] = {"bound": bound, "others": most if number == "all" else number}
    folder, points = _measure(common, "negatives", settings, varied)
    return Study("negatives", folder, points, lambda: negatives_figure(points, common.data))


def weights(
    alphas: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    gammas: Sequence[float] | None = None,
    *,
    full: bool = False,
    **series: Any,
) -> Study:
    """Figures of Y over a grid of (alpha, beta), and over gamma with the recipe's alpha and beta (`local-global`).

    Args:
        alphas: Weights of the global term; None: a few, or with ``full`` more.
        betas: Weights of the local term.
        gammas: Weights of the prior.
        full: As many epochs, seeds, weights and metrics as the paper's figures have.
        series: Fields of `Series`.

    Raises:
        ValueError, InterruptedTrainingError, FailedTrainingError: as `compare`; or a weight that is no number of at
            least 0.
    """
    usual = (0.0, 0.1, 0.25, 0.5, 1.0) if full else (0.0, 0.1, 1.0)
    recipe = "local-global"
    own = RECIPES[recipe].objective
    rows, columns = _weights("alphas", alphas or usual), _weights("betas", betas or usual)
    chosen = [(alpha, beta, own.gamma) for alpha in rows for beta in columns if alpha or beta]
    chosen += [(own.alpha, own.beta, gamma) for gamma in _weights("gammas", gammas or usual)]
    varied = {
        f"alpha{alpha:g}-beta{beta:g}-gamma{gamma:g}": {"alpha": alpha, "beta": beta, "gamma": gamma}
        for alpha, beta, gamma in chosen
    }
    settings = {name: Setting(recipe, weighting) for name, weighting in varied.items()}
    common = _common(series, full, ("mlp", "ms_ssim", "ndm") if full else ("mlp", "ndm"))
    folder, points = _measure(common, "weights", settings, varied)
    weighted = own.alpha, own.beta, own.gamma
    return Study("weights", folder, points, lambda: weights_figure(points, common.data, weighted, rows, columns))


def beta(betas: Sequence[float] | None = None, *, full: bool = False, **series: Any) -> Study:
    """Figures of Y against the weight of a beta-VAE's divergence: how it trades what units tell for independence.

    Args:
        betas: Weights of the divergence; None: a few, or with ``full`` more.
        full: As many epochs, seeds and weights as the paper's figures have.
        series: Fields of `Series`.

    Raises:
        ValueError, InterruptedTrainingError, FailedTrainingError: as `compare`; or a weight that is no number of at
            least 0.
    """
    usual = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0) if full else (0.5, 2.0, 8.0, 32.0)
    varied = {f"beta{weight:g}": {"beta": weight} for weight in _weights("betas", betas or usual)}
    settings = {name: Setting("beta-vae", weighting) for name, weighting in varied.items()}
    common = _common(series, full, ("ndm", "ndm-sample", "mlp"))
    folder, points = _measure(common, "beta", settings, varied)
    return Study("beta", folder, points, lambda: beta_figure(points, common.data))


def _common(series: Mapping[str, Any], full: bool, metrics: Sequence[str]) -> Series:
    """What the trainings of a study have in common; what is not given is as large as the study."""
    given, size = Series(**series), FULL if full else SMALL
    return replace(
        given,
        epochs=size.epochs if given.epochs is None else given.epochs,
        seeds=size.seeds if given.seeds is None else given.seeds,
        metrics=metrics if given.metrics is None else given.metrics,
    )


def _weights(name: str, weights: Sequence[float]) -> Sequence[float]:
    for weight in weights:
        if not 0 <= weight < float("inf"):
            raise ValueError(f"`{name}` holds {weight:g}; give numbers of at least 0, such as 0,0.5,1")
    return weights


def _measure(
    common: Series, kind: str, settings: Mapping[str, Setting], varied: Mapping[str, dict[str, Any]]
) -> tuple[Path, list[StudyPoint]]:
    """Train and measure every setting, and write ``study.json`` with what was found at each."""
    measurements = common.measure(kind, settings, [LAYER])
    assert common.metrics is not None
    protocols = [METRICS[name].protocol for name in common.metrics]
    points = {name: StudyPoint(setting, {}) for name, setting in varied.items()}
    for measurement in measurements:
        for result in measurement.results:
            if result.protocol in protocols and (result.layer, result.variant) == (LAYER, "default"):
                points[measurement.name].values.setdefault(result.protocol, []).append(result.value)
    folder = common.folder(kind)
    content = {
        "schema": 1, "study": kind, "data": common.data, "points": [point._asdict() for point in points.values()],
    }  # fmt: skip
    write_text(folder / run_files.STUDY, json.dumps(content, indent=1) + "\n")
    return folder, list(points.values())
