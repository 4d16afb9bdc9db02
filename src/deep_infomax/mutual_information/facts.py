"""What can be said of two variables without a critic: it limits how far a critic is believed."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from deep_infomax.mutual_information.critics.ranks import rank_gaussianiser
from deep_infomax.mutual_information.rows.structure import Rows
from deep_infomax.mutual_information.samples.inputs import Columns
from deep_infomax.mutual_information.second import NO_SECOND, Second, second_opinion

Array = np.ndarray
NEARLY_ALL: Final = 0.99
"""Share of rows that have nothing to do with others, beyond which the few that have change no fact."""
WHOLE: Final = 3
"""Coordinates up to which a variable is looked at as a whole for functions of it, not only one by one."""
MOST_COMPARED: Final = 100
"""Coordinates together, above which no function is looked for."""
LEAST_FOLLOWED: Final = 200
MOST_FOLLOWED: Final = 2000
"""Samples in which it is."""
LEAST_COMPARED: Final = 20
"""Pairs of samples whose differences make a mean."""
UNLIKELY: Final = 4.0
"""Standard errors of a difference between means that is not one of chance."""
FAR: Final = 4
"""The neighbour that is compared with the nearest."""
FOLLOWED: Final = 0.75
"""Share of the inputs' growth that the outputs' must reach to be taken for a function's."""


@dataclass(frozen=True)
class Facts:
    """What is known of x and y beforehand."""

    warnings: tuple[str, ...]
    """What is unusual about them, in words."""
    capacity: float = math.inf
    """The most they can share, in nats."""
    crowded: bool = False
    """Whether there are so many coordinates for the samples that dependence is likely to be missed."""
    determined: bool = False
    """Whether some coordinate of one looks like a function of the other."""
    coordinates: int = 0
    """Of x and y together."""
    second: Second = NO_SECOND
    """What an estimator of another kind reads."""

    def of_rows(self, rows: Rows) -> "Facts":
        """The facts that hold where rows belong together: to a neighbour they are near for that reason."""
        warnings = (*self.warnings, *rows.warnings)
        if rows.kind != "blocks" and rows.clusters > NEARLY_ALL * len(rows):
            return replace(self, warnings=warnings)
        return replace(self, warnings=warnings, determined=False, second=NO_SECOND)


def facts_of(x: Columns, y: Columns, warnings: list[str]) -> Facts:
    """All of it, for the columns of x and y, row by row."""
    return Facts(
        warnings=(*warnings, *x.warnings, *y.warnings),
        capacity=min(x.capacity, y.capacity),
        crowded=x.crowded or y.crowded or _reads_codes_as_numbers(x, y) or _reads_codes_as_numbers(y, x),
        determined=_determines(x, y) or _determines(y, x),
        coordinates=x.values.shape[1] + y.values.shape[1],
        second=second_opinion(x, y),
    )


def _reads_codes_as_numbers(x: Columns, y: Columns) -> bool:
    """Whether a column of x that may hold codes tells more of y by equal values than by neighbouring ones."""
    if x.in_doubt is None or not x.in_doubt.any():
        return False
    normal, codes = _normal(y.values), y.values[:, y.in_doubt if y.in_doubt is not None else []]
    return any(
        more_alike_than_neighbours(column, normal) or more_often_equal_than_neighbours(column, codes)
        for column in x.values[:, x.in_doubt].T
    )


def more_alike_than_neighbours(column: Float[Array, " n"], outputs: Float[Array, "n m"]) -> bool:
    """Whether samples of equal values differ less in some output than samples of the next value do.

    Of a measured number they differ as much, as its next value is hardly another one; of a code the next value is
    another category. So far apart by chance are the mean squares once in 30,000 times.

    >>> codes, noise = np.random.default_rng(0).integers(500, size=(2, 1000))
    >>> shuffled = np.random.default_rng(1).permutation(500)
    >>> more_alike_than_neighbours(codes * 1.0, shuffled[codes][:, None] + noise[:, None] / 5)
    True
    >>> more_alike_than_neighbours(codes * 1.0, codes[:, None] + noise[:, None] / 5)
    False
    """
    equal, next_one = _steps(column, outputs)
    return bool(_clearly_above(next_one**2, equal**2).any())


def more_often_equal_than_neighbours(column: Float[Array, " n"], outputs: Float[Array, "n m"]) -> bool:
    """Whether samples of equal values share some output's value, and thrice as often as samples of the next value do.

    >>> codes, noise = np.random.default_rng(0).integers(500, size=(2, 1000))
    >>> shuffled = np.random.default_rng(1).permutation(500)
    >>> more_often_equal_than_neighbours(shuffled[codes] * 1.0, (codes + noise % 3)[:, None] * 1.0)
    True
    >>> more_often_equal_than_neighbours(codes * 1.0, codes[:, None] + noise[:, None] % 7 * 1.0)
    False
    """
    equal, next_one = ((steps == 0) * 1.0 for steps in _steps(column, outputs))
    often = equal.sum(axis=0) * len(next_one) > 3 * next_one.sum(axis=0) * len(equal)
    return bool((often & _clearly_above(equal, next_one)).any())


