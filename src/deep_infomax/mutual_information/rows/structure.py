r"""Which rows of a sample belong together: how they are split, shuffled, and counted in a standard error.

Every guarantee of a held-out estimate takes the parts of a split for independent of one another. Rows that belong
together (copies, the trials of a subject, near moments of a series) therefore share a fold, are shuffled together, and
count together in an error:

- groups: whole groups are held out and shuffled (Winkler et al., 2015); an error is made of sums over groups.
- blocks of a series: folds are stretches of time, with a gap of one block on either side that is not fitted to. One
  variable is shifted against the other, its end going to its beginning (Harris, 2020); an error is made of sums over
  blocks (batch means).

For the mean of an influence :math:`u` over m rows in b clusters with sums :math:`S_c`, the variance is

.. math:: \frac{b}{b - 1} \cdot \frac{1}{m^2} \sum_c (S_c - \bar S)^2

which is :math:`\operatorname{var}(u) / m` where each row is a cluster.

Sources: Harris, "A shift test for independence in generic time series", 2020, arXiv 2012.06862; Shen et al.,
"Independence testing for temporal data", 2024, arXiv 1908.06486; Winkler et al., "Multi-level block permutation",
NeuroImage, 2015; Cameron and Miller, "A practitioner's guide to cluster-robust inference", 2015.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm, t

Array = np.ndarray
FEWEST_CLUSTERS: Final = 20
"""Groups or blocks below which no interval is given."""
EXCHANGED: Final = 8
"""Groups of like size among which whole groups are exchanged."""


@dataclass(frozen=True)
class Rows:
    """The rows of a sample and what is known of how they belong together."""

    cluster: Int[Array, " n"]
    """The number of each row's group, or of its set of copies."""
    kind: Literal["independent", "groups", "blocks"] = "independent"
    block: int = 1
    """Rows of a block of a series."""
    warnings: tuple[str, ...] = ()
    """What was found about them, in words."""
    trusted: bool = True
    """Whether there are enough groups or blocks for an interval, a bound and a p-value."""
    _sizes: Int[Array, " c"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Count the rows of each cluster."""
        object.__setattr__(self, "_sizes", np.bincount(self.cluster))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.cluster)

    @property
    def clusters(self) -> int:
        """How many groups or blocks there are; of independent rows, how many rows."""
        return -(-len(self) // self.block) if self.kind == "blocks" else len(self._sizes)

    def split(self, folds: int, seed: int) -> list[tuple[Int[Array, " r"], Int[Array, " t"]]]:
        """For each fold the rows outside it and those in it; rows that belong together are on one side."""
        n, generator = len(self), np.random.default_rng(seed)
        if self.kind == "blocks":
            return [self._apart(part) for part in np.array_split(np.arange(n), folds)]
        if self.kind == "groups":
            parts = self._whole_groups(folds, generator)
        else:
            parts = np.array_split(generator.permutation(n), folds)
        # What follows a fold comes first in its rest, and what comes first is read for comparison: each once in all.
        return [(np.concatenate(parts[i + 1 :] + parts[:i]), part) for i, part in enumerate(parts)]

    def held_back(self, rest: Int[Array, " r"], count: int) -> tuple[Int[Array, " v"], Int[Array, " f"]]:
        """Validation rows, about so many, and those to fit to; they are as far apart as folds are."""
        if self.kind == "independent":
            return rest[:count], rest[count:]
        if self.kind == "groups":
            ends = np.flatnonzero(np.diff(self.cluster[rest])) + 1  # rows of a group follow one another
            count = int(ends[np.abs(ends - count).argmin()]) if len(ends) else count
            return rest[:count], rest[count:]
        validation = rest[:count]
        away = ~np.isin(self.cluster[rest], self.cluster[validation])
        away &= (rest > validation.max() + self.block) | (rest < validation.min() - self.block)
        if not away.any():
            away[count:] = True
        # The first rows to fit to are read for comparison, so they are taken from everywhere.
        fit = rest[away]
        return validation, np.random.default_rng(len(fit)).permutation(fit)

    def shuffles(self, test: Int[Array, " t"]) -> tuple[Int[Array, " k"], Callable[[np.random.Generator], Array]]:
        """Rows that take part in a test of independence, as places in ``test``, and a maker of their orders.

        Were x and y independent, y in such an order would be as likely as it is. Independent rows are exchanged freely,
        and whole groups with others of like size, all cut to the smallest of them. A series is shifted as a whole by
        any number of rows, 0 among them: shifts by few rows leave nearly everything as it is, so they must count.
        """
        m = len(test)
        if self.kind == "independent":
            return np.arange(m), lambda generator: generator.permutation(m)
        if self.kind == "blocks":
            return np.arange(m), lambda generator: np.roll(np.arange(m), generator.integers(m))
        alike = list(_alike(self.cluster[test]))
        kept = np.concatenate([places.ravel() for places in alike])
        sizes = np.cumsum([0, *(places.size for places in alike)])
        own = [
            np.arange(start, start + places.size).reshape(places.shape)
            for start, places in zip(sizes, alike, strict=False)
        ]

        def order(generator: np.random.Generator) -> Array:
            return np.concatenate([places[generator.permutation(len(places))].ravel() for places in own])

        return kept, order

    def variance(self, influence: Float[Array, " m"], test: Int[Array, " m"]) -> float:
        """Variance of the mean of an influence over the rows of a fold."""
        m = len(influence)
        if self.kind == "independent":
            return float(influence.var(ddof=1)) / m
        numbers = np.arange(m) // self.block if self.kind == "blocks" else np.unique(self.cluster[test], False, True)[1]
        sums = np.bincount(numbers, influence - influence.mean())
        b = len(sums)
        return float((sums**2).sum()) * b / max(b - 1, 1) / m**2 if b > 1 else float("inf")

    def quantile(self, probability: float, folds: int) -> float:
        """How many standard errors a limit is away: of the normal, and of Student's t where rows are in clusters."""
        if self.kind == "independent":
            return float(norm.ppf(probability))
        return float(t.ppf(probability, max(1, self.clusters - folds)))

    def _apart(self, part: Int[Array, " t"]) -> tuple[Int[Array, " r"], Int[Array, " t"]]:
        """A stretch of time and what is further away than a block, without copies of what is in it."""
        n = len(self)
        rest = np.concatenate([np.arange(part[-1] + 1 + self.block, n), np.arange(0, max(0, part[0] - self.block))])
        return rest[~np.isin(self.cluster[rest], self.cluster[part])], part

    def _whole_groups(self, folds: int, generator: np.random.Generator) -> list[Int[Array, " t"]]:
        """Whole groups in parts of about one size: the largest first, each to the part with the fewest rows."""
        numbers = generator.permutation(len(self._sizes))
        numbers = numbers[np.argsort(-self._sizes[numbers], kind="stable")]
        filled, part_of = np.zeros(folds), np.empty(len(numbers), int)
        for number in numbers:
            part_of[number] = filled.argmin()
            filled[part_of[number]] += self._sizes[number]
        place = np.empty(len(numbers), int)
        place[generator.permutation(len(numbers))] = np.arange(len(numbers))
        in_order = np.argsort(place[self.cluster], kind="stable")
        return [in_order[part_of[self.cluster[in_order]] == part] for part in range(folds)]


def _alike(cluster: Int[Array, " m"]) -> Iterator[Int[Array, "g s"]]:
    """Places of groups of like size, cut to the smallest of them: 8 groups or more at a time, where there are."""
    in_order = np.argsort(cluster, kind="stable")
    _, starts, sizes = np.unique(cluster[in_order], return_index=True, return_counts=True)
    by_size = np.argsort(sizes, kind="stable")
    begin = 0
    while begin < len(by_size):
        size = sizes[by_size[begin]]
        end = max(begin + EXCHANGED, int(np.searchsorted(sizes[by_size], size, side="right")))
        if len(by_size) - end < EXCHANGED:
            end = len(by_size)
        yield in_order[starts[by_size[begin:end], None] + np.arange(size)]
        begin = end


def independent(n: int) -> Rows:
    """Rows that have nothing to do with one another."""
    return Rows(np.arange(n))
