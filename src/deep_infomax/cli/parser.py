"""The commands of ``dim``, and what each takes. PyTorch loads only where the options of a command come from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from deep_infomax.cli.options import SWITCH, Command, Option, columns, settings_of
from deep_infomax.runtime.values import suggestion

_SPEC: Final = "a folder of images, a .npy, .npz or parquet file, a known data set, or hub:owner/name."
_JOBS: Final = "Trainings at a time, which share the processor's threads (left out: 1; on a cluster all)."
_CLUSTER: Final = "What each training asks the cluster for"
_LAYERS: Final = "Layers to measure, such as conv,fc-linear,Y, and floors. Left out: each metric's own."
_DATA: Final = "How the data are read"
_AS_TRAINED: Final = f"{_DATA} (left out: as in the run's training)"
_OPTIONS: Final = "Options"
_SAMPLES: Final = ".npy, .npz, .csv, .tsv, .txt, .parquet or .feather."
_DISCRETE: Final = "Columns of X that hold categories, beside those of words (left out: those whose values recur)."


class Entry(NamedTuple):
    """A command whose options are not known yet."""

    summary: str
    examples: tuple[str, str]
    takes: Callable[..., tuple[Sequence[Option], Mapping[str, Sequence[Option]]]]
    """Its operands and its groups of flags."""


def find(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The name of the command that words begin with, and the words after it; an empty name where there is none.

    What several commands begin with, ``study``, is a name as well, where no more of theirs follows.

    Raises:
        ValueError: There is no such command.
    """
    name = ""
    while words and name not in ENTRIES and not words[0].startswith("-"):
        known = {full.removeprefix(name).split()[0]: None for full in ENTRIES if full.startswith(name)}
        if words[0] not in known:
            raise ValueError(f"dim {name}has no command {words[0]}; {suggestion(words[0], known)}")
        name, words = name + words[0], words[1:]
        if name not in ENTRIES:
            name += " "
    return name.strip(), words


def is_command(name: str) -> bool:
    """Whether a name is a whole command, not what several begin with."""
    return name in ENTRIES


def command(name: str, recipe: str | None = None) -> Command:
    """A command with all that it takes; ``dim train`` has the values of a recipe for defaults."""
    entry = ENTRIES[name]
    operands, groups = entry.takes(recipe) if name == "train" else entry.takes()
    return Command(name, entry.summary, entry.examples, operands, groups)


def overview(group: str = "") -> str:
    """The help of ``dim``, or of a group of its commands."""
    shown = {name: entry for name, entry in ENTRIES.items() if name.startswith(group)}
    heads = {
        "": "dim: Deep InfoMax, representations from unlabelled data by maximising mutual information",
        "study": "dim study: train many encoders and draw one of the paper's figures",
    }
    examples = [example for entry in shown.values() for example in entry.examples]
    first = [examples[0], examples[2]]
    return "\n\n".join(
        [
            heads[group],
            "\n".join(["Examples:", *(f"  {example}" for example in first)]),
            f"Usage: dim {group or 'COMMAND'} ...".replace("study ...", "study KIND ..."),
            "\n".join(["Commands:", columns([(name, entry.summary) for name, entry in shown.items()], column=20)]),
            "'dim COMMAND --help' shows what a command takes. 'dim --version' shows the versions in use.",
        ]
    )


def _train(recipe: str | None) -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.recipes import RECIPES

    named = recipe or "local-infonce"
    config = RECIPES.get(named, RECIPES["local-infonce"])
    everyday = [
        Option("recipe", _one_of(RECIPES), named, "What is learned, and how."),
        Option("data", str, "digits", f"What to learn from: {_SPEC}", "SPEC"),
        Option("epochs", float, None, "Passes over the data; short for --training.epochs."),
        Option(
            "out", str, None, "Run directory, which holds all that is written (left out: runs/RECIPE-DATA-SEED).", "RUN"
        ),
        Option("seed", int, 0, "Of the first weights, the order of the data, and all noise."),
        Option("probe", str | None, None, "Labelled data for later probes (left out: the same data).", "SPEC"),
        Option("resume", str, None, "Continue an interrupted run; no other option is needed or taken.", "RUN"),
        Option(
            "config", str, None, "Settings in YAML, such as the config.yaml of a run; flags override them.", "FILE.yaml"
        ),
        Option("print_config", SWITCH, False, "Print the settings as YAML, and do nothing else."),
    ]
    titles = {
        "training": "How it is trained",
        "objective": "What is maximised: alpha * global + beta * local - gamma * divergence(prior, Y)",
        "encoder": "Which network learns",
        "data_options": _DATA,
    }
    groups = {title: settings_of(getattr(config, group), group) for group, title in titles.items()}
    files = [
        Option(group, str, None, f"A YAML file of settings for --{group}., without that prefix.", "FILE.yaml")
        for group in titles
    ]
    return [], {_OPTIONS: everyday} | groups | {"Settings in files": files}