def _steps(column: Float[Array, " n"], outputs: Float[Array, "n m"]) -> tuple[Float[Array, "e m"], Float[Array, "o m"]]:
    """Differences of outputs between samples of equal values, and between samples of a value and the next one."""
    order = np.lexsort([np.random.default_rng(0).random(len(column)), column])
    same = np.diff(column[order]) == 0
    steps = np.diff(outputs[order], axis=0)
    return steps[same], steps[~same]


def _clearly_above(larger: Float[Array, "e m"], smaller: Float[Array, "o m"]) -> Bool[Array, " m"]:
    """Whether a mean is above another by more than chance; never where either is of a few."""
    if min(len(larger), len(smaller)) < LEAST_COMPARED:
        return np.zeros(larger.shape[1], dtype=bool)
    error = np.sqrt(larger.var(axis=0) / len(larger) + smaller.var(axis=0) / len(smaller))
    above: Array = larger.mean(axis=0) - smaller.mean(axis=0) > UNLIKELY * error
    return above


def _determines(inputs: Columns, outputs: Columns) -> bool:
    """Whether some column of numbers looks like a function of the other variable; of categories that is no wonder."""
    continuous = outputs.values[:, ~outputs.discrete]
    return continuous.shape[1] > 0 and has_function(inputs.values, continuous)


def has_function(inputs: Float[Array, "n d"], outputs: Float[Array, "n m"]) -> bool:
    """Whether some output looks like a function of one input, or of all inputs where they are few.

    Above 100 coordinates together, or below 200 samples, nothing is looked for.
    """
    if not _followed(len(inputs), inputs.shape[1] + outputs.shape[1]):
        return False
    inputs, outputs = (_normal(_some(z, MOST_FOLLOWED)) for z in (inputs, outputs))
    given = [inputs[:, [i]] for i in range(inputs.shape[1])] + ([inputs] if inputs.shape[1] <= WHOLE else [])
    return any(functions_of(columns, outputs).any() for columns in given)


def has_function_within(z: Float[Array, "n d"]) -> bool:
    """Whether some coordinate looks like a function of another one, or of all others where they are few; likewise."""
    n, d = z.shape
    if not _followed(n, d):
        return False
    z = _normal(_some(z, MOST_FOLLOWED))
    rest = [np.delete(z, i, axis=1) for i in range(d)]
    alone = any(functions_of(z[:, [i]], others).any() for i, others in enumerate(rest))
    return alone or (d - 1 <= WHOLE and any(functions_of(others, z[:, [i]]).any() for i, others in enumerate(rest)))


def _followed(n: int, coordinates: int) -> bool:
    return n >= LEAST_FOLLOWED and coordinates <= MOST_COMPARED


def functions_of(inputs: Float[Array, "n d"], outputs: Float[Array, "n m"]) -> Bool[Array, " m"]:
    r"""Which outputs look like piecewise smooth functions of all inputs, without noise that so many samples could show.

    The further a sample's neighbour, the more a smooth function differs there, in the same measure; noise differs as
    much at the nearest neighbour as at any near one. With medians over the samples, j and k being the nearest and the
    fourth neighbour of i in the inputs, an output is taken for a function if

    .. math:: \frac{\mathrm{med}\,|y_i - y_k|}{\mathrm{med}\,|y_i - y_j|} - 1
        > \frac{3}{4} \left( \frac{\mathrm{med}\,|x_i - x_k|}{\mathrm{med}\,|x_i - x_j|} - 1 \right)

    Variables of which most values have an equal have no such ratio, and are taken for none.

    >>> x, noise = np.random.default_rng(0).normal(size=(2, 500, 1))
    >>> functions_of(x, np.concatenate([np.sin(5 * x), np.sin(5 * x) + 0.1 * noise], axis=1))
    array([ True, False])
    """
    distances, places = KDTree(inputs).query(inputs, k=FAR + 1)  # the first is the sample itself
    near, far = (float(np.median(distances[:, k])) for k in (1, FAR))
    near_y, far_y = (np.median(np.abs(outputs[places[:, k]] - outputs), axis=0) for k in (1, FAR))
    if near == 0:
        return np.zeros(outputs.shape[1], dtype=bool)
    growth = np.divide(far_y, near_y, out=np.ones_like(far_y), where=near_y > 0)
    found: Array = growth - 1 > FOLLOWED * (far / near - 1)
    return found


def _some(z: Float[Array, "n d"], most: int) -> Float[Array, "s d"]:
    """So many samples at most, from all over."""
    return z[:: math.ceil(len(z) / most)]


def _normal(z: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Coordinates through their ranks."""
    return rank_gaussianiser(z)(z)
