"""Tables of the runs of `mutual_information.py`: figures by task and kind, coverage, misses, and estimators compared.

A run *misses* where its interval does not hold the truth, *silently* where no warning but one about equal values goes
with it. An infinite truth (None in the records) is held by an interval that is open above. An interval that the
estimator withheld counts neither as held nor as missed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

Record = dict[str, Any]
OTHERS: Final = ("scikit-learn", "ksg-3", "cca", "torch-mist")
"""Estimators that are not ours."""
TIES: Final = "equal values"
HEADINGS: Final = (
    "task",
    "truth",
    "mean",
    "spread",
    "bias",
    "wanted",
    "covered",
    "withheld",
    "open",
    "silent misses",
    "s",
)


def print_tables(records: Sequence[Record], groups: Mapping[str, Sequence[str]]) -> None:
    """Everything that is there of tasks by kind."""
    for n in sorted({r["n"] for r in records}):
        for kind, names in groups.items():
            of_kind = [r for r in records if r["n"] == n and r["task"] in names]
            for estimator in sorted({r["estimator"] for r in of_kind} - {*OTHERS}):
                print_kind(kind, names, n, [r for r in of_kind if r["estimator"] == estimator])
            print_comparison(kind, names, n, of_kind)
    print_sums([r for r in records if r["estimator"] == "auto"], groups)


def holds(record: Record) -> bool | None:
    """Whether the interval holds the truth; None where there is no interval."""
    if record["interval"] is None:
        return None
    low, high = record["interval"]
    truth = math.inf if record["truth"] is None else record["truth"]
    return bool((-math.inf if low is None else low) <= truth <= (math.inf if high is None else high))


def is_silent(record: Record) -> bool:
    """Whether it misses without a warning that tells of it."""
    return holds(record) is False and all(TIES in warning for warning in record["warnings"])


def is_open(record: Record) -> bool:
    return record["interval"] is not None and record["interval"][1] is None


def overstates(record: Record) -> bool:
    """Whether the lower bound lies above the truth."""
    bound, truth = record.get("lower_bound"), record["truth"]
    return bound is not None and truth is not None and bound > truth


def coverage(runs: Sequence[Record]) -> str:
    given = [held for r in runs if (held := holds(r)) is not None]
    return f"{sum(given)}/{len(given)}"


def print_kind(kind: str, names: Sequence[str], n: int, runs: Sequence[Record]) -> None:
    print(f"\n### {kind[0].upper()}{kind[1:]}, {runs[0]['estimator']}, n = {n:,}, nats\n\n{row(HEADINGS)}\n{RULE}")
    for name in names:
        if found := [r for r in runs if r["task"] == name]:
            print(row([f"`{name}`", *figures(found)]))


def figures(runs: Sequence[Record]) -> list[str]:
    """The cells of one task."""
    truth, tolerance = runs[0]["truth"], runs[0]["tolerance"]
    bias, mean, spread = moments(runs)
    missed = ", missed" if tolerance is not None and not abs(bias) <= tolerance else ""
    return [
        "∞" if truth is None else f"{truth:.4f}",
        number(mean),
        number(spread),
        number(bias, "+"),
        "-" if tolerance is None else f"{tolerance:g}{missed}",
        coverage(runs),
        str(sum(r["interval"] is None for r in runs)),
        str(sum(map(is_open, runs))),
        str(sum(map(is_silent, runs))),
        f"{np.mean([r['cpu_seconds'] for r in runs]):.1f}",
    ]


def moments(runs: Sequence[Record]) -> tuple[float, float, float]:
    """Bias, mean and spread of the estimates; NaN where there is none."""
    values = np.array([r["mi"] for r in runs if r["mi"] is not None])
    mean = float(values.mean()) if len(values) else math.nan
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return (mean - runs[0]["truth"] if runs[0]["truth"] is not None else math.nan), mean, spread


def print_comparison(kind: str, names: Sequence[str], n: int, runs: Sequence[Record]) -> None:
    """Bias ± spread of every estimator on the same samples, and which other than ours is closest.

    Where the truth is infinite, the mean stands in place of the bias.
    """
    estimators = sorted({r["estimator"] for r in runs} - {"dim"}, key=lambda e: (e in OTHERS, e))
    if len(estimators) < 2:
        return
    headings = ["task", "truth", *estimators, "best of the others"]
    print(f"\n### {kind[0].upper()}{kind[1:]}, compared, n = {n:,}: bias ± spread in nats\n")
    print(f"{row(headings)}\n{rule(headings)}")
    for name in names:
        by = {e: [r for r in runs if r["task"] == name and r["estimator"] == e] for e in estimators}
        if not any(by.values()):
            continue
        found = {e: moments(of_it) if of_it else (math.nan,) * 3 for e, of_it in by.items()}
        others = {e: abs(bias) for e, (bias, *_) in found.items() if e in OTHERS and not math.isnan(bias)}
        shown = {e: (mean, "") if math.isnan(bias) else (bias, "+") for e, (bias, mean, _) in found.items()}
        cells = [f"{number(*shown[e], 3)} ± {number(spread, places=2)}" for e, (*_, spread) in found.items()]
        best = min(others, key=lambda e: others[e]) if others else "-"
        truth = next(r["truth"] for of_it in by.values() for r in of_it)
        print(row([f"`{name}`", "∞" if truth is None else f"{truth:.3f}", *cells, best]))


def print_sums(runs: Sequence[Record], groups: Mapping[str, Sequence[str]]) -> None:
    """Coverage by kind and on the whole, and every miss by name."""
    if not runs:
        return
    headings = ["kind", "n", "runs", "covered", "withheld", "open", "silent misses", "bounds above the truth", "s"]
    print(f"\n### Coverage\n\n{row(headings)}\n{rule(headings)}")
    sizes = sorted({r["n"] for r in runs})
    parts = [(kind, f"{n:,}", [r for r in runs if r["task"] in names and r["n"] == n])
             for kind, names in groups.items() for n in sizes]  # fmt: skip
    new = [name for kind, names in groups.items() if kind != "literature" for name in names]
    parts += [("all but the literature", "all", [r for r in runs if r["task"] in new]), ("all", "all", list(runs))]
    for kind, n, of_it in parts:
        if of_it:
            sums = [sum(map(what, of_it)) for what in (lambda r: r["interval"] is None, is_open, is_silent, overstates)]
            seconds = np.mean([r["cpu_seconds"] for r in of_it])
            print(row([kind, n, str(len(of_it)), coverage(of_it), *map(str, sums), f"{seconds:.1f}"]))
    for record in runs:
        if holds(record) is False:
            silent = " SILENT" if is_silent(record) else ""
            print(f"missed{silent}: {record['task']}, n = {record['n']:,}, seed {record['seed']}: ", end="")
            print(f"{record['interval']}, truth {record['truth']}")
    cpu, peak = sum(r["cpu_seconds"] for r in runs), max(r["peak_mb"] for r in runs)
    print(f"\n{len(runs)} runs, {cpu / 3600:.2f} hours of one processor, at most {peak:.0f} MB.")


def number(value: float, sign: str = "", places: int = 4) -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.{places}f}"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rule(headings: Sequence[str]) -> str:
    return f"|---|{'--:|' * (len(headings) - 1)}"


RULE: Final = rule(HEADINGS)
