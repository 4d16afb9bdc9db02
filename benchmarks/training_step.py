"""The library's training step: beside plain PyTorch, of every recipe, by operator, compiled, with data on disk.

On random images of CIFAR-10's size, each measurement in a process of its own, one after the other, with the same
threads and the same allocator; the library in the precision that it finds faster on this machine, what it is measured
against (see `reference_steps.py`) in float32. Shares of peak are of the matrix-product rate measured in the same
precision in this run, by product or by convolution, whichever is the faster, for the floating-point operations of the
reference's step, or of the recipe's own. Peak memory is that of the process, or of the GPU, beyond what it held before
the first step. Run it with `make bench`; `--json FILE` writes all figures, those of each table once it is printed.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from measuring import status_bytes, train_records
from reference_steps import FORMULATIONS, reference_loss
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from deep_infomax.data import Batches, Source, batches, load_dataset
from deep_infomax.objectives import DeepInfoMax
from deep_infomax.recipes import RECIPES, Config, build_encoder, build_objective
from deep_infomax.training import can_compile, fit, has_fast_bfloat16, keep_freed_memory, loop
from deep_infomax.training.prepare import use_channels_last

SHAPES: Final = {
    "encode-and-dot (64, 2048)": ("local-infonce-paper", 64, 2048),
    "encode-and-dot (256, 2048)": ("local-infonce-paper", 256, 2048),
    "encode-and-dot (256, 512)": ("local-infonce-paper", 256, 512),
    "local-infonce (128, 512)": ("local-infonce", 128, 512),
    "local-infonce (256, 512)": ("local-infonce", 256, 512),
}
"""Recipe, batch and units; without the prior, which the reference leaves out."""
RECIPES_TIMED: Final = list(RECIPES)
BLOCK: Final = 5  # steps timed at a time
BLOCKS: Final = {"library": 4, "direct": 4, "expanded": 1}  # timed, after as many that touch memory for the first time
EPOCH_STEPS: Final = 40
OPERATORS: Final = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("this torch finds no GPU; use --device cpu")
    device = torch.device(options.device)
    if options.one is not None:
        measure, *arguments = options.one
        if measure != "returning":
            keep_freed_memory()
        print(json.dumps(MEASUREMENTS[measure](*arguments, device)))
        return
    where = machine(device)
    print(", ".join(f"{key} {value}" for key, value in where.items()), flush=True)
    found: dict[str, Any] = {"machine": where}

    def table(title: str, rows: Iterable[dict[str, Any]]) -> None:
        found[title] = list(rows)
        show(title, found[title])
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(found, indent=1))

    table("shapes", (of_shape(shape, device, where) for shape in SHAPES))
    table("recipes", (of_recipe(name, device, where) for name in RECIPES_TIMED))
    table("data", ({"data": place} | measured(device, "waiting", place) for place in ("resident", "on disk")))
    eager = [{"shape": row["shape"], "ms": row["ms"]} for row in found["shapes"]]
    table("compiled", (row | measured(device, "compiled", row["shape"]) for row in eager))
    if device.type == "cpu":
        table("freed memory returned", (row | measured(device, "returning", row["shape"]) for row in eager))
    table("operators", (of_operators(name, device) for name in [*SHAPES, *RECIPES_TIMED]))


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures depend on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    rates = measured(device, "rates")
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "torch": torch.__version__, "threads": torch.get_num_threads(), "load average": round(load, 2),
        "precision": "bfloat16" if has_fast_bfloat16(device) else "float32", **rates,
    }  # fmt: skip


def of_shape(shape: str, device: torch.device, where: dict[str, Any]) -> dict[str, Any]:
    """The library's step and both references' of one shape."""
    library, direct, expanded = (measured(device, kind, shape) for kind in ("library", "direct", "expanded"))
    seconds, peak = library["ms"] / 1e3, where[f"{where['precision']} GFLOP/s"]
    return {
        "shape": shape,
        "GFLOP": direct["GFLOP"],
        "ms": library["ms"],
        "images/s": round(SHAPES[shape][1] / seconds),
        "% of peak": round(100 * direct["GFLOP"] / seconds / peak, 1),
        "MB": library["MB"],
        "float32 ms": direct["ms"],
        "ratio": round(direct["ms"] / library["ms"], 2),
        "float32 % of peak": round(100 * direct["GFLOP"] / direct["ms"] * 1e3 / where["float32 GFLOP/s"], 1),
        "float32 MB": direct["MB"],
        "expanded ms": expanded["ms"],
        "expanded ratio": round(expanded["ms"] / library["ms"], 2),
        "expanded MB": expanded["MB"],
    }


def of_recipe(name: str, device: torch.device, where: dict[str, Any]) -> dict[str, Any]:
    """A recipe's own step."""
    found = measured(device, "recipe", name)
    share = 100 * found["GFLOP"] / found["ms"] * 1e3 / where[f"{where['precision']} GFLOP/s"]
    return {"recipe": name} | found | {"% of peak": round(share, 1)}


