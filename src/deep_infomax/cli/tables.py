"""Figures as tables on standard output."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from deep_infomax.evaluation import Result
from deep_infomax.runtime.terminal import PlainConsole

_MOST_COLUMNS: Final = 4
"""Runs side by side in a terminal."""


def print_table(table: Table) -> None:
    """Print a table on standard output, as wide as a terminal, or as itself where there is none to fit into."""
    console = PlainConsole()
    if not console.is_terminal:
        console.width = 1000
    console.print(table)


def print_results(run: Path, results: Sequence[Result]) -> None:
    """A row for each figure of a run."""
    table = Table(title=str(run), title_justify="left")
    for heading in ("protocol", "layer", "value", "spread", "seeds", "split", "seconds"):
        table.add_column(heading, justify="right" if heading in ("value", "spread", "seconds") else "left")
    for r in results:
        digits = _digits(r)
        spread = "" if r.spread is None else f"{r.spread:.{digits}f}"
        table.add_row(
            _protocol(r), r.layer, f"{r.value:.{digits}f} {r.unit}", spread, str(len(r.seeds)),
            f"{r.split} ({r.n:,})", f"{r.seconds:.1f}",
        )  # fmt: skip
    print_table(table)


def print_comparison(names: Sequence[str], results: Sequence[Sequence[Result]]) -> None:
    """A column for each run, or where those would be too many a row for each, beside the layers.

    Figures of one protocol that were measured on different parts of data stand in rows of their own.
    """
    parts = {(_protocol(r), r.split) for found in results for r in found}
    several = Counter(protocol for protocol, _ in parts)

    def title(r: Result) -> str:
        return f"{_protocol(r)}, {r.split}" if several[_protocol(r)] > 1 else _protocol(r)

    by_run = [{(title(r), r.layer): r for r in found} for found in results]
    measured = sorted({key: None for found in by_run for key in found}, key=lambda key: key[0])
    if not measured:
        return
    layers = sorted(dict.fromkeys(layer for _, layer in measured), key=lambda layer: layer == "Y")
    narrow = len(names) <= _MOST_COLUMNS
    table = Table()
    table.add_column("protocol")
    table.add_column("layer" if narrow else "run")
    for name in names if narrow else layers:
        table.add_column(name, justify="right")

    def figure(result: Result | None) -> str:
        return "" if result is None else f"{result.value:.{_digits(result)}f} {result.unit}"

    if narrow:
        for protocol, layer in measured:
            table.add_row(protocol, layer, *(figure(found.get((protocol, layer))) for found in by_run))
    else:
        for protocol in dict.fromkeys(protocol for protocol, _ in measured):
            for name, found in zip(names, by_run, strict=True):
                figures = [figure(found.get((protocol, layer))) for layer in layers]
                if any(figures):
                    table.add_row(protocol, name, *figures)
    print_table(table)


def _protocol(result: Result) -> str:
    return result.protocol if result.variant == "default" else f"{result.protocol} ({result.variant})"


def _digits(result: Result) -> int:
    """Decimals of a figure: three where it has no unit and lies between 0 and 1."""
    return 2 if result.unit else 3
