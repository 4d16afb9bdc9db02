"""What a run directory holds; a part that is missing or damaged is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8


@dataclass(frozen=True)
class RecordedResult:
    """One line of ``evaluation.json``."""

    metric: str
    variant: str
    layer: str
    value: float
    unit: str
    spread: float | None
    """Standard deviation over the seeds of the metric at this one encoder; None where there is one."""
    n: int | None
    """Inputs it was measured on."""
    seeds: int
    split: str
    protocol: str
    ceiling: float | None = None
    """Of a bound, its largest value."""
    warnings: tuple[str, ...] = ()
    """What the metric says of its figure."""
    units: int = 0
    """Numbers that the layer has for an input; 0 where that is not recorded."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs made small, and where they come from."""

    miniatures: Float[np.ndarray, "p channels *sizes"]
    """Images, or the lines of series."""
    bytes_as_stored: bool
    """Whether values are those of 8 bits."""
    index: Int[np.ndarray, " p"]
    """Rows in their splits as they are stored."""
    splits: tuple[str, ...]
    files: tuple[str, ...] | None
    """By their paths below the folder of the data; None where they are not known."""
    total: int
    """Inputs that there are."""


@dataclass(frozen=True, eq=False)
class Representation:
    """Global vectors of some inputs."""

    vectors: Float[np.ndarray, "p d"]
    labels: Int[np.ndarray, " p"]
    """-1 where there is none."""
    classes: tuple[str, ...]
    inputs: Inputs | None = None
    """None where an earlier version wrote the vectors."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Some test images and the training images whose vectors are nearest, in order of distance."""

    queries: UInt8[np.ndarray, "q h w channels"]
    neighbours: UInt8[np.ndarray, "q r h w channels"]
    query_labels: Int[np.ndarray, " q"]
    neighbour_labels: Int[np.ndarray, "q r"]
    distance: Float[np.ndarray, "q r"]
    metric: str
    layer: str
    """Where distances are measured."""


class Decoded(NamedTuple):
    """Rows of images of which some were decoded."""

    layer: str | None
    """The layer that a decoder of the frozen encoder read; None for the decoder of the method itself."""
    rows: Mapping[str, UInt8[np.ndarray, "q h w channels"]]


@dataclass(frozen=True, eq=False)
class Log:
    """``metrics.jsonl`` as columns, in the order of the records; NaN where a value is missing or not finite."""

    train: dict[str, Float[np.ndarray, " logged"]] = field(default_factory=dict)
    terms: dict[str, Float[np.ndarray, " logged"]] = field(default_factory=dict)
    health: dict[str, Float[np.ndarray, " passes"]] = field(default_factory=dict)
    finished: bool = False
    stopped_early: bool = False
    """Whether a callback, or a collapse, ended the training."""

    @property
    def collapsed_since(self) -> float | None:
        """The epoch since which Y used almost no directions at the last look; None where it was well then."""
        found = self.health.get("collapsed_since", np.empty(0))
        return float(found[-1]) if len(found) and np.isfinite(found[-1]) else None

    def last(self, name: str) -> float | None:
        """The last finite value of a column, whichever kind of record holds it."""
        for columns in (self.train, self.terms, self.health):
            if name in columns and len(finite := columns[name][np.isfinite(columns[name])]):
                return float(finite[-1])
        return None


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """All that the report shows of one run."""

    path: Path
    name: str
    """Unique among the runs of a report."""
    config: Mapping[str, Any]
    encoder: Mapping[str, Any] | None
    """``encoder.json``, which a finished training writes."""
    log: Log
    results: tuple[RecordedResult, ...] | None
    probe_data: Mapping[str, Any]
    """Description of what the results were measured on."""
    representation: Representation | None
    neighbours: tuple[Neighbours, ...]
    """By cosine distance, and by others where they were asked for."""
    decoded: tuple[Decoded, ...]
    notes: tuple[str, ...]
    """What could not be read, one sentence each."""

    def group(self, name: str) -> dict[str, Any]:
        """A mapping of the configuration; empty where there is none."""
        value = self.config.get(name)
        return dict(value) if isinstance(value, Mapping) else {}

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return str(self.config.get("recipe") or "unnamed recipe")

    @property
    def data_name(self) -> str:
        """The name of the training data."""
        return str(self.group("dataset").get("name") or Path(str(self.config.get("data") or "unnamed data")).name)

    @property
    def is_floor(self) -> bool:
        """Whether the encoder was left untrained."""
        method = self.group("objective").get("method")
        return method == "untrained" if method else self.recipe in ("random", "random-paper")

    @property
    def is_ceiling(self) -> bool:
        """Whether the encoder was told the classes."""
        return self.group("objective").get("method") == "supervised" or self.recipe == "supervised"

    @property
    def is_reference(self) -> bool:
        """Whether it shows how low or how high figures can be, and competes with nothing."""
        return self.is_floor or self.is_ceiling

    @property
    def prior(self) -> str | None:
        """The prior that Y was matched to; None where its weight is 0.

        None for a variational autoencoder, too: Y is the mean of what it draws, and only draws follow its prior.
        """
        objective = self.group("objective")
        method = objective.get("method")
        matched = method == "bigan" or (method != "vae" and objective.get("gamma"))
        return str(objective["prior"]) if matched and objective.get("prior") else None


def class_name(label: int, classes: Sequence[str]) -> str:
    """The name of a class; its number where it has none, nothing for -1 (unlabelled)."""
    if label < 0:
        return ""
    return classes[label] if label < len(classes) else str(label)
