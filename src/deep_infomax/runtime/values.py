"""Values of settings, read from what a command line, a YAML file or Python gives for them."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from deep_infomax.runtime.names import Titled

MOST: Final = 2**20
"""Units, pixels to a side, channels or processes, beyond which no setting is meant."""
MOST_INPUTS: Final = 2**40
"""Likewise of inputs, and of steps."""
MOST_SEEDS: Final = 10_000
"""Likewise of repetitions."""


class Known:
    """Names that a setting can be, beside its type: ``Annotated[str, Known(TABLE)]``; a table may grow later.

    >>> from deep_infomax.runtime.names import Entry
    >>> known = Known({"small": Entry("small", "Few units.")}, {"zoo": Entry("models", "A model of a zoo.")})
    >>> known.names(), "small" in known, "zoo:large" in known, "zoo:" in known
    (['small', 'zoo:NAME'], True, True, False)

    Args:
        table: The names.
        families: What stands before the colon of names that others know: ``zoo`` for ``zoo:NAME``.
    """

    def __init__(self, table: Mapping[str, Titled], families: Mapping[str, Titled] | None = None) -> None:
        self.table = table
        self.families = families or {}

    def names(self) -> list[str]:
        """All names, in their order, and one for each family."""
        return [*self.table, *(f"{family}:NAME" for family in self.families)]

    def __contains__(self, value: object) -> bool:
        """Whether a value is a name; of a family, any that is not empty."""
        if not isinstance(value, str):
            return False
        family, _, member = value.partition(":")
        return value in self.table or (family in self.families and bool(member))


class _UnfitError(Exception):
    """A value is none of the type that is asked for."""


class _UnknownError(_UnfitError):
    """A text is none of the names that are known."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        super().__init__(text)
        self.text = text
        self.names = names


def read_setting(name: str, kind: Any, value: Any) -> Any:
    """A value of a setting's type.

    Args:
        name: What the setting is called in an error.
        kind: `str`, `int`, `float`, `bool`, a `Literal`, ``Annotated[str, Known(...)]``, a union of such types with
            each other or None, or ``tuple[such a type, ...]``.
        value: What is given. Text stands for the number, the truth value or the list that it spells.

    Raises:
        ValueError: The value is of another type, or a number is not finite.

    >>> read_setting("epochs", float | None, "2")
    2.0
    >>> read_setting("layers", tuple[str, ...], "conv,Y")
    ('conv', 'Y')
    """
    try:
        return _read(kind, value)
    except _UnknownError as error:
        raise unknown(name, error.text, error.names) from None
    except _UnfitError:
        raise ValueError(f"`{name}` is {shown(value)}; give {wanted(kind)}") from None


def unknown(name: str, value: object, known: Iterable[str]) -> ValueError:
    """The error of a setting that names something unknown.

    >>> print(unknown("bound", "infonec", ["infonce", "jsd"]))
    `bound`: infonec is unknown; did you mean infonce? Known are infonce, jsd
    """
    return ValueError(f"`{name}`: {shown(value)} is unknown; {suggestion(value, known)}")


def suggestion(value: object, known: Iterable[str]) -> str:
    """The names that are known, led by the one that was probably meant."""
    names = list(known)
    close = difflib.get_close_matches(str(value), names, n=1)
    return f"{f'did you mean {close[0]}? Known' if close else 'known'} are {', '.join(names)}"


def choices(kind: Any) -> list[str]:
    """The words that a value of a type can be; none where any text or number will do."""
    if get_origin(kind) is Literal:
        return [str(word) for word in get_args(kind)]
    if get_origin(kind) is Annotated:
        return [name for known in _tables(kind) for name in known.names()]
    return [word for member in get_args(kind) for word in choices(member)]


def wanted(kind: Any) -> str:
    """What a value of a type is, in words.

    >>> wanted(int | None)
    'a whole number or none'
    """
    origin, members = get_origin(kind), get_args(kind)
    if names := choices(kind) if origin in (Literal, Annotated) else []:
        return f"one of {', '.join(names)}" if len(names) > 1 else names[0]
    if origin in (Union, UnionType):
        return " or ".join(map(wanted, members))
    if origin is tuple:
        return f"a list with commas between, each {wanted(members[0])}"
    words = {int: "a whole number", float: "a finite number", bool: "true or false", NoneType: "none"}
    return words.get(kind, "a name or other text")


def shown(value: object) -> str:
    """A value as YAML and the command line spell it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    return repr(value) if value == "" else str(value)


def require_count(name: str, value: int, most: int = MOST) -> None:
    """Raise ValueError for a number of things, or a size of one, that is below 1 or more than a computer can hold.

    >>> require_count("seeds", 0)
    Traceback (most recent call last):
    ValueError: `seeds` is 0; give 1 or more
    >>> require_count("objective.units", 2**62)
    Traceback (most recent call last):
    ValueError: `objective.units` is 4611686018427387904; give at most 1048576
    """
    if value < 1:
        raise ValueError(f"`{name}` is {value}; give 1 or more")
    if value > most:
        raise ValueError(f"`{name}` is {value}; give at most {most}")


def _read(kind: Any, value: Any) -> Any:
    origin, members = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _read_any(members, value)
    if origin is tuple:
        return tuple(_read(members[0], part) for part in _parts(value))
    if origin is Literal:
        return _one_of(members, value)
    if origin is Annotated:
        return value if any(value in known for known in _tables(kind)) else _one_of(choices(kind), value)
    text = value.strip().lower() if isinstance(value, str) else None
    if kind is NoneType and value is None:
        return None
    if kind is str and isinstance(value, str) and "\0" not in value:
        return value
    if kind is bool and (isinstance(value, bool) or text in ("true", "false", "yes", "no")):
        return value if text is None else text in ("true", "yes")
    if kind in (int, float) and not isinstance(value, bool):
        return _number(kind, value)
    raise _UnfitError


def _read_any(kinds: Sequence[Any], value: Any) -> Any:
    if NoneType in kinds and value in (None, "null"):
        return None
    unfit = _UnfitError()
    for kind in (kind for kind in kinds if kind is not NoneType):
        try:
            return _read(kind, value)
        except _UnfitError as error:
            unfit = error
    if NoneType in kinds and isinstance(value, str) and value.lower() == "none":
        return None
    raise unfit if len(set(kinds) - {NoneType}) == 1 else _UnfitError


def _tables(kind: Any) -> list[Known]:
    return [known for known in get_args(kind)[1:] if isinstance(known, Known)]


def _one_of(known: Sequence[Any], value: Any) -> Any:
    if value in known:
        return value
    raise _UnknownError(value, known) if isinstance(value, str) else _UnfitError


def _number(kind: Any, value: Any) -> int | float:
    if not isinstance(value, str | Real) or (kind is int and not isinstance(value, str | Integral)):
        raise _UnfitError
    try:
        number: int | float = kind(value)
    except (ValueError, OverflowError):
        raise _UnfitError from None
    if not math.isfinite(number):
        raise _UnfitError
    return number


def _parts(value: Any) -> Sequence[Any]:
    """The entries of a list: of Python, of YAML, or with commas between."""
    if isinstance(value, str):
        if not value.startswith("["):
            return value.split(",")
        from deep_infomax.runtime.records import from_yaml  # here because few values need it

        try:
            value = from_yaml(value)
        except ValueError:
            raise _UnfitError from None
    if not isinstance(value, list | tuple):
        raise _UnfitError
    return value
