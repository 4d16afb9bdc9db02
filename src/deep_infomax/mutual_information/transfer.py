r"""Transfer entropy: what the past of one series tells of the next value of another beyond that one's own past.

.. math:: T_{X \to Y} = I\big(Y_t;\; (X_{t - l})_{l \in L} \;\big|\; (Y_{t - l})_{l \in M}\big)

It is a conditional information of rows that are moments: the next value of y, the past values of x at lags L, and those
of y at lags M. Between jointly normal series it is half of Granger's causality.

Folds are stretches of time, with a gap that no value is shared across. Given the past, a next value is news, so the
terms of the figure depend on one another over about the lags alone, however slow the series are themselves; its error
is made of sums over blocks of moments.

Sources: Schreiber, "Measuring information transfer", 2000, arXiv nlin/0001042; Barnett et al., "Granger causality and
transfer entropy are equivalent for Gaussian variables", 2009, arXiv 0910.4514.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int

from deep_infomax.mutual_information.conditional import Informations, Sum, require_folds
from deep_infomax.mutual_information.differences import Difference
from deep_infomax.mutual_information.samples.inputs import Columns, as_columns, check_lengths
from deep_infomax.mutual_information.samples.names import check_indexes
from deep_infomax.mutual_information.samples.variables import read_variable

Array = np.ndarray
TRANSFER: Final[Sum] = ((1, ("past x", "past y")), (-1, ("past y",)))


def transfer_entropy(
    x: Any,
    y: Any,
    estimator: str = "auto",
    *,
    lags: Any = 1,
    own_lags: Any = None,
    groups: Any = None,
    blocks: int | str | None = None,
    discrete_x: Any = "auto",
    discrete_y: Any = "auto",
    **options: Any,
) -> Difference:
    """Estimate the transfer entropy from series x to series y.

    An interrupt (Ctrl-C) or the end of the time budget ends the work early.

    Args:
        x: The series that may drive, (n,) or (n, d): a row for each moment, at equal steps.
        y: The series that may be driven, at the same moments.
        estimator: One of `estimate_mi` that has folds, so not ``ksg`` or ``mine``.
        lags: Steps back at which x is looked at: several such as [1, 2, 5], or a number L for 1 to L.
        own_lags: Steps back at which y itself is; None takes ``lags``.
        groups: A name or number for each moment where several recordings follow one another; no past reaches from one
            into another, and an error is made of sums over recordings.
        blocks: Moments that count together in an error, or ``auto`` for a length from the autocorrelations of both
            series; None takes the longest lag and the cube root of n.
        discrete_x: As of `estimate_mi`.
        discrete_y: Likewise.
        options: ``folds``, ``level``, ``seed``, ``device``, ``progress``, ``time_budget``, ``ranks``, ``fitting`` and
            ``unit``, as of `estimate_mi`.

    Raises:
        ValueError: The series or an option cannot be used.

    Example:
        >>> x, noise = np.random.default_rng(0).normal(size=(2, 1000))
        >>> y = np.append(0, x[:-1]) + noise
        >>> there, back = (transfer_entropy(*series, "gaussian", progress=False) for series in ((x, y), (y, x)))
        >>> there.interval[0] < 0.3466 < there.interval[1], back.interval[0] < 0 < back.interval[1]  # log(2) / 2, 0
        (True, True)
    """
    require_folds(estimator)
    check_indexes((x, y), ("x", "y"))
    read = [read_variable(samples, name) for samples, name in ((x, "x"), (y, "y"))]
    check_lengths([variable.numbers for variable in read], ("x", "y"))
    columns = [
        as_columns(variable, name, discrete)
        for variable, name, discrete in zip(read, "xy", (discrete_x, discrete_y), strict=True)
    ]
    others = _lags("lags", lags)
    own = others if own_lags is None else _lags("own_lags", own_lags)
    n, longest = len(columns[0].values), max(*others, *own)
    if longest > n // 10:
        raise ValueError(f"the longest lag is {longest}; give at most {n // 10} for {n:,} moments")
    now = np.arange(longest, n)
    if groups is not None:
        groups = _recordings(groups, n)
        now = now[groups[now] == groups[now - longest]]
        groups = groups[now]
    elif blocks is None:
        blocks = min(longest + math.ceil(len(now) ** (1 / 3)), len(now) // 4)
    variables = {
        "next y": (columns[1].values[now], columns[1].discrete),
        "past x": _past(columns[0], others, now),
        "past y": _past(columns[1], own, now),
    }
    informations = Informations(
        {name: values for name, (values, _) in variables.items()},
        {name: discrete for name, (_, discrete) in variables.items()},
        estimator,
        groups=groups,
        blocks=blocks,
        **options,
    )
    lagged = f"Transfer entropy at lags {_text(others)}" + ("" if own == others else f", own lags {_text(own)}")
    found = informations.sum(TRANSFER, "x to y", lagged)
    return replace(found, names=(("x", read[0].names), ("y", read[1].names)))


def _past(
    columns: Columns, lags: Sequence[int], now: Int[Array, " m"]
) -> tuple[Float[Array, "m l"], Bool[Array, " l"]]:
    """The values of a series so many steps before some moments, and which of the columns are discrete."""
    return np.concatenate([columns.values[now - lag] for lag in lags], axis=1), np.tile(columns.discrete, len(lags))


def _lags(name: str, lags: Any) -> tuple[int, ...]:
    """Steps back, in order."""
    given = lags if isinstance(lags, Sequence | np.ndarray) else [lags]
    whole = all(isinstance(lag, int | np.integer) and not isinstance(lag, bool) and lag > 0 for lag in given)
    if isinstance(lags, str) or not len(given) or not whole:
        raise ValueError(f"`{name}` is {lags!r}; give a number of steps such as 3, or several such as [1, 2, 5]")
    found = sorted({int(lag) for lag in given})
    return tuple(found) if given is lags else tuple(range(1, found[0] + 1))


def _text(lags: Sequence[int]) -> str:
    together = len(lags) > 2 and all(after - before == 1 for before, after in pairwise(lags))
    return f"{lags[0]} to {lags[-1]}" if together else ", ".join(map(str, lags))


def _recordings(groups: Any, n: int) -> Int[Array, " n"]:
    """A number for each run of moments of one name."""
    names = np.asarray(groups)
    if names.shape != (n,):
        raise ValueError(f"`groups` has the shape {names.shape}; give one name or number for each of {n:,} moments")
    return np.append(0, np.cumsum(names[1:] != names[:-1]))
