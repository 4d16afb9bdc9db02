"""What ``dim pairwise`` and ``dim rank`` do, which look at many columns of one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deep_infomax.cli.information import check_figure, named, read, show
from deep_infomax.cli.samples import Reading
from deep_infomax.cli.samples.groups import read_groups
from deep_infomax.runtime.values import suggestion


def pairwise(
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
    """Estimate what every two columns of a file of samples share.

    Args:
        z: File of samples.
        columns: Of a table, those to read.
        header: Whether the first line of a text names its columns.
        decimal: What decimals of a text are written with.
        groups: A file that names the group of each row, or a column of the table.
        plot: File of a figure.
        json: Print one JSON object instead of a table.
        options: Of `deep_infomax.mutual_information.pairwise`.

    Raises:
        ValueError: The file, the samples in it or an option cannot be used.
        WriteError: The figure cannot be written.
        KeyboardInterrupt: An interrupt; what is known is printed.
    """
    from deep_infomax.mutual_information import pairwise as estimated

    check_figure(plot)
    readings = {"z": (Path(z), Reading(columns, header, decimal))}
    options["groups"] = None if groups is None else read_groups(groups, readings)
    found = read(readings, groups)
    show(estimated(named(found["z"]), **options), found, plot, json)


def rank(
    *,
    x: str,
    target: str,
    columns: Sequence[str] | None,
    header: bool | None,
    decimal: str | None,
    groups: str | None,
    plot: str | None,
    json: bool,
    **options: Any,
) -> None:
    """Rank the columns of a file of samples by what they share with one of them.

    Args:
        x: File of samples.
        target: The column to rank by, a name or a number.
        columns: Of a table, those to rank; None ranks all others.
        header: Whether the first line of a text names its columns.
        decimal: What decimals of a text are written with.
        groups: A file that names the group of each row, or a column of the table.
        plot: File of a figure.
        json: Print one JSON object instead of a table.
        options: Of `deep_infomax.mutual_information.rank_features`.

    Raises:
        ValueError: The file, the samples in it or an option cannot be used.
        WriteError: The figure cannot be written.
        KeyboardInterrupt: An interrupt; what is known is printed.
    """
    from deep_infomax.mutual_information import rank_features
    from deep_infomax.mutual_information.samples.names import NamedColumns

    check_figure(plot)
    wanted = columns if columns is None or target in columns else (*columns, target)
    readings = {"x": (Path(x), Reading(wanted, header, decimal))}
    options["groups"] = None if groups is None else read_groups(groups, readings)
    found = read(readings, groups)
    samples = found["x"]
    values = samples.values.reshape(len(samples.values), -1)
    names = list(samples.description["columns"]) or [str(number) for number in range(values.shape[1])]
    if target not in names:
        raise ValueError(f"`x` has no column {target} to be the `target`; {suggestion(target, names)}")
    if len(names) < 2:
        raise ValueError("`x` has no column beside the `target`; name one with `columns`")
    place = names.index(target)
    others = NamedColumns(np.delete(values, place, axis=1), tuple(names[:place] + names[place + 1 :]))
    show(rank_features(others, NamedColumns(values[:, [place]], (target,)), **options), found, plot, json)
