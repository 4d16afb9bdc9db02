"""What ``dim estimate``, ``dim transfer`` and ``dim dependency`` do once their arguments are parsed."""

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
    from deep_infomax.mutual_information import ProcessingCheck, SampleSizeCheck

FIGURES: Final = (".png", ".svg", ".pdf")
"""Endings of the files that a figure can be written to."""


def estimate(
    *,
    x: str,
    y: str,
    columns: Sequence[str] | None,
    x_columns: Sequence[str] | None,
    y_columns: Sequence[str] | None,
    given: str | None,
    given_columns: Sequence[str] | None,
    interaction: bool,
    header: bool | None,
    decimal: str | None,
    discrete_x: Sequence[str] | None,
    discrete_y: Sequence[str] | None,
    groups: str | None,
    check_processing: bool,
    check_sample_size: bool,
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
        given: File of what is given, for conditional information.
        given_columns: Of it alone.
        interaction: Estimate by how much more x and y share given that, instead.
        header: Whether the first line of a text names its columns.
        decimal: What decimals of a text are written with.
        discrete_x: Columns of x that hold categories, or ``true``, ``false`` or ``auto``.
        discrete_y: Of y.
        groups: A file that names the group of each row, or a column of x or of y.
        check_processing: Also estimate what quarters of y tell about x, in half of the time each.
        check_sample_size: Also estimate from halves and quarters of the samples, in half of the time as well.
        plot: File of a figure.
        json: Print one JSON object instead of a table.
        options: Of `estimate_mi`.

    Raises:
        ValueError: A file, the samples in it or an option cannot be used.
        WriteError: The figure cannot be written.
        KeyboardInterrupt: An interrupt; what is known is printed.
    """
    check_figure(plot)
    files = {"x": (x, x_columns), "y": (y, y_columns)} | ({} if given is None else {"given": (given, given_columns)})
    readings = {name: (Path(file), Reading(own or columns, header, decimal)) for name, (file, own) in files.items()}
    if given is None and (interaction or given_columns):
        raise ValueError("`interaction` and `given_columns` are about what is given; name its file with `given`")
    if given is not None:
        _require_none_of(options.pop("permutations"), check_processing, check_sample_size)
    options["groups"] = None if groups is None else read_groups(groups, readings)
    found = read(readings, groups)
    for name in list(found)[1:]:
        check_numbering(found["x"], found[name], ("x", name))
    options["discrete_x"] = _discrete(found["x"], "x", discrete_x)
    options["discrete_y"] = _discrete(found["y"], "y", discrete_y)
    samples = [named(one) for one in found.values()]
    if given is not None:
        from deep_infomax.mutual_information import conditional_mi, interaction_information

        show((interaction_information if interaction else conditional_mi)(*samples, **options), found, plot, json)
        return
    _estimate(samples, found, plot, json, check_processing, check_sample_size, options)


def _estimate(
    samples: Sequence[Any],
    found: Mapping[str, Samples],
    plot: str | None,
    json: bool,
    check_processing: bool,
    check_sample_size: bool,
    options: dict[str, Any],
) -> None:
    """An estimate with the checks that are asked for, which share the time with it."""
    from deep_infomax.mutual_information import check_data_processing, estimate_mi
    from deep_infomax.mutual_information import check_sample_size as sized
    from deep_infomax.mutual_information.checks import require_quarters

    if check_processing:
        require_quarters(options["estimator"])
    parts = 1 + check_processing + check_sample_size
    options["time_budget"] = options["time_budget"] and options["time_budget"] / parts
    result = estimate_mi(*samples, **options)
    checks: dict[str, ProcessingCheck | SampleSizeCheck | None] = {}
    if check_processing:
        checks["processing"] = check_data_processing(*samples, whole=result, **options) if result.finished else None
    if check_sample_size:
        going_on = result.finished and all(check is not None and check.finished for check in checks.values())
        checks["sample_size"] = sized(*samples, whole=result, **options) if going_on else None
    told = {name: None if check is None else check.to_json() for name, check in checks.items()}
    _print(result, found, json, [check for check in checks.values() if check is not None], told)
    _draw(result, plot)
    _end(result.finished and all(check is not None and check.finished for check in checks.values()))


def transfer(
    *,
    x: str,
    y: str,
    lags: Sequence[int],
    own_lags: Sequence[int] | None,
    columns: Sequence[str] | None,
    x_columns: Sequence[str] | None,
    y_columns: Sequence[str] | None,
    header: bool | None,
    decimal: str | None,
    groups: str | None,
    plot: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Estimate the transfer entropy from one file of a series to another.

    Args:
        x: File of the series that may drive.
        y: File of the series that may be driven.
        lags: Steps back; a single number L stands for 1 to L.
        own_lags: Steps back of y itself, likewise; None takes the same.
        columns: Of tables, those to read.
        x_columns: Of x alone.
        y_columns: Of y alone.
        header: Whether the first line of a text names its columns.
        decimal: What decimals of a text are written with.
        groups: A file that names the recording of each moment, or a column of x or of y.
        plot: File of a figure.
        json: Print one JSON object instead of a table.
        options: Of `transfer_entropy`.

    Raises:
        ValueError: A file, the series in it or an option cannot be used.
        WriteError: The figure cannot be written.
        KeyboardInterrupt: An interrupt; what is known is printed.
    """
    from deep_infomax.mutual_information import transfer_entropy

    check_figure(plot)
    files = {"x": (x, x_columns), "y": (y, y_columns)}
    readings = {name: (Path(file), Reading(own or columns, header, decimal)) for name, (file, own) in files.items()}
    options["groups"] = None if groups is None else read_groups(groups, readings)
    found = read(readings, groups)
    check_numbering(found["x"], found["y"])
    steps = [one if one is None or len(one) > 1 else one[0] for one in (lags, own_lags)]
    samples = [named(one) for one in found.values()]
    show(transfer_entropy(*samples, lags=steps[0], own_lags=steps[1], **options), found, plot, json)


def dependency(
    *,
    z: str,
    columns: Sequence[str] | None,
    header: bool | None,
    decimal: str | None,
    groups: str | None,
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
        groups: A file that names the group of each row, or a column of z.
        plot: File of a figure.
        json: Print one JSON object instead of a table.
        options: Of `neural_dependency`.

    Raises:
        ValueError: The file, the samples in it or an option cannot be used.
        WriteError: The figure cannot be written.
        KeyboardInterrupt: An interrupt; what is known is printed.
    """
    from deep_infomax.mutual_information import neural_dependency

    check_figure(plot)
    readings = {"z": (Path(z), Reading(columns, header, decimal))}
    options["groups"] = None if groups is None else read_groups(groups, readings)
    found = read(readings, groups)
    show(neural_dependency(named(found["z"]), **options), found, plot, json)


def read(readings: Mapping[str, tuple[Path, Reading]], groups: str | None = None) -> dict[str, Samples]:
    """The samples in files; what was decided while reading is said before anything else is.

    A column that names groups is no sample. Raises ValueError where a file cannot be read.
    """
    check_readings(readings)
    found = {name: read_samples(path, name, reading) for name, (path, reading) in readings.items()}
    if groups is not None:
        found = {name: without(samples, name, groups) for name, samples in found.items()}
    for name, samples in found.items():
        NOTES.print(f"{name}: {samples}")
    return found


def named(samples: Samples) -> Any:
    """Samples with the names of their columns, where they have names."""
    from deep_infomax.mutual_information.samples.names import NamedColumns

    columns = samples.description["columns"]
    return NamedColumns(samples.values, tuple(columns)) if columns else samples.values


def show(result: Any, found: Mapping[str, Samples], plot: str | None, json: bool) -> None:
    """Print a result, draw it, and answer an interrupt."""
    _print(result, found, json)
    _draw(result, plot)
    _end(result.finished)


def _print(
    result: Any, found: Mapping[str, Samples], json: bool, checks: Sequence[Any] = (), told: Mapping[str, Any] = {}
) -> None:
    if json:
        read = {"samples": {name: one.description for name, one in found.items()}}
        print(dumps(result.to_json() | read | dict(told)))
    else:
        print("\n".join(map(str, (result, *checks))))


def _require_none_of(permutations: int, check_processing: bool, check_sample_size: bool) -> None:
    """Refuse what is about two variables where a third one is given."""
    told = {"permutations": permutations, "check_processing": check_processing, "check_sample_size": check_sample_size}
    if asked := [name for name, value in told.items() if value]:
        raise ValueError(f"`{asked[0]}` is about x and y alone; leave it out, or leave out `given`")


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


def check_figure(plot: str | None) -> None:
    """Let a figure that cannot be written show before the work that it is of."""
    if plot is not None:
        if Path(plot).suffix.lower() not in FIGURES:
            raise ValueError(f"`plot` is {plot}; give a file that ends in {', '.join(FIGURES)}")
        if Path(plot).is_dir():
            raise ValueError(f"`plot`: {plot} is a folder; name a file in it, such as {Path(plot) / 'figure.png'}")
        check_output(Path(plot))


def _draw(result: Any, plot: str | None) -> None:
    if plot is not None:
        try:
            save_figure(Path(plot), result.plot())
        except OSError as error:
            raise WriteError(f"{plot} cannot be written ({error.strerror}); make room for it") from error
        NOTES.print(f"wrote {plot}")


def _end(finished: bool) -> None:
    """Answer an interrupt, once what was known by then has been printed."""
    if not finished:
        raise KeyboardInterrupt("interrupted; the figures are those known by then")
