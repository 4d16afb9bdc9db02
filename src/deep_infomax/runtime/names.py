"""Entries of tables of names: what a user can name has a title and a meaning, which help, reports and pages show."""

from typing import NamedTuple, Protocol, runtime_checkable


@runtime_checkable
class Titled(Protocol):
    """An entry of a table of names."""

    @property
    def title(self) -> str:
        """What the field calls it, as in a table or a figure."""
        ...

    @property
    def meaning(self) -> str:
        """What it is, in one sentence."""
        ...


class Entry(NamedTuple):
    """A title and a meaning, and nothing else."""

    title: str
    meaning: str