def _evaluate() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.evaluation import DEFAULT_METRICS

    options = [
        _metrics(",".join(DEFAULT_METRICS)),
        Option(
            "probe", str | None, None, "Labelled data (left out: those that the training named, or its own).", "SPEC"
        ),
        Option("layers", tuple[str, ...] | None, None, _LAYERS),
        Option("seeds", int, 3, "Repetitions of each probe, at one training; ± is over them."),
        Option("json", SWITCH, False, "Print one JSON object instead of a table."),
    ]
    return [_run("Run directory.")], {_OPTIONS: options, _AS_TRAINED: _data_options(training=False)}


def _encode() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.evaluation import OUTPUTS

    operands = [
        _run("Run directory, folder of a saved encoder, or name on the Hugging Face Hub."),
        Option("data", str, None, f"What to encode: {_SPEC}", "SPEC"),
    ]
    options = [
        Option("out", str, None, f"File to write, as its ending says: {', '.join(OUTPUTS)}.", "Y.npy", needed=True),
        Option("layer", str, "Y", "Layer to write, such as Y, fc, fc-linear or conv.", "NAME"),
        Option("split", str, "train", "Part of the data: train, test or unlabelled, as the data have them.", "NAME"),
    ]
    return operands, {_OPTIONS: options, _AS_TRAINED: _data_options(training=False)}


def _export() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.encoders.exporting import EXPORTS, InputType

    endings = " or ".join(kind.ending for kind in EXPORTS.values())
    options = [
        Option("out", str, None, f"File to write, which ends in {endings}.", "FILE.onnx", needed=True),
        Option("format", _one_of(EXPORTS) | None, None, "Kind of file (left out: as its ending says)."),
        Option(
            "input_type", InputType | None, None,
            "Type of the inputs, values as they are stored (left out: float32; float64 for values far from zero).",
        ),
    ]  # fmt: skip
    return [_run("Run directory, folder of a saved encoder, or name on the Hugging Face Hub.")], {_OPTIONS: options}


def _push() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    operands = [_run("Run directory."), Option("repository", str, None, "Its name on the Hub.", "OWNER/NAME")]
    options = [
        Option("license", str | None, None, "Licence of the weights, as the Hub calls it (left out: none stated)."),
        Option("private", SWITCH, False, "Show a repository that is made to its owner alone."),
        Option(
            "dry_run", str | None, None, "Write what would be uploaded into this folder, and upload nothing.", "FOLDER"
        ),
    ]
    return operands, {_OPTIONS: options}


def _compare() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.recipes import RECIPES

    options = [
        Option("recipes", _several_of(RECIPES), None, "What to compare.", needed=True),
        *_series_options("compare-DATA", "Of every method (left out: each its own)."),
        Option("seeds", int, 1, "Trainings of each method; ± is over them."),
        _metrics("mlp,linear"),
        Option("layers", tuple[str, ...] | None, None, _LAYERS),
    ]
    return [], {_OPTIONS: options, _DATA: _data_options(training=True), _CLUSTER: _slurm_options()}


def _report() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    runs = Option("runs", tuple[str, ...], None, "Run directories, or folders of them.", "RUN")
    out = Option("out", str | None, None, "File to write (left out: report.html in the first RUN).", "FILE.html")
    return [runs], {_OPTIONS: [out]}


def _explore() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.experiments.explore import POINTS

    operands = [
        _run("Run directory."),
        Option("data", str | None, None, f"What to show (left out: the training's own data): {_SPEC}", "DATA"),
    ]
    options = [
        Option("out", str | None, None, "Page to write (left out: explore.html in RUN).", "FILE.html"),
        Option(
            "split", str | None, None, "Part of the data, such as train, test or unlabelled (left out: all).", "NAME"
        ),
        Option("points", int, POINTS, "Inputs on the page at most, evenly spaced where there are more."),
    ]
    return operands, {_OPTIONS: options, _AS_TRAINED: _data_options(training=False)}


