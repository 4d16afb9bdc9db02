r"""Information of two single columns in milliseconds: neighbours or counts, and a test of independence.

Numbers go through their ranks, equal ones in an order drawn at random: noise within a value tells nothing of the other
column, so the information stays what it was and there is a density. Nearest neighbours then read it, of Kraskov et al.
(2004), or of Ross (2014) where one column holds categories. Two columns of categories are read by counts, with
Grassberger's sums (2003).

Neighbours at a distance blur what changes fast: the third reads more than the twentieth where the truth is above both.
With the standard error s of the third's reading the interval at level 1 - a is

.. math:: \left[ \hat I_3 - z_{1 - a/2}\, s, \quad
    \hat I_3 + 2 \max(0, \hat I_3 - \hat I_{20}) + z_{1 - a/2}\, s \right]

It is open above where one column looks like a function of the other.

The test takes the smaller of two p-values twice (Bonferroni): of the correlation of normal ranks, or of their means in
each category, and of Pearson's chi-square in a table of about equally filled cells, which sees dependence of any shape
that is not finer than its cells.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri
from scipy.stats import chi2, norm

from deep_infomax.mutual_information.facts import has_function
from deep_infomax.mutual_information.ksg import ksg_pointwise
from deep_infomax.mutual_information.rows.structure import Rows
from deep_infomax.mutual_information.samples.discrete import grassberger, ross_pointwise

Array = np.ndarray
MOST_ROWS: Final = 5000
"""Rows that neighbours are looked for among."""
NEAR: Final = 3
FAR: Final = 20
BLURRED: Final = 2.0
"""Times what the near neighbour reads more than the far one, by which the interval reaches further up."""
LEAST_EXPECTED: Final = 5
"""Rows expected in a cell of the table that is tested."""
MOST_BINS: Final = 16
SHUFFLES: Final = 999
"""Of rows that belong together, for a p-value."""
SATURATED: Final = 2.0
"""Nats below log n from which on neighbours can read no more."""


class Screened(NamedTuple):
    """What is said of two columns, in nats."""

    mi: float
    low: float
    high: float
    p_value: float


UNKNOWN: Final = Screened(math.nan, math.nan, math.nan, math.nan)
NOTHING: Final = Screened(0.0, 0.0, 0.0, 1.0)
"""Of a column that is constant."""


@dataclass(frozen=True)
class Column:
    """One column, ready to be read beside others."""

    codes: Int[Array, " n"] | None
    """Of categories; None for numbers."""
    normal: Float[Array, " n"]
    """Normal scores of the ranks; of categories those of their codes."""
    bins: Int[Array, " n"]
    """Categories, the rarest of them together, or parts of the numbers with as many rows each."""

    def rows(self, rows: Int[Array, " m"]) -> "Column":
        """Some rows of it, in any order."""
        return Column(None if self.codes is None else self.codes[rows], self.normal[rows], self.bins[rows])

    @property
    def constant(self) -> bool:
        """Whether nothing varies."""
        return self.codes is not None and not self.codes.any()


def numeric(values: Float[Array, " n"], generator: np.random.Generator) -> Column:
    """A column of numbers, equal ones in an order drawn at random."""
    n = len(values)
    if values.min() == values.max():
        return categorical(np.zeros(n, int))
    ranks = np.empty(n, int)
    ranks[np.lexsort([generator.random(n), values])] = np.arange(n)
    bins = ranks * _bins(n) // n
    return Column(None, ndtri((ranks + 0.5) / n), bins)


def categorical(codes: Int[Array, " n"]) -> Column:
    """A column of categories, by numbers from 0 on."""
    n = len(codes)
    counts = np.bincount(codes)
    least, part, filled = n / _bins(n), 0, 0
    parts = np.empty(len(counts), int)
    for code, count in enumerate(counts):
        # A rare category shares its part with the next ones; a frequent one has its own.
        if filled and (filled >= least / 2 or count >= least / 2):
            part, filled = part + 1, 0
        parts[code], filled = part, filled + count
    middle = np.cumsum(counts) - counts / 2
    return Column(codes, ndtri(middle / n)[codes], parts[codes])


def screen(x: Column, y: Column, level: float, rows: Rows | None = None) -> Screened:
    """What two columns share, in nats, with an interval and the p-value of independence.

    Of rows that belong together the p-value comes from shuffles that keep them so, and there is no interval: to a
    neighbour they are near for that reason.
    """
    if x.constant or y.constant:
        return NOTHING
    if rows is not None and rows.kind != "independent":
        p_value = shuffled_p_value(x, y, rows) if rows.trusted else math.nan
        return screen(x, y, level)._replace(low=math.nan, high=math.nan, p_value=p_value)
    z = float(norm.ppf((1 + level) / 2))
    p_value = independence_p_value(x, y)
    if x.codes is not None and y.codes is not None:
        counted = grassberger(x.codes, y.codes)
        reach = z * counted.error
        return Screened(counted.value, counted.value - reach, counted.value + reach, p_value)
    near, far = (_neighbours(x, y, k) for k in (NEAR, FAR))
    mi, reach = float(near.mean()), z * float(near.std()) / math.sqrt(len(near))
    high = mi + BLURRED * max(0.0, mi - float(far.mean())) + reach
    if x.codes is None and y.codes is None and (_followed(x, y) or mi > math.log(len(near)) - SATURATED):
        high = math.inf
    return Screened(mi, mi - reach, high, p_value)


def independence_p_value(x: Column, y: Column) -> float:
    """How likely what ties two columns is, were they independent."""
    return min(1.0, 2 * min(_linear_p_value(x, y), _table_p_value(x.bins, y.bins)))


def shuffled_p_value(x: Column, y: Column, rows: Rows) -> float:
    """How likely what ties two columns is, were they independent, among shuffles that keep together what belongs so."""
    kept, order = rows.shuffles(np.arange(len(rows)))
    x, y = x.rows(kept), y.rows(kept)
    generator = np.random.default_rng(0)
    own = independence_p_value(x, y)
    reached = sum(independence_p_value(x, y.rows(order(generator))) <= own * (1 + 1e-9) for _ in range(SHUFFLES))
    return (1 + reached) / (1 + SHUFFLES)


def _bins(n: int) -> int:
    return min(MOST_BINS, max(2, int(math.sqrt(n / LEAST_EXPECTED))))


def _neighbours(x: Column, y: Column, k: int) -> Float[Array, " m"]:
    """The contribution of each of some rows."""
    some = slice(None, None, math.ceil(len(x.normal) / MOST_ROWS))
    if x.codes is not None:
        return ross_pointwise(x.codes[some], y.normal[some, None], k)
    if y.codes is not None:
        return ross_pointwise(y.codes[some], x.normal[some, None], k)
    return ksg_pointwise(x.normal[some, None], y.normal[some, None], k)


def _followed(x: Column, y: Column) -> bool:
    one, other = x.normal[:, None], y.normal[:, None]
    return has_function(one, other) or has_function(other, one)


def _linear_p_value(x: Column, y: Column) -> float:
    """Of the squared correlation of normal scores, or the spread of their means between categories."""
    left, right = _scores(x), _scores(y)
    shared = float(((left.T @ right) ** 2).sum())
    freedom = left.shape[1] * right.shape[1]
    return float(chi2.sf((len(left) - 1) * shared, freedom)) if freedom else 1.0


def _scores(column: Column) -> Float[Array, "n c"]:
    """Orthonormal columns of mean 0: normal scores, or one for each bin of categories but the last."""
    scores = column.normal[:, None] if column.codes is None else np.eye(column.bins.max() + 1)[column.bins][:, 1:]
    basis: Array = np.linalg.qr(scores - scores.mean(axis=0))[0]
    return basis


def _table_p_value(x: Int[Array, " n"], y: Int[Array, " n"]) -> float:
    """Pearson's chi-square of a table of counts."""
    rows, columns = int(x.max()) + 1, int(y.max()) + 1
    table = np.bincount(x * columns + y, minlength=rows * columns).reshape(rows, columns)
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0) / len(x)
    freedom = (rows - 1) * (columns - 1)
    return float(chi2.sf(float(((table - expected) ** 2 / expected).sum()), freedom)) if freedom else 1.0
