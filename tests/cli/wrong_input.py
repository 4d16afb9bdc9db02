"""Kinds of wrong input to ``dim`` and how each is made; `wrong_input.yaml` holds the sentence that each gets."""

import gzip
import io
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image
from safetensors.numpy import load_file, save_file

RUN = "run"
"""A finished run on `series.npy`, which has no labels."""
LABELLED = "labelled"
"""A finished run on `labelled.npz`."""
SAMPLES = np.random.default_rng(2).normal(size=(100, 2))
"""Of two variables, in `left.npy`, `right.npy` and `both.npy`."""
_ESTIMATE = "estimate left.npy right.npy"
_TRAIN = "train --recipe local-infonce --epochs 1 --training.batch_size 16 --objective.units 16"


class Case(NamedTuple):
    kind: str
    command: str
    prepare: Callable[[Path], object] = lambda folder: None


def prepare_runs(folder: Path, dim: Callable[[str], int]) -> None:
    """The data and finished runs that the cases start from."""
    rng = np.random.default_rng(0)
    np.save(folder / "series.npy", rng.normal(size=(64, 1, 2, 32)).astype(np.float32))
    labelled = {"x": rng.normal(size=(64, 1, 2, 32)).astype(np.float32), "y": rng.integers(0, 2, 64)}
    np.savez(folder / "labelled.npz", **labelled)
    np.save(folder / "left.npy", SAMPLES[:, 0])
    np.save(folder / "right.npy", SAMPLES[:, 1])
    np.save(folder / "both.npy", SAMPLES)
    assert dim(f"{_TRAIN} --data series.npy --out {RUN}") == 0
    assert dim(f"{_TRAIN} --data labelled.npz --out {LABELLED}") == 0


def write(name: str, text: str) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    return prepare


def packed(folder: Path) -> None:
    (folder / "packed").mkdir()
    (folder / "packed" / "train.tar").write_bytes(gzip.compress(b"members"))


def images(name: str, sizes: list[int], corrupt: bool = False) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        (folder / name).mkdir()
        for number, size in enumerate(sizes):
            Image.new("RGB", (size, size), (number, 0, 0)).save(folder / name / f"{number}.png")
        if corrupt:
            (folder / name / "0.png").write_bytes(b"no image at all")

    return prepare


def kinds(folder: Path) -> None:
    """A folder with an image and a file that is called a recording."""
    images("kinds", [8])(folder)
    (folder / "kinds" / "0.wav").write_bytes(b"")


def recordings(folder: Path) -> None:
    (folder / "recordings").mkdir()
    (folder / "recordings" / "0.wav").write_bytes(b"")


def picture_files(name: str, *pixels: np.ndarray, frames: int = 1) -> Callable[[Path], object]:
    """A folder of images, each with its frames."""

    def prepare(folder: Path) -> None:
        (folder / name).mkdir()
        for number, values in enumerate(pixels):
            image = Image.fromarray(values)
            image.save(folder / name / f"{number}.tif", save_all=True, append_images=[image] * (frames - 1))

    return prepare


def array(name: str, values: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / name, values, allow_pickle=True)


def archive(name: str, labels: np.ndarray) -> Callable[[Path], object]:
    x = np.random.default_rng(0).normal(size=(len(labels), 1, 2, 32))
    return lambda folder: np.savez(folder / name, x=x, y=labels)


def new_class(folder: Path) -> None:
    """Labelled arrays with a class in the test part that the training part lacks."""
    x = np.random.default_rng(0).normal(size=(64, 1, 2, 32))
    np.savez(folder / "new.npz", x=x, y=np.arange(64) % 2, x_test=x[:3], y_test=[0, 1, 2])


def table(name: str, columns: dict[str, Callable[[bytes], object]]) -> Callable[[Path], object]:
    """A folder with a parquet file of ten rows; a column is made of an image file."""

    def prepare(folder: Path) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (8, 8)).save(stream, "PNG")
        rows = {column: [make(stream.getvalue())] * 10 for column, make in columns.items()}
        (folder / name).mkdir()
        pq.write_table(pa.table(rows), folder / name / "train.parquet")

    return prepare


def picture(content: bytes) -> object:
    return {"bytes": content, "path": None}


def damaged(run: str, name: str, copy: str, content: bytes = b"\x00rubbish") -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        shutil.copytree(folder / run, folder / copy)
        target = next((folder / copy).glob(name), folder / copy / name)
        target.write_bytes(content)

    return prepare


