"""Baselines that a network adds to: log-ratios of simple models, of which validation pairs choose one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from deep_infomax.mutual_information.critics.columns import Standardiser
from deep_infomax.mutual_information.critics.gaussian import NormalRatio, fit_normal_ratio
from deep_infomax.mutual_information.critics.readouts import Readout, read_donsker_varadhan

Array = np.ndarray
Samples = tuple[Float[Array, "_ dx"], Float[Array, "_ dy"]]
"""Columns of x and of y, row by row."""


@runtime_checkable
class Baseline(Protocol):
    """A log-ratio of x and y that is a dot product of a row for x and a row for y."""

    def factors(self, x: Float[Array, "n dx"], y: Float[Array, "p dy"]) -> tuple[Array, Array]:
        """Rows (n, r) and (p, r) whose dot products are the scores of every x with every y."""
        ...

    def refitted(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> "Baseline":
        """The same model fitted to other pairs."""
        ...


B = TypeVar("B", bound=Baseline)


@dataclass(frozen=True)
class NormalBaseline:
    """A normal model of coordinates that are ranks, or standardised columns."""

    to_x: Standardiser
    to_y: Standardiser
    ratio: NormalRatio

    def factors(self, x: Float[Array, "n dx"], y: Float[Array, "p dy"]) -> tuple[Array, Array]:
        """As `Baseline`."""
        return self.ratio.factors(self.to_x(x), self.to_y(y))

    def refitted(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> "NormalBaseline":
        """The model fitted to other pairs, with as many correlations."""
        ratio = fit_normal_ratio(self.to_x(x), self.to_y(y))
        return replace(self, ratio=replace(ratio, correlations=ratio.correlations[: len(self.ratio.correlations)]))


def fit_normal_baseline(fit: Samples, validation: Samples, to_x: Standardiser, to_y: Standardiser) -> NormalBaseline:
    """Fit a normal model; validation pairs choose how rich it is."""
    (x, y), (seen_x, seen_y) = fit, validation
    return NormalBaseline(to_x, to_y, fit_normal_ratio(to_x(x), to_y(y), (to_x(seen_x), to_y(seen_y))))


def likeliest(candidates: Sequence[B], validation: Samples, errors: float = 1.0) -> B:
    """The first baseline, or one that reads more by Donsker-Varadhan on all validation pairs, by so many errors."""
    best, reading = candidates[0], _read(candidates[0], validation)
    for candidate in candidates[1:]:
        other = _read(candidate, validation)
        error = float((other.influence - reading.influence).std()) / math.sqrt(len(other.influence))
        if other.value - reading.value > errors * error:
            best, reading = candidate, other
    return best


def _read(baseline: Baseline, pairs: Samples) -> Readout:
    rows_x, rows_y = (torch.from_numpy(rows.astype(np.float32)) for rows in baseline.factors(*pairs))
    return read_donsker_varadhan(rows_x @ rows_y.T)
