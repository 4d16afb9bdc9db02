"""The command ``dim``: parse, build objects, call the library; errors become one sentence and an exit code."""

import argparse
import dataclasses
import difflib
import errno
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace
from rich.console import Console
from torch import distributed as dist

from deep_infomax.cli import commands, information
from deep_infomax.cli.calls import in_commands
from deep_infomax.cli.parser import build_parser
from deep_infomax.experiments import train
from deep_infomax.experiments.run_directory import RECORDED, Settings, plain
from deep_infomax.experiments.series import FailedTrainingError
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.runtime.allocator import out_of_memory
from deep_infomax.runtime.processes import first_process, lost_process, world_size
from deep_infomax.runtime.progress import NOTES
from deep_infomax.runtime.values import read_setting
from deep_infomax.training import (
    InterruptedTrainingError,
    LostProcessError,
    NonFiniteLossError,
    WriteError,
    keep_freed_memory,
)

_GROUPS: Final = tuple(field.name for field in dataclasses.fields(Config))

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "evaluate": commands.evaluate,
    "encode": commands.encode,
    "report": commands.report,
    "estimate": information.estimate,
    "dependency": information.dependency,
}


_LESS: Final = {
    "train": "train anew with a smaller --training.batch_size, or keep fewer inputs with --data_options.train_inputs",
    "compare": "keep fewer inputs with --data_options.train_inputs",
    "study": "keep fewer inputs with --data_options.train_inputs",
    "evaluate": "name fewer --layers",
    "encode": "encode the data in parts",
    "report": "report on fewer runs",
    "estimate": "use fewer samples or coordinates",
    "dependency": "use fewer samples or coordinates",
}
"""What takes less memory."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dim``; the exit code is 0 (done), 1 (a failure), 2 (wrong input) or 130 (interrupted)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser, train_parser = build_parser()
        if given[:1] == ["train"]:
            _set_recipe_defaults(train_parser, given[1:])
        options = parser.parse_args(_settings_alone(given))
        several = "LOCAL_RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") not in ("", "1")
        if several and options.command != "train":
            raise ValueError(
                f"dim {options.command} runs in one process, only dim train in several; start it by itself"
            )
        keep_freed_memory()
        if options.command == "train":
            _train(options.train, train_parser, given)
        elif options.command in ("compare", "study"):
            _series(options)
        else:
            _COMMANDS[options.command](**options[options.command].clone(with_meta=False).as_dict())
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
    except (InterruptedTrainingError, KeyboardInterrupt) as error:
        if world_size() > 1 and dist.get_rank() > 0:
            return 130  # the first process says it for all
        return _fail(130, str(error) or "interrupted")
    except (WriteError, NonFiniteLossError, LostProcessError, FailedTrainingError) as error:
        return _fail(1, str(error))
    except (ArgumentError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            name = error.filename or "a file"
            return _fail(1, f"{name} cannot be written ({error.strerror}); make room and try again")
        return _fail(2, _sentence(error))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and lost_process(error):
            return _fail(1, "another process of the training ended before it began; see what that one says")
        if not out_of_memory(error):
            raise
        return _fail(1, f"out of memory; {_LESS[given[0]]}")
    return 0


def _train(options: Namespace, parser: ArgumentParser, given: Sequence[str]) -> None:
    if options.resume is not None:
        if list(given) not in (["train", "--resume", options.resume], ["train", f"--resume={options.resume}"]):
            raise ValueError("--resume takes the run's own configuration and no other option; leave the others out")
        run = Path(options.resume)
        train.resume(run)
    else:
        if options.epochs is not None:
            options.training.epochs = options.epochs
        config = _config(parser, options.as_dict())
        command = f"dim {shlex.join(given)}"
        settings = Settings(options.recipe, command, options.seed, options.data, options.probe, config)
        run, _ = train.begin(train.default_run(settings) if options.out is None else Path(options.out), settings)
    if first_process():
        NOTES.print(f"next: dim evaluate {shlex.quote(str(run))}")


def _series(options: Namespace) -> None:
    """The commands that train several encoders and draw what they found."""
    from deep_infomax.cli import compare, study  # drawing takes a second to load, which no other command needs

    if options.command == "compare":
        compare.compare(**_lists(options.compare))
        return
    kinds: dict[str, Callable[..., None]] = {
        "negatives": study.negatives, "weights": study.weights, "beta": study.beta,
    }  # fmt: skip
    kinds[options.study.kind](**_lists(options.study[options.study.kind]))


_LISTS: Final[dict[str, Any]] = {
    "recipes": tuple[str, ...],
    "metrics": tuple[str, ...] | None,
    "layers": tuple[str, ...] | None,
    "bounds": tuple[str, ...],
    "others": tuple[int | Literal["all"], ...] | None,
    "alphas": tuple[float, ...] | None,
    "betas": tuple[float, ...] | None,
    "gammas": tuple[float, ...] | None,
}
"""Flags that hold several values with commas between."""


def _lists(options: Namespace) -> dict[str, Any]:
    """The values of flags, with lists in place of their text."""
    values = options.clone(with_meta=False).as_dict()
    return {
        name: read_setting(name, _LISTS[name], value) if name in _LISTS else value for name, value in values.items()
    }


def _set_recipe_defaults(parser: ArgumentParser, given: Sequence[str]) -> None:
    """Make a recipe's values the defaults, below a configuration file and flags, before all else is parsed."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in ("--recipe", "--config", "--resume"):
        finder.add_argument(flag)
    found, _ = finder.parse_known_args(given)
    if found.resume is not None:  # what an older run does not say was not there
        parser.set_defaults(_settings(Config()))
        return
    recipe = found.recipe or _content(found.config).get("recipe") or parser.get_default("recipe")
    if not isinstance(recipe, str) or recipe not in RECIPES:
        close = difflib.get_close_matches(str(recipe), RECIPES, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"--recipe {recipe} is unknown{meant}; known are {', '.join(RECIPES)}")
    parser.set_defaults({"recipe": recipe} | _settings(RECIPES[recipe]))


