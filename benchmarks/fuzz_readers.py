"""Damage every kind of file that is read, some thousand times, and look for tracebacks, waits and files elsewhere.

Every reader gets files made of a sound one by `hostile_files`, and what is no file in a file's place. Most are read by
the library, every twentieth by the command. What is wrong has to end in one sentence: a ValueError or an OSError of the
library, exit code 2 of the command. Run it with `OMP_NUM_THREADS=1 python benchmarks/fuzz_readers.py [FILES] [SEED]`.
"""

import contextlib
import io
import os
import random
import shutil
import signal
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import hostile_files as hostile
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

import deep_infomax
from deep_infomax.cli import main as dim
from deep_infomax.cli.samples import read_samples
from deep_infomax.cli.training import group_in_file
from deep_infomax.data import DataOptions, cache, load_dataset
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import read_results
from deep_infomax.experiments.run_directory import read_settings
from deep_infomax.experiments.slurm import read_submitted
from deep_infomax.report.reading import read_run
from deep_infomax.training.checkpoint import Checkpoints

SLOW: Final = 10.0
"""Seconds of processor time after which a reader hangs."""
WAITING: Final = 120.0
"""Seconds after which it does where it waits, on a machine that may have other work."""
COMMAND_EVERY: Final = 20


class Reader(NamedTuple):
    """A kind of file."""

    file: str
    """The one that is damaged, in the folder that `make_sound` fills."""
    damage: Callable[[bytes, random.Random], bytes]
    read: Callable[[Path], object]
    """Reads it by the library."""
    command: str
    """Reads it by the command, as words after ``dim``; empty where the command would go on for minutes."""


def _report(folder: Path) -> object:
    run = read_run(folder / "run", "run")
    return run.name, run.notes


def _checkpoint(folder: Path) -> object:
    Checkpoints(folder / "run" / "checkpoints", 1).read_latest()
    return deep_infomax.Run(folder / "run").resume(progress=False)  # there is nothing left to train


def _encoder(folder: Path) -> object:
    return Encoder.from_pretrained(folder / "run")


def _entry(folder: Path) -> object:
    [path] = (folder / "cache").iterdir()
    return cache.read_entry(path)


def _data(name: str) -> Callable[[Path], object]:
    return lambda folder: load_dataset(str(folder / name)).description


def _stream(name: str) -> Callable[[Path], object]:
    return lambda folder: load_dataset(str(folder / name), DataOptions(stream=True)).train.sample(8).shape


def _table(name: str) -> Callable[[Path], object]:
    return lambda folder: read_samples(folder / name, "x")


def _settings(folder: Path) -> object:
    return dim(["train", "--config", str(folder / "settings.yaml"), "--print_config"])


def _encoding(data: str) -> str:
    return f"encode run {data} --out out/Y.npy"