def _estimate() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.mutual_information.estimators import ESTIMATORS

    operands = [
        Option("x", str, None, f"Samples of one variable, a row each: {_SAMPLES}", "X.npy"),
        Option("y", str, None, "Samples of the other, row by row.", "Y.npy"),
    ]
    options = [
        Option("estimator", _one_of(ESTIMATORS), "auto", "How it is estimated."),
        *_information_options(),
        Option("x_columns", tuple[str, ...] | None, None, "Columns of X alone.", "A,B"),
        Option("y_columns", tuple[str, ...] | None, None, "Columns of Y alone.", "A,B"),
        Option("discrete_x", tuple[str, ...] | None, None, _DISCRETE, "A,B|true|false"),
        Option("discrete_y", tuple[str, ...] | None, None, "Likewise of Y.", "A,B|true|false"),
        *_row_options("X or Y"),
        Option("given", str | None, None, "Samples of a third variable: estimate I(x; y | given).", "Z.npy"),
        Option("given_columns", tuple[str, ...] | None, None, "Columns of the given samples alone.", "A,B"),
        Option(
            "interaction", SWITCH, False, "By how much more X and Y share given that, instead: synergy is positive."
        ),
        Option("permutations", int, 0, "Shuffles for a test of independence; 0 makes none."),
        Option("check_processing", SWITCH, False, "Also see that y in quarters tells no more about x than y does."),
        Option(
            "check_sample_size", SWITCH, False, "Also see whether halves and quarters of the samples read the same."
        ),
    ]
    return operands, {_OPTIONS: options}


def _row_options(table: str) -> list[Option]:
    """Which rows belong together."""
    return [
        Option(
            "groups", str | None, None,
            f"Rows that belong together: a file that names the group of each row, or a column of {table} that does.",
            "FILE|COLUMN",
        ),
        Option(
            "blocks", int | Literal["auto"] | None, None,
            "Rows over which a series depends on its past; auto takes them from its autocorrelations.", "L|auto",
        ),
    ]  # fmt: skip


def _transfer() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.mutual_information.estimators import ESTIMATORS

    operands = [
        Option("x", str, None, f"The series that may drive, a row each moment: {_SAMPLES}", "X.npy"),
        Option("y", str, None, "The series that may be driven, at the same moments.", "Y.npy"),
    ]
    folded = [name for name, entry in ESTIMATORS.items() if entry.alone is None]
    options = [
        Option("lags", tuple[int, ...], (1,), "Steps back to look at: L for 1 to L, or several.", "L|L,M"),
        Option("own_lags", tuple[int, ...] | None, None, "Steps back of Y itself (left out: the same).", "L|L,M"),
        Option("estimator", _one_of(folded), "auto", "How it is estimated."),
        *_information_options(),
        Option("x_columns", tuple[str, ...] | None, None, "Columns of X alone.", "A,B"),
        Option("y_columns", tuple[str, ...] | None, None, "Columns of Y alone.", "A,B"),
        *_row_options("X or Y"),
    ]
    return operands, {_OPTIONS: options}


def _dependency() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.mutual_information.estimators import DEPENDENCIES

    z = Option("z", str, None, f"Samples, a row each: {_SAMPLES}", "Z.npy")
    method = Option("method", _one_of(DEPENDENCIES), "auto", "How it is estimated; dim is the paper's way.")
    return [z], {_OPTIONS: [method, *_row_options("Z"), *_information_options()]}


def _pairwise() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    z = Option("z", str, None, f"Samples, a row each: {_SAMPLES}", "TABLE.csv")
    return [z], {_OPTIONS: _column_options()}


def _rank() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    x = Option("x", str, None, f"Samples, a row each: {_SAMPLES}", "TABLE.csv")
    target = Option("target", str, None, "The column to rank the others by: its name or number.", "NAME", needed=True)
    return [x], {_OPTIONS: [target, *_column_options()]}


def _column_options() -> list[Option]:
    """Options of what needs no training by default, and no folds."""
    from deep_infomax.mutual_information.estimators import ESTIMATORS

    how = Option(
        "estimator", _one_of(("neighbours", *ESTIMATORS)), "neighbours",
        "How it is estimated; neighbours takes milliseconds a pair.",
    )  # fmt: skip
    options = [option for option in _information_options() if option.name not in ("folds", "ranks")]
    return [how, *options, *_row_options("the table")]


