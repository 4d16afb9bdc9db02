"""Runs the blocks of README and guides: Python as it stands, and the commands of console blocks.

Each document runs in a folder of its own, which holds small data under the names that the documents use; that of a walk
is empty. What takes a reader minutes takes seconds here: commands get the arguments of `SMALL` as well, and `shortened`
holds for all. Lines that a console block shows below a command have to be printed by it.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, redirect_stderr
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image
from sybil import Document, Example, Region, Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = {
    "train": "--epochs 0.2",
    "evaluate": "--metrics knn --seeds 1 --layers Y",
    "compare": "--epochs 0.2 --metrics knn --seeds 1 --layers Y --jobs 1",
    "study": "--epochs 0.2 --metrics knn --jobs 1",
    "estimate": "--estimator gaussian",
}
"""What the commands of documents run with beside their own arguments; of a flag given twice the last one holds."""


class ConsoleBlocks:
    """Finds the console blocks of a document."""

    def __call__(self, document: Document) -> Iterable[Region]:
        for found in _BLOCK.finditer(document.text):
            yield Region(found.start(), found.end(), found[1], run_block)


def run_block(example: Example) -> None:
    """Run the commands of a block, one after the other; each has to end well, unless it shows why it does not."""
    for command, shown in commands_of(example.parsed):
        run_command(command, shown)


def commands_of(source: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, and what it shows of the output of each.

    A command is what follows a prompt, with the lines that a backslash continues.
    """
    joined = re.sub(r"\\\n\s*", " ", source)
    commands: list[tuple[str, list[str]]] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            assert commands, f"a console block without a prompt: {source}"
            commands[-1][1].append(line)
    return commands


def run_command(command: str, shown: Sequence[str]) -> None:
    """Run one command, `dim` in this process; a line that begins with "dim: " is one that it ends with."""
    words = shlex.split(command, comments=True)
    if words[0] == "dim":
        from deep_infomax.cli import main

        wrong = any(line.startswith("dim: ") for line in shown)
        with redirect_stderr(StringIO()) as printed:
            code = main([*words[1:], *small(words)])
        assert code == (2 if wrong else 0), f"{command} ended with {code}: {printed.getvalue()}"
        text = " ".join(printed.getvalue().split())
        assert [line for line in shown if " ".join(line.split()) not in text] == [], printed.getvalue()
        return
    assert not shown, f"what {command} prints is not looked at"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}"


def small(words: Sequence[str]) -> list[str]:
    """What a command runs with beside its own arguments."""
    joined = " ".join(words)
    if "--resume" in words or joined.endswith("--epochs 0") or "--epochs 0 " in joined:
        return []
    added = SMALL.get(words[1], "")
    return shlex.split(added.replace("--layers Y", "--layers Y,floors") if "Y,floors" in words else added)


def enter_folder(namespace: dict[str, Any]) -> None:
    """Go to a new folder with the data that the documents name."""
    enter_empty_folder(namespace)
    make_data(Path())


def enter_empty_folder(namespace: dict[str, Any]) -> None:
    """Go to a new folder."""
    namespace["_left"] = Path.cwd()
    namespace["_short"] = ExitStack()
    namespace["_folder"] = tempfile.TemporaryDirectory()
    os.chdir(namespace["_folder"].name)
    shortened(namespace["_short"])


