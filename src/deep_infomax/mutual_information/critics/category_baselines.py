r"""Log-ratios of categories, for a network to add to: a smoothed table, and a normal distribution in each category.

Of two categorical variables with n_xy of n samples in each cell, the table holds

.. math:: T(x, y) = \log \frac{n_{xy} / p_y + a}{n_x + a}, \qquad p_y = n_y / n,

the log-ratio of p(y | x) with a samples of the marginal distribution added to each x; or the same with x and y swapped.
Of a categorical variable k and numbers z,

.. math:: T(k, z) = \log \frac{\left[\pi_k \, N(z; m_k, S_k)\right]^t}{\sum_c \left[\pi_c \, N(z; m_c, S_c)\right]^t}
    - \log \pi_k

with means drawn to the common mean by so many samples of it, covariances to the common covariance within categories,
and a temperature t. Validation pairs choose all of these. A level that was never seen scores 0 with everything.

Sources: MacKay and Peto, "A hierarchical Dirichlet language model", 1995; Friedman, "Regularized discriminant
analysis", 1989.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp

from deep_infomax.mutual_information.samples.discrete import codes_of, coverage

Array = np.ndarray
Samples = tuple[Float[Array, "_ dx"], Float[Array, "_ dy"]]
"""Columns of x and of y, row by row."""
Map = Callable[[Float[Array, "p d"]], Float[Array, "p d"]]
RECURRING: Final = 0.5
"""Coverage from which on rows of discrete columns are categories."""
MOST_NUMBERS: Final = 2**26
"""Numbers in the rows of all pairs, above which there is no baseline of categories."""
ADDED: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
"""Samples added to a row of the table."""
ADDED_TO_MEANS: Final = (0.1, 1.0, 10.0, 30.0)
"""Samples of the common mean added to that of a category."""
ADDED_TO_COVARIANCE: Final = (5.0, 50.0, np.inf)
"""Samples of the common covariance added to that of a category."""
TEMPERATURES: Final = (1.0, 0.7, 0.4)
FEW_PRODUCTS: Final = 10**7
"""Entries of all covariances, above which categories share one."""
RIDGE: Final = 1e-2
"""Share of the mean variance added to each variance within categories."""


@dataclass(frozen=True)
class Levels:
    """Different rows of columns, and the number of each one."""

    rows: Float[Array, "k c"]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.rows)

    def numbers(self, columns: Float[Array, "n c"]) -> Int[Array, " n"]:
        """The numbers of rows; of a row that is none of them, how many there are."""
        known = {row.tobytes(): number for number, row in enumerate(self.rows + 0.0)}
        return np.array([known.get(row.tobytes(), len(known)) for row in columns + 0.0], int)  # 0.0 for -0.0

    def indicators(self, columns: Float[Array, "n c"]) -> Float[Array, "n k"]:
        """Which level each row is."""
        indicators: Array = np.eye(len(self) + 1, len(self), dtype=np.float32)[self.numbers(columns)]
        return indicators


@dataclass(frozen=True)
class TableBaseline:
    """The log-ratio of a smoothed table of counts."""

    levels_x: Levels
    levels_y: Levels
    scores: Float[Array, "k l"]
    added: float
    by_x: bool
    """Whether they are added to the distribution of y for each x; else the other way round."""

    def factors(
        self, x: Float[Array, "n dx"], y: Float[Array, "p dy"]
    ) -> tuple[Float[Array, "n r"], Float[Array, "p r"]]:
        """Rows whose dot products are the scores of every x with every y."""
        of_x, of_y = self.levels_x.indicators(x), self.levels_y.indicators(y)
        if len(self.levels_x) <= len(self.levels_y):
            return of_x, of_y @ self.scores.T.astype(np.float32)
        return of_x @ self.scores.astype(np.float32), of_y

    def refitted(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> "TableBaseline":
        """The table of other pairs, smoothed alike."""
        levels = _levels(x), _levels(y)
        return TableBaseline(*levels, _smoothed(_table(levels, x, y), self.added, self.by_x), self.added, self.by_x)


def fit_table_baseline(fit: Samples, validation: Samples) -> TableBaseline:
    """Fit the table; validation pairs choose how it is smoothed."""
    levels = _levels(fit[0]), _levels(fit[1])
    table, held = _table(levels, *fit), _table(levels, *validation)
    n = len(validation[0])
    alone = [np.append(part, n - part.sum()) / n for part in (held.sum(axis=1), held.sum(axis=0))]

    def reads(scores: Float[Array, "k l"]) -> float:
        """Donsker-Varadhan; a level that was not seen scores 0."""
        ratios = np.pad(np.exp(scores), ((0, 1), (0, 1)), constant_values=1.0)
        return float((held * scores).sum()) / n - float(np.log(alone[0] @ ratios @ alone[1]))

    choices = list(product(ADDED, (True, False)))
    added, by_x = max(choices, key=lambda choice: reads(_smoothed(table, *choice)))
    return TableBaseline(*levels, _smoothed(table, added, by_x), added, by_x)


@dataclass(frozen=True)
class ClassBaseline:
    """The log-ratio of normal distributions of numbers in each category."""

    levels: Levels
    shares: Float[Array, " k"]
    means: Float[Array, "k d"]
    roots: Float[Array, "s d d"]
    """Inverse square roots of the covariances, of each category or one of all."""
    choice: tuple[float, float, float]
    """Samples added to means and to covariances, and the temperature."""
    to_numbers: Map
    categories_first: bool
    """Whether x holds the categories, and y the numbers."""

    def scores(self, numbers: Float[Array, "n d"]) -> Float[Array, "n k"]:
        """Of each sample of numbers with each category."""
        z = self.to_numbers(numbers)
        logs = np.empty((len(z), len(self.levels)))
        for k, mean in enumerate(self.means):
            root = self.roots[k % len(self.roots)]
            logs[:, k] = np.log(np.abs(np.diag(root))).sum() - (((z - mean) @ root) ** 2).sum(axis=1) / 2
        logs = self.choice[2] * (logs + np.log(self.shares))
        ratios: Array = logs - logsumexp(logs, axis=1, keepdims=True) - np.log(self.shares)
        return ratios

    def factors(
        self, x: Float[Array, "n dx"], y: Float[Array, "p dy"]
    ) -> tuple[Float[Array, "n r"], Float[Array, "p r"]]:
        """Rows whose dot products are the scores of every x with every y."""
        if self.categories_first:
            return self.levels.indicators(x), self.scores(y).astype(np.float32)
        return self.scores(x).astype(np.float32), self.levels.indicators(y)

    def refitted(self, x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> "ClassBaseline":
        """The distributions of other pairs, smoothed alike."""
        categories, numbers = (x, y) if self.categories_first else (y, x)
        return _fit_classes(categories, numbers, self.choice, self.to_numbers, self.categories_first)


def fit_class_baseline(fit: Samples, validation: Samples, to_numbers: Map, categories_first: bool) -> ClassBaseline:
    """Fit the distributions; validation pairs choose how they are smoothed.

    Args:
        fit: Pairs to fit to.
        validation: Others.
        to_numbers: Standardises the numbers, by ranks or otherwise.
        categories_first: Whether x holds the categories, and y the numbers.
    """
    (categories, numbers), (held, held_numbers) = (
        pair if categories_first else pair[::-1] for pair in (fit, validation)
    )

    def reads(choice: tuple[float, float, float]) -> float:
        fitted = _fit_classes(categories, numbers, choice, to_numbers, categories_first)
        return float((fitted.scores(held_numbers) * fitted.levels.indicators(held)).sum()) / len(held)

    k, d = len(_levels(categories)), to_numbers(numbers[:1]).shape[1]
    covariances = ADDED_TO_COVARIANCE if k * d * d <= FEW_PRODUCTS else (np.inf,)
    best = max(((added, np.inf, 1.0) for added in ADDED_TO_MEANS), key=reads)
    best = max(((best[0], added, 1.0) for added in covariances), key=reads)
    best = max(((*best[:2], temperature) for temperature in TEMPERATURES), key=reads)
    return _fit_classes(categories, numbers, best, to_numbers, categories_first)


def category_baselines(
    fit: Samples, validation: Samples, discrete: tuple[Bool[Array, " dx"], Bool[Array, " dy"]], to_x: Map, to_y: Map
) -> Sequence[TableBaseline | ClassBaseline]:
    """The baselines that suit the variables: none where neither of them has rows of discrete columns that recur.

    Args:
        fit: Pairs to fit to.
        validation: Pairs that choose how far each is smoothed.
        discrete: Which columns of x and of y are discrete.
        to_x: Standardises x where it is read as numbers.
        to_y: Likewise y.
    """
    are = [
        bool(part.all()) and coverage(codes_of(z)) >= RECURRING and len(z) * len(_levels(z)) <= MOST_NUMBERS
        for part, z in zip(discrete, fit, strict=True)
    ]
    found: list[TableBaseline | ClassBaseline] = [fit_table_baseline(fit, validation)] if all(are) else []
    found += [fit_class_baseline(fit, validation, to_y, True)] if are[0] else []
    found += [fit_class_baseline(fit, validation, to_x, False)] if are[1] else []
    return found


def _levels(columns: Float[Array, "n c"]) -> Levels:
    return Levels(np.unique(columns, axis=0))


def _table(levels: tuple[Levels, Levels], x: Float[Array, "n dx"], y: Float[Array, "n dy"]) -> Float[Array, "k l"]:
    """Counts of pairs whose levels are known."""
    table = np.zeros((len(levels[0]) + 1, len(levels[1]) + 1))
    np.add.at(table, (levels[0].numbers(x), levels[1].numbers(y)), 1)
    return table[:-1, :-1]


def _smoothed(table: Float[Array, "k l"], added: float, by_x: bool) -> Float[Array, "k l"]:
    if not by_x:
        return _smoothed(table.T, added, True).T
    shares = table.sum(axis=0) / table.sum()
    scores: Array = np.log((table / shares + added) / (table.sum(axis=1, keepdims=True) + added))
    return scores


def _fit_classes(
    categories: Float[Array, "n c"],
    numbers: Float[Array, "n d"],
    choice: tuple[float, float, float],
    to_numbers: Map,
    categories_first: bool,
) -> ClassBaseline:
    levels, z = _levels(categories), to_numbers(numbers)
    place = levels.numbers(categories)
    counts = np.bincount(place).astype(float)
    sums = np.zeros((len(levels), z.shape[1]))
    np.add.at(sums, place, z)
    to_mean, to_covariance, _ = choice
    means = (sums + to_mean * z.mean(axis=0)) / (counts + to_mean)[:, None]
    apart = z - (sums / counts[:, None])[place]
    common = apart.T @ apart / max(len(z) - len(levels), 1)
    common += (RIDGE * np.trace(common) / len(common) + 1e-9) * np.eye(len(common))
    covariances = common[None]
    if np.isfinite(to_covariance):
        own = np.stack([apart[place == k].T @ apart[place == k] for k in range(len(levels))])
        covariances = (own + to_covariance * common) / (counts - 1 + to_covariance)[:, None, None]
    # Upper triangular R with R R^T the inverse, so that (z - m) R has unit covariance.
    roots = np.linalg.inv(np.linalg.cholesky(covariances)).transpose(0, 2, 1)
    return ClassBaseline(levels, counts / len(z), means, roots, choice, to_numbers, categories_first)
