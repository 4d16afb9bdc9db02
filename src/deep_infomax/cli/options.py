"""What a command takes, as data: its words become typed values, or one sentence, or its help.

Splitting words into flags and texts takes a page. It stands here because the wording of an argument parser's errors and
help is not part of its interface, and ours is.
"""

import ast
import dataclasses
import difflib
import inspect
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

from deep_infomax.runtime.values import choices, read_setting, shown

SWITCH: Final = "switch"
"""The type of a flag that takes no value."""
_WIDTH: Final = 100
_JOINED: Final = "\N{NO-BREAK SPACE}"
_COLUMN: Final = 34
"""Where the words about an option begin."""


class Option(NamedTuple):
    """One setting that a command takes."""

    name: str
    kind: Any
    """Its type, as `read_setting` takes it, or `SWITCH`."""
    default: Any
    help: str
    metavar: str = ""
    """What stands for its value in the help; empty for what its type suggests."""
    needed: bool = False
    """Whether the command does nothing without it."""


class Command(NamedTuple):
    """What is typed after ``dim``."""

    name: str
    summary: str
    examples: Sequence[str]
    operands: Sequence[Option]
    """What is given without a flag, in this order; one that is a list takes all, one that may be None is optional."""
    groups: Mapping[str, Sequence[Option]]
    """Its flags, by the title that they have in the help."""

    @property
    def flags(self) -> dict[str, Option]:
        """The flags by their names, without dashes."""
        return {option.name: option for options in self.groups.values() for option in options}

    @property
    def defaults(self) -> dict[str, Any]:
        """The values of flags that are not given."""
        return {name: option.default for name, option in self.flags.items()}


class HelpWantedError(Exception):
    """Help is asked for; beside it stand the other flags that are given."""

    def __init__(self, flags: Mapping[str, str | None]) -> None:
        super().__init__("help is asked for")
        self.flags = flags


def parse(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """The values that are given on a command line, by the names of the options; nothing of flags left out.

    Raises:
        ValueError: A flag is unknown, lacks its value or has one of another type; an operand is missing or left over.
        HelpWantedError: ``--help`` is among the words.
    """
    flags = command.flags
    found = list(_split(words, {name for name, option in flags.items() if option.kind == SWITCH}))
    if any(flag in ("--help", "-h") for flag, _ in found):
        raise HelpWantedError(dict(found))
    if unknown := [flag for flag, _ in found if flag and (flag[:2] != "--" or flag[2:] not in flags)]:
        raise ValueError(_unknown(command, unknown[0]))
    read = _operands(command, [text for flag, text in found if not flag])
    for flag, text in found:
        if flag:
            read[flag[2:]] = _value(command, flags[flag[2:]], text)
    if missing := [option for option in flags.values() if option.needed and option.name not in read]:
        raise ValueError(f"dim {command.name} needs {_flag_text(missing[0])}; see 'dim {command.name} --help'")
    return read


def help_text(command: Command) -> str:
    """The help of a command, which begins with its examples."""
    width = min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)
    usage = [_usage(option) for option in command.operands]
    parts = [
        "\n".join(textwrap.wrap(f"dim {command.name}: {command.summary}", width)),
        "\n".join(["Examples:", *(f"  {example}" for example in command.examples)]),
        f"Usage: {' '.join(['dim', command.name, *usage, '[options]'])}",
    ]
    if command.operands:
        parts.append(columns([(option.metavar, option.help) for option in command.operands], width))
    for title, options in command.groups.items():
        lines = [(_flag_text(option), _words(option)) for option in options]
        parts.append("\n".join([*textwrap.wrap(f"{title}:", width), columns(lines, width)]))
    return "\n\n".join(parts)


def columns(rows: Sequence[tuple[str, str]], width: int = _WIDTH, column: int = _COLUMN) -> str:
    """Terms and what is said of each, side by side."""
    lines = []
    for term, said in rows:
        wrapped = textwrap.wrap(said, max(width - column, 20), break_on_hyphens=False, break_long_words=False) or [""]
        beside = len(term) + 4 <= column
        lines.append(f"  {term:{column - 2}}{wrapped[0]}" if beside else f"  {term}")
        lines += [" " * column + line for line in wrapped[beside:]]
    return "\n".join(line.rstrip().replace(_JOINED, " ") for line in lines)


