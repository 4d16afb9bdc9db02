r"""Whether the order of rows tells that they depend on one another, and over how many rows.

Two independent series mislead when both depend on their own past: the variance of a mean of products is then larger
than independent rows would have it, by Bartlett's factor of their autocorrelations

.. math:: 1 + 2 \sum_{l = 1}^{L} \rho_x(l)\, \rho_y(l)

It is 1 where either has no memory, so shuffled rows are never taken for a series. The columns are those of normal
coordinates and of their squares, L is a twentieth of the rows, and rows are taken for a series where the factor of some
column of x with one of y is beyond 1.25, and by more than five standard errors beyond 1.

Rows that were sorted are no series. Where a column is in order (numbers going up or down; each class in one run), the
others are looked at within its runs of equal values alone, and columns sorted within these in turn.

The time over which a column depends on its past sums its squared autocorrelations, which are those of a product of two
such series. Sokal's window ends the sum: M is the first lag that reaches :math:`5 \tau(M)`, of

.. math:: \tau(M) = 1 + 2 \sum_{l = 1}^{M} \rho(l)^2

Squares keep a season from cancelling itself. A block is three times the longest time of all columns, or reaches to the
last lag at which some column's autocorrelation is beyond 0.1 and five standard errors, :math:`5 \sqrt{\tau / n}`.

Sources: Bartlett, "Some aspects of the time-correlation problem in regard to tests of significance", 1935; Sokal,
"Monte Carlo methods in statistical mechanics", 1997, section 3.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import gammaln

from deep_infomax.mutual_information.rows.independence import MOST_COORDINATES, normal_coordinates
from deep_infomax.mutual_information.rows.repeats import numbered

Array = np.ndarray
SHARE: Final = 20
"""Rows for each row of the longest lag and of the longest block."""
INFLATED: Final = 1.25
"""Bartlett's factor beyond which rows are taken for a series."""
ERRORS: Final = 5.0
"""Standard errors by which it must be larger than 1."""
WINDOW: Final = 5
"""Lags to each row of autocorrelation time."""
FORGOTTEN: Final = 0.1
"""Autocorrelation up to which a column is taken to have forgotten."""
CLASS: Final = 10
"""Rows for each value of a variable of classes, or more."""
LEAST_RUN: Final = 5
"""Rows of a run of equal values, from which on others are looked at within it."""
EVEN: Final = 0.5
"""Variation of the steps of a sorted column, below which it counts time."""
UNLIKELY: Final = -20.0
"""Logarithm of the probability of an order, below which it is none of chance."""
WHITE: Final = -0.4
"""Correlation of neighbouring steps below which a column is noise around a trend; it is -1/2 for white noise."""


