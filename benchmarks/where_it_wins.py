"""Y beside what costs nothing, on data of several kinds: where training pays, and where it does not.

    python benchmarks/where_it_wins.py --out FOLDER                   (all sets that are found; again to go on)
    python benchmarks/where_it_wins.py --out FOLDER --sets watch,brain
    python benchmarks/where_it_wins.py --out FOLDER --table           (only print)

The protocol was fixed before the first run: recipes `local-infonce` and `supervised` as they are, the last weights;
probes `mlp`, `knn` and `linear`, of which `mlp` decides. Three sets come with scikit-learn. Others are read where
packages that bring them are installed, as real_sets.py says; 5,000 images of CIFAR-10 and twenty classes of Tiny
ImageNet, where ``--images`` and ``--tiny_imagenet`` name their folders of parquet files. Series are read by catch22 as
well, where `pycatch22` is installed. Settings were chosen on placed-digits, GunPoint, ItalyPowerDemand, OSULeaf,
BasicMotions and brain; the other sets played no part in it.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from real_sets import RealSet, kept, package, real_sets, tiny_imagenet
from rich.table import Table

from deep_infomax.cli.tables import print_table
from deep_infomax.data import DataOptions, Dataset, load_dataset
from deep_infomax.evaluation import probes
from deep_infomax.experiments.comparison import compare
from deep_infomax.report import read_runs, verdict_of
from deep_infomax.report.runs import RecordedRun
from deep_infomax.runtime.verdict import FLOORS, JUDGED_BY

RECIPES = ("local-infonce", "supervised")
PROBES = JUDGED_BY[:3]
CATCH22 = "catch22.json"
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
    sets = {name: RealSet(make(arguments.out)) for name, make in SETS.items()} | real_sets(arguments.out)
    if arguments.images is not None:
        sets["CIFAR-10"] = RealSet(str(arguments.images), {"train_inputs": 5000})
    if arguments.tiny_imagenet is not None:
        sets["tiny-imagenet"] = kept(arguments.out / "tiny-imagenet.npz", tiny_imagenet, arguments.tiny_imagenet)
    sets = {name: found for name, found in sets.items() if not arguments.sets or name in arguments.sets.split(",")}
    rows = []
    for name, (spec, options) in sets.items():
        folder = arguments.out / name
        if not arguments.table:
            compare(
                RECIPES,
                spec,
                layers=["Y", "floors"],
                seeds=arguments.seeds,
                metrics=PROBES,
                out=folder,
                data_options=options,
            )
            if package("pycatch22") and not (folder / CATCH22).exists():
                write_catch22(load_dataset(spec, DataOptions(**options)), folder / CATCH22)
        rows.append((name, folder, read_runs(sorted(path.parent for path in folder.glob("*/evaluation.json")))))
    print_rows(rows)


def write_catch22(dataset: Dataset, file: Path) -> None:
    """What probes read of catch22 (Lubba et al. 2019, 1901.10200) with mean and deviation, of every channel."""
    if len(dataset.train.shape) != 2:
        return
    import pycatch22

    def features(inputs: torch.Tensor) -> torch.Tensor:
        rows = [
            [value for channel in series for value in pycatch22.catch22_all(known(channel), catch24=True)["values"]]
            for series in inputs.double()
        ]
        return torch.tensor(rows).nan_to_num(posinf=0.0, neginf=0.0)

    train, test = dataset.train, dataset.test
    read = [features(train.inputs), train.labels, features(test.inputs), test.labels]
    found = {name: getattr(probes, name)(*read)[0].value for name in PROBES}
    file.write_text(json.dumps(found))


def known(channel: torch.Tensor) -> list[float]:
    """What is there of a series, without what it was padded with."""
    return channel[~channel.isnan()].tolist()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--images", type=Path, help="folder of CIFAR-10 in parquet")
    parser.add_argument(
        "--tiny_imagenet", type=Path, help="folder of Tiny ImageNet in parquet, of which 20 classes are taken"
    )
    parser.add_argument("--sets", default="", help="some of them, separated by commas")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each")
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    return parser.parse_args()


def print_rows(rows: list[tuple[str, Path, list[RecordedRun]]]) -> None:
    for metric in PROBES:
        table = Table(title=metric, title_justify="left")
        floors = [floor.title for floor in FLOORS.values()]
        for heading in ("data", "inputs", "Y", *floors, "catch22", "supervised", "minutes"):
            table.add_column(heading, justify="left" if heading == "data" else "right")
        for name, folder, found in rows:
            own, told = ([run for run in found if run.recipe == recipe] for recipe in RECIPES)
            if not own:
                continue
            minutes = np.mean([(run.log.last("seconds") or 0) / 60 for run in own])
            read = json.loads((folder / CATCH22).read_text()) if (folder / CATCH22).exists() else {}
            figures = [accuracy(own, metric, layer) for layer in ("Y", *FLOORS)]
            figures += [f"{read[metric]:.1f}" if read else "", accuracy(told, metric, "Y"), f"{minutes:.1f}"]
            table.add_row(name, str(own[0].probe_data.get("n_train", "")), *figures)
        print_table(table)
    for name, _, found in rows:
        if (own := [run for run in found if run.recipe == RECIPES[0]]) and (said := verdict_of(own)):
            print(f"{name}: {said[0]}")


def accuracy(runs: list[RecordedRun], metric: str, layer: str) -> str:
    """The mean over the runs that have it."""
    found = [r.value for run in runs for r in run.results or () if (r.metric, r.layer) == (metric, layer)]
    spread = f" ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else ""
    return f"{np.mean(found):.1f}{spread}" if found else ""


if __name__ == "__main__":
    main()
