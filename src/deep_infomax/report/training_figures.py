"""Which curves are drawn of the trainings: bounds under their ceilings, losses, signs of collapse, speed."""

from collections.abc import Mapping, Sequence

import numpy as np

from deep_infomax.report.figures import Curve, Picture, curves
from deep_infomax.report.runs import RecordedRun
from deep_infomax.runtime.names import Titled


def bound_names(run: RecordedRun) -> list[str]:
    """The terms that have a bound: local, global."""
    return [term.removesuffix("_bound") for term in run.log.terms if term.endswith("_bound")]


def bound_pictures(runs: Sequence[RecordedRun], bounds: Mapping[str, Titled]) -> list[Picture]:
    """The estimates in nats under their ceilings: a figure for each kind of bound, since kinds cannot be compared.

    ``bounds`` says what the kinds are called and mean; one that is not there is shown by its name.
    """
    lines: dict[tuple[str, str], list[Curve]] = {}
    for index, run in enumerate(runs):
        kind = str(run.group("objective").get("bound") or "")
        for name in bound_names(run):
            terms, label = run.log.terms, run.name if len(runs) > 1 else f"{name} bound on training pairs"
            ceiling = run.log.last(f"{name}_ceiling")
            curve = Curve(label, run.log.train["epoch"], terms[f"{name}_bound"], ceiling, index)
            lines.setdefault((name, kind), []).append(curve)
    pictures: list[Picture] = []
    for (name, kind), group in lines.items():
        title, meaning = (bounds[kind].title, bounds[kind].meaning) if kind in bounds else (kind, "")
        ceiling = any(curve.ceiling is not None for curve in group)
        caption = (
            f"{meaning} {'Near its ceiling it says only that there is more. ' * ceiling}"
            "Read on training pairs in training mode. On inputs not trained on it can be lower, as "
            "dim evaluate --metrics bound tells."
        )
        heading = f"{name.capitalize()} bound on training pairs, {title}".strip(" ,")
        pictures += curves(group, heading, "nats", caption.strip(), zero=True)
    return pictures


def learning_pictures(run: RecordedRun) -> list[Picture]:
    """Loss terms, the accuracy of the prior's discriminator, speed and learning rate of one run."""
    log = run.log
    if "epoch" not in log.train:
        return []
    epoch = log.train["epoch"]
    pictures: list[Picture] = []
    if losses := _losses(run):
        caption = "What the optimisers minimise. A lasting rise means an unstable training: lower the learning rate."
        pictures += curves(losses, "Loss terms", "loss", caption)
    if "prior_accuracy" in log.terms:
        caption = "How often it tells the prior from Y: at 50 % they are matched, near 100 % Y is far from the prior."
        line = Curve("accuracy", epoch, 100 * log.terms["prior_accuracy"])
        pictures += curves([line], "Prior's discriminator", "%", caption, limit=(50, "matched"))
    if "images_per_second" in log.train:
        caption = "Dips are checkpoints, evaluations of health, or other work on the machine."
        line = Curve("speed", epoch, log.train["images_per_second"])
        pictures += curves([line], "Speed", "inputs per second", caption, zero=True)
    rates = log.train.get("learning_rate", np.empty(0))
    if len(np.unique(rates[np.isfinite(rates)])) > 1:  # a constant is in the configuration
        line = Curve("learning rate", epoch, rates)
        pictures += curves([line], "Learning rate", "learning rate", "Of the encoder and the scorers.", zero=True)
    return pictures


def _losses(run: RecordedRun) -> list[Curve]:
    """The loss terms; a sum of one term is not drawn twice, an untrained encoder's 0 not at all."""
    log, others = run.log, ("_bound", "_ceiling", "_accuracy")
    terms = {
        name: value for name, value in log.terms.items() if not name.endswith(others) and np.nan_to_num(value).any()
    }
    whole = terms.get("loss")
    if whole is not None and any(np.allclose(whole, terms[name], equal_nan=True) for name in terms if name != "loss"):
        del terms["loss"]
    words = {name: name.removesuffix("_loss").replace("_", " ") for name in terms} | {"loss": "total"}
    return [Curve(words[name], log.train["epoch"], value, style=i) for i, (name, value) in enumerate(terms.items())]


def health_pictures(runs: Sequence[RecordedRun]) -> list[Picture]:
    """Effective rank of Y, dead units, and the accuracy of neighbours where it was watched."""
    sizes = {vector_size(run) for run in runs}
    size = sizes.pop() if len(sizes) == 1 else None
    rank_caption = (
        "How many directions Y really uses: the exponential of the entropy of its singular values. Low or falling is a "
        "sign of collapse."
    )
    knn_caption = "Of labelled training inputs, a fifth of which is told its class by 20 others; no test input is read."
    dead_caption = "Units that hardly vary over the inputs. More than a few waste Y."
    dead = _health(runs, "dead_units")
    level = None if size is None else (size, f"{size} units of Y")
    return [
        *curves(
            _health(runs, "vector_rank"), "Effective rank of Y", "directions", rank_caption, zero=True, limit=level
        ),
        # Where there are none, a figure would be empty, and the overview says so.
        *curves(
            [line for line in dead if np.nan_to_num(line.value).any()], "Dead units of Y", "units", dead_caption, True
        ),
        *curves(_health(runs, "knn"), "Nearest neighbours by Y", "accuracy in %", knn_caption, zero=True),
    ]


def _health(runs: Sequence[RecordedRun], column: str) -> list[Curve]:
    return [
        Curve(run.name if len(runs) > 1 else "Y", run.log.health["epoch"], run.log.health[column], style=i)
        for i, run in enumerate(runs)
        if "epoch" in run.log.health and column in run.log.health
    ]


def speed_picture(runs: Sequence[RecordedRun]) -> list[Picture]:
    """The speed of several runs."""
    lines = [
        Curve(run.name, run.log.train["epoch"], run.log.train["images_per_second"], style=i)
        for i, run in enumerate(runs)
        if "images_per_second" in run.log.train and "epoch" in run.log.train
    ]
    caption = "Comparable only between runs on the same machine with nothing else running."
    return curves(lines, "Speed", "inputs per second", caption, zero=True)


def vector_size(run: RecordedRun) -> int | None:
    """Units of Y, from the configurations or from vectors."""
    if run.representation is not None:
        return int(run.representation.vectors.shape[1])
    arguments = (run.encoder or {}).get("arguments")
    size = arguments.get("dim") if isinstance(arguments, dict) else None
    size = size or run.group("encoder").get("dim")
    return size if isinstance(size, int) else None