def is_series(variables: Sequence[Shaped[Array, "n ..."]]) -> bool:
    """Whether rows of two variables or more, or of the columns of one, depend on those before them."""
    flat = [z.reshape(len(z), -1).astype(np.float64) for z in variables]
    columns = [normal_coordinates(z) for z in flat]
    runs = _sorted_runs(np.concatenate([z[:, :: -(-z.shape[1] // MOST_COORDINATES)] for z in flat], axis=1))
    if runs is not None:
        kept = np.bincount(runs)[runs] >= LEAST_RUN
        flat, columns = [z[kept] for z in flat], [_within(z[kept], runs[kept]) for z in columns]
    n = len(columns[0])
    if n < SHARE or not all(part.shape[1] for part in columns):
        return False
    if len(columns) == 1:
        return _inflated(*columns, *columns)
    return any(_misleads(i, j, flat, columns) for i in range(len(columns)) for j in range(i))


def block_length(variables: Sequence[Shaped[Array, "n ..."]]) -> int:
    """Rows of a block by the rule above, the longest of all columns; all rows where memory does not end."""
    columns = np.concatenate([_with_squares(normal_coordinates(z)) for z in variables], axis=1)
    n = len(columns)
    memory = autocorrelations(columns, n // 4)
    times = 1 + 2 * np.cumsum(memory**2, axis=0)
    lags = np.arange(1, len(times) + 1)[:, None]
    ended = lags >= WINDOW * times
    if not ended.any(axis=0).all():
        return n
    time = np.take_along_axis(times, ended.argmax(axis=0)[None], axis=0)[0]
    last = (lags * (np.abs(memory) > np.maximum(FORGOTTEN, ERRORS * np.sqrt(time / n)))).max()
    return math.ceil(max(float(last), 3 * float(time.max())))


def autocorrelations(columns: Float[Array, "n c"], lags: int) -> Float[Array, "l c"]:
    """Correlation of each column with itself 1 to so many rows later."""
    length = next_fast_len(len(columns) + lags, real=True)
    spectrum = rfft(columns - columns.mean(axis=0), length, axis=0)
    products: Array = irfft(np.abs(spectrum) ** 2, length, axis=0)[: lags + 1]
    correlations: Array = products[1:] / np.maximum(products[0], 1e-300)
    return correlations


def _misleads(i: int, j: int, flat: Sequence[Array], columns: Sequence[Array]) -> bool:
    """Whether two variables seem to depend on one another though they do on their past alone.

    Where one is of classes, whose order somebody may have chosen, the other is looked at within each class as well.
    """
    if not _inflated(columns[i], columns[j]):
        return False
    for one, other in ((i, j), (j, i)):
        names = numbered(flat[one])
        if names.max() < len(names) // CLASS and not _inflated(_within(columns[other], names), columns[one]):
            return False
    return True


def _inflated(a: Float[Array, "n c"], b: Float[Array, "n d"]) -> bool:
    """Whether Bartlett's factor is too large for some column of a and another one of b."""
    n = len(a)
    memory_a, memory_b = (autocorrelations(_with_squares(z), n // SHARE) for z in (a, b))
    excess = 2 * memory_a.T @ memory_b
    error = 2 * np.sqrt(np.maximum((memory_a**2).sum(axis=0)[:, None], (memory_b**2).sum(axis=0)) / n)
    if a is b:
        excess[np.tile(np.eye(a.shape[1], dtype=bool), (2, 2))] = 0
    return bool((excess > np.maximum(INFLATED - 1, ERRORS * error)).any())


def _with_squares(columns: Float[Array, "n c"]) -> Float[Array, "n c2"]:
    """Columns, and the squares that changing scales show in."""
    return np.concatenate([columns, columns**2], axis=1)


def _within(columns: Float[Array, "n c"], runs: Int[Array, " n"]) -> Float[Array, "n c"]:
    """Columns less the means of their runs, in units of the runs' deviations."""
    count = np.maximum(np.bincount(runs), 1)

    def mean(values: Array) -> Array:
        means: Array = np.stack([np.bincount(runs, column) / count for column in values.T], axis=1)[runs]
        return means

    centred = columns - mean(columns)
    deviation = np.sqrt(mean(centred**2))
    within: Array = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-9)
    return within


def _sorted_runs(columns: Float[Array, "n c"]) -> Int[Array, " n"] | None:
    """The run of equal values that each row is in, where rows were sorted by one column or by several in turn."""
    runs = np.zeros(len(columns), int)
    left, found = list(range(columns.shape[1])), True
    while left and found:
        found = False
        for i in left:
            others = columns[:, [j for j in left if j != i]]
            if _is_sorted(columns[:, i], runs) and not _counts_time(columns[:, i], others, runs):
                left.remove(i)
                starts = (np.diff(columns[:, i]) != 0) | (np.diff(runs) != 0)
                runs, found = np.concatenate([[0], np.cumsum(starts)]), True
                break
    return runs if runs[-1] else None


def _is_sorted(column: Float[Array, " n"], runs: Int[Array, " n"]) -> bool:
    """Whether values go up, or down, or each stands in one place alone, within each run, which chance would not do."""
    inside = np.diff(runs) == 0
    steps = np.diff(column)[inside]
    places = len(column) - np.count_nonzero(steps == 0)
    goes_one_way = bool((steps >= 0).all() or (steps <= 0).all())
    if not steps.any() or not (goes_one_way or 2 * places < len(column)):
        return False
    counts = np.unique(np.stack([runs, column]), axis=1, return_counts=True)
    levels = np.bincount(counts[0][0].astype(int))
    chance = gammaln(counts[1] + 1).sum() - gammaln(np.bincount(runs) + 1).sum()  # logarithm of one order among all
    if goes_one_way and chance < UNLIKELY:
        return True
    return bool(places == levels.sum() and chance + gammaln(levels + 1).sum() < UNLIKELY)


def _counts_time(column: Float[Array, " n"], others: Float[Array, "n c"], runs: Int[Array, " n"]) -> bool:
    """Whether a sorted column goes in even steps, and another one is more than noise around a trend over it."""
    inside = np.diff(runs) == 0
    steps = np.diff(column)[inside]
    if not steps.all() or steps.std() > EVEN * abs(steps.mean()) or not others.shape[1]:
        return False
    normal = normal_coordinates(others)
    moves = np.diff(normal, axis=0)
    moves[~inside] = 0
    remembers = autocorrelations(normal, 1)[0] > ERRORS / math.sqrt(len(column))
    return bool((remembers & (autocorrelations(moves, 1)[0] > WHITE)).any())
