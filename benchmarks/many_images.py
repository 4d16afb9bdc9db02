"""Many image files: seconds to read them, memory of all processes, and the share of a training that waits for them.

N photographs in nested folders, one of them cut short, are read and trained on as `dim train` does it. Reading and each
training have a process of their own. The photographs are the JPEG files of the parquet folders named by ``--data``,
over and over; without any, they are generated. Memory is that of the process and its children, pages that several
share counted once, sampled ten times a second. Linux only.

    python benchmarks/many_images.py FOLDER --images 200000 --data cifar10/ tiny-imagenet/
    python benchmarks/many_images.py FOLDER --images 2000

FOLDER gets the photographs, a cache and three runs. Photographs that are there are read again; remove it at the end.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import psutil
import pyarrow.parquet as pq
import torch
from measuring import train_records
from PIL import Image

from deep_infomax.data import Batches, DataOptions, Dataset, Source, batches, images, load_dataset
from deep_infomax.recipes import RECIPES, build_encoder, build_objective
from deep_infomax.training import fit

RECIPE = "local-infonce"
GENERATED, A_FOLDER, FEW = 500, 250, 2000
READING = "read"
PLACES = ("few", "resident", "on disk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--size", type=int, default=64, help="of the decoded images")
    parser.add_argument("--steps", type=int, default=20, help="of a training")
    parser.add_argument("--data", nargs="*", type=Path, default=[], help="folders of parquet files")
    parser.add_argument("--only", choices=(READING, *PLACES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only == READING:
        read(options.folder, options.size)
        return
    if options.only:
        train(options.folder, options.size, options.steps, options.only)
        return
    print(
        f"cores {len(os.sched_getaffinity(0))}, load average {os.getloadavg()[0]:.2f}, torch {torch.__version__}",
        flush=True,
    )
    if not (options.folder / "photographs").exists():
        write_photographs(options.folder / "photographs", options.images, originals(options.data))
    for made in ("cache", *PLACES):
        shutil.rmtree(options.folder / made, ignore_errors=True)
    found = (watched([sys.executable, *sys.argv, "--only", phase], options.folder) for phase in (READING, *PLACES))
    show(chain.from_iterable(found))


def originals(folders: list[Path]) -> list[bytes]:
    """The image files that are in the parquet files of folders, or generated ones of 32 x 32 and 64 x 64 pixels."""
    found = []
    for table in sorted(file for folder in folders for file in folder.glob("*.parquet")):
        column = next(name for name in ("img", "image") if name in pq.read_schema(table).names)
        found += [image["bytes"] for image in pq.read_table(table, columns=[column])[column].to_pylist()]
    return found or [generated(number, (32, 64)[number % 2]) for number in range(GENERATED)]


def generated(number: int, side: int) -> bytes:
    """A JPEG file of a smooth picture."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def write_photographs(folder: Path, number: int, contents: list[bytes]) -> None:
    """Write so many files by year, month and film, the middle one cut short."""
    for start in range(0, number, A_FOLDER):
        film = start // A_FOLDER
        place = folder / str(2015 + film % 10) / f"{film // 10 % 12 + 1:02}" / f"film-{film:04}"
        place.mkdir(parents=True)
        for position in range(start, min(start + A_FOLDER, number)):
            content = contents[position % len(contents)]
            content = content[:-80] if position == number // 2 else content
            (place / f"img-{position:06}.jpg").write_bytes(content)


