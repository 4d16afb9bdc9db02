"""Memory and time of a training step against the batch size, with the scores in parts and with all of them at once.

A step of `local-infonce` and of `local-jsd` on random images of CIFAR-10's size, forward, backward and optimiser, in
the precision that the library finds faster on this machine. Each runs in a process of its own, whose peak resident
memory is printed beyond that of a process that has loaded the library. Linux only.

    python benchmarks/memory.py [largest batch, 4096]
"""

import dataclasses
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from measuring import status_bytes, train_records

from deep_infomax.objectives import mutual_information
from deep_infomax.recipes import RECIPES, build_encoder, build_objective
from deep_infomax.training import fit

LOCATIONS = 64
AT_ONCE = 2048  # beyond it all scores at once would take more memory than many machines have


def main() -> None:
    if sys.argv[1:2] == ["--step"]:
        _, _, recipe, batch, most = sys.argv
        print(*step(recipe, int(batch), int(most)))
        return
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    print(f"threads {torch.get_num_threads()}, torch {torch.__version__}")
    print("recipe | batch | all scores, millions | peak MB | s a step | peak MB, all at once | s a step")
    for recipe in ("local-infonce", "local-jsd"):
        batch = 256
        while batch <= largest:
            cells = [measured(recipe, batch, mutual_information.MOST_VALUES)]
            cells += [measured(recipe, batch, 2**62)] if batch <= AT_ONCE else [("", "")]
            scores = batch**2 * LOCATIONS / 1e6
            print(f"{recipe} | {batch} | {scores:.0f} | " + " | ".join(" | ".join(cell) for cell in cells), flush=True)
            batch *= 2


def measured(recipe: str, batch: int, most: int) -> tuple[str, str]:
    command = [sys.executable, __file__, "--step", recipe, str(batch), str(most)]
    peak, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return f"{float(peak):,.0f}", f"{float(seconds):.2f}"


def step(recipe: str, batch: int, most: int) -> tuple[float, float]:
    """Peak MB of a training of three steps, and the seconds of the last."""
    mutual_information.MOST_VALUES = most
    before = status_bytes("VmRSS")
    encoder = build_encoder(RECIPES[recipe], 3, (32, 32))
    objective = build_objective(RECIPES[recipe].objective, encoder)
    images = torch.randint(256, (batch, 3, 32, 32), dtype=torch.uint8)
    training = dataclasses.replace(RECIPES[recipe].training, epochs=3, batch_size=batch, log_every=1, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        fit(encoder, objective, images, training, out=folder, progress=False)
        speeds = [record["images_per_second"] for record in train_records(Path(folder))]
    return (status_bytes("VmHWM") - before) / 1e6, batch / speeds[-1]


if __name__ == "__main__":
    main()