def of_operators(name: str, device: torch.device) -> dict[str, str]:
    """Where the time of a shape or a recipe goes."""
    shares = measured(device, "operators", name)
    return {"of": name, "% of the time": ", ".join(f"{operator} {share}" for operator, share in shares.items())}


def measured(device: torch.device, *arguments: str) -> dict[str, Any]:
    """What one of `MEASUREMENTS` finds in a process of its own."""
    print(f"measuring: {' '.join(arguments)}", file=sys.stderr)
    command = [sys.executable, __file__, "--device", device.type, "--one", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rates(device: torch.device) -> dict[str, float]:
    """GFLOP a second of square matrix products, the best of three sizes, twenty times each.

    As a product and as a convolution of single pixels, which on CPUs are computed by different libraries.
    """
    torch.backends.cudnn.allow_tf32 = False
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        best = 0.0
        for size in (1024, 2048, 4096):
            a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
            maps, kernel = a.view(size // 64, 8, 8, size).movedim(3, 1), b[:, :, None, None]
            for product in (partial(torch.matmul, a, b), partial(F.conv2d, maps, kernel)):
                best = max(best, 2 * size**3 / min(timed(product, device) for _ in range(20)))
        found[f"{str(dtype).removeprefix('torch.')} GFLOP/s"] = round(best / 1e9)
    return found


def library(shape: str, device: torch.device) -> dict[str, float]:
    """A step of `fit` itself: data, forward, backward, optimiser; the median over blocks of what it logs."""
    return step(shape_config(shape), device)


def returning(shape: str, device: torch.device) -> dict[str, float]:
    """The same step where the allocator gives freed memory back to the system, as it does by default."""
    with mock.patch.object(loop, "keep_freed_memory"):
        found = library(shape, device)
    return {"returned, ms": found["ms"], "MB": found["MB"]}


def compiled(shape: str, device: torch.device) -> dict[str, float | None]:
    """The same step compiled, and the seconds that this takes with nothing compiled before."""
    config = shape_config(shape)
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, compile=True))
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=folder):
        began = time.perf_counter()
        if not can_compile(device):
            return dict.fromkeys(("compiled ms", "seconds to compile"))
        tried = time.perf_counter() - began
        found = step(config, device)
    return {"compiled ms": found["ms"], "seconds to compile": round(tried + found["s before"], 1)}


def step(config: Config, device: torch.device) -> dict[str, float]:
    steps = 2 * BLOCKS["library"] * BLOCK
    source = images(steps * config.training.batch_size)  # one epoch, as none of what is done at its end is the step's
    before = memory(device)
    records = trained(config, source, steps, device)
    speeds = [record["images_per_second"] for record in records][BLOCKS["library"] :]
    seconds = config.training.batch_size / statistics.median(speeds)
    first = records[0]["seconds"] - BLOCK * seconds
    return {"ms": round(seconds * 1e3, 1), "MB": round(memory(device, peak=True) - before), "s before": first}


def reference(formulation: str, shape: str, device: torch.device) -> dict[str, float]:
    """A step of a reference, and its floating-point operations."""
    torch.backends.cudnn.allow_tf32 = False  # nor do the products have it whose rate is the peak
    config, before = shape_config(shape), memory(device)
    encoder = build_encoder(config, 3, (32, 32)).train().to(device)
    term = local_term(config, encoder).train().to(device)
    use_channels_last(encoder)
    parameters = [*encoder.parameters(), *term.parameters()]
    optimizer = torch.optim.AdamW(parameters, 1e-4, weight_decay=0.0, fused=True)
    batch = images(config.training.batch_size).inputs.to(device)

    def steps(number: int = BLOCK) -> None:
        for _ in range(number):
            reference_loss(encoder, term, batch, FORMULATIONS[formulation]).backward()
            optimizer.step()
            optimizer.zero_grad()

    for _ in range(BLOCKS[formulation]):
        steps()
    seconds = statistics.median(timed(steps, device) for _ in range(BLOCKS[formulation])) / BLOCK
    peak = memory(device, peak=True)
    with FlopCounterMode(display=False) as counter:
        steps(1)
    return {
        "ms": round(seconds * 1e3, 1), "MB": round(peak - before), "GFLOP": round(counter.get_total_flops() / 1e9, 2),
    }  # fmt: skip


def operators(name: str, device: torch.device) -> dict[str, float]:
    """The largest operators of a shape's or a recipe's training and their own shares of its time, in percent."""
    config = shape_config(name) if name in SHAPES else RECIPES[name]
    found = profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda"))
    first, last, batch = BLOCK, 4 * BLOCK, Batches.batch

    def watched(self: Batches, step: int) -> Any:  # neither what comes before the first step nor the end of an epoch
        if step == first:
            found.start()
        if step == last:
            found.stop()
        return batch(self, step)

    with mock.patch.object(Batches, "batch", watched):
        trained(config, images((last + 1) * config.training.batch_size), last + 1, device)
    if device.type == "cuda":  # kernels; what they were launched by has their time once more
        own = [event for event in found.key_averages() if event.device_type.name == "CUDA"]
        times = {event.key: event.self_device_time_total for event in own if not event.is_user_annotation}
    else:
        times = {event.key: event.self_cpu_time_total for event in found.key_averages()}
    largest = sorted(times, key=lambda name: -times[name])[:OPERATORS]
    total = sum(times.values())
    shares = {name.removeprefix("aten::"): round(100 * times[name] / total, 1) for name in largest}
    return shares | {"all others": round(100 - sum(shares.values()), 1)}