_REPORT: Final = "report run --out out/page.html"
READERS: Final = {
    "config.yaml": Reader(
        "run/config.yaml", hostile.hostile_yaml, lambda f: (read_settings(f / "run"), _report(f)), _encoding("data.npz")
    ),
    "encoder.json": Reader("run/encoder.json", hostile.hostile_json, _encoder, _encoding("data.npz")),
    "encoder.json in a report": Reader("run/encoder.json", hostile.hostile_json, _report, _REPORT),
    "encoder.safetensors": Reader(
        "run/encoder.safetensors", hostile.hostile_tensors, _encoder, _encoding("data.npz")
    ),
    "evaluation.json": Reader(
        "run/evaluation.json", hostile.hostile_json,
        lambda f: (_report(f), read_results(f / "run/evaluation.json")), _REPORT,
    ),
    "metrics.jsonl": Reader("run/metrics.jsonl", hostile.hostile_lines, _report, _REPORT),
    "representation.npz": Reader("run/arrays/representation.npz", hostile.hostile_archive, _report, _REPORT),
    "neighbours.npz": Reader("run/arrays/neighbours.npz", hostile.hostile_archive, _report, _REPORT),
    "objective.npz": Reader("run/arrays/objective.npz", hostile.hostile_archive, _report, _REPORT),
    "checkpoint": Reader("run/checkpoints/*.safetensors", hostile.hostile_tensors, _checkpoint, "train --resume run"),
    "--config": Reader(
        "settings.yaml", hostile.hostile_yaml, _settings, "train --config settings.yaml --print_config"
    ),
    "--data_options": Reader(
        "options.yaml", hostile.hostile_yaml, lambda f: group_in_file("data_options", str(f / "options.yaml")),
        f"{_encoding('data.npz')} --data_options options.yaml",
    ),
    "job.json": Reader("run.job.json", hostile.hostile_json, lambda f: read_submitted(f / "run.job.json"), _REPORT),
    "dataset.json of the cache": Reader(
        "cache/*/dataset.json", hostile.hostile_json, _entry, _encoding("images")
    ),
    "train.npy of the cache": Reader("cache/*/train.npy", hostile.hostile_array, _entry, _encoding("images")),
    "data.npz": Reader("data.npz", hostile.hostile_archive, _data("data.npz"), _encoding("data.npz")),
    "data.npy": Reader("data.npy", hostile.hostile_array, _data("data.npy"), _encoding("data.npy")),
    "parquet": Reader("table/train.parquet", hostile.flipped, _data("table"), _encoding("table")),
    "tar": Reader("tars/train.tar", hostile.flipped, _data("tars"), _encoding("tars")),
    "tar as a stream": Reader(
        "tars/train.tar", hostile.flipped, _stream("tars"), f"{_encoding('tars')} --data_options.stream true"
    ),
    "parquet as a stream": Reader(
        "table/train.parquet", hostile.flipped, _stream("table"), f"{_encoding('table')} --data_options.stream true"
    ),
    "png": Reader("images/a/0.png", hostile.flipped, _data("images"), _encoding("images")),
    "tiff": Reader("scans/a/0.tif", hostile.flipped, _data("scans"), _encoding("scans")),
    "csv": Reader("samples.csv", hostile.flipped, _table("samples.csv"), ""),
    "npy of samples": Reader(
        "samples.npy", hostile.hostile_array, _table("samples.npy"), ""
    ),
    "parquet of samples": Reader(
        "samples.parquet", hostile.flipped, _table("samples.parquet"), ""
    ),
}  # fmt: skip


def make_sound(folder: Path) -> None:
    """Fill a folder with one sound file of every kind, among them a trained and measured run."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 1, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", x=images, y=np.arange(32) % 2)
    np.save(folder / "data.npy", images)
    rows = []
    for suffix, name in (("png", "images"), ("tif", "scans")):
        for number, image in enumerate(images[:8, 0]):
            path = folder / name / "ab"[number % 2] / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            rows.append({"bytes": path.read_bytes(), "path": None})
    (folder / "tars").mkdir()
    with tarfile.open(folder / "tars" / "train.tar", "w") as tar:
        for path in sorted((folder / "images").rglob("*.png")):
            tar.add(path, path.name)
    (folder / "table").mkdir()
    features = '{"info": {"features": {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["a"]}}}}'
    table = pa.table({"image": rows[:8], "label": [0] * 8}).replace_schema_metadata({"huggingface": features})
    pq.write_table(table, folder / "table" / "train.parquet")
    samples = rng.normal(size=(64, 2))
    np.save(folder / "samples.npy", samples)
    np.savetxt(folder / "samples.csv", samples, delimiter=",", header="a,b", comments="")
    pq.write_table(pa.table({"a": samples[:, 0], "b": samples[:, 1]}), folder / "samples.parquet")
    run = deep_infomax.train(data=folder / "data.npz", out=folder / "run", epochs=1, progress=False, **_SMALL)
    run.evaluate(metrics=["knn", "linear"], layers=["Y"], seeds=1)
    shown = images[:4].transpose(0, 2, 3, 1)
    np.savez(folder / "run/arrays/objective.npz", inputs=shown, reconstructions=shown, samples=shown)
    config = yaml.safe_load((folder / "run/config.yaml").read_text())
    (folder / "settings.yaml").write_text(
        yaml.safe_dump({n: config[n] for n in ("recipe", "seed", "training", "objective")})
    )
    (folder / "options.yaml").write_text("layout: auto\nresize: null\nflip: false\n")
    (folder / "run.job.json").write_text('{"job": "4711"}')
    load_dataset(str(folder / "images"))


_SMALL: Final = {"training": {"batch_size": 16, "device": "cpu"}, "objective": {"units": 8}}


def spoil(folder: Path, reader: Reader, rng: random.Random) -> Path:
    """Put a damaged or hostile file in the place of a sound one."""
    [path] = folder.glob(reader.file)
    if rng.random() < 0.03:
        hostile.take_its_place(path, rng)
    else:
        path.write_bytes(reader.damage(path.read_bytes(), rng))
    return path


def listing(folder: Path) -> set[tuple[str, int, int]]:
    """What lies in a folder: paths, sizes and times of change."""
    return {(str(path), (s := path.lstat()).st_size, s.st_mtime_ns) for path in folder.rglob("*") if not path.is_dir()}


class HangError(BaseException):
    """A reader takes too long."""


def _too_long(*_: object) -> None:
    raise HangError


def _outcome(read: Callable[[], object]) -> str:
    """How reading ended: read, refused, or what went wrong."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
            code = read()
    except (ValueError, OSError) as error:
        return "refused" if "\n" not in str(error).strip() else f"several lines: {error}"
    except HangError:
        return "hang"
    except BaseException:
        return traceback.format_exc()
    sentences = [line for line in errors.getvalue().splitlines() if line.startswith("dim: ")]
    if not isinstance(code, int):
        return "read"
    if code not in (0, 1, 2) or len(sentences) != bool(code) or "Traceback" in errors.getvalue():
        return f"exit code {code}: {errors.getvalue()}"
    return "refused" if code else "read"


