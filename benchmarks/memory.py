"""Memory and time of a training step against the batch size, with the scores in parts and with all of them at once.

A step of `local-infonce` and of `local-jsd` on random images of CIFAR-10's size, forward, backward and optimiser, in
the precision that the library finds faster on this machine. Each runs in a process of its own, whose peak resident
memory is printed beyond that of a process that has loaded the library. Linux only.

    python benchmarks/memory.py [largest batch, 4096] [--json FILE] [--plot FILE.png]
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import LogLocator
from measuring import status_bytes, train_records

from deep_infomax.objectives import mutual_information
from deep_infomax.recipes import RECIPES, build_encoder, build_objective
from deep_infomax.training import fit

LOCATIONS = 64
AT_ONCE = 2048  # beyond it all scores at once would take more memory than many machines have
RECIPES_MEASURED = ("local-infonce", "local-jsd")
FIGURES = {"MB": 0, "s a step": 2, "MB, all at once": 0, "s a step, all at once": 2}  # and their decimal places
PARTS, WHOLE = tuple(FIGURES)[:2], tuple(FIGURES)[2:]


def main() -> None:
    if sys.argv[1:2] == ["--step"]:
        _, _, recipe, batch, most = sys.argv
        print(*step(recipe, int(batch), int(most)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("largest", nargs="?", type=int, default=4096)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--plot", type=Path, help="draw to this file")
    options = parser.parse_args()
    print(f"threads {torch.get_num_threads()}, load average {os.getloadavg()[0]:.2f}, torch {torch.__version__}")
    print("recipe | batch | all scores, millions | peak MB | s a step | peak MB, all at once | s a step")
    rows = []
    for recipe in RECIPES_MEASURED:
        batch = 256
        while batch <= options.largest:
            row = {"recipe": recipe, "batch": batch} | measured(recipe, batch, mutual_information.MOST_VALUES, PARTS)
            if batch <= AT_ONCE:
                row |= measured(recipe, batch, 2**62, WHOLE)
            cells = [f"{row[name]:,.{places}f}" for name, places in FIGURES.items() if name in row]
            print(" | ".join([recipe, str(batch), f"{batch**2 * LOCATIONS / 1e6:.0f}", *cells]), flush=True)
            rows.append(row)
            batch *= 2
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1))
    if options.plot is not None:
        draw(rows, options.plot)


def measured(recipe: str, batch: int, most: int, names: tuple[str, ...]) -> dict[str, Any]:
    """Peak memory and seconds, by these names."""
    command = [sys.executable, __file__, "--step", recipe, str(batch), str(most)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(names, map(float, found), strict=True))


def step(recipe: str, batch: int, most: int) -> tuple[float, float]:
    """Peak MB of a training of three steps, and the seconds of the last."""
    mutual_information.MOST_VALUES = most
    before = status_bytes("VmRSS")
    encoder = build_encoder(RECIPES[recipe], 3, (32, 32))
    objective = build_objective(RECIPES[recipe].objective, encoder)
    images = torch.randint(256, (3 * batch, 3, 32, 32), dtype=torch.uint8)  # one epoch, whose end is not the steps'
    training = dataclasses.replace(
        RECIPES[recipe].training, epochs=1, batch_size=batch, log_every=1, device="cpu", checkpoint_seconds=1e9
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(encoder, objective, images, training, out=folder, progress=False)
        speeds = [record["images_per_second"] for record in train_records(Path(folder))]
    return (status_bytes("VmHWM") - before) / 1e6, batch / speeds[-1]


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Memory and time against the batch, all axes logarithmic; dashed: with all scores at once."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    for place, (axes, label) in enumerate(zip(panels, ("peak memory, MB", "seconds a step"), strict=True)):
        for colour, recipe in enumerate(RECIPES_MEASURED):
            for names, line, told in ((PARTS, "-", "in parts"), (WHOLE, "--", "all at once")):
                own = [row for row in rows if row["recipe"] == recipe and names[place] in row]
                x, y = [row["batch"] for row in own], [row[names[place]] for row in own]
                axes.plot(x, y, line, marker="o", color=f"C{colour}", label=f"{recipe}, {told}")
        batches = sorted({row["batch"] for row in rows})
        axes.set(xscale="log", yscale="log", xlabel="batch", ylabel=label)
        axes.set_xticks(batches, [f"{batch:,}" for batch in batches])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
