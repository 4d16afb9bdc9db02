"""What `dim` says of itself, and that its examples can be typed."""

import shlex
import subprocess
import sys

import pytest

from deep_infomax.cli import main
from deep_infomax.cli.options import Command, Option, help_text, parse
from deep_infomax.cli.parser import ENTRIES, command, find, overview

GROUPS = ["", "study"]
NO_WORDS_OF_PYTHON = ("type:", "<class", "Union", "NoneType", "Literal", "Optional", "Annotated", "None", "null", "`")


@pytest.mark.parametrize("name", [*GROUPS, *ENTRIES])
def test_help_begins_with_two_examples_and_fits_a_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["", "Examples:"]
    assert all(line.startswith("  dim ") for line in lines[3:5])
    assert lines[5] == ""
    assert max(map(len, lines)) <= 100
    assert not [words for words in NO_WORDS_OF_PYTHON if words in "\n".join(lines)]


@pytest.mark.parametrize("name", ENTRIES)
def test_every_example_can_be_typed(name: str) -> None:
    for example in ENTRIES[name].examples:
        dim, *words = shlex.split(example)
        found, rest = find(words)
        assert (dim, found) == ("dim", name)
        assert parse(command(name), rest)


@pytest.mark.parametrize("name", ENTRIES)
def test_help_lists_every_option_with_its_meaning(name: str) -> None:
    for option in command(name).flags.values():
        assert f"\n  --{option.name}" in help_text(command(name))
        assert option.help.endswith((".", ")"))


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_dim_alone_prints_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == overview() + "\n"


def test_a_group_of_commands_alone_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study"]) == 0
    assert capsys.readouterr().out == overview("study") + "\n"


def test_help_of_a_recipe_shows_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--recipe", "local-jsd-paper", "--help"]) == 0
    assert "(default: 1000)" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert "(default: 1000)" not in capsys.readouterr().out


def test_the_version_names_what_figures_depend_on(capsys: pytest.CaptureFixture[str]) -> None:
    import platform

    import torch

    import deep_infomax

    assert main(["--version"]) == 0
    printed = capsys.readouterr().out
    assert f"deep-infomax {deep_infomax.__version__}, torch {torch.__version__}" in printed
    assert f"python {platform.python_version()}, device " in printed


@pytest.mark.parametrize("words", [["--help"], ["trian"], ["estimate", "--help"], ["estimate", "x.npy"]])
def test_what_needs_no_tensors_loads_no_pytorch(words: list[str]) -> None:
    code = f"import sys; from deep_infomax.cli import main; main({words}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


TOY = Command(
    "toy",
    "a toy",
    (),
    [Option("first", str, None, "First.", "FIRST"), Option("rest", tuple[str, ...], None, "Rest.", "REST")],
    {"Options": [Option("number", float, None, "A number."), Option("loud", "switch", False, "Loud.")]},
)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("a b", {"first": "a", "rest": ("b",)}),
        ("a b c --number 2", {"first": "a", "rest": ("b", "c"), "number": 2.0}),
        ("--loud a --number=-1 b", {"first": "a", "rest": ("b",), "number": -1.0, "loud": True}),
        ("a --number -1e-3 b", {"first": "a", "rest": ("b",), "number": -0.001}),
        ("--number 1 --number 2 a b", {"first": "a", "rest": ("b",), "number": 2.0}),
        ("a -- --number", {"first": "a", "rest": ("--number",)}),
    ],
)
def test_words_become_values(words: str, values: dict[str, object]) -> None:
    assert parse(TOY, words.split()) == values


def test_an_operand_that_may_be_none_can_be_left_out() -> None:
    operands = [Option("run", str, None, "A run.", "RUN"), Option("data", str | None, None, "Data.", "DATA")]
    taken = Command("show", "show a run", ("dim show a", "dim show a b"), operands, {})
    assert parse(taken, ["a"]) == {"run": "a"}
    assert parse(taken, ["a", "b"]) == {"run": "a", "data": "b"}
    assert "Usage: dim show RUN [DATA] [options]" in help_text(taken)
    with pytest.raises(ValueError, match="dim show needs RUN; see"):
        parse(taken, [])
    with pytest.raises(ValueError, match="dim show cannot use 'c'; see"):
        parse(taken, ["a", "b", "c"])