def campaign(folder: Path, files: int, seed: int) -> Counter[tuple[str, str]]:
    """Read so many files; how often each reader ended how."""
    sound, work = folder / "sound", folder / "work"
    sound.mkdir()
    os.environ["DEEP_INFOMAX_CACHE"] = str(sound / "cache")
    make_sound(sound)
    os.environ["DEEP_INFOMAX_CACHE"] = str(work / "cache")
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGPROF, _too_long)
    counts: Counter[tuple[str, str]] = Counter()
    slowest: Counter[str] = Counter()
    names = list(READERS)
    for number in range(files):
        name = names[number % len(names)]
        rng = random.Random(f"{seed} {number}")
        shutil.copytree(sound, work)
        (work / "out").mkdir()
        os.chdir(work)
        # The cache is stamped with times of files, which a copy keeps.
        spoil(work, READERS[name], rng)
        before = listing(folder)
        by_command = bool(READERS[name].command) and number // len(names) % COMMAND_EVERY == 0
        read = (
            (lambda n=name: dim(READERS[n].command.split())) if by_command else (lambda n=name: READERS[n].read(work))
        )
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SLOW)
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        said = _outcome(read)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        took = time.process_time() - began
        slowest[name] = max(slowest[name], took)
        allowed = [work / part for part in ("run", "out", "cache")]
        written = {
            path for path, *_ in listing(folder) - before if not any(Path(path).is_relative_to(a) for a in allowed)
        }
        kind = "hang" if took > SLOW else "elsewhere" if written else said if said in ("read", "refused") else "fault"
        counts[name, f"{kind}"] += 1
        if kind not in ("read", "refused"):
            print(
                f"{seed} {number} {name} {'command' if by_command else 'library'} {took:.1f} s {written}\n{said}\n",
                flush=True,
            )
        os.chdir(folder)
        for path in (work, *work.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o700)
        shutil.rmtree(work)
    _print(counts, slowest)
    return counts


def _print(counts: Counter[tuple[str, str]], slowest: Counter[str]) -> None:
    kinds = ("read", "refused", "fault", "hang", "elsewhere")
    print(f"{'reader':28}" + "".join(f"{kind:>10}" for kind in kinds) + f"{'slowest':>10}")
    for name in READERS:
        print(f"{name:28}" + "".join(f"{counts[name, kind]:10}" for kind in kinds) + f"{slowest[name]:9.1f}s")
    print(f"{'all':28}" + "".join(f"{sum(n for (_, k), n in counts.items() if k == kind):10}" for kind in kinds))


def main() -> int:
    """Run the campaign; 1 where something went wrong."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 6000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        counts = campaign(Path(folder), files, seed)
    return int(any(kind not in ("read", "refused") for _, kind in counts))


if __name__ == "__main__":
    sys.exit(main())
