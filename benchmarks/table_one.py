"""From the plain recipe towards the paper's and away from it, one change at a time: what each step gains or loses.

    python benchmarks/table_one.py --out FOLDER --data cifar10/                  (the whole ladder; again to go on)
    python benchmarks/table_one.py --out FOLDER --data cifar10/ --steps plain,decay-0.8 --epochs 7
    python benchmarks/table_one.py --out FOLDER --table --plot ladder.png        (only print and draw)

Every step is trained for equally many updates: a batch twice as large gets twice the epochs. Of the training part 5,000
images are held out, and accuracies (`mlp`) are read on them, so that the test part plays no role in what is chosen. A
gain is the mean over the seeds of the difference to `plain` with the same seed; its error is the standard error of that
mean, which needs two seeds or more.

Runs are told apart by their step, seed and number of updates. What they found is appended to ``ladder.jsonl`` in the
folder, which may be carried from one machine to another: figures depend on the machine by its number format alone.
"""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final

import matplotlib.pyplot as plt
from rich.table import Table

from deep_infomax.cli.tables import print_table
from deep_infomax.experiments.series import Series, Setting
from deep_infomax.report import read_runs

BASE: Final = "plain"
BATCH: Final = 128
LAYERS: Final = ("conv", "fc-linear", "fc", "Y")
LADDER: Final = "ladder.jsonl"

STEPS: Final[Mapping[str, Setting]] = {
    BASE: Setting("local-infonce"),
    # The optimisation.
    "rate-5e-4": Setting("local-infonce", training={"learning_rate": 5e-4}),
    "rate-4e-3": Setting("local-infonce", training={"learning_rate": 4e-3}),
    "decay-0.2": Setting("local-infonce", training={"weight_decay": 0.2}),
    "decay-0.8": Setting("local-infonce", training={"weight_decay": 0.8}),
    "decay-0.8-rate-5e-4": Setting("local-infonce", training={"weight_decay": 0.8, "learning_rate": 5e-4}),
    "decay-3.2-rate-5e-4": Setting("local-infonce", training={"weight_decay": 3.2, "learning_rate": 5e-4}),
    "betas-0.5": Setting("local-infonce", training={"betas": (0.5, 0.999)}),
    "constant-averaged": Setting("local-infonce", training={"schedule": "constant", "average": 0.999}),
    # The task.
    "batch-64": Setting("local-infonce", training={"batch_size": 64}),
    "batch-256": Setting("local-infonce", training={"batch_size": 256}),
    "no-limit": Setting("local-infonce", {"limit": None}),
    "no-penalty": Setting("local-infonce", {"penalty": 0.0}),
    "neither": Setting("local-infonce", {"limit": None, "penalty": 0.0}),
    "lower-map": Setting("local-infonce", encoder={"local": 1}),
    "higher-map": Setting("local-infonce", encoder={"local": 3}),
    # Scorers, priors and the encoder.
    "folded-2048": Setting("local-infonce", {"units": 2048}),
    "exact-2048": Setting("local-infonce", {"units": 2048, "local_scorer": "encode-and-dot"}),
    "prior-0.1": Setting("local-infonce", {"gamma": 0.1}),
    "noise-0.2": Setting("local-infonce-noise"),
    "sigreg-0.05": Setting("local-infonce-sigreg"),
    "fc-2048": Setting("local-infonce", encoder={"hidden": 2048}),
    # The inputs.
    "flips": Setting("local-infonce"),
    "symmetric": Setting("local-infonce"),
}
"""What is changed of the plain recipe, by the name of the step."""
INPUTS: Final[Mapping[str, Mapping[str, Any]]] = {"flips": {"flip": True}, "symmetric": {"scaling": "symmetric"}}
"""What is done with the inputs, by the name of the step."""


