"""How the rows of a sample are arranged: as somebody says, or else as copies and the order of rows tell."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Int, Shaped
from torch import Tensor

from deep_infomax.mutual_information.rows.order import SHARE, block_length, is_series
from deep_infomax.mutual_information.rows.repeats import exact_copies, joined, noisy_copies, numbered
from deep_infomax.mutual_information.rows.structure import FEWEST_CLUSTERS, Rows, independent

Array = np.ndarray
MANY_COPIES: Final = 0.01
"""Share of rows that repeat others, beyond which a warning says so."""
LONGEST: Final = 4
"""Rows for each row of the longest block that is taken."""
_WITHHELD: Final = "interval, lower bound and p-value are withheld"


def rows_of(
    variables: Sequence[Shaped[Array, "n ..."]], groups: Any = None, blocks: Any = None, folds: int = 5
) -> Rows:
    """The arrangement of rows, with warnings where it is not that of independent rows.

    Args:
        variables: What is estimated from, row by row; two or more, or one whose columns are.
        groups: A name for each row; rows of one name belong together. Give each row its own for independent rows.
        blocks: Rows over which a series depends on its past, or ``auto`` for a length from its autocorrelations.
        folds: Parts that the rows are to be split into.

    Raises:
        ValueError: Groups or blocks cannot be used.
    """
    n = len(variables[0])
    if groups is not None and blocks is not None:
        raise ValueError("`groups` and `blocks` are both given; give `groups` for subjects, or `blocks` for one series")
    if groups is not None:
        return _grouped(variables, _names(groups, n), folds)
    if blocks is not None:
        return _series(variables, exact_copies(variables, whole_only=True), blocks)
    return _found(variables)


def _names(groups: Any, n: int) -> Int[Array, " n"]:
    """Groups as numbers."""
    values = np.asarray(groups.detach().cpu() if isinstance(groups, Tensor) else groups)
    if values.ndim != 1 or len(values) != n:
        raise ValueError(f"`groups` has the shape {values.shape}; give one name or number for each of {n:,} samples")
    missing = np.array([value is None or value != value for value in values.tolist()])
    if missing.any():
        raise ValueError(f"`groups` is missing in row {int(missing.argmax())}; give every row a name or a number")
    if values.dtype.kind == "O":
        values = np.array([str(value) for value in values])
    found: Array = np.unique(values, return_inverse=True)[1]
    return numbered(found[:, None])


def _grouped(variables: Sequence[Array], names: Int[Array, " n"], folds: int) -> Rows:
    count = int(names.max()) + 1
    if count < folds:
        raise ValueError(
            f"`groups` has {count} different values, fewer than {folds} folds; give fewer `folds`, or finer groups"
        )
    cluster = joined(names, exact_copies(variables, whole_only=True))
    number = int(cluster.max()) + 1
    warnings = [f"groups with copies of the same row are taken for one: {number} of {count}"] if number < count else []
    if number < folds:
        raise ValueError(f"`groups` share copies of rows, so that {number} are left; leave the copies out")
    if number == len(names):
        return independent(number)
    trusted = number >= FEWEST_CLUSTERS
    if not trusted:
        warnings.append(f"only {number} groups: {_WITHHELD}; {FEWEST_CLUSTERS} groups or more are needed for them")
    return Rows(cluster, "groups", warnings=tuple(warnings), trusted=trusted)


def _series(variables: Sequence[Array], cluster: Int[Array, " n"], blocks: Any) -> Rows:
    n = len(cluster)
    if blocks != "auto" and (
        isinstance(blocks, (str, bool)) or int(blocks) != blocks or not 1 <= blocks <= n // LONGEST
    ):
        raise ValueError(f"`blocks` is {blocks}; give auto, or 1 to {n // LONGEST} rows for {n:,} samples")
    block = block_length(variables) if blocks == "auto" else int(blocks)
    if block <= n // SHARE:
        return Rows(cluster, "blocks", block)
    lasts = f"over {block} rows" if block < n else "for as long as can be seen"
    doubt = (
        f"the series depends on its past {lasts}, too long for {n:,} rows: {_WITHHELD}; {SHARE} blocks are needed for "
        "them, or the trend or season taken out"
    )
    return Rows(cluster, "blocks", min(block, n // SHARE), (doubt,), trusted=False)


def _found(variables: Sequence[Array]) -> Rows:
    """What copies and the order of rows tell."""
    cluster, warnings = exact_copies(variables), []
    first = np.unique(cluster, return_index=True)[1]
    noisy = noisy_copies([z[first] for z in variables])
    if noisy is not None:
        cluster = noisy[cluster]
        first = np.unique(cluster, return_index=True)[1]
    n, number = len(cluster), len(first)
    if number < (1 - MANY_COPIES) * n:
        alike = "copies" if noisy is None else "copies, nearly"
        warnings.append(
            f"rows repeat others ({alike}; {number:,} different ones among {n:,}): those that do share a fold and "
            "count together; name groups if other rows belong together"
        )
    if is_series([z[first] for z in variables]):
        rows = _series(variables, cluster, "auto")
        warnings.append(
            f"rows depend on those before them, so they are taken for a series in blocks of {rows.block} rows; give "
            "blocks or groups if you know better, and groups of one row each if rows are independent"
        )
        return Rows(cluster, "blocks", rows.block, (*warnings, *rows.warnings), rows.trusted)
    if number == n:
        return independent(n)
    trusted = number >= FEWEST_CLUSTERS
    if not trusted:
        warnings.append(f"only {number} different rows: {_WITHHELD}; name groups, or leave the copies out")
    return Rows(cluster, "groups", warnings=tuple(warnings), trusted=trusted)