def unfinished(folder: Path) -> None:
    unfinished_anew("unfinished")(folder)


def unfinished_anew(name: str) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        shutil.copytree(folder / RUN, folder / name)
        (folder / name / "encoder.safetensors").unlink()

    return prepare


def edited(copy: str, old: str, new: str, run: str = RUN) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        shutil.copytree(folder / run, folder / copy)
        config = folder / copy / "config.yaml"
        config.write_text(config.read_text().replace(old, new))

    return prepare


def changed(copy: str, line: str, run: str = RUN) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        shutil.copytree(folder / run, folder / copy)
        config = folder / copy / "config.yaml"
        config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | yaml.safe_load(line)))

    return prepare


def exchanged(folder: Path) -> None:
    """A run whose data have the shape and the type of those it was trained on, and other values."""
    edited("exchanged", "series.npy", "exchanged.npy")(folder)
    file = folder / "exchanged" / "config.yaml"
    file.write_text(file.read_text().replace("name: series", "name: exchanged"))
    np.save(folder / "exchanged.npy", np.random.default_rng(1).normal(size=(64, 1, 2, 32)).astype(np.float32))


def infinite(folder: Path) -> None:
    """A run whose weights are so large that sums of them are not finite."""
    shutil.copytree(folder / RUN, folder / "infinite")
    file = folder / "infinite" / "encoder.safetensors"
    weights = load_file(file)
    save_file({name: np.full_like(w, 3e38) if name.endswith("weight") else w for name, w in weights.items()}, file)


def unlogged(folder: Path) -> None:
    shutil.copytree(folder / RUN, folder / "unlogged")
    (folder / "unlogged" / "metrics.jsonl").unlink()


SENTENCES: dict[str, str] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
"""What every kind of wrong input is answered; … stands for words of another library."""

BLACK = np.zeros((8, 8), np.uint8)
NAN = np.ones((64, 1, 2, 32), np.float32)
NAN[3, 0, 1, 7] = np.nan

WRONG_LINES = [
    "training: null", "training: 5", "data: null", "data: 5", "probe: 7", "seed: null", "seed: abc", "seed: -1",
    "dataset: null", "environment: null",
]  # fmt: skip
"""Keys of a run's config.yaml with what is no value of theirs."""