def _negatives() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    from deep_infomax.bounds import BOUNDS

    numbers = tuple[int | Literal["all"], ...] | None
    return _study(
        Option("bounds", _several_of(BOUNDS), ("jsd", "infonce", "dv"), "Bounds to compare."),
        Option("others", numbers, None, "Negatives of each vector (left out: 1,4,16,all).", "N,N,all"),
    )


def _weights() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    said = "Weights of the {} (left out: 0,0.1,1)."
    parts = {"alphas": "global part", "betas": "local part", "gammas": "prior"}
    weights = tuple[float, ...] | None
    return _study(*(Option(name, weights, None, said.format(part), "X,X") for name, part in parts.items()))


def _beta() -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    return _study(
        Option("betas", tuple[float, ...] | None, None, "Weights of the divergence (left out: 0.5,2,8,32).", "X,X")
    )


def _study(*own: Option) -> tuple[Sequence[Option], Mapping[str, Sequence[Option]]]:
    options = [
        *own,
        *_series_options("KIND-DATA", "Of every training (left out: 20 epochs, the recipe's batches)."),
        Option("seeds", int | None, None, "Trainings of each setting; ± is over them (left out: 1)."),
        _metrics(None),
        Option("full", SWITCH, False, "The paper's size: more settings, 100 epochs, 3 seeds."),
    ]
    return [], {_OPTIONS: options, _DATA: _data_options(training=True), _CLUSTER: _slurm_options()}


def _series_options(folder: str, length: str) -> list[Option]:
    return [
        Option("data", str, "digits", f"What to learn from: {_SPEC}", "SPEC"),
        Option("epochs", float | None, None, length),
        Option("batch_size", int | None, None, length),
        Option("out", str | None, None, f"Folder for all that is written (left out: runs/{folder}).", "FOLDER"),
        Option("probe", str | None, None, "Labelled data to measure on (left out: the same data).", "SPEC"),
        Option("jobs", int | None, None, _JOBS),
        Option("launcher", _one_of(("local", "slurm")), "local", "Where trainings are carried out; slurm: as jobs."),
    ]


def _information_options() -> list[Option]:
    from deep_infomax.mutual_information.samples.units import UNITS

    return [
        Option("unit", _one_of(UNITS), "nats", "Of every figure."),
        Option("plot", str | None, None, "Draw a figure into this file: .png, .svg or .pdf.", "FILE.png"),
        Option("json", SWITCH, False, "Print one JSON object instead of a table."),
        Option("time_budget", float | None, None, "About how long all may take (left out: no limit).", "SECONDS"),
        Option("folds", int, 5, "Parts of the samples, each held out once."),
        Option("level", float, 0.95, "Probability that the interval is made for."),
        Option("ranks", bool, True, "Make every coordinate normal through its ranks first."),
        Option("seed", int, 0, "Of the split and of the training."),
        Option(
            "columns", tuple[str, ...] | None, None,
            "Columns of a table to read, by name (left out: all but those that tell its rows apart).", "A,B",
        ),
        Option("header", bool | None, None, "Whether the first line of a text names its columns (left out: found)."),
        Option(
            "decimal", _one_of(("point", "comma")) | None, None, "How a text writes decimals (left out: found)."
        ),
    ]  # fmt: skip


def _one_of(names: Iterable[str]) -> Any:
    """The type of a text that is one of some names."""
    return Literal.__getitem__(tuple(names))


def _several_of(names: Iterable[str]) -> Any:
    return tuple.__class_getitem__((_one_of(names), ...))


def _run(said: str) -> Option:
    return Option("run", str, None, said, "RUN")


def _metrics(default: str | None) -> Option:
    from deep_infomax.evaluation import METRICS

    kind = _several_of(METRICS)
    if default is None:
        return Option("metrics", kind | None, None, "What to measure of Y (left out: what the figure shows).")
    return Option("metrics", kind, tuple(default.split(",")), "What to measure.")


