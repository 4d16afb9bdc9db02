"""Figures as tables on standard output."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from deep_infomax.evaluation import Result
from deep_infomax.runtime.figures import decimals, sampling_error, spread_text
from deep_infomax.runtime.terminal import PlainConsole
from deep_infomax.runtime.verdict import FLOORS, Figure, verdict

_MOST_COLUMNS: Final = 4
"""Runs side by side in a terminal."""


def print_table(table: Table, *said: str) -> None:
    """Print a table on standard output, as wide as a terminal, or as itself where there is none to fit into.

    Below it stand lines of what has to be known of it; empty ones are left out.
    """
    console = PlainConsole()
    if not console.is_terminal:
        console.width = 1000
    console.print(table)
    for line in filter(None, said):
        console.print(line, highlight=False)


def print_results(run: Path, results: Sequence[Result]) -> None:
    """A row for each figure of a run, what costs nothing beside Y, and what has to be known of them."""
    own, floors = _parted(results)
    table = Table(title=str(run), title_justify="left")
    for heading in ("protocol", "layer", "value", "± over probe seeds", "probe seeds", "split", "seconds"):
        table.add_column(heading, justify="right" if heading in ("value", "± over probe seeds", "seconds") else "left")
    for r in own:
        spread, seeds = spread_text(r.spread, decimals(r.unit, r.n)), str(len(r.seeds) or "none drawn")
        table.add_row(
            _protocol(r), r.layer, _figure(r) + _ceiling(r), spread, seeds, f"{r.split} ({r.n:,})", f"{r.seconds:.1f}"
        )
    warnings = (
        f"{_protocol(r)} on {r.layer}: {warning}."
        for r in results
        for warning in dict.fromkeys(said for details in r.details for said in details.get("warnings", ()))
    )
    print_table(table, _error(results), *warnings)
    print_floors([r for r in own if r.layer == "Y"], floors)


def print_floors(vector: Sequence[Result], floors: Sequence[Result]) -> None:
    """Y beside what costs nothing, a row for each protocol, and what that comes to; nothing without floors."""
    if not floors:
        return
    found = {(_protocol(r), r.layer): r for r in (*vector, *floors)}
    names = [name for name in ("Y", *FLOORS) if any(layer == name for _, layer in found)]
    table = Table(title="Y beside what costs nothing", title_justify="left")
    table.add_column("protocol")
    for name in names:
        table.add_column(FLOORS[name].title if name in FLOORS else name, justify="right")
    for protocol in dict.fromkeys(_protocol(r) for r in floors):
        results = (found.get((protocol, name)) for name in names)
        table.add_row(protocol, *("" if r is None else _figure(r) for r in results))
    print_table(table, *_verdict([*vector, *floors]))


def _parted(results: Iterable[Result]) -> tuple[list[Result], list[Result]]:
    """Results of the encoder's layers, and of the floors."""
    found = list(results)
    return [r for r in found if r.layer not in FLOORS], [r for r in found if r.layer in FLOORS]


def _verdict(results: Iterable[Result]) -> list[str]:
    return verdict(Figure(r.metric, r.variant, r.layer, r.value, r.n, r.units) for r in results if r.unit == "%")


def _figure(result: Result) -> str:
    return f"{result.value:.{decimals(result.unit, result.n)}f} {result.unit}".rstrip()


def _ceiling(result: Result) -> str:
    """The largest value that a bound could have."""
    ceiling = result.details[0].get("ceiling") if result.metric == "bound" and result.details else None
    return "" if ceiling is None else f" of at most {ceiling:.2f}"


def _error(results: Iterable[Result]) -> str:
    return sampling_error(result.n for result in results if result.unit == "%")


def print_comparison(names: Sequence[str], results: Sequence[Sequence[Result]]) -> None:
    """A column for each run, or where those would be too many a row for each, beside the layers.

    Figures of one protocol that were measured on different parts of data stand in rows of their own.
    """
    parts = {(_protocol(r), r.split) for found in results for r in found}
    several = Counter(protocol for protocol, _ in parts)

    def title(r: Result) -> str:
        return f"{_protocol(r)}, {r.split}" if several[_protocol(r)] > 1 else _protocol(r)

    by_run = [{(title(r), r.layer): r for r in own} for own, _ in map(_parted, results)]
    measured = sorted({key: None for found in by_run for key in found}, key=lambda key: key[0])
    if not measured:
        return
    layers = sorted(dict.fromkeys(layer for _, layer in measured), key=lambda layer: layer == "Y")
    narrow = len(names) <= _MOST_COLUMNS
    several_seeds = any(len(r.seeds) > 1 for found in results for r in found)
    said = ["Means over probe seeds." * several_seeds, _error(r for found in results for r in found)]
    table = Table()
    table.add_column("protocol")
    table.add_column("layer" if narrow else "run")
    for name in names if narrow else layers:
        table.add_column(name, justify="right")

    def figure(result: Result | None) -> str:
        return "" if result is None else _figure(result) + _ceiling(result)

    if narrow:
        for protocol, layer in measured:
            table.add_row(protocol, layer, *(figure(found.get((protocol, layer))) for found in by_run))
    else:
        for protocol in dict.fromkeys(protocol for protocol, _ in measured):
            for name, found in zip(names, by_run, strict=True):
                figures = [figure(found.get((protocol, layer))) for layer in layers]
                if any(figures):
                    table.add_row(protocol, name, *figures)
    print_table(table, " ".join(filter(None, said)))
    for name, of_run in zip(names, results, strict=True):
        own, floors = _parted(of_run)
        vector = [r for r in own if r.layer == "Y"]
        if len(names) == 1:
            print_floors(vector, floors)
        elif said := _verdict([*vector, *floors]):
            print(f"{name}: {said[0]}")


def _protocol(result: Result) -> str:
    return result.protocol if result.variant == "default" else f"{result.protocol} ({result.variant})"