def _settings(config: Config) -> dict[str, Any]:
    """The values of a configuration by their keys."""
    groups = plain(config)
    return {f"{group}.{name}": value for group in _GROUPS for name, value in groups[group].items()}


def _settings_alone(given: Sequence[str]) -> list[str]:
    """The arguments, with its settings in place of a run's own config.yaml, which records more than those."""
    arguments = [part for argument in given for part in re.split("(?<=^--config)=", argument)]
    for place, (flag, file) in enumerate(pairwise(tuple(arguments)), 1):
        content = _content(file) if flag == "--config" else {}
        if "command" in content:
            arguments[place] = yaml.safe_dump({key: value for key, value in content.items() if key not in RECORDED})
    return arguments


def _content(config: str | None) -> dict[str, Any]:
    """What a configuration file says; whatever is wrong with the file shows when it is parsed."""
    try:
        content = yaml.safe_load(Path(config).read_text()) if config else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _config(parser: ArgumentParser, settings: dict[str, Any]) -> Config:
    """The typed configuration in a mapping with its groups."""
    if bare := [group for group in _GROUPS if not isinstance(settings[group], dict)]:
        raise ValueError(f"the configuration has no settings under {bare[0]}; list some, or leave {bare[0]} out")
    groups = parser.instantiate(parser.parse_object({group: settings[group] for group in _GROUPS}))
    return Config(**{group: groups[group] for group in _GROUPS})


def _fail(code: int, sentence: str) -> int:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"dim: {in_commands(sentence)}")
    return code


def _sentence(error: BaseException) -> str:
    """The message of an error as one line in the user's words: flags instead of parser keys, types by their names."""
    text = " ".join(str(error).split())
    text = re.sub(
        r"Expected more than 1 value per channel when training, got input size torch\.Size\([\[\]\d, ]*\)",
        "batch normalisation needs at least 2 inputs in every step; raise the batch size",
        text,
    )
    text = re.sub(r"Parser key \"([^\"]+)\": ", r"--\1: ", text)
    text = text.replace("Expected a <class 'tuple'>. Got value: ", "expected a list in brackets, such as '[a,b]', got ")
    union = r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)\] Errors:.*Given value: "
    text = re.sub(union, r"Expected one of \1. Got value: ", text)
    text = re.sub(r"<class '(\w+)'>", r"\1", text)
    text = re.sub(r"typing\.Literal\[(.*?)\]", r"\1", text)
    text = re.sub(r"Expected an? (.*?)\. Got value: ", r"expected \1, got ", text, flags=re.IGNORECASE)
    text = re.sub(r"Expected one of (.*?)\. Got value: ", r"expected \1, got ", text)
    text = re.sub(r"Subcommand '(\w+)' does not accept option '([\w.]+)'", r"\1 has no setting \2", text)
    text = re.sub(r"\b(?:estimate|dependency)\.([xyz])\b", lambda name: f"{name[1].upper()}.npy", text)
    text = re.sub(r"\bcompare\.(\w+)", r"--\1", text).replace('"study.kind"', "study")
    text = text.replace("NoneType", "null").replace("Unexpected config", "the configuration file has no settings")
    text = text.replace("Problems parsing config", "the configuration file is no valid YAML")
    return f"{text}; see 'dim --help'" if isinstance(error, ArgumentError) else text