def _data_options(*, training: bool) -> list[Option]:
    """How data are read, without defaults: what is left out is not among the values."""
    from deep_infomax.data import DataOptions

    options = settings_of(DataOptions(), "data_options", skip=() if training else ("flip",))
    found = options if training else [option._replace(default=None) for option in options]
    return [
        *found,
        Option("data_options", str, None, "A YAML file of these settings, without the prefix.", "FILE.yaml"),
    ]


def _slurm_options() -> list[Option]:
    from deep_infomax.experiments.slurm import SlurmOptions

    return settings_of(SlurmOptions(), "slurm")


ENTRIES: Final = {
    "train": Entry(
        "learn a representation from unlabelled data",
        ("dim train --data digits --epochs 5", "dim train --recipe local-jsd --data photos --data_options.resize 64"),
        _train,
    ),
    "evaluate": Entry(
        "probe the frozen encoder of a run",
        (
            "dim evaluate runs/local-infonce-digits-0",
            "dim evaluate runs/local-infonce-digits-0 --metrics knn,ndm --layers Y",
        ),
        _evaluate,
    ),
    "report": Entry(
        "write one HTML page about one or several runs",
        ("dim report runs/local-infonce-digits-0", "dim report runs/compare-digits --out methods.html"),
        _report,
    ),
    "explore": Entry(
        "write an interactive map of Y, with duplicates and outliers",
        (
            "dim explore runs/local-infonce-digits-0",
            "dim explore runs/local-infonce-digits-0 new-photos --points 10000",
        ),
        _explore,
    ),
    "encode": Entry(
        "write the representation of a data set",
        (
            "dim encode runs/local-infonce-digits-0 digits --out Y.npy",
            "dim encode runs/local-infonce-digits-0 digits --out conv.parquet --layer conv",
        ),
        _encode,
    ),
    "export": Entry(
        "write the encoder of a run for ONNX Runtime, or for PyTorch alone",
        (
            "dim export runs/local-infonce-digits-0 --out encoder.onnx",
            "dim export runs/local-infonce-digits-0 --format torch --out encoder.pt2 --input_type uint8",
        ),
        _export,
    ),
    "push": Entry(
        "upload the encoder of a run to the Hugging Face Hub, with a model card",
        (
            "dim push runs/local-infonce-digits-0 owner/name --license mit",
            "dim push runs/local-infonce-digits-0 owner/name --dry_run pushed",
        ),
        _push,
    ),
    "compare": Entry(
        "train, evaluate and report several methods side by side",
        (
            "dim compare --recipes local-infonce,vae,random --epochs 5",
            "dim compare --recipes local-jsd,local-dv --data cifar10 --seeds 3 --jobs 2",
        ),
        _compare,
    ),
    "estimate": Entry(
        "estimate the mutual information of paired samples",
        ("dim estimate x.npy y.npy --unit bits", "dim estimate x.csv y.csv --given z.csv --plot figure.png"),
        _estimate,
    ),
    "transfer": Entry(
        "estimate the transfer entropy from one series to another",
        ("dim transfer x.npy y.npy", "dim transfer wind.csv power.csv --lags 6 --own_lags 1,24 --unit bits"),
        _transfer,
    ),
    "dependency": Entry(
        "estimate how much coordinates depend on each other",
        ("dim dependency z.npy", "dim dependency z.npy --method chain --time_budget 60"),
        _dependency,
    ),
    "pairwise": Entry(
        "estimate what every two columns of a table share",
        ("dim pairwise patients.csv", "dim pairwise patients.csv --columns age,weight,pulse --plot matrix.png"),
        _pairwise,
    ),
    "rank": Entry(
        "rank the columns of a table by what they tell of one",
        ("dim rank patients.csv --target outcome", "dim rank patients.csv --target outcome --unit bits --json"),
        _rank,
    ),
    "study negatives": Entry(
        "draw Y against the number of negatives, for several bounds",
        ("dim study negatives --epochs 5", "dim study negatives --data cifar10 --bounds jsd,infonce --others 1,16,all"),
        _negatives,
    ),
    "study weights": Entry(
        "draw Y over grids of (alpha, beta) and of gamma",
        ("dim study weights --epochs 5", "dim study weights --data cifar10 --alphas 0,0.5,1 --betas 0,0.1"),
        _weights,
    ),
    "study beta": Entry(
        "draw Y against the weight of a beta-VAE's divergence",
        ("dim study beta --epochs 5", "dim study beta --data cifar10 --betas 1,4,16 --jobs 2"),
        _beta,
    ),
}
