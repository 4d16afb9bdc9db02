"""All that a GPU is wanted for, in the minutes that there are: its tests, the table of steps, the paper's training.

    python benchmarks/gpu.py --minutes 9 --out FOLDER --data cifar10/
    python benchmarks/gpu.py --minutes 9 --out FOLDER --data cifar10/           (again: goes on where it stopped)

Stages follow one another, and what each found is in ``FOLDER/gpu.json`` as soon as it is done; a later call does not
repeat it. The last stage trains the recipes in turn for as long as the minutes last, goes on from its checkpoints, and
evaluates on the device whatever was reached. ``steps.png`` and ``training.png`` show the figures.

It needs this checkout, the data, torch, NumPy, accelerate, safetensors, torchmetrics and what is imported at the top of
the files it reads (msgspec, rich, matplotlib, SciPy); neither datasets nor the documentation's packages.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import matplotlib.pyplot as plt
import torch
import training_step
from measuring import train_records

from deep_infomax.data import load_dataset
from deep_infomax.evaluation import evaluate
from deep_infomax.experiments.run import Run, train
from deep_infomax.recipes import build_encoder
from deep_infomax.runtime import run_files
from deep_infomax.training import InterruptedTrainingError
from deep_infomax.training.checkpoint import MODEL, Checkpoints
from deep_infomax.training.prepare import use_channels_last

ROOT: Final = Path(__file__).resolve().parents[1]
LAYERS: Final = ("conv", "fc", "Y")
STEPS_SHARE, EVALUATION_SHARE, TESTS_SHARE = 0.4, 0.15, 0.2
"""Shares of the minutes by whose end the table of steps begins no row, and that the evaluation and the tests have."""
BLOCK: Final = 50
PAPER: Final = "encode-and-dot (64, 2048)", 50_000, 1_000
"""The paper's step, images and epochs."""


class Findings:
    """What was found, kept in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def add(self, name: str, value: Any) -> None:
        """Keep a finding and print it."""
        self.found[name] = value
        self.file.write_text(json.dumps(self.found, indent=1))
        print(f"{name}: {json.dumps(value)}", flush=True)


def main() -> None:
    began = time.monotonic()
    arguments = parse()
    device, seconds = torch.device(arguments.device), 60 * arguments.minutes
    arguments.out.mkdir(parents=True, exist_ok=True)
    findings = Findings(arguments.out / "gpu.json")
    if "machine" not in findings:
        findings.add("machine", machine(device))
    if "tests" not in findings:
        findings.add("tests", tests(TESTS_SHARE * seconds))
    for name, measure in rows(device):
        if name not in findings and time.monotonic() - began < STEPS_SHARE * seconds:
            findings.add(name, attempted(measure))
    draw_steps(findings.found, arguments.out / "steps.png")
    for number, recipe in enumerate(arguments.recipes):
        left = seconds * (1 - EVALUATION_SHARE) - (time.monotonic() - began)
        go_on(recipe, arguments, left / (len(arguments.recipes) - number))
    for recipe in arguments.recipes:
        if (reached := of_run(arguments.out / recipe, arguments.data, device)) is not None:
            findings.add(recipe, reached)
    draw_training([arguments.out / recipe for recipe in arguments.recipes if recipe in findings], arguments.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="for all stages together")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is found")
    parser.add_argument("--data", default="cifar10", help="as for dim train")
    parser.add_argument("--recipes", nargs="+", default=["local-infonce-paper"], help="which to train")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu tries it all in miniature")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("this torch finds no GPU; use --device cpu")
    return arguments


def machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "torch": torch.__version__, **training_step.rates(device)}


def tests(most: float) -> str:
    """The closing line of the tests marked gpu."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=most, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {most:.0f} s"
    return next(reversed(done.stdout.strip().splitlines()), done.stderr.strip()[-200:])


def rows(device: torch.device) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """The table of steps: every shape eager and, on a GPU, as one captured graph; then compiled, which takes longer."""
    library, compiled = training_step.library, training_step.compiled
    for shape in training_step.SHAPES:
        yield f"{shape}, eager", partial(library, shape, device)
        if device.type == "cuda":
            yield f"{shape}, graph", partial(captured, shape, device)
    for shape in training_step.SHAPES:
        yield f"{shape}, compiled", partial(compiled, shape, device)


