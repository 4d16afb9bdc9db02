"""``dim study``: how a representation depends on the number of negatives, and on the weights of the objective's parts.

Both train many encoders, so their defaults are small; ``--full`` stands for the size of the paper's figures. A study is
kept in one folder: every run, ``study.json`` with all points, the figure and a report. The same command continues it.

Source of both: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019,
arXiv 1808.06670.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from deep_infomax import commands
from deep_infomax.evaluation import METRICS
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.report import StudyPoint, negatives_figure, point_text, weights_figure, write_report
from deep_infomax.series import Plan, carry_out, changed, require_seeds


class Size(NamedTuple):
    """How large a study is."""

    epochs: float
    seeds: int


SMALL: Final = Size(epochs=20.0, seeds=1)
FULL: Final = Size(epochs=100.0, seeds=3)
BOUNDS: Final = ("infonce", "jsd", "dv")
_LAYER: Final = "Y"


def negatives(
    *,
    data: str,
    probe: str | None,
    epochs: float | None,
    batch_size: int | None,
    seeds: int | None,
    metrics: str | None,
    out: str | None,
    full: bool,
    bounds: str,
    others: str | None,
) -> None:
    """Figures of Y against the number of other inputs that each vector is scored against, by DIM(L) with some bounds.

    Raises:
        ValueError: as `carry_out`; or a number of others that no batch has.
    """
    size = FULL if full else SMALL
    training = {"epochs": size.epochs if epochs is None else epochs, "batch_size": batch_size}
    numbers = [_number(text) for text in (others or ("1,2,4,8,16,32,64,all" if full else "1,4,16,all")).split(",")]
    settings: dict[str, tuple[str, Config, dict[str, Any]]] = {}
    for bound in bounds.split(","):
        recipe = f"local-{bound}"
        if bound not in BOUNDS:
            raise ValueError(f"--bounds holds {bound!r}; give some of {', '.join(BOUNDS)}")
        for number in numbers:
            config = changed(recipe, {"training": training, "objective": {"others": number}})
            most = config.training.batch_size - 1
            if number is not None and number > most:
                raise ValueError(
                    f"--others asks for {number}, and a batch of {most + 1} has {most}; give a larger --batch_size"
                )
            settings[f"{bound}-{number or 'all'}"] = recipe, config, {"bound": bound, "others": number or most}
    folder = Path(out or _folder("negatives", data))
    points = _measure(folder, settings, data, probe, size.seeds if seeds is None else seeds, metrics or "mlp")
    _finish(folder, "negatives", data, points, negatives_figure(points, data))


def weights(
    *,
    data: str,
    probe: str | None,
    epochs: float | None,
    batch_size: int | None,
    seeds: int | None,
    metrics: str | None,
    out: str | None,
    full: bool,
    alphas: str | None,
    betas: str | None,
    gammas: str | None,
) -> None:
    """Figures of Y over a grid of (alpha, beta), and over gamma with the recipe's alpha and beta (`local-global`).

    Raises:
        ValueError: as `carry_out`; or a weight that is no number of at least 0.
    """
    size = FULL if full else SMALL
    grid = "0,0.1,0.25,0.5,1" if full else "0,0.1,1"
    recipe = "local-global"
    own = RECIPES[recipe].objective
    chosen = [
        (alpha, beta, own.gamma)
        for alpha in _weights("--alphas", alphas or grid)
        for beta in _weights("--betas", betas or grid)
        if alpha or beta
    ] + [(own.alpha, own.beta, gamma) for gamma in _weights("--gammas", gammas or grid)]
    settings = {}
    for alpha, beta, gamma in dict.fromkeys(chosen):
        setting = {"alpha": alpha, "beta": beta, "gamma": gamma}
        training = {"epochs": size.epochs if epochs is None else epochs, "batch_size": batch_size}
        config = changed(recipe, {"training": training, "objective": setting})
        settings["-".join(f"{name}{weight:g}" for name, weight in setting.items())] = recipe, config, setting
    folder = Path(out or _folder("weights", data))
    measured = metrics or ("mlp,ms_ssim,ndm" if full else "mlp,ndm")
    points = _measure(folder, settings, data, probe, size.seeds if seeds is None else seeds, measured)
    _finish(folder, "weights", data, points, weights_figure(points, data, (own.alpha, own.beta, own.gamma)))


def _folder(study: str, data: str) -> str:
    return f"runs/{study}-{Path(data.removeprefix('hub:')).stem}"


def _number(text: str) -> int | None:
    """A number of others; None for all."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"--others holds {text!r}; give numbers of at least 1, and 'all'")
    return int(text)


def _weights(flag: str, text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0 <= weight < float("inf") for weight in found):
        raise ValueError(f"{flag} is {text!r}; give numbers of at least 0, such as 0,0.5,1")
    return found


def _measure(
    folder: Path,
    settings: Mapping[str, tuple[str, Config, dict[str, Any]]],
    data: str,
    probe: str | None,
    seeds: int,
    metrics: str,
) -> list[StudyPoint]:
    """Train and evaluate every setting (by name: recipe, configuration, what the point says) with every seed."""
    plans = [
        Plan(recipe, seed, folder / f"{name}-{seed}", config)
        for seed in require_seeds(seeds)
        for name, (recipe, config, _) in settings.items()
    ]
    names = metrics.split(",")
    results = carry_out(plans, data, probe, names, [_LAYER])
    protocols = [METRICS[name].protocol for name in names]
    points = [StudyPoint(setting, {}) for _, _, setting in settings.values()]
    for number, found in enumerate(results):
        values = points[number % len(points)].values
        for result in found:
            if result.protocol in protocols and (result.layer, result.variant) == (_LAYER, "default"):
                values.setdefault(result.protocol, []).append(result.value)
    return points


def _finish(folder: Path, study: str, data: str, points: Sequence[StudyPoint], figure: Figure) -> None:
    """Write the points, the figure and the report, and print a table."""
    content = {"schema": 1, "study": study, "data": data, "points": [point._asdict() for point in points]}
    (folder / "study.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    figure.savefig(folder / f"{study}.png", dpi=150)
    page = write_report([folder], folder / "report.html")
    table = Table(title=f"{study}: {_LAYER}, means over {max(map(_seeds, points))} seed(s)", title_justify="left")
    protocols = list(points[0].values)
    for heading in (*points[0].setting, *protocols):
        table.add_column(heading, justify="right")
    for point in points:
        figures = (point_text(point.values[protocol]) for protocol in protocols)
        setting = (f"{value:g}" if isinstance(value, float) else str(value) for value in point.setting.values())
        table.add_row(*setting, *figures)
    Console(soft_wrap=True, markup=False).print(table)
    commands.NOTES.print(f"figure: {folder / f'{study}.png'}; points: {folder / 'study.json'}; report: {page}")


def _seeds(point: StudyPoint) -> int:
    return max(map(len, point.values.values()))
