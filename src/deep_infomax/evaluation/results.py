"""Figures of an evaluation and the file that keeps them, ``evaluation.json``."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from msgspec import Meta

from deep_infomax.data.description import same_data
from deep_infomax.runtime.files import write_text
from deep_infomax.runtime.locks import locked
from deep_infomax.runtime.records import damaged, read_json, typed
from deep_infomax.runtime.run_files import MOST_RESULTS

SCHEMA: Final = 1
_REMEDY: Final = "move it away and evaluate again"
_PATIENCE: Final = 60.0
"""Seconds to wait for others that write the file."""


class Outcome(NamedTuple):
    """What a metric found with one seed."""

    value: float
    """In the metric's unit."""
    chosen: dict[str, float]
    """What was chosen on data held out from the training, by name."""
    details: dict[str, Any] | None = None
    """What else is known of the value, such as its interval; JSON values."""
    arrays: Mapping[str, np.ndarray] = MappingProxyType({})
    """What the report shows of it; kept as ``arrays/<metric>[-<variant>]-<layer>.npz``."""
    n: int | None = None
    """Inputs it was measured on; None for all."""
    variant: str = "default"
    """Of a metric that finds several figures at once, which one."""


@dataclass(frozen=True)
class Result:
    """One figure: a metric at a layer, the mean over seeds.

    >>> Result("linear", "default", "Y", 61.5, "%", 0.25, 10000, (0, 1, 2), "test", "linear/1", 9.5).key
    ('linear', 'default', 'Y', 'linear/1')
    """

    metric: str
    variant: str
    """``default`` unless a metric has several."""
    layer: str
    value: float
    """Mean over the seeds."""
    unit: str
    spread: Annotated[float, Meta(ge=0)] | None
    """Sample standard deviation over the seeds of the metric, at one trained encoder; None where there is one seed, or
    nothing that a seed draws reached the figure."""
    n: Annotated[int, Meta(ge=0)]
    """Inputs it was measured on."""
    seeds: tuple[int, ...]
    """None of them where the metric draws nothing."""
    split: str
    protocol: str
    """Name and version, as in ``linear/1``; figures of different protocols do not compare."""
    seconds: float
    """For all seeds together, features not included."""
    chosen: dict[str, list[int | float]] = field(default_factory=dict)
    """What the protocol chose on held-out training data, for each seed."""
    details: list[dict[str, Any]] = field(default_factory=list)
    """What else is known of each seed's value, where the metric says more: its interval, its warnings."""
    values: tuple[float, ...] = ()
    """That of each seed; empty in files of earlier versions."""
    units: Annotated[int, Meta(ge=0)] = 0
    """Numbers that the layer has for an input; 0 in files of earlier versions."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a rerun replaces."""
        return self.metric, self.variant, self.layer, self.protocol

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "seeds": list(self.seeds), "values": list(self.values)}


def read_results(path: Path, data: Mapping[str, str | int] | None = None) -> list[Result]:
    """The results in ``evaluation.json``; none where there is no such file, or it speaks of other data than ``data``.

    Raises:
        ValueError: The file is damaged, or of another version.
    """
    if not path.exists() or (data is not None and not speaks_of(path, data)):
        return []
    return _parse(path).results


def described_data(path: Path) -> dict[str, Any]:
    """The description of the data that ``evaluation.json`` is about.

    Raises:
        ValueError: The file is damaged, or of another version.
    """
    return _parse(path).data


def speaks_of(path: Path, data: Mapping[str, str | int]) -> bool:
    """Whether ``evaluation.json`` is there and about such data.

    Raises:
        ValueError: The file is damaged, or of another version.
    """
    return path.exists() and same_data(_parse(path).data, data)


def merge_results(path: Path, data: Mapping[str, str | int], results: Sequence[Result]) -> None:
    """Add results to ``evaluation.json``; one of the same metric, variant, layer and protocol is replaced.

    The file is written whole or not at all. It speaks of one data set: where the one there is about another, it is
    kept as ``evaluation.previous-1.json``, or the next free number, and a new one begun.

    Args:
        path: The file.
        data: Description of the data set that the results were measured on.
        results: New results.

    Raises:
        ValueError: The file is damaged, or of another version, or another process measures on other data.
    """
    with _merging(path):
        kept = {result.key: result for result in read_results(path, data)}
        if path.exists() and not speaks_of(path, data):
            names = (path.with_suffix(f".previous-{number}.json") for number in count(1))
            with _about_one_data_set(path, shared=False):
                path.replace(next(name for name in names if not name.exists()))
        kept |= {result.key: result for result in results}
        content = {"schema": SCHEMA, "data": dict(data), "results": [result.to_json() for result in kept.values()]}
        write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


@contextmanager
def measuring(path: Path, data: Mapping[str, str | int], forget: Callable[[], None]) -> Iterator[None]:
    """Let ``evaluation.json`` speak of a data set during the block.

    Several processes may measure on the same data. Each adds what it finds to what the others found.

    Args:
        path: The file.
        data: Description of the data set.
        forget: Removes what else is kept of other data; called where the file did not speak of these.

    Raises:
        ValueError: The file is damaged or of another version, or another process measures on other data.
    """
    with ExitStack() as measured:
        with _merging(path):
            if not speaks_of(path, data):
                with _about_one_data_set(path, shared=False):
                    forget()
                    merge_results(path, data, [])
            measured.enter_context(_about_one_data_set(path, shared=True))
        yield


def _merging(path: Path) -> AbstractContextManager[None]:
    """Alone between reading the file and writing it anew, which takes milliseconds."""
    return locked(path.with_name(f".{path.name}.lock"), f"{path} is being written", patience=_PATIENCE)


def _about_one_data_set(path: Path, *, shared: bool) -> AbstractContextManager[None]:
    """Shared by all that measure on the data that the file is about; alone, to let it be about others."""
    said = f"{path.parent} is being evaluated on other data"
    return locked(path.with_name(f".{path.name}.data.lock"), said, shared=shared)


@dataclass(frozen=True)
class _Schema:
    """What ``evaluation.json`` says in every version."""

    schema: int


@dataclass(frozen=True)
class _Content:
    """What ``evaluation.json`` says."""

    data: dict[str, Any]
    results: Annotated[list[Result], Meta(max_length=MOST_RESULTS)]


def _parse(path: Path) -> _Content:
    content = read_json(path, dict, _REMEDY)
    try:
        schema = typed(content, _Schema).schema
        if schema == SCHEMA:
            return typed(content, _Content)
    except ValueError as error:
        raise damaged(path, error, _REMEDY) from None
    raise ValueError(f"{path} has schema {schema}, this version reads {SCHEMA}; {_REMEDY}")
