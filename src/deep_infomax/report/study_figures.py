"""The figures of studies: what was measured on Y, against what was varied."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deep_infomax.runtime.figures import spread_text


class StudyPoint(NamedTuple):
    """One setting of a study, and what every metric found with every seed."""

    setting: dict[str, Any]
    values: dict[str, list[float]]
    """By protocol, on Y."""


def point_text(values: Sequence[float]) -> str:
    """Mean and, of several trainings, standard deviation; three digits for shares.

    >>> point_text([61.5]), point_text([0.25, 0.75])
    ('61.50', '0.500 ± 0.354')
    """
    digits = 3 if max(values) <= 1 else 2
    spread = spread_text(stdev(values) if len(values) > 1 else None, digits)
    return f"{fmean(values):.{digits}f} {spread}".rstrip()


def spread_of(points: Sequence[StudyPoint]) -> str:
    """What spreads are over.

    >>> spread_of([StudyPoint({}, {"mlp/1": [61.5]})]), spread_of([StudyPoint({}, {"mlp/1": [61.5, 62.5]})])
    ('one training each', 'mean ± standard deviation over 2 trainings')
    """
    trainings = max(len(found) for point in points for found in point.values.values())
    return "one training each" if trainings == 1 else f"mean ± standard deviation over {trainings} trainings"


def negatives_figure(points: Sequence[StudyPoint], data: str) -> Figure:
    """Every measure against the number of other inputs per vector, a line for each bound."""
    protocols = list(points[0].values)
    drawing = Figure(figsize=(5 * len(protocols), 3.6), layout="constrained")
    for axes, protocol in zip(drawing.subplots(1, len(protocols), squeeze=False)[0], protocols, strict=True):
        for bound in dict.fromkeys(point.setting["bound"] for point in points):
            own = [point for point in points if point.setting["bound"] == bound]
            values = [point.values[protocol] for point in own]
            _line(axes, [point.setting["others"] for point in own], values, bound)
        axes.set_xscale("log", base=2)
        axes.set(xlabel="other inputs per vector", ylabel=f"{protocol} on Y", title=f"{data}, {spread_of(points)}")
        axes.legend(fontsize="small")
    return drawing


def beta_figure(points: Sequence[StudyPoint], data: str) -> Figure:
    """Every measure against the weight of a beta-VAE's divergence."""
    protocols = list(points[0].values)
    drawing = Figure(figsize=(5 * len(protocols), 3.6), layout="constrained")
    for axes, protocol in zip(drawing.subplots(1, len(protocols), squeeze=False)[0], protocols, strict=True):
        values = [point.values[protocol] for point in points]
        _line(axes, [point.setting["beta"] for point in points], values)
        axes.set_xscale(
            "symlog", base=2, linthresh=min([p.setting["beta"] for p in points if p.setting["beta"]] or [1])
        )
        axes.set(xlabel="beta", ylabel=f"{protocol} on Y", title=f"{data}, {spread_of(points)}")
    return drawing


def _line(axes: Axes, x: Sequence[float], values: Sequence[Sequence[float]], label: str | None = None) -> None:
    """Means over trainings as a line, standard deviations as bars where there are several."""
    several = any(len(found) > 1 for found in values)
    spreads = [stdev(found) if len(found) > 1 else 0.0 for found in values] if several else None
    means = [fmean(found) for found in values]
    axes.errorbar(x, means, spreads, marker="o", markersize=4, capsize=2, label=label)
    axes.grid(alpha=0.2)


def weights_figure(
    points: Sequence[StudyPoint],
    data: str,
    own: tuple[float, float, float],
    alphas: Sequence[float],
    betas: Sequence[float],
) -> Figure:
    """Every measure over (alpha, beta) as a heat map, and over gamma below it, the others as in ``own``."""
    alpha_0, beta_0, gamma_0 = own
    protocols = list(points[0].values)
    means = [{protocol: fmean(found) for protocol, found in point.values.items()} for point in points]
    at = {
        (p.setting["alpha"], p.setting["beta"], p.setting["gamma"]): mean for p, mean in zip(points, means, strict=True)
    }
    alphas, betas = sorted(set(alphas)), sorted(set(betas))
    gammas = sorted(key[2] for key in at if key[:2] == (alpha_0, beta_0))
    drawing = Figure(figsize=(4.2 * len(protocols), 6.2), layout="constrained")
    for (grid, line), protocol in zip(drawing.subplots(2, len(protocols), squeeze=False).T, protocols, strict=True):
        values = [
            [at.get((alpha, beta, gamma_0), {}).get(protocol, float("nan")) for beta in betas] for alpha in alphas
        ]
        image = grid.imshow(values, origin="lower", aspect="auto", cmap="viridis")
        drawing.colorbar(image, ax=grid)
        for row, found in enumerate(values):
            for column, value in enumerate(found):
                if not math.isnan(value):
                    box = {"facecolor": "white", "linewidth": 0, "alpha": 0.6}
                    grid.text(column, row, point_text([value]), ha="center", va="center", fontsize=8, bbox=box)
        grid.set_xticks(range(len(betas)), [f"{beta:g}" for beta in betas])
        grid.set_yticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
        grid.set(xlabel="beta (local)", ylabel="alpha (global)", title=f"{protocol} on Y, gamma {gamma_0:g}")
        line.plot(range(len(gammas)), [at[alpha_0, beta_0, gamma][protocol] for gamma in gammas], marker="o")
        line.set_xticks(range(len(gammas)), [f"{gamma:g}" for gamma in gammas])
        line.set(xlabel="gamma (prior)", ylabel=protocol, title=f"alpha {alpha_0:g}, beta {beta_0:g}")
        line.grid(alpha=0.2)
    trainings = max(len(found) for point in points for found in point.values.values())
    drawing.suptitle(data if trainings == 1 else f"{data}, means over {trainings} trainings")
    return drawing
