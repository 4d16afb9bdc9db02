"""Directives that show what the code itself knows: the command's help, settings, and the names of a module."""

import contextlib
import io
import os
import re
import typing
from collections.abc import Iterable
from dataclasses import Field, fields
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

from deep_infomax.cli import main
from deep_infomax.evaluation import Metric
from deep_infomax.recipes import NAMED, RECIPES


class Generated(SphinxDirective):
    """A directive whose page is made anew by every build, as the code may have changed."""

    def parse_table(self, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[nodes.Node]:
        self.env.note_reread()
        return self.parse_text_to_nodes(table(head, rows))


class CommandHelp(SphinxDirective):
    """The help of a command: ``{command-help} study negatives``."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        text = help_of(self.arguments[0].split())
        return [nodes.literal_block(text, text, language="text")]


def help_of(command: list[str]) -> str:
    """What ``dim COMMAND --help`` prints at 78 columns without colours."""
    printed = io.StringIO()
    kept = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR")}
    os.environ.update(COLUMNS="78", NO_COLOR="1")
    try:
        with contextlib.redirect_stdout(printed):
            main([*(part for part in command if part != "dim"), "--help"])
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return printed.getvalue().rstrip()


class Settings(Generated):
    """A table of a configuration class: ``{settings} deep_infomax.training.TrainingConfig``, with its flags' prefix."""

    required_arguments = 1
    option_spec: ClassVar = {"prefix": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        cls = imported(self.arguments[0])
        prefix = self.options["prefix"]
        meanings = attribute_docstrings(cls)
        types = typing.get_type_hints(cls)
        rows = [
            (
                f"`{prefix}.{field.name}`",
                shown_default(field),
                f"{meanings[field.name]} {choices(f'{prefix}.{field.name}', types[field.name])}",
            )
            for field in fields(cls)
        ]
        return self.parse_table(("setting", "default", "meaning"), rows)


class PublicNames(Generated):
    """A list of a module's public names, each with a link and its first sentence."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = import_module(self.arguments[0])
        rows = []
        for name in module.__all__:
            value = getattr(module, name)
            home = home_of(name, value)
            shown = f"{{py:obj}}`{name} <{home}.{name}>`" if home else f"`{name}`"
            rows.append((shown, first_sentence(value) if home else f"the version, {value}"))
        return self.parse_table(("name", "purpose"), rows)


class PublicModule(SphinxDirective):
    """All that a module exports: ``.. public-module:: deep_infomax.encoders``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        module = import_module(self.arguments[0])
        lines = [f".. automodule:: {module.__name__}", "   :members:", "   :undoc-members:", ""]
        for name in getattr(module, "__all__", []):
            # What is no class and no function does not know where it was defined, so automodule passes over it.
            if not hasattr(getattr(module, name), "__module__"):
                lines += [f".. py:data:: {name}", "", *(f"   {line}" for line in meaning_of(module, name))]
                lines.append("")
        return self.parse_text_to_nodes("\n".join(lines))


def meaning_of(package: ModuleType, name: str) -> list[str]:
    """What is written below a constant that a package hands on, in the module that defines it."""
    for path in sorted(Path(package.__path__[0]).rglob("*.py")):
        parts = path.relative_to(package.__path__[0]).with_suffix("").parts
        module = ".".join((package.__name__, *(part for part in parts if part != "__init__")))
        if lines := ModuleAnalyzer.for_module(module).find_attr_docs().get(("", name)):
            return lines
    raise ValueError(f"{package.__name__}.{name} has no docstring; write one below it")


class Recipes(Generated):
    """A table of the recipes, with what each changes."""

    def run(self) -> list[nodes.Node]:
        return self.parse_table(("recipe", "what it sets"), [(f"`{n}`", changes(n)) for n in RECIPES])


def changes(recipe: str) -> str:
    """What a recipe sets that differs from the defaults."""
    config, default = RECIPES[recipe], type(RECIPES[recipe])()
    groups = [(field.name, getattr(config, field.name), getattr(default, field.name)) for field in fields(config)]
    return ", ".join(
        f"`{group}.{field.name} {written(value)}`"
        for group, own, usual in groups
        for field in fields(own)
        if (value := getattr(own, field.name)) != getattr(usual, field.name)
    )


class TableOfNames(Generated):
    """A table of a mapping from names to entries with a title and a meaning: ``{names} deep_infomax.bounds.BOUNDS``.

    The option ``families`` names a mapping of what else may stand before a colon.
    """

    required_arguments = 1
    option_spec: ClassVar = {"families": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        entries: dict[str, Any] = imported(self.arguments[0])
        if families := self.options.get("families"):
            entries = entries | {f"{family}:NAME": entry for family, entry in imported(families).items()}
        head: tuple[str, ...] = ("name", "title", "meaning")
        rows = [(f"`{name}`", str(entry.title), str(entry.meaning)) for name, entry in entries.items()]
        if all(isinstance(entry, Metric) for entry in entries.values()):
            head = (*head, "layers", "labels")
            rows = [
                (*row, ", ".join(metric.layers or ("all",)), "needed" if metric.labelled else "not needed")
                for row, metric in zip(rows, entries.values(), strict=True)
            ]
        return self.parse_table(head, rows)


def imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def attribute_docstrings(cls: type) -> dict[str, str]:
    """What is written below the fields of a class."""
    found = ModuleAnalyzer.for_module(cls.__module__).find_attr_docs()
    return {name: " ".join(lines).strip() for (owner, name), lines in found.items() if owner == cls.__qualname__}


def shown_default(field: Field[Any]) -> str:
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "`[]`" if value == () else f"`{written(value)}`"


def written(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, tuple):
        return ",".join(map(written, value))
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def choices(setting: str, annotation: Any) -> str:
    """The values of a setting that has only some."""
    known = NAMED.get(setting)
    if typing.get_origin(annotation) is tuple:
        annotation = typing.get_args(annotation)[0]
    if known is None and typing.get_origin(annotation) is not typing.Literal:
        return ""
    return f"One of {', '.join(f'`{value}`' for value in (known.names() if known else typing.get_args(annotation)))}."


def home_of(name: str, value: Any) -> str | None:
    """The public module that documents what the package hands on."""
    defined = getattr(value, "__module__", None)
    if defined is None:
        return None
    package = ".".join(defined.split(".")[:2])
    return package if getattr(import_module(package), name, None) is value else str(defined)


def first_sentence(value: Any) -> str:
    text = (getdoc(value) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    return text.split(". ")[0].rstrip(".:") + "."


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in MyST's syntax."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(clean(cell) for cell in line) + " |" for line in lines)


def clean(cell: str) -> str:
    return cell.replace("``", "`").replace("|", "\\|").replace("\n", " ").strip()


def escape_stars(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Keep the star of ``(channels, *spatial)``, which docutils takes for the beginning of an emphasis."""
    lines[:] = [re.sub(r"(?<=[ (])\*(?=\w[^*]*$)", r"\\*", line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Name the directives."""
    app.add_directive("command-help", CommandHelp)
    app.add_directive("settings", Settings)
    app.add_directive("public-names", PublicNames)
    app.add_directive("recipes", Recipes)
    app.add_directive("public-module", PublicModule)
    app.add_directive("names", TableOfNames)
    app.connect("autodoc-process-docstring", escape_stars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
