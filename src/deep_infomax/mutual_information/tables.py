"""What estimates of many pairs say, as objects, tables, figures, JSON and data frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from jaxtyping import Float, Int
from rich.table import Table

from deep_infomax.mutual_information.result import figure, finite_or_none, printed
from deep_infomax.mutual_information.samples.units import check_unit, conversion, retold

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

Array = np.ndarray
ROWS: Final = 20
"""Pairs or columns that a table shows."""
MARKED: Final = 12
"""Columns up to which the cells of a picture hold figures."""
_BLUE: Final = "#1f5f8b"


@dataclass(frozen=True)
class Pairwise:
    """What every two columns of a table share, in nats unless `unit` says bits; ``print`` shows the closest pairs."""

    estimator: str
    names: tuple[str, ...]
    """Of the columns, or their numbers."""
    mi: Float[Array, "d d"]
    """Estimates, never clipped at 0; NaN on the diagonal and for pairs that were not looked at."""
    low: Float[Array, "d d"]
    """Where intervals begin."""
    high: Float[Array, "d d"]
    """Where they end."""
    p_values: Float[Array, "d d"]
    """Of independence, for each pair by itself; NaN where the estimator has none."""
    adjusted: Float[Array, "d d"]
    """The same for all pairs together, by Holm: the chance that any pair of independent columns reads so little."""
    level: float
    """Of the intervals."""
    warnings: tuple[str, ...]
    n: int
    seconds: float
    finished: bool = True
    """Whether no interrupt ended the work."""
    unit: str = "nats"
    """Of every figure of information."""

    def in_unit(self, unit: str) -> "Pairwise":
        """The same in ``nats`` or ``bits``; ValueError for another unit."""
        return _in_unit(self, unit)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; what is infinite or unknown is null."""
        return _to_json(self)

    def to_frame(self) -> "DataFrame":
        """A pandas data frame with a row for each pair: the names ``x`` and ``y``, and all figures.

        The square of estimates is ``DataFrame(found.mi, found.names, found.names)``.
        """
        from pandas import DataFrame  # which only who asks for it needs to have

        rows, others = np.triu_indices(len(self.names), 1)
        named = {"x": [self.names[i] for i in rows], "y": [self.names[j] for j in others]}
        found = DataFrame(named | {name: values[rows, others] for name, values in _figures(self).items()})
        return found.sort_values("mi", ascending=False, ignore_index=True)

    def __str__(self) -> str:
        """The table of the pairs that share most."""
        rows, others = np.triu_indices(len(self.names), 1)
        order = _descending(self.mi[rows, others])
        title = f"Mutual information of {len(rows):,} pairs, {self.n:,} rows, in {self.unit}"
        labels = [[self.names[i], self.names[j]] for i, j in zip(rows, others, strict=True)]
        columns = {name: values[rows, others] for name, values in _figures(self).items()}
        return _table(self, title, ("x", "y"), labels, columns, order)

    def clustered(self) -> Int[Array, " d"]:
        """An order of the columns in which those that share much stand together.

        Average linkage of the distances sqrt(exp(-2 mi)), which of two normal columns is sqrt(1 - correlation^2).
        """
        return _order(self._linkage())

    def plot(self) -> "Figure":
        """The matrix of estimates, its columns clustered, with the tree that orders them."""
        from matplotlib.figure import Figure  # drawing takes a second to load, which no estimate needs
        from scipy.cluster.hierarchy import dendrogram

        d, linkage = len(self.names), self._linkage()
        order = _order(linkage)
        side = 3 + 0.28 * min(d, 60)
        drawing = Figure(figsize=(side + 1, side + 1), layout="constrained")
        tree, cells = drawing.subplots(2, 1, height_ratios=[1, 6])
        dendrogram(linkage, ax=tree, no_labels=True, color_threshold=0, above_threshold_color="#777777")
        tree.set_axis_off()
        values = self.mi[np.ix_(order, order)]
        image = cells.imshow(values, cmap="Blues", vmin=0, aspect="auto")
        names = [self.names[i] for i in order]
        cells.set_xticks(range(d), names, rotation=90)
        cells.set_yticks(range(d), names)
        if d <= MARKED:
            half = np.nanmax(values, initial=0.0) / 2
            for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
                colour = "white" if values[i, j] > half else "black"
                cells.text(j, i, f"{values[i, j]:.2f}", ha="center", va="center", color=colour, fontsize="small")
        drawing.colorbar(image, ax=cells, label=f"mutual information, {self.unit}")
        return drawing

    def _linkage(self) -> Float[Array, "c 4"]:
        from scipy.cluster.hierarchy import linkage
        from scipy.spatial.distance import squareform

        nats = conversion(self.unit, "nats") * np.nan_to_num(self.mi, nan=0.0)
        distances = np.exp(-np.maximum(nats, 0.0))
        np.fill_diagonal(distances, 0.0)
        found: Array = linkage(squareform(distances, checks=False), "average", optimal_ordering=len(nats) <= 200)
        return found


