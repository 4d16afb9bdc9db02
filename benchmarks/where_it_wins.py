"""Y beside what costs nothing, on data of several kinds: where training pays, and where it does not.

    python benchmarks/where_it_wins.py --out FOLDER                     (the sets that come with scikit-learn)
    python benchmarks/where_it_wins.py --out FOLDER --series DATA       (and NAME/NAME_TRAIN.ts in a folder of series)
    python benchmarks/where_it_wins.py --out FOLDER --table             (only print)

The protocol was fixed before the first run: recipe `local-infonce` as it is, 20 epochs or as many as make 1,000 steps,
the last weights; probes `mlp`, `knn` and `linear`, of which `mlp` decides. It can be stopped and called again. The
folder of series is that of the package aeon, ``aeon/datasets/data``, or any in its form.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.table import Table

from deep_infomax.cli.tables import print_table
from deep_infomax.data import load_dataset
from deep_infomax.experiments.comparison import compare
from deep_infomax.report import read_runs, verdict_of
from deep_infomax.report.runs import RecordedRun
from deep_infomax.runtime.verdict import FLOORS, JUDGED_BY

RECIPES = ("local-infonce", "supervised")
STEPS, EPOCHS, BATCH = 1000, 20, 128
PATCH = 8


def cluttered(folder: Path) -> str:
    """Digits out of place among pieces of two photographs of scikit-learn, which cover all whole cells of 8 x 8."""
    from sklearn.datasets import load_sample_images

    file = folder / "cluttered-digits.npz"
    if not file.exists():
        generator = np.random.default_rng(0)
        photographs = [image.mean(2) for image in load_sample_images().images]
        arrays = {}
        placed = load_dataset("placed-digits")
        for suffix, part in (("", placed.train), ("_test", placed.test)):
            images = part.inputs[:, 0].numpy().astype(float)
            side = images.shape[1]
            for image in images:
                for top in range(0, side - PATCH + 1, PATCH):
                    for left in range(0, side - PATCH + 1, PATCH):
                        cell = image[top : top + PATCH, left : left + PATCH]
                        photograph = photographs[generator.integers(2)]
                        y, x = (generator.integers(0, size - PATCH) for size in photograph.shape)
                        cell[...] = np.maximum(cell, photograph[y : y + cell.shape[0], x : x + cell.shape[1]] * 0.6)
            arrays |= {f"x{suffix}": images.round().astype(np.uint8)[:, None], f"y{suffix}": part.labels.numpy()}
        np.savez(file, **arrays)
    return str(file)


SETS: dict[str, Callable[[Path], str]] = {
    "placed-digits": lambda folder: "placed-digits",
    "digits": lambda folder: "digits",
    "cluttered-digits": cluttered,
}


def main() -> None:
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    sets = {name: make(arguments.out) for name, make in SETS.items()}
    if arguments.series is not None:
        sets |= {file.parent.name: str(file) for file in sorted(arguments.series.glob("*/*_TRAIN.ts"))}
    sets = {name: spec for name, spec in sets.items() if not arguments.sets or name in arguments.sets.split(",")}
    rows = []
    for name, spec in sets.items():
        folder = arguments.out / name
        if not arguments.table:
            n = len(load_dataset(spec).train)
            epochs = max(EPOCHS, math.ceil(STEPS / max(1, n // BATCH)))
            compare(
                RECIPES,
                spec,
                layers=["Y", "floors"],
                epochs=epochs,
                seeds=arguments.seeds,
                metrics=JUDGED_BY[:3],
                out=folder,
            )
        found = read_runs(sorted(path.parent for path in folder.glob("*/evaluation.json")))
        rows.append((name, found))
    print_rows(rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--series", type=Path, help="folder of NAME/NAME_TRAIN.ts and NAME/NAME_TEST.ts")
    parser.add_argument("--sets", default="", help="some of them, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each")
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    return parser.parse_args()


def print_rows(rows: list[tuple[str, list[RecordedRun]]]) -> None:
    for metric in JUDGED_BY[:3]:
        table = Table(title=metric, title_justify="left")
        for heading in ("data", "inputs", "Y", *(floor.title for floor in FLOORS.values()), "supervised", "minutes"):
            table.add_column(heading, justify="left" if heading == "data" else "right")
        for name, found in rows:
            own = [run for run in found if run.recipe == RECIPES[0]]
            told = [run for run in found if run.recipe == RECIPES[1]]
            minutes = np.mean([(run.log.last("seconds") or 0) / 60 for run in own]) if own else math.nan
            floors = [accuracy(own, metric, floor) for floor in FLOORS]
            inputs = own[0].probe_data.get("n_train", "") if own else ""
            figures = [accuracy(own, metric, "Y"), *floors, accuracy(told, metric, "Y"), f"{minutes:.1f}"]
            table.add_row(name, str(inputs), *figures)
        print_table(table)
    for name, found in rows:
        own = [run for run in found if run.recipe == RECIPES[0]]
        if own and (said := verdict_of(own)):
            print(f"{name}: {said[0]}")


def accuracy(runs: list[RecordedRun], metric: str, layer: str) -> str:
    """The mean over the runs that have it."""
    found = [r.value for run in runs for r in run.results or () if (r.metric, r.layer) == (metric, layer)]
    spread = f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
    return f"{np.mean(found):.1f}{spread}" if found else ""


if __name__ == "__main__":
    main()
