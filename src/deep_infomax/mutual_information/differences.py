r"""Sums and differences of informations on shared folds, such as conditional information.

Every term is read on the same held-out rows, so the error of the whole is that of the sum of their influences, row by
row: what moves all terms alike does not count. With signs :math:`s_k` and terms :math:`\hat I_k` of influences
:math:`u_k`,

.. math:: \hat D = \sum_k s_k \hat I_k, \qquad e = \operatorname{error}\Big(\sum_k s_k u_k\Big)

A term's own interval reaches beyond its sampling error, by :math:`A_k` above and :math:`B_k` below: it allows for what
its critic has not learnt. A term that reads too little moves a difference up, so the allowances change sides with the
sign,

.. math:: \Big[\hat D - z e - \sum_{s_k > 0} B_k - \sum_{s_k < 0} A_k, \quad
    \hat D + z e + \sum_{s_k > 0} A_k + \sum_{s_k < 0} B_k\Big]

and an interval may be open below. The error is no less than that which the spread between folds tells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch
from rich.table import Table

from deep_infomax.mutual_information.critics.readouts import Readout
from deep_infomax.mutual_information.estimators import ESTIMATORS
from deep_infomax.mutual_information.folds import Fold
from deep_infomax.mutual_information.result import Estimate, figure, finite_or_none, printed
from deep_infomax.mutual_information.samples.names import listed
from deep_infomax.mutual_information.samples.units import check_unit, conversion, retold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNS: Final = {1: "+", -1: "-"}


class Term(NamedTuple):
    """One information of a sum."""

    sign: int
    name: str
    """Such as ``I(x; z)``."""
    estimate: Estimate


@dataclass(frozen=True)
class Difference:
    """A sum and difference of informations, in nats unless `unit` says bits; ``print`` shows a table."""

    quantity: str
    """What it is, such as ``I(x; y | z)``."""
    title: str
    """The same in words."""
    mi: float
    """Best estimate: the terms' readings, with their signs. Never clipped at 0."""
    interval: tuple[float, float] | None
    """At `level`; open below where a term that is taken away may be far larger. None for a work that was ended."""
    level: float
    standard_error: float
    """Of the difference, from its influences row by row."""
    readout: str
    """The readout that all terms are read by."""
    terms: tuple[Term, ...]
    warnings: tuple[str, ...]
    n: int
    seconds: float
    finished: bool = True
    """Whether all folds of all terms were completed."""
    unit: str = "nats"
    """Of every figure of information."""
    names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Of the columns of each variable, where they have names."""

    def in_unit(self, unit: str) -> "Difference":
        """The same in ``nats`` or ``bits``, every figure of it.

        Raises ValueError for another unit.
        """
        check_unit(unit)
        factor = conversion(self.unit, unit)
        return replace(
            self,
            unit=unit,
            mi=factor * self.mi,
            interval=None if self.interval is None else (factor * self.interval[0], factor * self.interval[1]),
            standard_error=factor * self.standard_error,
            terms=tuple(term._replace(estimate=term.estimate.in_unit(unit)) for term in self.terms),
            warnings=tuple(retold(warning, unit) for warning in self.warnings),
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but critics and learning curves, as JSON values; what is infinite is null."""
        return {
            "quantity": self.quantity,
            "unit": self.unit,
            "mi": self.mi,
            "interval": None if self.interval is None else [finite_or_none(limit) for limit in self.interval],
            "level": self.level,
            "standard_error": self.standard_error,
            "readout": self.readout,
            "terms": [
                {"sign": sign, "name": name, "estimate": estimate.to_json()} for sign, name, estimate in self.terms
            ],
            "names": {name: list(columns) for name, columns in self.names},
            "warnings": list(self.warnings),
            "n": self.n,
            "seconds": self.seconds,
            "finished": self.finished,
        }

    def __str__(self) -> str:
        """The table."""
        table = Table(title=f"{self.title} of {self.n:,} samples, in {self.unit}", title_justify="left")
        for heading in ("", self.unit, "± s.e.", "what it is"):
            table.add_column(heading, justify="right" if heading in (self.unit, "± s.e.") else "left")
        limits = "no interval"
        if self.interval is not None:
            limits = f"{100 * self.level:g}% interval {self.interval[0]:.4f} to {self.interval[1]:.4f}"
        table.add_row(self.quantity, figure(self.mi), figure(self.standard_error), limits)
        for sign, name, estimate in self.terms:
            value, error = estimate.readouts[self.readout], estimate.standard_errors[self.readout]
            table.add_row(
                f"{SIGNS[sign]} {name}", figure(value), figure(error), f"{estimate.estimator} ({self.readout})"
            )
        named = "".join(f"{name} = {listed(columns)}; " for name, columns in self.names if columns)
        folds = f"{len(self.terms[0].estimate.folds)} held-out folds, shared by all terms"
        footer = f"{'' if self.finished else 'UNFINISHED: '}{named}{folds}, {self.seconds:.1f} s"
        return printed(table, footer, self.warnings)

    def plot(self) -> "Figure":
        """The difference with its interval beside its terms with theirs."""
        from matplotlib.figure import Figure  # drawing takes a second to load, which no estimate needs

        drawing = Figure(figsize=(6, 1.2 + 0.4 * (1 + len(self.terms))), layout="constrained")
        axes = drawing.subplots()
        rows = [(self.quantity, self.mi, self.interval)]
        rows += [(f"{SIGNS[sign]} {name}", one.readouts[self.readout], one.interval) for sign, name, one in self.terms]
        for place, (_, value, limits) in enumerate(rows):
            axes.plot(value, place, "o", color="#b5532a" if place == 0 else "#1f5f8b")
            if limits is not None and np.isfinite(limits).all():
                axes.hlines(place, *limits, color="#b5532a" if place == 0 else "#1f5f8b")
        axes.axvline(0, color="#333333", linewidth=0.8)
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        axes.invert_yaxis()
        axes.set(xlabel=self.unit, title=self.title)
        return drawing


