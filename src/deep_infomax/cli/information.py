"""What the commands around samples, ``dim estimate`` and ``dim dependency``, do once their arguments are parsed."""

from collections.abc import Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deep_infomax.cli.samples import Reading, Samples, check_numbering, check_readings, read_samples
from deep_infomax.cli.samples.groups import read_groups, without
from deep_infomax.runtime.files import check_output, save_figure
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.values import suggestion
from deep_infomax.training import WriteError

if TYPE_CHECKING:
    from deep_infomax.mutual_information import Dependency, Estimate

FIGURES: Final = (".png", ".svg", ".pdf")
"""Endings of the files that a figure can be written to."""


def estimate(
    *,
    x: str,
    y: str,
    columns: Sequence[str] | None,
    x_columns: Sequence[str] | None,
    y_columns: Sequence[str] | None,
    header: bool | None,
    decimal: str | None,
    discrete_x: Sequence[str] | None,
    discrete_y: Sequence[str] | None,
    groups: str | None,
    check_processing: bool,
    plot: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Estimate the mutual information of two files of samples.

    Args:
        x: File of the one variable's samples.
        y: File of the other's.
        columns: Of tables, those to read.
        x_columns: Of x alone.
        y_columns: Of y alone.
        header: Whether the first line of a text names its columns.
        decimal: What decimals of a text are written with.
        discrete_x: Columns of x that hold categories, or ``true``, ``false`` or ``auto``.
        discrete_y: Of y.
        groups: A file that names the group of each row, or a column of x or of y.
        check_processing: Also estimate what quarters of y tell about x, in half of the time each.
        plot: File of a figure.
        json: Print one JSON object instead of a table.
        options: Of `estimate_mi`.

    Raises:
        ValueError: A file, the samples in it or an option cannot be used.
        WriteError: The figure cannot be written.
        KeyboardInterrupt: An interrupt; what is known is printed.
    """
    from deep_infomax.mutual_information import check_data_processing, estimate_mi
    from deep_infomax.mutual_information.checks import require_quarters

    _check_figure(plot)
    if check_processing:
        require_quarters(options["estimator"])
        options["time_budget"] = options["time_budget"] and options["time_budget"] / 2
    readings = {
        "x": (Path(x), Reading(x_columns or columns, header, decimal)),
        "y": (Path(y), Reading(y_columns or columns, header, decimal)),
    }
    named = None if groups is None else read_groups(groups, readings)
    found = _read(readings, groups)
    check_numbering(found["x"], found["y"])
    samples = found["x"].values, found["y"].values
    options["discrete_x"] = _discrete(found["x"], "x", discrete_x)
    options["discrete_y"] = _discrete(found["y"], "y", discrete_y)
    options["groups"] = named
    result = estimate_mi(*samples, **options)
    check = check_data_processing(*samples, whole=result, **options) if check_processing and result.finished else None
    if json:
        processing = {"processing": None if check is None else check.to_json()} if check_processing else {}
        read = {"samples": {name: one.description for name, one in found.items()}}
        print(dumps(result.to_json() | read | processing))
    else:
        print(result if check is None else f"{result}\n{check}")
    _draw(result, plot)
    _end(result if check is None else check.processed)


def dependency(
    *,
    z: str,
    columns: Sequence[str] | None,
    header: bool | None,
    decimal: str | None,
    plot: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Estimate how much the coordinates of a file of samples depend on each other.

    Args:
        z: File of samples.
        columns: Of a table, those to read.
        header: Whether the first line of a text names its columns.
        decimal: What decimals of a text are written with.
        plot: File of a figure.
        json: Print one JSON object instead of a table.
        options: Of `neural_dependency`.

    Raises:
        ValueError: The file, the samples in it or an option cannot be used.
        WriteError: The figure cannot be written.
        KeyboardInterrupt: An interrupt; what is known is printed.
    """
    from deep_infomax.mutual_information import neural_dependency

    _check_figure(plot)
    [found] = _read({"z": (Path(z), Reading(columns, header, decimal))}).values()
    result = neural_dependency(found.values, **options)
    print(dumps(result.to_json() | {"samples": {"z": found.description}}) if json else result)
    _draw(result, plot)
    _end(result)


def _read(readings: Mapping[str, tuple[Path, Reading]], groups: str | None = None) -> dict[str, Samples]:
    """The samples in files; what was decided while reading is said before anything else is.

    A column that names groups is no sample.
    """
    check_readings(readings)
    found = {name: read_samples(path, name, reading) for name, (path, reading) in readings.items()}
    if groups is not None:
        found = {name: without(samples, name, groups) for name, samples in found.items()}
    for name, samples in found.items():
        NOTES.print(f"{name}: {samples}")
    return found


def _discrete(samples: Samples, name: str, said: Sequence[str] | None) -> bool | str | list[int]:
    """What is said of the discrete columns, by their numbers."""
    if said is None or (len(said) == 1 and said[0] in ("auto", "true", "false")):
        return "auto" if said is None or said[0] == "auto" else said[0] == "true"
    known = samples.description["columns"]
    unknown = [one for one in said if one not in known and not one.isdecimal()]
    if unknown:
        names = suggestion(unknown[0], known) if known else "its columns have no names, give their numbers"
        raise ValueError(f"`discrete_{name}` names the column {unknown[0]}, which `{name}` does not have; {names}")
    return [known.index(one) if one in known else int(one) for one in said]


def _check_figure(plot: str | None) -> None:
    """Let a figure that cannot be written show before the work that it is of."""
    if plot is not None:
        if Path(plot).suffix.lower() not in FIGURES:
            raise ValueError(f"`plot` is {plot}; give a file that ends in {', '.join(FIGURES)}")
        if Path(plot).is_dir():
            raise ValueError(f"`plot`: {plot} is a folder; name a file in it, such as {Path(plot) / 'figure.png'}")
        check_output(Path(plot))


def _draw(result: "Estimate | Dependency", plot: str | None) -> None:
    if plot is not None:
        try:
            save_figure(Path(plot), result.plot())
        except OSError as error:
            raise WriteError(f"{plot} cannot be written ({error.strerror}); make room for it") from error
        NOTES.print(f"wrote {plot}")


def _end(result: "Estimate | Dependency") -> None:
    """Answer an interrupt, once what was known by then has been printed."""
    if not result.finished:
        raise KeyboardInterrupt("interrupted; the figures are those known by then")
