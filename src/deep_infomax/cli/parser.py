"""The arguments of the command ``dim``."""

import argparse
import dataclasses
from typing import Final

from jsonargparse import ArgumentParser, set_parsing_settings

import deep_infomax
from deep_infomax.bounds import BOUNDS
from deep_infomax.data import DataOptions
from deep_infomax.evaluation import METRICS
from deep_infomax.experiments.slurm import SlurmOptions
from deep_infomax.mutual_information.estimators import DEPENDENCIES, ESTIMATORS
from deep_infomax.recipes import CHOICES, RECIPES, Config

_LAYERS: Final = "Comma-separated layers (default: each metric's own, all of them for probes)."
_METRICS: Final = f"Comma-separated, of {', '.join(METRICS)}."
_AS_IN_TRAINING: Final = "How to read the data; what is left out is as in the run's training"


def build_parser() -> tuple[ArgumentParser, ArgumentParser]:
    """The parser of ``dim``, and that of ``dim train``, whose defaults a recipe sets."""
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
    for action in train._actions:  # the settings whose values are names say which
        if action.dest in CHOICES:
            action.help = f"{action.help} One of {', '.join(CHOICES[action.dest])}."

    evaluation = ArgumentParser(exit_on_error=False, description="Probe the frozen encoder of a run.")
    evaluation.add_argument("run", type=str, help="Run directory.")
    evaluation.add_argument("--probe", type=str | None, default=None, help="Labelled data (default: the run's own).")
    evaluation.add_argument("--metrics", type=str, default="linear,mlp,knn", help=_METRICS)
    evaluation.add_argument("--layers", type=str | None, default=None, help=_LAYERS)
    evaluation.add_argument("--seeds", type=int, default=3, help="Repetitions of each probe.")
    evaluation.add_argument("--json", action="store_true", help="Print one JSON object instead of a table.")
    _add_data_options(evaluation, _AS_IN_TRAINING, training=False)

    encode = ArgumentParser(exit_on_error=False, description="Write the representation of a data set.")
    encode.add_argument("run", type=str, help="Run directory, folder of a saved encoder, or Hub name.")
    encode.add_argument("data", type=str, metavar="SPEC", help="What to encode.")
    encode.add_argument("--out", type=str, required=True, metavar="Y.npy", help="File to write.")
    encode.add_argument("--layer", type=str, default="Y", help="Layer to write.")
    encode.add_argument("--split", type=str, default="train", help="train, test or unlabelled, as the data have them.")
    _add_data_options(encode, _AS_IN_TRAINING, training=False)

    compare = ArgumentParser(
        exit_on_error=False, description="Train, evaluate and report several methods; continues where it stopped."
    )
    compare.add_argument("--recipes", type=str, required=True, metavar="A,B,C", help="Comma-separated recipes.")
    compare.add_argument("--data", type=str, default="digits", help="What to learn from; see SPEC in the README.")
    compare.add_argument("--probe", type=str | None, default=None, help="Labelled data (default: the same).")
    compare.add_argument("--epochs", type=float | None, default=None, help="Of every method (default: each its own).")
    compare.add_argument("--batch_size", type=int | None, default=None, help="Of every method (default: each its own).")
    compare.add_argument("--seeds", type=int, default=1, help="Trainings of each method.")
    compare.add_argument("--metrics", type=str, default="mlp,linear", help=_METRICS)
    compare.add_argument("--layers", type=str | None, default=None, help=_LAYERS)
    compare.add_argument("--out", type=str | None, default=None, metavar="DIR", help="(default: runs/compare-DATA)")
    _add_launcher(compare)
    _add_data_options(compare, "How to read the data", training=True)

    report = ArgumentParser(exit_on_error=False, description="Write one HTML page about one or several runs.")
    report.add_argument("runs", type=str, nargs="+", metavar="RUN", help="Run directories, or folders of them.")
    report.add_argument("--out", type=str | None, default=None, metavar="FILE.html", help="(default: in the first RUN)")

    parser = ArgumentParser(prog="dim", exit_on_error=False, version=deep_infomax.__version__)
    parser.description = "Deep InfoMax: representations from unlabelled data by maximising mutual information."
    subcommands = parser.add_subcommands(required=True, dest="command")
    commands_by_name = {"train": train, "evaluate": evaluation, "encode": encode, "compare": compare, "report": report}
    study = ArgumentParser(exit_on_error=False, description="Train many encoders and draw one of the paper's figures.")
    for name, command in (commands_by_name | _information_parsers() | {"study": study}).items():
        subcommands.add_subcommand(name, command, help=command.description)
    kinds = study.add_subcommands(required=True, dest="kind")
    for name, command in _study_parsers().items():
        kinds.add_subcommand(name, command, help=command.description)
    return parser, train


