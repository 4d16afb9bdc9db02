"""The command ``dim``: parse, build objects, call the library; errors become one sentence and an exit code."""

import argparse
import dataclasses
import difflib
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings
from rich.console import Console

import deep_infomax
from deep_infomax import commands, comparison, information_commands
from deep_infomax.data import DataOptions
from deep_infomax.recipes import RECIPES, Config
from deep_infomax.run_directory import RECORDED, plain, read_config
from deep_infomax.training import InterruptedTrainingError, NonFiniteLossError, WriteError, keep_freed_memory

_GROUPS: Final = tuple(field.name for field in dataclasses.fields(Config))

_AS_IN_TRAINING: Final = "How to read the data; what is left out is as in the run's training"

_COMMANDS: Final[dict[str, Callable[..., None]]] = {
    "evaluate": commands.evaluate,
    "encode": commands.encode,
    "report": commands.report,
    "compare": comparison.compare,
    "estimate": information_commands.estimate,
    "dependency": information_commands.dependency,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dim``; the exit code is 0 (done), 1 (a failure), 2 (wrong input) or 130 (interrupted)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser, train_parser = _parser()
        if given[:1] == ["train"]:
            _set_recipe_defaults(train_parser, given[1:])
        options = parser.parse_args(_settings_alone(given))
        keep_freed_memory()
        if options.command == "train":
            _train(options.train, train_parser, given)
        else:
            _COMMANDS[options.command](**options[options.command].clone(with_meta=False).as_dict())
    except (InterruptedTrainingError, KeyboardInterrupt) as error:
        return _fail(130, str(error) or "interrupted")
    except (WriteError, NonFiniteLossError) as error:
        return _fail(1, str(error))
    except (ArgumentError, ValueError, OSError) as error:
        return _fail(2, _sentence(error))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        measuring = given[0] in ("estimate", "dependency")
        less = "samples or coordinates" if measuring else "--objective.units, or a smaller --training.batch_size"
        return _fail(1, f"out of memory; use fewer {less}")
    return 0


def _parser() -> tuple[ArgumentParser, ArgumentParser]:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    train = ArgumentParser(exit_on_error=False, description="Learn a representation from unlabelled data.")
    train.add_argument("--recipe", type=str, default="local-infonce", help=f"One of {', '.join(RECIPES)}.")
    train.add_argument("--data", type=str, default="digits", help="What to learn from; see SPEC in the README.")
    train.add_argument("--epochs", type=float | None, default=None, help="Short for --training.epochs.")
    train.add_argument("--seed", type=int, default=0, help="Of the weights, the order of the data, and all noise.")
    train.add_argument("--out", type=str | None, default=None, help="Run directory (default: runs/RECIPE-DATA-SEED).")
    train.add_argument("--probe", type=str | None, default=None, help="Labelled data for later probes.")
    train.add_argument("--resume", type=str | None, default=None, metavar="RUN", help="Continue an interrupted run.")
    train.add_argument("--config", action="config", help="YAML file of settings, such as the config.yaml of a run.")
    for field in dataclasses.fields(Config):
        train.add_class_arguments(field.type, field.name)

    evaluation = ArgumentParser(exit_on_error=False, description="Probe the frozen encoder of a run.")
    evaluation.add_argument("run", type=str, help="Run directory.")
    evaluation.add_argument("--probe", type=str | None, default=None, help="Labelled data (default: the run's own).")
    evaluation.add_argument("--metrics", type=str, default="linear,mlp,knn", help="Comma-separated protocols.")
    evaluation.add_argument("--layers", type=str | None, default=None, help="Comma-separated layers (default: all).")
    evaluation.add_argument("--seeds", type=int, default=3, help="Repetitions of each probe.")
    evaluation.add_argument("--json", action="store_true", help="Print one JSON object instead of a table.")
    _add_data_options(evaluation, _AS_IN_TRAINING)

    encode = ArgumentParser(exit_on_error=False, description="Write the representation of a data set.")
    encode.add_argument("run", type=str, help="Run directory, folder of a saved encoder, or Hub name.")
    encode.add_argument("data", type=str, metavar="SPEC", help="What to encode.")
    encode.add_argument("--out", type=str, required=True, metavar="Y.npy", help="File to write.")
    encode.add_argument("--layer", type=str, default="Y", help="Layer to write.")
    encode.add_argument("--split", type=str, default="train", help="train, test or unlabelled, as the data have them.")
    _add_data_options(encode, _AS_IN_TRAINING)

    compare = ArgumentParser(
        exit_on_error=False, description="Train, evaluate and report several methods; continues where it stopped."
    )
    compare.add_argument("--recipes", type=str, required=True, metavar="A,B,C", help="Comma-separated recipes.")
    compare.add_argument("--data", type=str, default="digits", help="What to learn from; see SPEC in the README.")
    compare.add_argument("--probe", type=str | None, default=None, help="Labelled data (default: the same).")
    compare.add_argument("--epochs", type=float | None, default=None, help="Of every method (default: each its own).")
    compare.add_argument("--batch_size", type=int | None, default=None, help="Of every method (default: each its own).")
    compare.add_argument("--seeds", type=int, default=1, help="Trainings of each method.")
    compare.add_argument("--metrics", type=str, default="mlp,linear", help="Comma-separated protocols.")
    compare.add_argument("--layers", type=str | None, default=None, help="Comma-separated layers (default: all).")
    compare.add_argument("--out", type=str | None, default=None, metavar="DIR", help="(default: runs/compare-DATA)")
    _add_data_options(compare, "How to read the data")

    report = ArgumentParser(exit_on_error=False, description="Write one HTML page about one or several runs.")
    report.add_argument("runs", type=str, nargs="+", metavar="RUN", help="Run directories, or folders of them.")
    report.add_argument("--out", type=str | None, default=None, metavar="FILE.html", help="(default: in the first RUN)")

    parser = ArgumentParser(prog="dim", exit_on_error=False, version=deep_infomax.__version__, description=__doc__)
    parser.description = "Deep InfoMax: representations from unlabelled data by maximising mutual information."
    subcommands = parser.add_subcommands(required=True, dest="command")
    commands_by_name = {"train": train, "evaluate": evaluation, "encode": encode, "compare": compare, "report": report}
    for name, command in (commands_by_name | _information_parsers()).items():
        subcommands.add_subcommand(name, command, help=command.description)
    return parser, train


def _information_parsers() -> dict[str, ArgumentParser]:
    estimate = ArgumentParser(exit_on_error=False, description="Estimate the mutual information of paired samples.")
    for name in ("x", "y"):
        estimate.add_argument(name, type=str, metavar=f"{name.upper()}.npy", help="Samples: .npy, .npz or .csv.")
    known = "auto, jsd, infonce, nwj, smile, gaussian, ksg, mine"
    estimate.add_argument("--estimator", type=str, default="auto", help=f"One of {known}.")
    estimate.add_argument("--permutations", type=int, default=0, help="Shuffles for a test of independence (0: none).")
    estimate.add_argument(
        "--check_processing", action="store_true", help="Also see that y in quarters tells no more about x than y."
    )
    dependency = ArgumentParser(exit_on_error=False, description="Estimate how much coordinates depend on each other.")
    dependency.add_argument("z", type=str, metavar="Z.npy", help="Samples: .npy, .npz or .csv.")
    dependency.add_argument("--method", type=str, default="auto", help="One of auto, joint, chain, dim (the paper's).")
    for parser in (estimate, dependency):
        parser.add_argument("--folds", type=int, default=5, help="Parts of the samples, each held out once.")
        parser.add_argument("--level", type=float, default=0.95, help="Of the interval.")
        parser.add_argument("--seed", type=int, default=0, help="Of the split and of the training.")
        parser.add_argument(
            "--time_budget", type=float | None, default=None, metavar="SECONDS", help="What all may take, about."
        )
        parser.add_argument("--ranks", type=bool, default=True, help="Make coordinates normal through their ranks.")
        parser.add_argument("--plot", type=str | None, default=None, metavar="FILE.png", help="Figure: png, svg, pdf.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object instead of a table.")
    return {"estimate": estimate, "dependency": dependency}


def _add_data_options(parser: ArgumentParser, title: str) -> None:
    """The flags of ``dim train`` that say how data are read; the result holds those that are given."""
    parser.add_class_arguments(DataOptions, "data_options", skip={"flip"})  # which only training does
    names = {field.name for field in dataclasses.fields(DataOptions)} - {"flip"}
    parser.set_defaults({f"data_options.{name}": argparse.SUPPRESS for name in names})
    assert parser.groups is not None
    parser.groups["data_options"].title = title


def _train(options: Namespace, parser: ArgumentParser, given: Sequence[str]) -> None:
    if options.resume is not None:
        if list(given) not in (["train", "--resume", options.resume], ["train", f"--resume={options.resume}"]):
            raise ValueError("--resume takes the run's own configuration and no other option; leave the others out")
        run = Path(options.resume)
        settings = read_config(run)
        try:
            config = _config(parser, settings)
        except (ArgumentError, ValueError) as error:
            raise ValueError(f"{run / 'config.yaml'}: {error}; restore it or train anew") from error
        commands.resume(run, config)
        return
    if options.epochs is not None:
        options.training.epochs = options.epochs
    commands.train(
        recipe=options.recipe,
        data=options.data,
        config=_config(parser, options.as_dict()),
        seed=options.seed,
        probe=options.probe,
        out=options.out,
        command=f"dim {shlex.join(given)}",
    )


def _set_recipe_defaults(parser: ArgumentParser, given: Sequence[str]) -> None:
    """Make a recipe's values the defaults, below a configuration file and flags, before all else is parsed."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for flag in ("--recipe", "--config"):
        finder.add_argument(flag)
    found, _ = finder.parse_known_args(given)
    recipe = found.recipe or _content(found.config).get("recipe") or parser.get_default("recipe")
    if not isinstance(recipe, str) or recipe not in RECIPES:
        close = difflib.get_close_matches(recipe, RECIPES, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"--recipe {recipe} is unknown{meant}; known are {', '.join(RECIPES)}")
    groups = plain(RECIPES[recipe])
    values = {f"{group}.{name}": value for group in _GROUPS for name, value in groups[group].items()}
    parser.set_defaults({"recipe": recipe} | values)


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
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"dim: {sentence}")
    return code


def _sentence(error: BaseException) -> str:
    """The message of an error as one line in the user's words: flags instead of parser keys, types by their names."""
    text = " ".join(str(error).split())
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
    text = text.replace("NoneType", "null").replace("Unexpected config", "the configuration file has no settings")
    text = text.replace("Problems parsing config", "the configuration file is no valid YAML")
    return f"{text}; see 'dim --help'" if isinstance(error, ArgumentError) else text


if __name__ == "__main__":
    sys.exit(main())