def shortened(stack: ExitStack) -> None:
    """Trainings of a few steps, and a report without what takes longest to draw; the tests of each have them whole."""
    from matplotlib.figure import Figure

    import deep_infomax
    from deep_infomax.experiments.run import train
    from deep_infomax.experiments.transformer import DeepInfoMaxTransformer
    from deep_infomax.mutual_information.critics.fitting import Fitting
    from deep_infomax.recipes import Config

    def short(*arguments: Any, epochs: float, **options: Any) -> Any:
        return train(*arguments, epochs=min(epochs, 0.2), **options)

    def savefig(figure: Figure, file: Any, **options: Any) -> None:
        if options.get("format") == "svg":
            file.write('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
        else:
            drawn(figure, file, **options)

    def short_config(transformer: DeepInfoMaxTransformer) -> Config:
        config = config_of(transformer)
        return replace(config, training=replace(config.training, epochs=min(config.training.epochs, 0.2)))

    drawn, config_of = Figure.savefig, DeepInfoMaxTransformer._config
    stack.enter_context(mock.patch.object(DeepInfoMaxTransformer, "_config", short_config))
    for place in ("estimate", "conditional", "dependency.estimate"):
        short_fitting = partial(Fitting, steps=100)
        stack.enter_context(mock.patch(f"deep_infomax.mutual_information.{place}.Fitting", short_fitting))
    stack.enter_context(mock.patch.object(Figure, "savefig", savefig))
    stack.enter_context(mock.patch.object(deep_infomax, "train", short))
    stack.enter_context(mock.patch("deep_infomax.report.vector_map.tsne", return_value=None))


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back, and remove the folder."""
    namespace["_short"].close()
    os.chdir(namespace["_left"])
    namespace["_folder"].cleanup()


def make_data(folder: Path) -> None:
    """Small data of every kind: class folders of images, the same without classes, series, volumes, paired samples."""
    from sklearn.datasets import load_digits  # here, as every process of the tests would wait for it

    digits = load_digits()
    for i, (image, label) in enumerate(zip(digits.images[:400], digits.target, strict=False)):
        picture = Image.fromarray((image * 15).astype(np.uint8)).resize((16, 16))
        for path in (folder / "my-images" / f"{i:03}.png", folder / "my-labelled-images" / str(label) / f"{i:03}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    generator = np.random.default_rng(0)
    np.save(folder / "series.npy", generator.normal(size=(200, 2, 64)).astype(np.float32))
    make_files(folder, generator)
    x = generator.normal(size=(200, 2))
    np.save(folder / "A.npy", x)
    np.save(folder / "B.npy", x + generator.normal(size=x.shape))
    np.save(folder / "volumes.npy", generator.normal(size=(140, 1, 8, 8, 8)).astype(np.float32))


def make_files(folder: Path, generator: np.random.Generator) -> None:
    """Recordings and scans of several sizes, a table in long form, series of sktime and aeon, an HDF5 file."""
    import h5py
    import nibabel
    import soundfile

    (folder / "scans").mkdir()
    (folder / "recordings").mkdir()
    for i in range(140):
        samples = generator.normal(size=1000 + i) / 8
        soundfile.write(folder / "recordings" / f"{i:03}.wav", samples.clip(-1, 1), 8000)
        scan = generator.normal(size=(16, 16, 12 + i % 6)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(scan, np.eye(4)), folder / "scans" / f"{i:03}.nii")
    with h5py.File(folder / "archive.h5", "w") as file:
        file["group/series"] = np.load(folder / "series.npy")
    moments = [(f"p{i}", time, *generator.normal(size=2)) for i in range(140) for time in range(32)]
    rows = [",".join(map(str, moment)) for moment in moments]
    (folder / "visits.csv").write_text("\n".join(["patient,time,pulse,steps", *rows]))
    for split, count in (("TRAIN", 140), ("TEST", 20)):
        lines = [",".join(map(str, generator.normal(size=30 + i % 5))) + ":" + "ab"[i % 2] for i in range(count)]
        (folder / f"Hand_{split}.ts").write_text("\n".join(["@classLabel true a b", "@data", *lines]))


def documents_at(patterns: Sequence[str], setup: Callable[[dict[str, Any]], None]) -> Sybil:
    """The documents of some patterns, and how the folder that each runs in is made."""
    parsers = [PythonCodeBlockParser(), ConsoleBlocks(), SkipParser()]
    root = str(Path(__file__).parents[2])
    return Sybil(parsers=parsers, patterns=patterns, path=root, setup=setup, teardown=leave_folder)


documents = SybilCollection(
    [
        documents_at(["README.md", "docs/start.md", "docs/guides/*.md"], enter_folder),
        documents_at(["docs/guides/walks/*.md"], enter_empty_folder),
    ]
)