def common_readout(estimator: str, estimate: Estimate) -> str:
    """The readout of an estimator that reads most in one term, by which all are read."""
    return max(ESTIMATORS[estimator].readouts, key=lambda name: estimate.readouts[name])


def sum_of(signs: Sequence[int], folds: Sequence[Fold], readout: str) -> Readout:
    """A sum of informations with signs in one fold, each of them read on the same rows."""
    parts = [
        (sign * fold.values[readout], sign * fold.influences[readout]) for sign, fold in zip(signs, folds, strict=True)
    ]
    return Readout(sum(value for value, _ in parts), torch.stack([influence for _, influence in parts]).sum(0))


def interval_of(
    value: float, reach: float, terms: Sequence[Term], readout: str, quantile: float, *, alike: Sequence[float] = ()
) -> tuple[float, float]:
    """The interval of a sum of informations with signs, which allows for all that its terms' intervals allow for.

    Args:
        value: The sum.
        reach: How far sampling alone moves it.
        terms: What it is made of.
        readout: That they are read by.
        quantile: Standard errors to which their own intervals reach, before they allow for more.
        alike: Where folds are stretches of time, what each critic's learning leaves open. All terms then fall short of
            the truth by what a stretch's own level hides, which also opens intervals above. So the least of their
            allowances above, which is common to all, cancels; where all are open these stand for them.
    """
    if any(estimate.interval is None for _, _, estimate in terms):
        return -math.inf, math.inf
    below, above = [], []
    for _, _, estimate in terms:
        assert estimate.interval is not None
        reading, error = estimate.readouts[readout], quantile * estimate.standard_errors[readout]
        below.append(max(0.0, reading - error - estimate.interval[0]))
        above.append(max(0.0, estimate.interval[1] - reading - error))
    if alike:
        above = list(alike) if math.isinf(min(above)) else above
        above = [one - min(above) for one in above]
    low, high = value - reach, value + reach
    for (sign, _, _), down, up in zip(terms, below, above, strict=True):
        low -= down if sign > 0 else up
        high += up if sign > 0 else down
    return low, high