CASES = [
    # flags
    Case("an unknown command", "trian --data digits"),
    Case("an unknown flag", "train --data digits --learning_rate 1"),
    Case("an unknown recipe", "train --recipe local-infonec --data digits"),
    Case("a word for a number", "train --data digits --epochs many"),
    Case("an unknown tracker", "train --data digits --training.trackers tensorboard,wandbox"),
    Case("a flag without its value", "train --data"),
    Case("a value for a switch", "evaluate run --json=yes"),
    Case("an operand too many", "estimate left.npy right.npy both.npy"),
    Case("negative epochs", "train --data digits --epochs -1"),
    Case("epochs beyond counting", "train --data digits --epochs 1e308"),
    Case("a negative seed", "train --data digits --seed -1"),
    Case("a batch of 0", "train --data digits --training.batch_size 0"),
    Case("a batch of 1", "train --data digits --training.batch_size 1 --out one"),
    Case("a batch of 1 without pairs", "train --recipe vae --data digits --training.batch_size 1 --out alone"),
    Case("an unknown schedule", "train --data digits --training.schedule cosine"),
    Case("an unknown precision", "train --data digits --training.precision float16"),
    Case("a single beta of Adam", "train --data digits --training.betas 0.5"),
    Case("betas that are no numbers", "train --data digits --training.betas 0.5,high"),
    Case("an unknown place of a penalty", "train --data digits --objective.gradient_penalty_on samples"),
    Case("an infinite learning rate", "train --data digits --training.learning_rate inf"),
    Case("an unknown bound", "train --data digits --objective.bound infonec"),
    Case("more others than the batch has", f"{_TRAIN} --data series.npy --objective.others 16 --out others"),
    Case("a negative weight", f"{_TRAIN} --data series.npy --objective.gamma -1 --out gamma"),
    Case("no weight at all", f"{_TRAIN} --data series.npy --objective.beta 0 --out beta"),
    Case("a score limit of 0", f"{_TRAIN} --data series.npy --objective.limit 0 --out limit"),
    Case("noise of deviation 0", f"{_TRAIN} --data series.npy --objective.noise 0 --out noise"),
    Case("noise for a method without scorers", "train --recipe vae --data digits --objective.noise 0.5 --out vae"),
    Case("an unknown matching", f"{_TRAIN} --data series.npy --objective.matching sigreq"),
    Case(
        "a prior that a matching cannot match",
        f"{_TRAIN} --data series.npy --objective.gamma 0.1 --objective.matching sigreg --out uniform",
    ),
    Case("no units", f"{_TRAIN} --data series.npy --objective.units 0 --out units"),
    Case("a seed beyond 64 bits", "train --data digits --seed 18446744073709551616"),
    Case("an unknown architecture", f"{_TRAIN} --data series.npy --encoder.architecture resnet --out resnet"),
    Case("an architecture for another size", "train --data digits --encoder.architecture convolutional-32 --out size"),
    Case("a resize to 0", "train --data digits --data_options.resize 0"),
    Case("a resize beyond all screens", "train --data digits --data_options.resize 1000000000"),
    Case("units beyond counting", "train --data digits --objective.units 4611686018427387904"),
    Case("seeds beyond counting", f"evaluate {LABELLED} --seeds 1180591620717411303424"),
    Case("permutations beyond counting", f"{_ESTIMATE} --permutations 4611686018427387904"),
    Case("the home of nobody", "train --data ~nosuchuser/images"),
    Case("a configuration with an alias", "train --config alias.yaml", write("alias.yaml", "a: &a [*a]\n")),
    Case("a name with a NUL", "train --data a\0b"),
    Case("an operand with a NUL", "report a\0b"),
    Case("a pipe of data", "train --data tube.npy", lambda folder: os.mkfifo(folder / "tube.npy")),
    Case("a Hub name that leaves its folder", "train --data hub:../.."),
    Case("a pipe of samples", "estimate left.npy pipe.npy", lambda folder: os.mkfifo(folder / "pipe.npy")),
    # configuration files
    Case("a configuration file that is missing", "train --data digits --config missing.yaml"),
    Case("a broken configuration file", "train --config broken.yaml", write("broken.yaml", "recipe: [local")),
    Case("a recipe in it that is no word", "train --config number.yaml", write("number.yaml", "recipe: 5")),
    Case("an unknown key in it", "train --config key.yaml", write("key.yaml", "training: {speed: 9}\n")),
    Case("a wrong type in it", "train --config type.yaml", write("type.yaml", "training: {batch_size: big}\n")),
    Case("a group of it without settings", "train --config bare.yaml", write("bare.yaml", "training: null\n")),
    # data
    Case("a misspelt data set", "train --data cifr10"),
    Case("a path that is not there", "train --data ./nowhere"),
    Case("an empty configuration file", "train --config hollow.yaml", write("hollow.yaml", "")),
    Case("an empty folder", "train --data empty", lambda folder: (folder / "empty").mkdir()),
    Case("a file of another kind", "train --data notes.txt", write("notes.txt", "hello")),
    Case("a folder of several kinds", "train --data kinds", kinds),
    Case("a part of what has none", "train --data series.npy:x"),
    Case("a table without a column of series", "train --data long.csv", write("long.csv", "a,b\n1,2\n")),
    Case(
        "series of several lengths",
        "train --data uneven.ts",
        write("uneven.ts", "@classLabel false\n@data\n1,2,3\n4,5\n"),
    ),
    Case("a missing value", "train --data gap.ts", write("gap.ts", "@classLabel false\n@data\n1,2,3\n4,?,6\n")),
    Case("an option of images for series", "train --data recordings --data_options.resize 8", recordings),
    Case("a corrupt image", "train --data corrupt", images("corrupt", [8, 8, 8], corrupt=True)),
    Case("images of several sizes", "train --data sizes", images("sizes", [8, 9, 10])),
    Case("a crop larger than an image", "train --data crops --data_options.crop 9", images("crops", [8, 8])),
    Case("images of several depths", "train --data depths", picture_files("depths", BLACK, BLACK.astype(np.uint16))),
    Case("images of several frames", "train --data films", picture_files("films", BLACK, frames=3)),
    Case("bands that images lack", "train --data bands --data_options.channels 5", picture_files("bands", BLACK)),
    Case(
        "images of one frame as volumes",
        "train --data stills --data_options.frames depth",
        picture_files("stills", BLACK),
    ),
    Case(
        "pixels that are not finite", "train --data holes", picture_files("holes", np.full((4, 4), np.nan, np.float32))
    ),
    Case("an array with NaN", "train --data nan.npy", array("nan.npy", NAN)),
    Case("an array of objects", "train --data objects.npy", array("objects.npy", np.array([{}, []], dtype=object))),
    Case("an array of one dimension", "train --data flat.npy", array("flat.npy", np.ones(64, np.float32))),
    Case("a torn array file", "train --data torn.npy", write("torn.npy", "\x93NUMPY")),
    Case("constant data", f"{_TRAIN} --data same.npy --out same", array("same.npy", np.ones((64, 1, 32), np.float32))),
    Case("labels of another length", "train --data short.npz", lambda f: np.savez(f / "short.npz", x=NAN[:3], y=[0])),
    Case(
        "labels that are measurements",
        f"{_TRAIN} --data real.npz --out real",
        archive("real.npz", np.linspace(0, 1, 64)),
    ),
    Case(
        "arrays whose axes leave doubt",
        "train --data beats.npy",
        array("beats.npy", np.ones((64, 2, 32), np.float32)),
    ),
    Case("axes of another number of letters", "train --data series.npy --data_options.layout hw"),
    Case(
        "labels that are all different",
        "train --data ids.npz",
        archive("ids.npz", np.arange(64)),
    ),
    Case("labels that training never had", "train --data new.npz --probe new.npz", new_class),
    Case("complex labels", "train --data complex.npz", archive("complex.npz", np.arange(64) * 1j)),
    Case(
        "a label column of lists",
        "train --data lists --data_options.label_column tags",
        table("lists", {"image": picture, "tags": lambda _: [1, 2]}),
    ),
    Case("a compressed tar file", "train --data packed", packed),
    Case("a stream of what has no shards", "train --data digits --data_options.stream true"),
    Case("a stream of missing values", "train --data packed --data_options.stream true --data_options.missing nan"),
    Case("an address without a stream", "train --data https://host/birds-{0..3}.tar"),
    Case("a damaged parquet file", "train --data parquet", write("parquet/train-0.parquet", "PAR1 and no more")),
    Case("a Hub name without an owner", "train --data hub:name"),
    Case("a Hub that cannot be reached", "train --data hub:owner/name"),
    Case("a probe without labels", f"{_TRAIN} --data series.npy --probe series.npy --out unprobed"),
    # run directories
    Case("a run directory in use", f"{_TRAIN} --data series.npy --out {RUN}"),
    Case("a file for a run directory", f"{_TRAIN} --data series.npy --out series.npy"),
    Case(
        "a folder with another config.yaml",
        f"{_TRAIN} --data series.npy --out other",
        write("other/config.yaml", "debug: true\n"),
    ),
    Case("a run directory without its log", f"{_TRAIN} --data series.npy --out unlogged", unlogged),
    Case("a resume of nothing", "train --resume nothing"),
    Case("a resume with other flags", f"train --resume {RUN} --epochs 9"),
    Case("a resume of a damaged configuration", "train --resume a", damaged(RUN, "config.yaml", "a")),
    Case("a resume of an empty configuration", "train --resume e", damaged(RUN, "config.yaml", "e", b"")),
    Case("a resume of a damaged checkpoint", "train --resume b", damaged(RUN, "checkpoints/*", "b")),
    *(
        Case(f"a resume with `{line}`", f"train --resume wrong-{number}", changed(f"wrong-{number}", line))
        for number, line in enumerate(WRONG_LINES)
    ),
    Case("a resume with a wrong setting", "train --resume setting", edited("setting", "epochs: 1.0", "epochs: many")),
    Case("a resume on data of other values", "train --resume exchanged", exchanged),
    Case("a resume on other data", "train --resume moved", edited("moved", "n_train: 64", "n_train: 65")),
    Case("a resume with another flag, joined", f"train --resume={RUN} --epochs=9"),
    Case("a resume of an edited configuration", "train --resume edited", edited("edited", "units: 16", "units: 8")),
    Case(
        "an evaluation with a wrong option", "evaluate wrong", edited("wrong", "resize: null", "resize: wide", LABELLED)
    ),
    Case("an evaluation with a wrong seed", "evaluate seedless", changed("seedless", "seed: abc", LABELLED)),
    Case("an evaluation of nothing", "evaluate nothing"),
    Case("an evaluation of an unfinished run", "evaluate unfinished", unfinished),
    Case("an evaluation without labels", f"evaluate {RUN}"),
    Case("a probe of another shape, before training", f"{_TRAIN} --data series.npy --probe digits --out shape"),
    Case("a probe of another shape", f"evaluate {LABELLED} --probe digits"),
    Case(
        "a probe with two columns of images",
        f"evaluate {LABELLED} --probe pairs",
        table("pairs", {"left": picture, "right": picture}),
    ),
    Case("the training data, read otherwise", f"evaluate {LABELLED} --data_options.crop 2"),
    Case("an unknown metric", f"evaluate {LABELLED} --metrics linear,accuracy"),
    Case("samples of an encoder without a posterior", f"evaluate {LABELLED} --metrics ndm-sample"),
    Case("small images to reconstruct", f"evaluate {LABELLED} --metrics ms_ssim"),
    Case("an unknown layer", f"evaluate {LABELLED} --layers Z"),
    Case("no seeds", f"evaluate {LABELLED} --seeds 0"),
    Case("a damaged encoder.json", "evaluate c", damaged(LABELLED, "encoder.json", "c")),
    Case("damaged weights", "evaluate d", damaged(LABELLED, "encoder.safetensors", "d")),
    Case("an output folder that is not there", f"encode {RUN} series.npy --out no/where/Y.npy"),
    Case("a folder to encode into", f"encode {RUN} series.npy --out shelf", lambda f: (f / "shelf").mkdir()),
    Case("an encoding of no known ending", f"encode {RUN} series.npy --out Y.txt"),
    Case("an encoding without an ending", f"encode {RUN} ./nothing --out Y"),
    Case("a device to encode into", f"encode {RUN} series.npy --out /dev/null"),
    Case(
        "a link to encode into", f"encode {RUN} series.npy --out by.npy", lambda f: (f / "by.npy").symlink_to("Y.npy")
    ),
    Case("images of several sizes to encode", f"encode {RUN} unequal --out Y.npy", images("unequal", [8, 9, 10])),
    Case("an encoding with wrong data", "encode dataless series.npy --out Y.npy", changed("dataless", "data: null")),
    Case("an unknown layer to encode", f"encode {RUN} series.npy --out Y.npy --layer Z"),
    Case("an export of no known ending", f"export {RUN} --out e.bin"),
    Case("an export of no known format", f"export {RUN} --format tf --out e.pb"),
    Case("an export whose ending is another format's", f"export {RUN} --format onnx --out e.pt2"),
    Case("an export into no folder", f"export {RUN} --out no/e.onnx"),
    Case("an export of an unfinished run", "export unfinished-2 --out e.pt2", unfinished_anew("unfinished-2")),
    Case("an export of nothing", "export nothing --out e.pt2"),
    Case("a push to no name", f"push {RUN} name --dry_run pushed"),
    Case("a push under no licence", f"push {RUN} o/n --license (c) --dry_run pushed"),
    Case("a push into a folder that is full", f"push {RUN} o/n --license mit --dry_run {LABELLED}"),
    Case("a push into no folder", f"push {RUN} o/n --license mit --dry_run no/where"),
    Case("a push of an unfinished run", "push unfinished-3 o/n", unfinished_anew("unfinished-3")),
    Case("a push without the Hub", f"push {RUN} o/n --license mit"),
    Case("an unknown split", f"encode {RUN} series.npy --out Y.npy --split validation"),
    Case("a test split of data without one", f"encode {LABELLED} labelled.npz --out Y.npy --split test"),
    Case("data of another shape to encode", f"encode {RUN} digits --out Y.npy"),
    Case("a report on nothing", "report nothing"),
    Case("a report on a wrong probe", "report probing --out probing.html", changed("probing", "probe: 7")),
    Case("a report on a damaged evaluation", "report h --out h.html", damaged(RUN, "evaluation.json", "h")),
    Case("a report on a folder without runs", "report hollow", lambda folder: (folder / "hollow").mkdir()),
    Case("an exploration of nothing", "explore nothing"),
    Case("an exploration of an unfinished run", "explore unfinished-4", unfinished_anew("unfinished-4")),
    Case("data of another shape to explore", f"explore {RUN} digits"),
    Case("an unknown split to explore", f"explore {RUN} --split validation"),
    Case("no points to explore", f"explore {RUN} --points 0"),
    Case("more points than a page holds", f"explore {RUN} --points 1000000"),
    Case("a page in a folder that is not there", f"explore {RUN} --out no/map.html"),
    Case("a page whose tables have no folder of their own", f"explore {RUN} --out {LABELLED}.html"),
    Case(
        "an exploration of other data than the training's",
        "explore moved-2",
        edited("moved-2", "n_train: 64", "n_train: 65"),
    ),
    Case("an exploration of one input", f"explore {RUN} --points 1"),
    Case("an encoder without a finite Y", "explore infinite", infinite),
    # several trainings
    Case("no recipes to compare", "compare --data digits"),
    Case("an unknown recipe to compare", "compare --recipes vae,dim --data digits"),
    Case("no seeds to compare", "compare --recipes vae --data digits --seeds 0"),
    Case("an unknown metric to compare", "compare --recipes vae --data digits --metrics accuracy"),
    Case("no jobs", "compare --recipes vae --data digits --jobs 0"),
    Case("supervised training without labels", "train --recipe supervised --data series.npy --out told"),
    Case("no training inputs", "train --data digits --data_options.train_inputs 0"),
    Case("all training inputs held out", "train --data digits --data_options.held_out 1297"),
    Case("a part held out of unlabelled inputs", "train --data series.npy --data_options.held_out 8"),
    Case(
        "a part held out beside data to probe on",
        "train --data digits --probe labelled.npz --data_options.held_out 100",
    ),
    Case("an unknown study", "study epochs"),
    Case("more others than a batch has", "study negatives --data digits --others 1,500"),
    Case("a bound that no recipe has", "study negatives --data digits --bounds nce"),
    Case("a negative weight to study", "study weights --data digits --alphas -1"),
    Case("a negative beta to study", "study beta --data digits --betas=-1"),
    # samples of variables
    Case("an estimate from one file", "estimate left.npy"),
    Case("an unknown estimator", f"{_ESTIMATE} --estimator mien"),
    Case("an unknown flag of an estimate", f"{_ESTIMATE} --steps 100"),
    Case("one fold", f"{_ESTIMATE} --folds 1"),
    Case("more folds than the samples fill", f"{_ESTIMATE} --folds 11"),
    Case("half a fold", f"{_ESTIMATE} --folds 2.5"),
    Case("a level in percent", f"{_ESTIMATE} --level 95"),
    Case("a time budget of 0", f"{_ESTIMATE} --time_budget 0"),
    Case("an endless time budget", f"{_ESTIMATE} --time_budget inf"),
    Case("a negative seed of an estimate", f"{_ESTIMATE} --seed -1"),
    Case("fewer than no permutations", f"{_ESTIMATE} --permutations -1"),
    Case("neither true nor false", f"{_ESTIMATE} --ranks maybe"),
    Case("blocks of 0 rows", f"{_ESTIMATE} --blocks 0"),
    Case("blocks in a word", f"{_ESTIMATE} --blocks weekly"),
    Case("blocks too long for the samples", f"{_ESTIMATE} --blocks 60"),
    Case("groups and blocks", f"{_ESTIMATE} --blocks 3 --groups left.npy"),
    Case("groups and blocks of a dependency", "dependency both.npy --blocks 3 --groups left.npy"),
    Case("groups that are nowhere", f"{_ESTIMATE} --groups subject"),
    Case("groups of two columns", f"{_ESTIMATE} --groups both.npy"),
    Case("groups for fewer rows", f"{_ESTIMATE} --groups 3.csv", write("3.csv", "who\na\nb\na\n")),
    Case(
        "groups of two",
        f"{_ESTIMATE} --groups 2.npy",
        lambda folder: np.save(folder / "2.npy", np.arange(len(SAMPLES)) % 2),
    ),
    Case("groups and no samples", "estimate g.csv right.npy --groups who", write("g.csv", "who\n" + "a\nb\n" * 50)),
    Case("quarters for an estimator of densities", f"{_ESTIMATE} --estimator ksg --check_processing"),
    Case("a figure of an unknown kind", f"{_ESTIMATE} --plot figure.gif"),
    Case("a figure in a folder that is not there", f"{_ESTIMATE} --plot no/where/figure.png"),
    Case("a link for a figure", f"{_ESTIMATE} --plot by.png", lambda folder: (folder / "by.png").symlink_to("f.png")),
    Case("a folder for a figure", f"{_ESTIMATE} --plot wall.png", lambda folder: (folder / "wall.png").mkdir()),
    Case("samples that are not there", "estimate left.npy nothing.npy"),
    Case("a folder of samples", "estimate left.npy drawer", lambda folder: (folder / "drawer").mkdir()),
    Case("samples in a file of another kind", "estimate left.npy words.doc", write("words.doc", "hello")),
    Case("a torn file of samples", "estimate left.npy half.npy", write("half.npy", "\x93NUMPY")),
    Case(
        "pickled samples",
        "estimate left.npy pickled.npy",
        lambda folder: (folder / "pickled.npy").write_bytes(pickle.dumps([1.0] * 100)),
    ),
    Case(
        "samples that are objects",
        "estimate left.npy things.npy",
        array("things.npy", np.array([{}] * 100, dtype=object)),
    ),
    Case("samples that are words", "estimate left.npy names.npy", array("names.npy", np.arange(100).astype(str))),
    Case(
        "words called numbers",
        "estimate sexes.npy left.npy --discrete_x false",
        array("sexes.npy", np.array(["f", "m"] * 50)),
    ),
    Case("a discrete column that is not there", "estimate left.npy left.npy --discrete_y age"),
    Case("words that are missing", "estimate left.npy gap.csv", write("gap.csv", "sex\nf\nm\n--\nf\nNA\n")),
    Case("complex samples", "estimate left.npy waves.npy", array("waves.npy", SAMPLES[:, 1] * 1j)),
    Case("several arrays", "estimate left.npy labelled.npz"),
    Case("no array", "estimate left.npy none.npz", lambda folder: np.savez(folder / "none.npz")),
    Case("words in a table", "estimate left.npy words.csv", write("words.csv", "a,b\n1,2\n3,four\n")),
    Case("a table whose rows differ", "estimate left.npy uneven.csv", write("uneven.csv", "1,2.5\n3,4\n5\n")),
    Case("an empty table", "estimate left.npy empty.csv", write("empty.csv", "")),
    Case("samples of another length", "estimate left.npy fewer.npy", array("fewer.npy", SAMPLES[:60, 1])),
    Case("samples with NaN", "estimate missing.npy right.npy", array("missing.npy", np.append(SAMPLES[1:, 0], np.nan))),
    Case("constant samples", "estimate left.npy level.npy", array("level.npy", np.ones(100))),
    Case("too few samples", "estimate few.npy few.npy", array("few.npy", SAMPLES[:20, 0])),
    Case("one number for samples", "estimate number.npy right.npy", array("number.npy", np.array(1.0))),
    Case("samples without coordinates", "dependency hollow.npy", array("hollow.npy", np.ones((100, 0)))),
    Case("interaction with nothing", f"{_ESTIMATE} --interaction"),
    Case("a test beside what is given", f"{_ESTIMATE} --given right.npy --permutations 100"),
    Case("what is given of another length", f"{_ESTIMATE} --given less.npy", array("less.npy", SAMPLES[:60, 1])),
    Case("no lags", "transfer left.npy right.npy --lags 0"),
    Case("lags beyond the series", "transfer left.npy right.npy --lags 1,50"),
    Case("an estimator without folds", "transfer left.npy right.npy --estimator ksg"),
    Case("a rank without a target", "rank left.npy"),
    Case(
        "a target that is not there",
        "rank three.csv --target d",
        write("three.csv", "a,b,c\n" + "1,2.5,3.5\n4,5,7\n" * 20),
    ),
    Case("pairs of one column", "pairwise left.npy"),
    Case("folds of pairs", "pairwise both.npy --folds 3"),
    Case("the dependency of nothing", "dependency"),
    Case("the dependency of one coordinate", "dependency left.npy"),
    Case(
        "the dependency of coordinates with infinity",
        "dependency far.npy",
        array("far.npy", np.where(SAMPLES > 2, np.inf, SAMPLES)),
    ),
    Case("the dependency of constant coordinates", "dependency flat2.npy", array("flat2.npy", np.ones((100, 3)))),
    Case("an unknown method", "dependency both.npy --method chian"),
    Case("an unknown flag of a dependency", "dependency both.npy --permutations 100"),
    Case("a level of 0", "dependency both.npy --level 0"),
    Case("a figure of dependency of an unknown kind", "dependency both.npy --plot figure"),
]