def attempted(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a measurement finds, or why it finds nothing, which must not end what follows."""
    try:
        return measure()
    except (RuntimeError, ValueError) as error:
        return {"failed": str(error).splitlines()[0]}


def captured(shape: str, device: torch.device) -> dict[str, float]:
    """A step whose kernels are recorded once and launched together: data on the device, all passes, the optimiser."""
    config = training_step.shape_config(shape)
    encoder = build_encoder(config, 3, (32, 32)).train().to(device)
    term = training_step.local_term(config, encoder).train().to(device)
    use_channels_last(encoder)
    parameters = [*encoder.parameters(), *term.parameters()]
    optimizer = torch.optim.AdamW(parameters, 1e-4, weight_decay=0.0, fused=True, capturable=True)
    inputs = training_step.images(50 * config.training.batch_size).inputs.to(device)
    index = torch.arange(config.training.batch_size, device=device)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            features = encoder(inputs[index])
            loss = term(features.local, features.vector).encoder
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what is made at the first steps must be there before the recording
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    torch.cuda.reset_peak_memory_stats()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replays() -> None:
        for _ in range(BLOCK):
            graph.replay()

    best = min(training_step.timed(replays, device) for _ in range(5))
    return {"ms": round(1e3 * best / BLOCK, 3), "MB": round(torch.cuda.max_memory_allocated() / 1e6)}


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """An interrupt like that of a person, which a training answers with a checkpoint."""

    def early(*_: object) -> None:
        raise InterruptedTrainingError("interrupted before the first step")

    before = signal.signal(signal.SIGTERM, early)
    timer = threading.Timer(max(seconds, 0.1), os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)


def go_on(recipe: str, arguments: argparse.Namespace, seconds: float) -> None:
    """Train a recipe, from its last checkpoint where there is one, for so long."""
    run = arguments.out / recipe
    with interrupted_after(seconds):
        try:
            if (run / run_files.CONFIG).exists():
                Run(run).resume()
            else:
                train(recipe, arguments.data, out=run, training={"device": arguments.device, "checkpoints": 1})
        except InterruptedTrainingError as error:
            print(error, flush=True)


def of_run(run: Path, data: str, device: torch.device) -> dict[str, Any] | None:
    """What a training has reached: epochs, seconds, and accuracies of the encoder in its last checkpoint."""
    if not (run / run_files.CONFIG).exists():  # there was no time to begin
        return None
    settings = Run(run).settings
    checkpoint = Checkpoints(run / run_files.CHECKPOINTS, 1).read_latest()
    if checkpoint is None:
        return None
    dataset = load_dataset(data, settings.config.data_options)
    channels, *spatial = dataset.trained_shape
    encoder = build_encoder(settings.config, channels, tuple(spatial))
    encoder.load_state_dict(checkpoint.part(f"{MODEL}encoder."))
    began = time.perf_counter()
    results = evaluate(encoder.to(device), dataset, ["linear", "mlp"], LAYERS, seeds=1)
    seconds, images = checkpoint.record.seconds, checkpoint.record.step * settings.config.training.batch_size
    return {
        "steps": checkpoint.record.step,
        "epochs": round(images / len(dataset.pretraining), 2),
        "seconds": round(seconds),
        "images/s": round(images / seconds),
        "seconds of the evaluation": round(time.perf_counter() - began, 1),
        **{f"{result.metric} {result.layer}": round(result.value, 2) for result in results},
    }


def draw_steps(found: dict[str, Any], file: Path) -> None:
    """Milliseconds of a step, and what the paper's whole training would take."""
    measured = {name: row for name, row in found.items() if re.search(r", (eager|graph|compiled)$", name)}
    times = {name: ms for name, row in measured.items() if (ms := row.get("ms", row.get("compiled ms")))}
    figure, axes = plt.subplots(figsize=(7, 0.35 * len(times) + 1.2), layout="constrained")
    axes.barh(list(times), list(times.values()))
    axes.bar_label(axes.containers[0], [f"{ms:.2f}" for ms in times.values()], padding=3)
    axes.invert_yaxis()
    axes.set(xlabel="ms a step", xmargin=0.15)
    figure.savefig(file, dpi=150)
    plt.close(figure)
    shape, images, epochs = PAPER
    if shape in training_step.SHAPES:
        steps = images // training_step.SHAPES[shape][1] * epochs
        for name, ms in times.items():
            if name.startswith(shape):
                print(f"{name}: {epochs:,} epochs of {images:,} images take {steps * ms / 6e4:.1f} minutes", flush=True)


def draw_training(runs: list[Path], folder: Path) -> None:
    """The bound on training pairs against the epochs."""
    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for run in runs:
        records = train_records(run)
        axes.plot([r["epoch"] for r in records], [r["terms"]["local_bound"] for r in records], label=run.name)
    axes.set(xlabel="epochs", ylabel="local bound on training pairs, nats")
    if runs:
        axes.legend(frameon=False)
    figure.savefig(folder / "training.png", dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