@dataclass(frozen=True)
class Ranking:
    """What each column of a table shares with a target, in nats unless `unit` says bits; ``print`` shows the first."""

    estimator: str
    names: tuple[str, ...]
    """Of the columns, or their numbers."""
    target: str
    mi: Float[Array, " d"]
    """Estimates in the order of the columns, never clipped at 0; NaN for columns that were not looked at."""
    low: Float[Array, " d"]
    """Where intervals begin."""
    high: Float[Array, " d"]
    """Where they end."""
    p_values: Float[Array, " d"]
    """Of independence, for each column by itself; NaN where the estimator has none."""
    adjusted: Float[Array, " d"]
    """The same for all columns together, by Holm: the chance that any independent column reads so little."""
    level: float
    """Of the intervals."""
    warnings: tuple[str, ...]
    n: int
    seconds: float
    finished: bool = True
    """Whether no interrupt ended the work."""
    unit: str = "nats"
    """Of every figure of information."""

    @property
    def order(self) -> Int[Array, " d"]:
        """The columns, those that share most with the target first."""
        return _descending(self.mi)

    def in_unit(self, unit: str) -> "Ranking":
        """The same in ``nats`` or ``bits``; ValueError for another unit."""
        return _in_unit(self, unit)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; what is infinite or unknown is null."""
        return _to_json(self) | {"target": self.target, "order": self.order.tolist()}

    def to_frame(self) -> "DataFrame":
        """A pandas data frame with a row for each column, indexed by its name, the first in rank first."""
        from pandas import DataFrame  # which only who asks for it needs to have

        return DataFrame(_figures(self), index=list(self.names)).iloc[self.order]

    def __str__(self) -> str:
        """The table of the columns that share most."""
        title = f"Mutual information with {self.target}, {self.n:,} rows, in {self.unit}"
        return _table(self, title, ("column",), [[name] for name in self.names], _figures(self), self.order)

    def plot(self) -> "Figure":
        """The columns with their intervals, the first in rank at the top."""
        from matplotlib.figure import Figure  # drawing takes a second to load, which no estimate needs

        shown = self.order[:60]
        drawing = Figure(figsize=(6, 1.2 + 0.25 * len(shown)), layout="constrained")
        axes = drawing.subplots()
        mi, low, high = (np.nan_to_num(values[shown], posinf=np.nan) for values in (self.mi, self.low, self.high))
        reach = np.maximum(np.nan_to_num(np.stack([mi - low, high - mi])), 0.0)
        axes.errorbar(mi, range(len(shown)), xerr=reach, fmt="o", color=_BLUE)
        axes.axvline(0, color="#333333", linewidth=0.8)
        axes.set_yticks(range(len(shown)), [self.names[i] for i in shown])
        axes.invert_yaxis()
        axes.set(xlabel=f"information with {self.target}, {self.unit}")
        return drawing


def holm(p_values: Float[Array, " m"]) -> Float[Array, " m"]:
    """P-values of many tests adjusted so that the chance of any false finding is what they say.

    The k-th smallest of m is multiplied by m + 1 - k, and none falls below a smaller one's; NaN is no test. It holds
    however the tests depend on each other.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested])]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return adjusted


_T = TypeVar("_T", Pairwise, Ranking)


def _order(linkage: Float[Array, "c 4"]) -> Int[Array, " d"]:
    from scipy.cluster.hierarchy import leaves_list

    order: Array = leaves_list(linkage)
    return order


def _descending(mi: Float[Array, " m"]) -> Int[Array, " m"]:
    """Places by their estimates, unknown ones last."""
    order: Array = np.argsort(-np.nan_to_num(mi, nan=-np.inf), kind="stable")
    return order


def _figures(found: Pairwise | Ranking) -> dict[str, Array]:
    return {
        "mi": found.mi, "low": found.low, "high": found.high, "p_value": found.p_values, "adjusted": found.adjusted,
    }  # fmt: skip


def _in_unit(found: _T, unit: str) -> _T:
    check_unit(unit)
    factor = conversion(found.unit, unit)
    return replace(
        found, unit=unit, mi=factor * found.mi, low=factor * found.low, high=factor * found.high,
        warnings=tuple(retold(warning, unit) for warning in found.warnings),
    )  # fmt: skip


def _to_json(found: Pairwise | Ranking) -> dict[str, Any]:
    def plain(values: Array) -> Any:
        if values.ndim > 1:
            return [plain(row) for row in values]
        return [finite_or_none(value) for value in values.tolist()]

    return {
        "estimator": found.estimator,
        "unit": found.unit,
        "names": list(found.names),
        "mi": plain(found.mi),
        "low": plain(found.low),
        "high": plain(found.high),
        "p_values": plain(found.p_values),
        "adjusted": plain(found.adjusted),
        "level": found.level,
        "warnings": list(found.warnings),
        "n": found.n,
        "seconds": found.seconds,
        "finished": found.finished,
    }


def _table(
    found: Pairwise | Ranking,
    title: str,
    headings: Sequence[str],
    labels: Sequence[Sequence[str]],
    figures: dict[str, Array],
    order: Int[Array, " m"],
) -> str:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading)
    for heading in (found.unit, f"{100 * found.level:g}% interval", "p-value", "adjusted"):
        table.add_column(heading, justify="right")
    for place in order[:ROWS]:
        mi, low, high, p, adjusted = (float(values[place]) for values in figures.values())
        if np.isnan(mi):
            break
        limits = "" if np.isnan(low) else f"{low:.4f} to {high:.4f}"
        table.add_row(*labels[place], figure(mi), limits, _p_text(p), _p_text(adjusted))
    left = f"; {len(order) - ROWS:,} others share less" if len(order) > ROWS else ""
    footer = f"{'' if found.finished else 'UNFINISHED: '}{found.estimator}{left}; {found.seconds:.1f} s"
    return printed(table, footer, found.warnings)


def _p_text(p_value: float) -> str:
    if np.isnan(p_value):
        return ""
    return f"{p_value:.4f}" if p_value >= 1e-4 else f"{p_value:.1g}"