def _study_parsers() -> dict[str, ArgumentParser]:
    negatives = ArgumentParser(exit_on_error=False, description="Y against the number of negatives, for some bounds.")
    negatives.add_argument(
        "--bounds", type=str, default="jsd,infonce,dv", help=f"Comma-separated, of {', '.join(BOUNDS)}."
    )
    negatives.add_argument(
        "--others", type=str | None, default=None, help="Others per vector, such as 1,4,16,all (small default)."
    )
    weights = ArgumentParser(exit_on_error=False, description="Y over grids of (alpha, beta) and of gamma.")
    for name in ("alphas", "betas", "gammas"):
        weights.add_argument(f"--{name}", type=str | None, default=None, help="Weights, such as 0,0.1,1.")
    beta = ArgumentParser(exit_on_error=False, description="Y against the weight of a beta-VAE's divergence.")
    beta.add_argument("--betas", type=str | None, default=None, help="Weights, such as 0.5,2,8,32.")
    kinds = {"negatives": negatives, "weights": weights, "beta": beta}
    for parser in kinds.values():
        parser.add_argument("--data", type=str, default="digits", help="What to learn from; see SPEC in the README.")
        parser.add_argument("--probe", type=str | None, default=None, help="Labelled data (default: the same).")
        parser.add_argument("--epochs", type=float | None, default=None, help="Of every training (20; --full: 100).")
        parser.add_argument("--batch_size", type=int | None, default=None, help="(default: the recipe's)")
        parser.add_argument("--seeds", type=int | None, default=None, help="Trainings of each setting (1; --full: 3).")
        parser.add_argument("--metrics", type=str | None, default=None, help="Comma-separated protocols, read on Y.")
        parser.add_argument("--out", type=str | None, default=None, metavar="DIR", help="(default: runs/KIND-DATA)")
        _add_launcher(parser)
        parser.add_argument("--full", action="store_true", help="The size of the paper's figure.")
        _add_data_options(parser, "How to read the data", training=True)
    return kinds


def _information_parsers() -> dict[str, ArgumentParser]:
    estimate = ArgumentParser(exit_on_error=False, description="Estimate the mutual information of paired samples.")
    for name in ("x", "y"):
        estimate.add_argument(name, type=str, metavar=f"{name.upper()}.npy", help="Samples: .npy, .npz or .csv.")
    known = ", ".join(ESTIMATORS)
    estimate.add_argument("--estimator", type=str, default="auto", help=f"One of {known}.")
    estimate.add_argument("--permutations", type=int, default=0, help="Shuffles for a test of independence (0: none).")
    estimate.add_argument(
        "--check_processing", action="store_true", help="Also see that y in quarters tells no more about x than y."
    )
    dependency = ArgumentParser(exit_on_error=False, description="Estimate how much coordinates depend on each other.")
    dependency.add_argument("z", type=str, metavar="Z.npy", help="Samples: .npy, .npz or .csv.")
    dependency.add_argument("--method", type=str, default="auto", help=f"One of {', '.join(DEPENDENCIES)}.")
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


def _add_launcher(parser: ArgumentParser) -> None:
    """The flags that say where several trainings are carried out."""
    parser.add_argument(
        "--jobs", type=int | None, default=None,
        help="Trainings at a time, which share the processor's threads (default: 1; on a cluster all).",
    )  # fmt: skip
    parser.add_argument("--launcher", type=str, default="local", help="local, or slurm: a job for each training.")
    parser.add_class_arguments(SlurmOptions, "slurm")
    parser.set_defaults({f"slurm.{field.name}": argparse.SUPPRESS for field in dataclasses.fields(SlurmOptions)})
    assert parser.groups is not None
    parser.groups["slurm"].title = "What each training asks the cluster for"


def _add_data_options(parser: ArgumentParser, title: str, *, training: bool) -> None:
    """The flags of ``dim train`` that say how data are read; the result holds those that are given."""
    skipped = set() if training else {"flip"}
    parser.add_class_arguments(DataOptions, "data_options", skip=skipped)
    names = {field.name for field in dataclasses.fields(DataOptions)} - skipped
    parser.set_defaults({f"data_options.{name}": argparse.SUPPRESS for name in names})
    assert parser.groups is not None
    parser.groups["data_options"].title = title
