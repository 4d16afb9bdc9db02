"""What is fitted to a variable before any network: how samples are read, and the likeliest density without one."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deep_infomax.mutual_information.critics.columns import ColumnReader, fit_reader
from deep_infomax.mutual_information.critics.fitting import Fitting
from deep_infomax.mutual_information.critics.readouts import Readout
from deep_infomax.mutual_information.dependency.critics import Samples
from deep_infomax.mutual_information.dependency.densities import (
    Density,
    Normal,
    fit_normal,
    fit_others,
    log_standard_normal,
)
from deep_infomax.mutual_information.dependency.departure import AGREES, Departure, departure, p_value
from deep_infomax.mutual_information.dependency.one_dimension import log_spacings
from deep_infomax.mutual_information.folds import held_back
from deep_infomax.mutual_information.rows.structure import Rows
from deep_infomax.mutual_information.samples.inputs import Columns

Array = np.ndarray
Index = Int[Array, " _"]

SURELY: Final = 2.0
"""Standard errors by which standardised coordinates must be likelier than ranks to be taken."""
LEAST_SCALED: Final = 1e-6
"""Smallest eigenvalue of correlations, below which a network, in single precision, would read noise."""
LEAST_DETERMINED: Final = 1e-9
LEAST_DETERMINED_BY_RANKS: Final = 1e-5


@dataclass(frozen=True)
class Variable:
    """All samples, and what is known of each coordinate by itself."""

    z: Float[Array, "n d"]
    discrete: Bool[Array, " d"]
    """Which of the coordinates are discrete."""
    log_margins: Float[Array, "n d"] | None
    """The log-density of each value among its coordinate's; None where some coordinate is discrete or has ties."""
    rows: Rows
    """Which samples belong together."""

    def apart(self, index: Index) -> Index:
        """Some of these samples, no two of which belong together."""
        if self.rows.kind == "blocks":
            return np.sort(index)[:: self.rows.block]
        return index[np.unique(self.rows.cluster[index], return_index=True)[1]]


def with_margins(columns: Columns, rows: Rows) -> Variable:
    """The samples with the densities of their coordinates."""
    if columns.discrete.any():
        return Variable(columns.values, columns.discrete, None, rows)
    log_margins = np.stack([log_spacings(column) for column in columns.values.T], axis=1)
    return Variable(columns.values, columns.discrete, log_margins if np.isfinite(log_margins).all() else None, rows)


@dataclass(frozen=True)
class Candidate:
    """A density without a network, of coordinates that are one to one with those of the samples."""

    variable: Variable
    to_coordinates: Callable[[Float[Array, "r d"]], Float[Array, "r d"]]
    log_scale: Float[Array, " d"] | None
    """Of coordinates that are standardised; None for ranks, whose densities are normal."""
    density: Density

    def coordinates(self, rows: Index) -> Float[Array, "_ d"]:
        """What the density is of."""
        return self.to_coordinates(self.variable.z[rows])

    def margins(self, rows: Index) -> Float[Array, "_ d"]:
        """The log-density of each coordinate by itself."""
        if self.log_scale is None or self.variable.log_margins is None:
            return log_standard_normal(self.coordinates(rows))
        values: Array = self.variable.log_margins[rows] + self.log_scale
        return values

    def ratios(self, rows: Index) -> Float[Array, " _"]:
        """The logarithm of the density over the product of the coordinates' densities."""
        values: Array = self.density.log_density(self.coordinates(rows)) - self.margins(rows).sum(1)
        return values

    def readout(self, rows: Index) -> Readout:
        """The whole dependency: a lower bound but for errors of the coordinates' densities."""
        return _mean_of(self.ratios(rows))

    def conditionals(self, rows: Index) -> tuple[Readout, ...]:
        """I(z_i; all others) of each coordinate, likewise."""
        given = self.density.log_conditionals(self.coordinates(rows))
        return tuple(_mean_of(ratios) for ratios in (given - self.margins(rows[: len(given)])).T)


