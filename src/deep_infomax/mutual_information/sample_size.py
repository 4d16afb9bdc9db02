r"""How far an estimate moves with the number of samples, and where it goes.

The samples are cut into halves and into quarters, and each part is estimated by itself. What learns from samples reads
less from fewer, and what counts reads more. Where the bias falls as one over the number of samples, the mean of the
halves and the whole tell where it goes:

.. math:: \hat I_\infty = 2\, \hat I_n - \bar I_{n/2}

The quarters tell whether it falls so: they foretell the whole to be :math:`(3 \bar I_{n/2} - \bar I_{n/4}) / 2`. The
extrapolation is a diagnostic and no estimate, as it doubles the noise of the whole.

Source: Strong et al., "Entropy and information in neural spike trains", 1998, arXiv cond-mat/9603127.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from deep_infomax.mutual_information.estimate import estimate_mi
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.rows.arrangement import rows_of
from deep_infomax.mutual_information.samples.inputs import as_columns
from deep_infomax.mutual_information.samples.units import conversion
from deep_infomax.mutual_information.samples.variables import read_variable

ERRORS: Final = 2.0
"""Standard errors of the whole beyond which halves differ from it."""
MOVED: Final = 0.02
"""Nats by which they must differ at least."""
LEAST: Final = 400
"""Samples below which quarters are too small to be estimated."""


@dataclass(frozen=True)
class SampleSizeCheck:
    """Estimates from quarters, halves and all of the samples; ``print`` shows a sentence."""

    whole: Estimate
    """From all samples."""
    halves: tuple[Estimate, ...]
    quarters: tuple[Estimate, ...]

    @property
    def finished(self) -> bool:
        """Whether no interrupt ended the work."""
        return self.whole.finished and len(self.halves) == 2 and len(self.quarters) == 4

    @property
    def extrapolated(self) -> float:
        """Where the estimate goes as samples become more, if its bias falls as one over their number."""
        return 2 * self.whole.mi - _mean(self.halves)

    @property
    def moved(self) -> float:
        """By how much the whole reads more than its halves."""
        return self.whole.mi - _mean(self.halves)

    @property
    def settled(self) -> bool:
        """Whether halves and whole agree within 2 standard errors of the whole, or within 0.02 nats."""
        error = self.whole.standard_errors.get(self.whole.readout, 0.0)  # which halves of the same samples share
        return abs(self.moved) <= max(ERRORS * error, MOVED * conversion("nats", self.whole.unit))

    def to_json(self) -> dict[str, Any]:
        """All estimates and what follows, as JSON values."""
        return {
            "settled": self.settled,
            "moved": self.moved,
            "extrapolated": self.extrapolated,
            "whole": self.whole.to_json(),
            "halves": [one.to_json() for one in self.halves],
            "quarters": [one.to_json() for one in self.quarters],
        }

    def __str__(self) -> str:
        """The sentence."""
        n, unit = self.whole.n, self.whole.unit
        parts = [
            (f"n/4 = {n // 4:,}", self.quarters),
            (f"n/2 = {n // 2:,}", self.halves),
            (f"n = {n:,}", (self.whole,)),
        ]
        read = ", ".join(f"{_mean(found):.4f} at {size}" for size, found in parts if found)
        if not self.finished:
            return f"UNFINISHED: the estimate reads {read} {unit}."
        words = (
            "The estimate has settled"
            if self.settled
            else "The estimate still moves with the number of samples, so trust it less than its interval says"
        )
        return f"{words}: it reads {read}, and {self.extrapolated:.4f} if extrapolated ({unit})."


def check_sample_size(x: Any, y: Any, *, whole: Estimate | None = None, **options: Any) -> SampleSizeCheck:
    """Estimate from quarters, halves and all of the samples in the same way, and see whether the figure has settled.

    Parts are drawn at random; rows that belong together stay together, and parts of a series are stretches of it.

    Args:
        x: As for `estimate_mi`.
        y: As for `estimate_mi`.
        whole: The estimate from all samples, where it has been made already, with the same options.
        options: Of `estimate_mi`; of a time budget all parts together take as long as the whole.

    Raises:
        ValueError: As `estimate_mi`; or there are too few samples to be cut into quarters.

    Example:
        >>> x, noise = np.random.default_rng(0).normal(size=(2, 1000))
        >>> check = check_sample_size(x, x + noise, estimator="gaussian", folds=2, progress=False)
        >>> check.settled, abs(check.extrapolated - 0.3466) < 0.1
        (True, True)
    """
    variables = [read_variable(samples, name).numbers for samples, name in ((x, "x"), (y, "y"))]
    n = len(variables[0])
    if n < LEAST:
        raise ValueError(f"`x` has {n:,} samples; give {LEAST} or more to estimate from quarters of them")
    whole = estimate_mi(x, y, **options) if whole is None else whole
    columns = [as_columns(numbers, name).values for numbers, name in zip(variables, "xy", strict=True)]
    rows = rows_of(columns, options.get("groups"), options.get("blocks"), 4)
    groups, budget = options.pop("groups", None), options.pop("time_budget", None)
    found: dict[int, list[Estimate]] = {2: [], 4: []}
    for count, estimates in found.items():
        for _, part in rows.split(count, options.get("seed", 0)):
            if not whole.finished or any(not one.finished for one in (*found[2], *found[4])):
                break
            part = np.sort(part)
            own = {} if groups is None else {"groups": np.asarray(groups)[part]}
            estimates.append(
                estimate_mi(
                    _rows(x, part), _rows(y, part), time_budget=budget and budget / (2 * count), **options, **own
                )
            )
    return SampleSizeCheck(whole, *(tuple(one for one in estimates if one.finished) for estimates in found.values()))


def _rows(samples: Any, part: Any) -> Any:
    """Some rows of samples of any kind."""
    if hasattr(samples, "iloc"):
        return samples.iloc[part]
    return samples[part] if hasattr(samples, "shape") else np.asarray(samples)[part]


def _mean(estimates: tuple[Estimate, ...]) -> float:
    return float(np.mean([one.mi for one in estimates])) if estimates else math.nan