def main() -> None:
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chosen = arguments.steps.split(",") if arguments.steps else list(STEPS)
    if unknown := [name for name in chosen if name not in STEPS]:
        raise SystemExit(f"--steps: {unknown[0]} is unknown; known are {', '.join(STEPS)}")
    updates = round(arguments.epochs * (arguments.inputs // BATCH))
    if not arguments.table:
        for name in [BASE, *(name for name in chosen if name != BASE)]:  # one after another, so that each is a row
            measure(name, updates, arguments)
    rows = read(arguments.out / LADDER)
    print_rows(rows)
    if arguments.plot is not None:
        draw(rows, arguments.plot)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--data", default="cifar10", help="as for dim train")
    parser.add_argument("--steps", default="", help="some of the ladder, separated by commas")
    parser.add_argument("--epochs", type=float, default=14.0, help="of a batch of 128")
    parser.add_argument("--inputs", type=int, default=45_000, help="training inputs, those that are held out not among")
    parser.add_argument("--held_out", type=int, default=5_000, help="training inputs that accuracies are read on")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each step")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    parser.add_argument("--plot", type=Path, help="draw to this file")
    return parser.parse_args()


def measure(name: str, updates: int, arguments: argparse.Namespace) -> None:
    """Train a step with every seed and append what is new to the ladder."""
    setting, inputs = STEPS[name], INPUTS.get(name, {})
    per_epoch = arguments.inputs // setting.training.get("batch_size", BATCH)
    series = Series(
        data=arguments.data,
        epochs=updates / per_epoch,
        seeds=arguments.seeds,
        metrics=("mlp", "bound"),
        out=arguments.out / f"{updates}-updates" / name,
        data_options={"held_out": arguments.held_out, "train_inputs": arguments.inputs + arguments.held_out, **inputs},
        jobs=arguments.jobs,
    )
    known = {(row["step"], row["seed"], row["updates"]) for row in read(arguments.out / LADDER)}
    for measured in series.measure("ladder", {name: setting}, layers=LAYERS):
        if (name, measured.seed, updates) in known:
            continue
        [run] = read_runs([measured.run])
        row = {
            "step": name,
            "seed": measured.seed,
            "updates": updates,
            "seconds": run.log.last("seconds"),
            "precision": run.environment.get("precision"),
            "accuracy": {r.layer: r.value for r in measured.results if r.metric == "mlp"},
            "bound": next((r.value for r in measured.results if r.metric == "bound"), None),
        }
        with (arguments.out / LADDER).open("a") as file:
            file.write(json.dumps(row) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def gains(rows: list[dict[str, Any]]) -> dict[tuple[int, str], dict[str, list[float]]]:
    """By updates and step, for each layer the differences to the plain recipe with the same seed."""
    base = {(row["updates"], row["seed"]): row["accuracy"] for row in rows if row["step"] == BASE}
    found: dict[tuple[int, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if (plain := base.get((row["updates"], row["seed"]))) is None:
            continue
        for layer, value in row["accuracy"].items():
            found[row["updates"], row["step"]][layer].append(value - plain[layer])
    return found


def print_rows(rows: list[dict[str, Any]]) -> None:
    table = Table(title="accuracy of mlp on held-out images, and what the change gains", title_justify="left")
    pairs = [heading for layer in LAYERS for heading in (layer, f"{layer} gain")]
    for heading in ("updates", "step", "seeds", *pairs, "bound", "minutes"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for (updates, step), gained in gains(rows).items():
        own = [row for row in rows if (row["updates"], row["step"]) == (updates, step)]
        cells = []
        for layer in LAYERS:
            cells.append(f"{fmean(row['accuracy'][layer] for row in own):.2f}")
            cells.append("" if step == BASE else said(gained[layer]))
        bounds = [row["bound"] for row in own if row["bound"] is not None]
        minutes = fmean(row["seconds"] for row in own) / 60
        table.add_row(
            f"{updates:,}", step, str(len(own)), *cells, f"{fmean(bounds):.2f}" if bounds else "", f"{minutes:.1f}"
        )
    print_table(table)


def said(differences: list[float]) -> str:
    error = f" ± {stdev(differences) / math.sqrt(len(differences)):.2f}" if len(differences) > 1 else ""
    return f"{fmean(differences):+.2f}{error}"


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Points gained or lost by each step, of the largest number of updates that has steps."""
    found = gains(rows)
    most = max(updates for updates, step in found if step != BASE)
    steps = [step for updates, step in found if updates == most and step != BASE]
    figure, axes = plt.subplots(figsize=(6.4, 0.32 * len(steps) + 1.2), layout="constrained")
    for number, layer in enumerate(LAYERS):
        gained = [found[most, step][layer] for step in steps]
        errors = [stdev(each) / math.sqrt(len(each)) if len(each) > 1 else 0.0 for each in gained]
        places = [place + 0.2 * (number - 1) for place in range(len(steps))]
        means = [fmean(each) for each in gained]
        axes.errorbar(means, places, xerr=errors, fmt="o", markersize=4, capsize=2, label=layer)
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(steps)), steps)
    axes.invert_yaxis()
    axes.set(xlabel=f"points gained over the plain recipe, {most:,} updates")
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