def watched(command: list[str], folder: Path) -> Iterator[tuple[dict[str, Any], float]]:
    """Run a command that prints a record a line: each record, and the peak bytes of its processes in that phase."""
    environment = os.environ | {"DEEP_INFOMAX_CACHE": str(folder / "cache")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    samples: list[tuple[float, float]] = []
    threading.Thread(target=watch_memory, args=(process, samples), daemon=True).start()
    assert process.stdout is not None
    for record in map(json.loads, process.stdout):
        yield record, max(size for moment, size in samples if record["began"] <= moment <= record["ended"])
    if process.wait():
        sys.exit(process.returncode)


def watch_memory(process: subprocess.Popen[str], samples: list[tuple[float, float]]) -> None:
    """Note moments, and the bytes of a process and its children then, until it ends; shared pages in equal parts."""
    root = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            size = sum(one.memory_full_info().pss for one in [root, *root.children(recursive=True)])
            samples.append((time.monotonic(), size))
        time.sleep(0.1)


def read(folder: Path, size: int) -> None:
    """Read the photographs that can be decoded, and read them again from the cache."""
    stages: list[dict[str, Any]] = []
    with phase(READING) as found, mock.patch.object(images, "progress", timed_progress(stages)):
        data = photographs(folder, size)
        found |= {"images": len(data.train), "bytes": data.train.nbytes, "stages": stages}
        found["rule"] = data.description["damaged_rule"]
    with phase("read from the cache"):
        photographs(folder, size)


def train(folder: Path, size: int, steps: int, place: str) -> None:
    """Train on the photographs that are in the cache."""
    source = photographs(folder, size).pretraining
    if place == "few":
        few = source.evenly_spaced(FEW)
        batches.release(source.inputs)  # pages beside those few, which count as memory of the process
        source = few
    with phase(f"train, {place}") as found:
        found |= trained(source, place, steps, folder)


def photographs(folder: Path, size: int) -> Dataset:
    """Those that can be decoded."""
    return load_dataset(str(folder / "photographs"), DataOptions(resize=size, skip_damaged=True))


@contextlib.contextmanager
def phase(name: str) -> Iterator[dict[str, Any]]:
    """Print a record of what is done within, with what is added to it."""
    found: dict[str, Any] = {"phase": name, "began": time.monotonic()}
    yield found
    print(json.dumps(found | {"ended": time.monotonic()}), flush=True)


def timed_progress(stages: list[dict[str, Any]]) -> Any:
    """A stand-in for the progress bar that notes seconds and cores of each stage."""

    @contextlib.contextmanager
    def progress(title: str, total: int, what: str = "images") -> Iterator[Any]:
        began, busy = time.perf_counter(), time.process_time()
        yield lambda count: None
        seconds = time.perf_counter() - began
        stages.append({"stage": title, "seconds": seconds, "cores": (time.process_time() - busy) / seconds})

    return progress


def trained(source: Source, place: str, steps: int, folder: Path) -> dict[str, Any]:
    """Train so many steps on inputs in memory or on disk: images a second, and the share of time that they wait."""
    recipe, waits, batch = RECIPES[RECIPE], list[float](), Batches.batch
    epochs = steps * recipe.training.batch_size / len(source)
    training = dataclasses.replace(recipe.training, epochs=epochs, log_every=steps, checkpoint_seconds=1e9)

    def timed_batch(self: Batches, step: int) -> Any:
        began = time.perf_counter()
        found = batch(self, step)
        waits.append(time.perf_counter() - began)
        return found

    free = (lambda device: 0) if place == "on disk" else batches.free_memory
    torch.manual_seed(0)
    encoder = build_encoder(recipe, *source.shape[:1], source.shape[1:])
    with mock.patch.object(Batches, "batch", timed_batch), mock.patch.object(batches, "free_memory", free):
        out = folder / place
        fit(encoder, build_objective(recipe.objective, encoder), source, training, out=out, progress=False)
    last = train_records(out)[-1]
    return {"images_per_second": last["images_per_second"], "waiting": sum(waits) / last["seconds"]}


def show(found: Iterable[tuple[dict[str, Any], float]]) -> None:
    """Print what is found, as it is."""
    peaks = {}
    for record, peak in found:
        peaks[record["phase"]] = peak
        if record["phase"] == READING:
            size, n = record["bytes"], record["images"]
            print(f"{record['rule']}; decoded {size / 1e6:,.0f} MB")
            print("stage | seconds | images/s | cores at work")
            for stage in record["stages"]:
                print(f"{stage['stage']} | {stage['seconds']:.1f} | {n / stage['seconds']:,.0f} | {stage['cores']:.2f}")
            print("phase | seconds | peak MB | of the decoded size | images/s | % of the time waiting")
        cells = [
            record["phase"],
            f"{record['ended'] - record['began']:.1f}",
            f"{peak / 1e6:,.0f}",
            f"{peak / size:.2f}",
        ]
        if "waiting" in record:
            cells += [f"{record['images_per_second']:,.1f}", f"{100 * record['waiting']:.2f}"]
        print(" | ".join(cells), flush=True)
    beyond = (peaks["train, resident"] - peaks["train, few"]) / size
    print(f"in memory, a training takes {beyond:.2f} of the decoded size more than one on {FEW:,} images")


if __name__ == "__main__":
    main()