@dataclass(frozen=True)
class Model:
    """All that is fitted before a network."""

    reader: ColumnReader
    base: Candidate
    """The normal density that a network is added to."""
    correlations: Float[Array, "d d"]
    """Of it."""
    best: Candidate
    """The density that is likeliest on validation samples."""
    departure: Departure
    """Of its latent coordinates from independence, over all samples."""
    worth_training: bool
    """Whether a network could add anything, as far as can be seen."""
    fit: Index
    validation: Index
    device: torch.device

    def samples(self, rows: Index) -> Samples:
        """Some samples as critics read them."""
        z = self.base.variable.z[rows]
        coordinates = self.base.coordinates(rows)
        normal = coordinates if self.base.log_scale is None else self.reader.to_normal(z)
        inputs = self.reader(z, normal)
        if self.base.log_scale is not None:
            inputs = torch.cat([inputs, _single(coordinates)], dim=1)
        margins = self.base.margins(rows) - log_standard_normal(coordinates)
        return Samples(*(part.to(self.device) for part in (inputs, _single(coordinates), _single(margins))))

    @property
    def owners(self) -> Int[Tensor, " f"]:
        """The coordinate that each input of a network comes from."""
        d = len(self.correlations)
        owners = self.reader.owners(d)
        if self.base.log_scale is not None:
            owners = np.concatenate([owners, np.arange(d)])
        return torch.from_numpy(owners).to(self.device)

    @property
    def determined(self) -> bool:
        """Whether some coordinate is a function of the others, as far as the normal density sees."""
        least = LEAST_DETERMINED if self.base.log_scale is not None else LEAST_DETERMINED_BY_RANKS
        return bool(np.linalg.eigvalsh(self.correlations)[0] < least)


def fit_model(
    variable: Variable, rest: Index, test: Index, ranks: bool, fitting: Fitting, device: torch.device
) -> Model:
    """Fit densities to the samples of ``rest``, apart from a validation part, which chooses one of them.

    Ranks undo what was done to each coordinate by itself; but the noise in them hides directions in which coordinates
    that depend strongly hardly vary, which standardised coordinates keep. A test of independence of all samples,
    those of ``test`` among them, tells whether a network could add anything.
    """
    validation, fit = held_back(rest, fitting, variable.rows)
    reader = fit_reader(variable.z[fit], ranks, variable.discrete)
    scaled = variable.log_margins is not None
    normals = [_normal(variable, fit, validation, reader.to_normal, None)] if ranks or not scaled else []
    if scaled:
        mean, deviation = variable.z[fit].mean(axis=0), variable.z[fit].std(axis=0)
        normals.append(_normal(variable, fit, validation, lambda z: (z - mean) / deviation, np.log(deviation)))
    base = _likeliest(normals, rest, SURELY)
    assert isinstance(base.density, Normal)
    correlations = base.density.correlations
    regular = bool(np.linalg.eigvalsh(correlations)[0] > LEAST_SCALED)
    others = _others(normals[-1], fit, validation) if scaled else []
    best = _likeliest([base, *others], validation, 1.0)
    everywhere = variable.apart(np.concatenate([validation, test, fit]))
    looked = departure(best.density.latents(best.coordinates(everywhere)))
    worth = regular and p_value([looked]) < AGREES
    if worth and best is not base:  # whose lead a network would have to make up, from what is yet to be learnt
        lead = float((best.ratios(validation) - base.ratios(validation)).mean())
        worth = sum(looked.sums[:2]) / 2 > lead
    return Model(reader, base, correlations, best, looked, worth, fit, validation, device)


def _normal(
    variable: Variable,
    fit: Index,
    validation: Index,
    to_coordinates: Callable[[Float[Array, "r d"]], Float[Array, "r d"]],
    log_scale: Float[Array, " d"] | None,
) -> Candidate:
    density = fit_normal(*(to_coordinates(variable.z[rows]) for rows in (fit, validation)))
    return Candidate(variable, to_coordinates, log_scale, density)


def _others(normal: Candidate, fit: Index, validation: Index) -> list[Candidate]:
    """Candidates beside the normal one, of the same coordinates."""
    assert isinstance(normal.density, Normal)
    if np.linalg.eigvalsh(normal.density.correlations)[0] < LEAST_SCALED:
        return []
    densities = fit_others(normal.coordinates(fit), normal.coordinates(validation), normal.density)
    return [replace(normal, density=density) for density in densities]


def _likeliest(candidates: list[Candidate], rows: Index, errors: float) -> Candidate:
    """The first, or one that is likelier by more than so many standard errors of the difference."""
    best, *others = candidates
    ratios = best.ratios(rows)
    for other in others:
        gains = other.ratios(rows) - ratios
        if gains.mean() > errors * gains.std() / math.sqrt(len(gains)):
            best, ratios = other, ratios + gains
    return best


def _mean_of(ratios: Float[Array, " r"]) -> Readout:
    values = torch.from_numpy(ratios)
    return Readout(float(values.mean()), values - values.mean())


def _single(values: Float[Array, "*n"]) -> Float[Tensor, "*n"]:
    return torch.from_numpy(values.astype(np.float32))