def recipe(name: str, device: torch.device) -> dict[str, float]:
    """A step of a recipe, and the second of two short epochs, with their logs and signs of collapse."""
    config, before = RECIPES[name], memory(device)
    batch = config.training.batch_size
    records = trained(config, images(EPOCH_STEPS * batch), 2 * EPOCH_STEPS, device)
    second = records[EPOCH_STEPS // BLOCK :]
    step = batch / statistics.median(record["images_per_second"] for record in second)
    epoch = records[-1]["seconds"] - records[EPOCH_STEPS // BLOCK - 1]["seconds"]
    peak = memory(device, peak=True) - before
    return {
        "batch": batch, "ms": round(step * 1e3, 1), "images/s in an epoch": round(EPOCH_STEPS * batch / epoch),
        "MB": round(peak), "GFLOP": round(operations(config, device) / 1e9, 2),
    }  # fmt: skip


def operations(config: Config, device: torch.device) -> int:
    """Floating-point operations of a step's products and convolutions: of a training of two steps less one of one."""
    source, counts = images(2 * config.training.batch_size), []
    for steps in (1, 2):
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = WholeModel()
        with counter:
            trained(config, source, steps, device)
        counts.append(counter.get_total_flops())
    return counts[1] - counts[0]


class WholeModel(nullcontext[None]):
    """In the place of the counter's tracker of modules, whose hooks forbid the gradient of a gradient's length."""

    parents: Final = {"Global"}


def waiting(place: str, device: torch.device) -> dict[str, float]:
    """The share of a training's time that it waits for data: kept on the device, or memory-mapped on disk."""
    config = RECIPES["local-infonce"]
    waits: list[float] = []
    batch = Batches.batch

    def timed_batch(self: Batches, step: int) -> Any:
        began = time.perf_counter()
        found = batch(self, step)
        waits.append(time.perf_counter() - began)
        return found

    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", images(EPOCH_STEPS * config.training.batch_size).inputs.numpy())
        source = load_dataset(f"{folder}/images.npy").pretraining
        assert isinstance(source.inputs, np.ndarray), "mapped, not read"
        free = batches.free_memory if place == "resident" else lambda device: 0
        with mock.patch.object(Batches, "batch", timed_batch), mock.patch.object(batches, "free_memory", free):
            records = trained(config, source, 2 * EPOCH_STEPS, device)
    return {
        "images/s": round(statistics.median(record["images_per_second"] for record in records)),
        "% of time waiting": round(100 * sum(waits[1:]) / records[-1]["seconds"], 2),
    }


MEASUREMENTS: Final[dict[str, Callable[..., Mapping[str, float | None]]]] = {
    "rates": rates,
    "library": library,
    "returning": returning,
    "compiled": compiled,
    "direct": lambda shape, device: reference("direct", shape, device),
    "expanded": lambda shape, device: reference("expanded", shape, device),
    "operators": operators,
    "recipe": recipe,
    "waiting": waiting,
}


def shape_config(shape: str) -> Config:
    """The configuration of a shape."""
    name, batch, units = SHAPES[shape]
    config = RECIPES[name]
    return dataclasses.replace(
        config,
        objective=dataclasses.replace(config.objective, units=units, gamma=0.0),
        training=dataclasses.replace(config.training, batch_size=batch),
    )


def local_term(config: Config, encoder: torch.nn.Module) -> torch.nn.Module:
    """The local term that a configuration trains with."""
    objective = build_objective(config.objective, encoder)
    assert isinstance(objective, DeepInfoMax)
    return objective.local_term


def images(number: int) -> Source:
    """Random images of CIFAR-10's size, with labels."""
    inputs = torch.randint(256, (number, 3, 32, 32), dtype=torch.uint8)
    return Source(inputs, torch.arange(number) % 10, tuple("0123456789"), "random images", "train")


def trained(config: Config, source: Source, steps: int, device: torch.device) -> list[dict[str, Any]]:
    """What `fit` logs of its steps."""
    encoder = build_encoder(config, *source.shape[:1], source.shape[1:])
    objective = build_objective(config.objective, encoder, source)
    training = dataclasses.replace(
        config.training,
        epochs=steps / (len(source) // config.training.batch_size),
        log_every=BLOCK,
        device=device.type,
        checkpoint_seconds=1e9,
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(encoder, objective, source, training, out=folder, progress=False)
        return train_records(Path(folder))


def memory(device: torch.device, peak: bool = False) -> float:
    """MB that this process (on Linux), or a GPU for it, holds, or held at most."""
    if device.type == "cuda":
        return (torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()) / 1e6
    return status_bytes("VmHWM" if peak else "VmRSS") / 1e6


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of some work, to its end on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """A table of rows that have the same keys."""
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
