"""Accuracy of the probe `mlp` against the minutes of training, of runs that were evaluated: a table and a figure.

Runs that differ in their seed alone make one point, the mean, with a bar from the least to the largest; give runs of
one machine only.

    python benchmarks/time_to_quality.py RUN RUN ... [--plot FILE.png]
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import yaml

from deep_infomax.evaluation import read_results

LAYERS = ("conv", "fc", "Y")
PARTS = ("encoder", "objective", "training", "data_options")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--plot", type=Path, help="draw to this file")
    options = parser.parse_args()
    groups: dict[str, list[Path]] = defaultdict(list)
    for run in options.runs:
        if not set(LAYERS) <= accuracies(run).keys():
            parser.error(f"{run} has no accuracy of mlp on every layer; run dim evaluate {run} --metrics mlp --seeds 1")
        groups[json.dumps(settings(run), sort_keys=True)].append(run)
    different = {
        name
        for name, value in settings(options.runs[0]).items()
        if any(settings(r).get(name) != value for r in options.runs)
    }
    points = sorted((of_runs(runs) for runs in groups.values()), key=lambda point: fmean(point["minutes"]))
    print("settings | seeds | minutes | " + " / ".join(LAYERS))
    for point in points:
        told = ", ".join(f"{name} {value}" for name, value in point["settings"].items() if name in different)
        minutes = ", ".join(f"{value:.1f}" for value in point["minutes"])
        means = " / ".join(f"{fmean(point[layer]):.2f}" for layer in LAYERS)
        print(f"{told} | {point['seeds']} | {minutes} | {means}")
    if options.plot is not None:
        draw(points, options.plot)


def settings(run: Path) -> dict[str, Any]:
    """All that was chosen for a run but its seed."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    chosen = {f"{part}.{name}": value for part in PARTS for name, value in config[part].items()}
    return {"recipe": config["recipe"], "data": config["data"]} | chosen


def of_runs(runs: list[Path]) -> dict[str, Any]:
    """Minutes and accuracies of the repetitions of one schedule."""
    point: dict[str, Any] = {
        "settings": settings(runs[0]),
        "seeds": ", ".join(str(yaml.safe_load((run / "config.yaml").read_text())["seed"]) for run in runs),
        "minutes": [json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["seconds"] / 60 for run in runs],
    }
    for layer in LAYERS:
        point[layer] = [accuracies(run)[layer] for run in runs]
    return point


def accuracies(run: Path) -> dict[str, float]:
    """What the probe reads, by layer."""
    return {r.layer: r.value for r in read_results(run / "evaluation.json") if r.metric == "mlp"}


def draw(points: list[dict[str, Any]], file: Path) -> None:
    """Means against the mean minutes, on a logarithmic axis."""
    figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    minutes = [fmean(point["minutes"]) for point in points]
    for layer in LAYERS:
        values = [fmean(point[layer]) for point in points]
        below = [mean - min(point[layer]) for mean, point in zip(values, points, strict=True)]
        above = [max(point[layer]) - mean for mean, point in zip(values, points, strict=True)]
        axes.errorbar(minutes, values, [below, above], marker="o", capsize=3, label=layer)
    axes.set(xscale="log", xlabel="minutes of training", ylabel="accuracy of mlp, %")
    axes.set_xticks(minutes, [f"{value:.0f}" for value in minutes])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