def settings_of(values: Any, group: str, skip: Sequence[str] = ()) -> list[Option]:
    """An option for each field of a dataclass, in the field's own words, with an instance's values as defaults."""
    kinds = get_type_hints(type(values), include_extras=True)
    documented = _documented(type(values))
    names = [field.name for field in dataclasses.fields(values) if field.name not in skip]
    return [Option(f"{group}.{name}", kinds[name], getattr(values, name), documented[name]) for name in names]


def _split(words: Sequence[str], switches: set[str]) -> Iterator[tuple[str, str | None]]:
    """Flags with their texts, None where there is none; an operand comes with an empty flag."""
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            yield from (("", operand) for operand in left)
            return
        flag, joined, text = word.partition("=")
        if word == "-" or not word.startswith("-"):
            yield "", word
        elif joined:
            yield flag, text
        elif flag.removeprefix("--") in switches or flag == "-h" or not left or left[0].startswith("--"):
            yield flag, None
        else:
            yield flag, left.pop(0)


def _value(command: Command, option: Option, text: str | None) -> Any:
    if (text is None) != (option.kind == SWITCH):
        takes = "a value, and none is given" if text is None else "no value"
        raise ValueError(f"--{option.name} takes {takes}; see 'dim {command.name} --help'")
    return True if text is None else read_setting(option.name, option.kind, text)


def _operands(command: Command, given: Sequence[Any]) -> dict[str, Any]:
    wanted = command.operands
    if any("\0" in text for text in given):
        raise ValueError(f"dim {command.name} cannot use a name with a character NUL; see 'dim {command.name} --help'")
    if missing := " and ".join(option.metavar for option in wanted[len(given) :] if not _is_optional(option)):
        raise ValueError(f"dim {command.name} needs {missing}; see 'dim {command.name} --help'")
    if wanted and _is_list(wanted[-1]):
        given = [*given[: len(wanted) - 1], tuple(given[len(wanted) - 1 :])]
    if len(given) > len(wanted):
        raise ValueError(f"dim {command.name} cannot use {given[len(wanted)]!r}; see 'dim {command.name} --help'")
    return dict(zip((option.name for option in wanted), given, strict=False))


def _unknown(command: Command, flag: str) -> str:
    name = flag.lstrip("-")
    within = [known for known in command.flags if known.rpartition(".")[2] == name]
    close = within or difflib.get_close_matches(name, command.flags, n=1)
    meant = f"did you mean {' or '.join(f'--{known}' for known in close)}? See" if close else "see"
    return f"dim {command.name} has no option {flag}; {meant} 'dim {command.name} --help'"


def _is_list(option: Option) -> bool:
    return get_origin(option.kind) is tuple


def _is_optional(operand: Option) -> bool:
    return type(None) in get_args(operand.kind)


def _usage(operand: Option) -> str:
    shown = f"{operand.metavar} ..." if _is_list(operand) else operand.metavar
    return f"[{shown}]" if _is_optional(operand) else shown


def _flag_text(option: Option) -> str:
    return f"--{option.name}" if option.kind == SWITCH else f"--{option.name} {option.metavar or _metavar(option.kind)}"


def _metavar(kind: Any) -> str:
    """A word for a value of a type."""
    if get_origin(kind) is tuple or any(get_origin(member) is tuple for member in get_args(kind)):
        return "A,B"
    if choices(kind):
        return "NAME"
    members = get_args(kind) or (kind,)
    words = {bool: "true|false", int: "N", float: "X"}
    return next((words[member] for member in members if member in words), "TEXT")


def _words(option: Option) -> str:
    """What the help says of an option: its purpose, the words it can be, and its default."""
    said = option.help.replace("`", "").replace("None", "none")
    said += " This option is needed." if option.needed else ""
    if names := choices(option.kind):
        said += f" {'Known' if _metavar(option.kind) == 'A,B' else 'One of'}: {', '.join(names)}."
    if option.default in (None, (), "") or option.kind == SWITCH:
        return said
    default = option.default
    text = ",".join(map(shown, default)) if isinstance(default, tuple) else _number(default)
    return f"{said} (default:{_JOINED}{text})"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else shown(value)


def _documented(kind: type) -> dict[str, str]:
    """The words below each field of a dataclass, on one line each."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in pairwise(tree.body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
