"""Which rows of samples belong together, by a file of names or a column of a table of samples."""

from collections.abc import Mapping
from pathlib import Path

from deep_infomax.cli.samples import Reading, Samples, is_table, read_samples
from deep_infomax.cli.samples.table import Array


def read_groups(groups: str, readings: Mapping[str, tuple[Path, Reading]]) -> Array:
    """A name for each row: from a file with one column, or from a column of one of the tables of samples.

    Raises:
        ValueError: It is neither, or cannot be read.
    """
    path = Path(groups)
    _, reading = next(iter(readings.values()))
    if path.suffix and path.exists():
        values = read_samples(path, "groups", Reading(None, reading.header, reading.decimal)).values
        if values.size != len(values):
            raise ValueError(f"`groups`: {groups} has the shape {values.shape}; give a file with one column")
        return values.reshape(-1)
    refused = None
    for name, (table, how) in readings.items():
        if is_table(table):
            try:
                return read_samples(table, name, how._replace(columns=[groups])).values[:, 0]
            except ValueError as error:
                refused = refused or error
    if refused is not None and "has no column" not in str(refused):
        raise refused
    raise ValueError(f"`groups` is {groups}, which is neither a file nor a column of the samples; give one of the two")


def without(samples: Samples, name: str, column: str) -> Samples:
    """Samples without a column that names groups, which was read with them."""
    known = samples.description["columns"]
    if column not in known:
        return samples
    kept = [place for place, other in enumerate(known) if other != column]
    if not kept:
        raise ValueError(f"`{name}` has no column beside that of `groups`; give another one")
    said = [*samples.description["said"], f"column {column} names groups"]
    names = [known[place] for place in kept]
    description = samples.description | {"columns": names, "shape": [len(kept)], "said": said}
    return Samples(samples.values[:, kept], description, samples.numbering)
