"""The configuration of a run: the settings that took effect, and all of them."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import yaml

from deep_infomax.report.runs import RecordedRun
from deep_infomax.report.wording import plain, spaced, stated

Reads = Mapping[str, Mapping[str, Callable[[Mapping[str, Any]], bool]]]
"""By method the settings of the objective that it reads, each with whether it has an effect beside the others."""

_ADVERSARIES: Final = "gradient_penalty"
"""What is in effect where there is an adversary."""


class Fact(NamedTuple):
    """One line of a configuration."""

    name: str
    value: str


class Facts(NamedTuple):
    """One part of a configuration."""

    title: str
    entries: list[Fact]


def configuration(run: RecordedRun, reads: Reads) -> list[Facts]:
    """The settings that took effect, in the order of the way of the data; parts without one are left out."""
    saved = run.encoder or {}
    arguments = saved.get("arguments")
    encoder: dict[str, Any] = {"architecture": saved.get("architecture")} if saved else run.group("encoder")
    dataset, probe = run.group("dataset"), dict(run.probe_data)
    parts: dict[str, dict[str, Any]] = {
        "Data": dataset or {"spec": run.config.get("data")},
        "Data options": _set(run.group("data_options")),
        "Probe data": {} if probe == dataset else probe,
        "Encoder": encoder | (arguments if isinstance(arguments, dict) else {}),
        "Objective": objective_in_effect(run.group("objective"), reads),
        "Training": {"seed": run.config.get("seed")} | _training(run, reads),
        "Environment": run.group("environment"),
    }
    named = {
        title: [Fact(spaced(name), plain(value)) for name, value in stated(v).items()] for title, v in parts.items()
    }
    return [Facts(title, entries) for title, entries in named.items() if entries]


def objective_in_effect(objective: Mapping[str, Any], reads: Reads) -> dict[str, Any]:
    """The settings that have an effect with the method; all where the method is not known.

    >>> always, weighed = (lambda settings: True), (lambda settings: settings["alpha"] > 0)
    >>> reads = {"deep-infomax": {"alpha": always, "global_scorer": weighed, "bound": always}}
    >>> found = {"method": "deep-infomax", "alpha": 0.0, "global_scorer": "concat", "bound": "jsd"}
    >>> objective_in_effect(found, reads), objective_in_effect(found | {"alpha": 0.5}, reads)["global_scorer"]
    ({'method': 'deep-infomax', 'bound': 'jsd'}, 'concat')
    """
    read = reads.get(str(objective.get("method")))
    if read is None:
        return dict(objective)
    effective = {name for name, has_effect in read.items() if has_effect(objective)}
    return {name: value for name, value in _set(objective).items() if name == "method" or name in effective}


def _training(run: RecordedRun, reads: Reads) -> dict[str, Any]:
    training, objective = run.group("training"), run.group("objective")
    unused = set() if training.get("schedule") == "one-cycle" else {"warmup"}
    if _ADVERSARIES not in objective_in_effect(objective | {_ADVERSARIES: 1.0}, reads):
        unused.add("adversary_learning_rate")
    return {name: value for name, value in _set(training).items() if name not in unused}


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say something: none that are off, or left to what the data and the machine are."""
    return {name: value for name, value in values.items() if value not in (None, False, 0, "auto")}


def whole(run: RecordedRun) -> str:
    """All settings, as config.yaml has them; empty where there is none."""
    kept = {name: value for name, value in run.config.items() if value not in (None, {})}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True) if kept else ""
