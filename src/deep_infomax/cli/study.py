"""``dim study``: how a representation depends on the number of negatives, on weights of the objective, on a VAE's beta.

All train many encoders, so their defaults are small; ``--full`` stands for the size of the paper's figures. A study is
kept in one folder: every run, ``study.json`` with all points, the figure and a report. The same command continues it.

Source: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019,
arXiv 1808.06670.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from matplotlib.figure import Figure
from rich.table import Table

from deep_infomax.bounds import BOUNDS
from deep_infomax.cli.tables import print_results, print_table
from deep_infomax.evaluation import METRICS
from deep_infomax.experiments.series import Measured, Plan, carry_out, changed, require_seeds
from deep_infomax.experiments.titles import titles
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.report import (
    StudyPoint,
    beta_figure,
    negatives_figure,
    point_text,
    weights_figure,
    write_report,
)
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.values import unknown


class Size(NamedTuple):
    """How large a study is."""

    epochs: float
    seeds: int


SMALL: Final = Size(epochs=20.0, seeds=1)
FULL: Final = Size(epochs=100.0, seeds=3)
_LAYER: Final = "Y"


class Options(NamedTuple):
    """What all studies are told; None leaves what the study's size or the recipe says."""

    data: str
    probe: str | None
    epochs: float | None
    batch_size: int | None
    seeds: int | None
    metrics: str | None
    out: str | None
    full: bool
    jobs: int
    data_options: Mapping[str, Any]


class Setting(NamedTuple):
    """One setting of a study."""

    recipe: str
    config: Config
    varied: dict[str, Any]
    """What the study varies, with its values here."""


def negatives(options: Options, *, bounds: str, others: str | None) -> None:
    """Figures of Y against the number of other inputs that each vector is scored against, by DIM(L) with some bounds.

    Raises:
        ValueError: as `carry_out`; or a number of others that no batch has.
    """
    numbers = [
        _number(text) for text in (others or ("1,2,4,8,16,32,64,all" if options.full else "1,4,16,all")).split(",")
    ]
    settings = {}
    for bound in bounds.split(","):
        if bound not in BOUNDS:
            raise unknown("bounds", bound, BOUNDS)
        recipe = own if (own := f"local-{bound}") in RECIPES else "local-infonce"
        for number in numbers:
            setting = _setting(options, recipe, {"bound": bound, "others": number})
            most = setting.config.training.batch_size - 1
            if number is not None and number > most:
                raise ValueError(
                    f"--others asks for {number}, and a batch of {most + 1} has {most}; give a larger --batch_size"
                )
            setting.varied["others"] = number or most
            settings[f"{bound}-{number or 'all'}"] = setting
    points = _measure(options, "negatives", settings, "mlp")
    _finish(options, "negatives", points, lambda: negatives_figure(points, options.data))


def weights(options: Options, *, alphas: str | None, betas: str | None, gammas: str | None) -> None:
    """Figures of Y over a grid of (alpha, beta), and over gamma with the recipe's alpha and beta (`local-global`).

    Raises:
        ValueError: as `carry_out`; or a weight that is no number of at least 0.
    """
    grid = "0,0.1,0.25,0.5,1" if options.full else "0,0.1,1"
    recipe = "local-global"
    own = RECIPES[recipe].objective
    rows, columns = _weights("--alphas", alphas or grid), _weights("--betas", betas or grid)
    chosen = [(alpha, beta, own.gamma) for alpha in rows for beta in columns if alpha or beta]
    chosen += [(own.alpha, own.beta, gamma) for gamma in _weights("--gammas", gammas or grid)]
    settings = {}
    for alpha, beta, gamma in dict.fromkeys(chosen):
        setting = _setting(options, recipe, {"alpha": alpha, "beta": beta, "gamma": gamma})
        settings["-".join(f"{name}{weight:g}" for name, weight in setting.varied.items())] = setting
    points = _measure(options, "weights", settings, "mlp,ms_ssim,ndm" if options.full else "mlp,ndm")
    weighted = own.alpha, own.beta, own.gamma
    _finish(options, "weights", points, lambda: weights_figure(points, options.data, weighted, rows, columns))


def beta(options: Options, *, betas: str | None) -> None:
    """Figures of Y against the weight of a beta-VAE's divergence: how it trades what units tell for independence.

    Raises:
        ValueError: as `carry_out`; or a weight that is no number of at least 0.
    """
    chosen = _weights("--betas", betas or ("0.25,0.5,1,2,4,8,16,32" if options.full else "0.5,2,8,32"))
    settings = {f"beta{weight:g}": _setting(options, "beta-vae", {"beta": weight}) for weight in chosen}
    points = _measure(options, "beta", settings, "ndm,ndm-sample,mlp")
    _finish(options, "beta", points, lambda: beta_figure(points, options.data))


def _setting(options: Options, recipe: str, objective: Mapping[str, Any]) -> Setting:
    """A recipe with other values of its objective, as long and on the data that a study is told."""
    epochs = (FULL if options.full else SMALL).epochs if options.epochs is None else options.epochs
    training = {"epochs": epochs, "batch_size": options.batch_size}
    changes = {"training": training, "objective": objective, "data_options": options.data_options}
    return Setting(recipe, changed(recipe, changes), dict(objective))


def _folder(options: Options, study: str) -> Path:
    return Path(options.out or f"runs/{study}-{Path(options.data.removeprefix('hub:')).stem}")


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


def _measure(options: Options, study: str, settings: Mapping[str, Setting], metrics: str) -> list[StudyPoint]:
    """Train and evaluate every setting, by name, with every seed."""
    seeds = (FULL if options.full else SMALL).seeds if options.seeds is None else options.seeds
    folder = _folder(options, study)
    plans = [
        Plan(setting.recipe, seed, folder / f"{name}-{seed}", setting.config, options.data, options.probe)
        for seed in require_seeds(seeds)
        for name, setting in settings.items()
    ]
    names = (options.metrics or metrics).split(",")
    results = carry_out(plans, Measured(names, [_LAYER]), options.jobs, print_results)
    protocols = [METRICS[name].protocol for name in names]
    points = [StudyPoint(setting.varied, {}) for setting in settings.values()]
    for number, found in enumerate(results):
        values = points[number % len(points)].values
        for result in found:
            if result.protocol in protocols and (result.layer, result.variant) == (_LAYER, "default"):
                values.setdefault(result.protocol, []).append(result.value)
    return points


def _finish(options: Options, study: str, points: Sequence[StudyPoint], draw: Callable[[], Figure]) -> None:
    """Write the points, the figure and the report, and print a table."""
    folder = _folder(options, study)
    content = {"schema": 1, "study": study, "data": options.data, "points": [point._asdict() for point in points]}
    (folder / "study.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draw().savefig(folder / f"{study}.png", dpi=150)
    page = write_report([folder], folder / "report.html", titles())
    table = Table(title=f"{study}: {_LAYER}, means over {max(map(_seeds, points))} seed(s)", title_justify="left")
    protocols = list(points[0].values)
    for heading in (*points[0].setting, *protocols):
        table.add_column(heading, justify="right")
    for point in points:
        figures = (point_text(point.values[protocol]) for protocol in protocols)
        setting = (f"{value:g}" if isinstance(value, float) else str(value) for value in point.setting.values())
        table.add_row(*setting, *figures)
    print_table(table)
    NOTES.print(f"figure: {folder / f'{study}.png'}; points: {folder / 'study.json'}; report: {page}")


def _seeds(point: StudyPoint) -> int:
    return max(map(len, point.values.values()))
