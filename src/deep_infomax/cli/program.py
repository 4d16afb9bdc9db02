"""What ``dim`` does with the words that it is given."""

import os
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import deep_infomax
from deep_infomax.cli.errors import DONE, WRONG_INPUT, explained, in_the_commands_words, too_large
from deep_infomax.cli.options import Command, HelpWantedError, help_text, parse
from deep_infomax.cli.parser import command, find, is_command, overview
from deep_infomax.cli.streams import nobody_reads
from deep_infomax.runtime.progress import NOTES

_WORK: Final = {
    "train": ("training", "train"),
    "evaluate": ("commands", "evaluate"),
    "encode": ("commands", "encode"),
    "export": ("commands", "export"),
    "push": ("commands", "push"),
    "report": ("commands", "report"),
    "explore": ("commands", "explore"),
    "compare": ("compare", "compare"),
    "estimate": ("information", "estimate"),
    "transfer": ("information", "transfer"),
    "dependency": ("information", "dependency"),
    "pairwise": ("columns", "pairwise"),
    "rank": ("columns", "rank"),
    "study negatives": ("study", "negatives"),
    "study weights": ("study", "weights"),
    "study beta": ("study", "beta"),
}
"""The module here and the function in it that carry a command out. Each loads when it is wanted."""


def run(words: Sequence[str], work_begins: Callable[[], None]) -> int:
    """Carry out a command and answer its errors.

    Args:
        words: What is typed after ``dim``.
        work_begins: Called once all that a command needs is loaded.

    Returns:
        The exit code: 0 (done), 1 (a failure), 2 (wrong input) or 130 (interrupted).

    Raises:
        BrokenPipeError: Nobody reads what is printed.
    """
    name, taken, given = "", None, dict[str, Any]()
    try:
        name, rest = find(_asked(words))
        if not is_command(name):
            print(_about(name, rest))
            return DONE
        taken = command(name)
        given = parse(taken, rest)
        _carry_out(taken, given, words, work_begins)
        sys.stdout.flush()
    except HelpWantedError as wanted:
        print(help_text(command(name, wanted.flags.get("--recipe"))))
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, BrokenPipeError) and nobody_reads():
            raise
        if (sentence := too_large(error, given)) is not None:
            code = WRONG_INPUT
        elif (answer := explained(error, name)) is None:
            raise
        else:
            code, sentence = answer
        if sentence:
            sentence = in_the_commands_words(sentence, taken, given)
            with suppress(OSError):  # the exit code is what is left to say
                NOTES.print(f"dim: {sentence}")
        return code
    return DONE


def _asked(words: Sequence[str]) -> Sequence[str]:
    """The words of a command; ``dim help train`` is ``dim train --help``, and ``dim`` with nothing in it ``dim``."""
    if words[:1] == ["help"]:
        return [*words[1:], "--help"]
    return words if any(word not in ("", "--") for word in words) else []


def _about(group: str, rest: Sequence[str]) -> str:
    """What is printed where no command is given: the help, or the versions in use."""
    if not rest or rest[0] in ("--help", "-h"):
        return overview(group)
    if list(rest) == ["--version"] and not group:
        return _versions()
    raise ValueError(f"dim {group}".strip() + f" has no option {rest[0]}; see 'dim --help'")


def _versions() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return (
        f"deep-infomax {deep_infomax.__version__}, torch {torch.__version__}, python {platform.python_version()}, "
        f"device {device}"
    )


def _carry_out(taken: Command, given: Mapping[str, Any], words: Sequence[str], work_begins: Callable[[], None]) -> None:
    several = "LOCAL_RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") not in ("", "1")
    if several and taken.name != "train":
        raise ValueError(f"dim {taken.name} runs in one process, only dim train in several; start it by itself")
    module, function = _WORK[taken.name]
    work = getattr(import_module(f"deep_infomax.cli.{module}"), function)
    work_begins()
    if taken.name == "train":
        work(given, command=f"dim {shlex.join(words)}")
        return
    work(**_arguments(taken, given))


def _arguments(taken: Command, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a command's function takes: values given and defaults, and of each group a mapping of those given."""
    arguments: dict[str, Any] = {}
    every = taken.defaults | dict(given)
    if (file := every.pop("data_options", None)) is not None:
        from deep_infomax.cli.training import group_in_file

        arguments["data_options"] = group_in_file("data_options", file)
    for name, value in every.items():
        group, dot, setting = name.partition(".")
        if not dot:
            arguments[name] = value
        else:
            arguments.setdefault(group, {}).update({setting: value} if name in given else {})
    return arguments
