"""``dim train``: a recipe, a file and flags become one configuration, and a run begins or goes on."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from torch import distributed as dist

from deep_infomax.experiments import train as experiment
from deep_infomax.experiments.run_directory import RECORDED, Settings, read_settings
from deep_infomax.experiments.settings import GROUPS, configure, recipe_named, typed
from deep_infomax.runtime.processes import first_process
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.records import read_yaml
from deep_infomax.runtime.values import read_setting, suggestion
from deep_infomax.training import keep_freed_memory

_PLAIN: Final[dict[str, Any]] = {
    "recipe": str, "data": str, "seed": int, "probe": str | None, "out": str | None, "epochs": float | None,
}  # fmt: skip
"""What a configuration file may hold beside the groups, with its types."""


def train(given: Mapping[str, Any], *, command: str) -> None:
    """Begin a run, continue one, or print the settings of one.

    Args:
        given: The values of the flags that are given.
        command: What was typed, for the run's own configuration.

    Raises:
        ValueError: A setting or the data cannot be used, or a file cannot be read.
        InterruptedTrainingError, WriteError, LostProcessError, NonFiniteLossError: as `deep_infomax.fit`.
    """
    keep_freed_memory()
    if "resume" in given:
        if len(given) > 1:
            raise ValueError("`resume` takes the run's own configuration and no other option; leave the others out")
        run = Path(given["resume"])
        experiment.resume(run)
    else:
        settings, out = _settings(given, command)
        if given.get("print_config"):
            _print(settings, out)
            return
        run, _ = experiment.begin(experiment.default_run(settings) if out is None else Path(out), settings)
    if first_process():
        NOTES.print(f"next: dim {'evaluate' if _labelled(read_settings(run)) else 'explore'} {shlex.quote(str(run))}")
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def _labelled(settings: Settings) -> bool:
    """Whether a run has labels to be measured with."""
    return settings.probe is not None or "classes" in (settings.dataset or {})


def _print(settings: Settings, out: str | None) -> None:
    """Print what `--config` can read again."""
    content = {name: value for name, value in settings.content().items() if name not in RECORDED}
    print(yaml.safe_dump(content | ({} if out is None else {"out": out}), sort_keys=False, allow_unicode=True), end="")


def _settings(given: Mapping[str, Any], command: str) -> tuple[Settings, str | None]:
    """The settings of a run and where it is to be kept: flags override files, which override the recipe."""
    values: dict[str, Any] = {"recipe": "local-infonce", "data": "digits", "seed": 0, "probe": None, "out": None}
    changes: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    for source in (_of_files(given), given):
        values |= {name: source[name] for name in values if name in source}
        for name, value in source.items():
            group, dot, setting = name.partition(".")
            if dot:
                changes[group][setting] = value
        if source.get("epochs") is not None:  # short for another name
            changes["training"]["epochs"] = source["epochs"]
    out = values.pop("out")
    return Settings(**values, command=command, config=configure(recipe_named(values["recipe"]), changes)), out


def group_in_file(group: str, file: str) -> dict[str, Any]:
    """The settings of one group, in a file of its own.

    Raises:
        ValueError: The file cannot be read, or holds something else.
    """
    content = _read(file)
    with _in_file(file):
        return typed({group: content})[group]


def _of_files(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in the files that flags name, by the names of their own flags."""
    found: dict[str, Any] = {}
    for flag in ("config", *GROUPS):
        if flag in given:
            content = _read(given[flag])
            with _in_file(given[flag]):
                found |= _by_flag(content if flag == "config" else {flag: content})
    return found


def _by_flag(content: Mapping[str, Any]) -> dict[str, Any]:
    if "command" in content:  # that of a run records more than its settings
        content = {name: value for name, value in content.items() if name not in RECORDED}
    if unknown := [name for name in content if name not in (*_PLAIN, *GROUPS)]:
        raise ValueError(f"there is no setting {unknown[0]}; {suggestion(unknown[0], (*_PLAIN, *GROUPS))}")
    found = {name: read_setting(name, kind, content[name]) for name, kind in _PLAIN.items() if name in content}
    groups = typed({group: content[group] for group in GROUPS if group in content})
    return found | {f"{group}.{name}": value for group in groups for name, value in groups[group].items()}


def _read(file: str) -> dict[str, Any]:
    """The mapping in a YAML file, which may be a link."""
    return read_yaml(Path(file), dict, "write 'name: value' lines, as `--print_config` does", follow=True)


@contextmanager
def _in_file(file: str) -> Iterator[None]:
    """Name the file that a wrong setting stands in; it has no flags there."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{file}: {str(error).replace('`', '')}") from error
