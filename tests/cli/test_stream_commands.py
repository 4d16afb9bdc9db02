"""A folder of tar files from the command line: trained on as a stream, stopped, continued, measured and encoded."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deep_infomax.cli import main
from deep_infomax.data import batches, shards
from deep_infomax.encoders import Encoder

SMALL = "--training.batch_size 8 --training.device cpu --objective.units 8"


def dim(command: str) -> int:
    return main(command.split())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tar files to train on and one to test on. A group holds one, and memory none."""
    rng = np.random.default_rng(0)
    (tmp_path / "birds").mkdir()
    for name in ("train-0", "train-1", "train-2", "test-0"):
        with tarfile.open(tmp_path / "birds" / f"{name}.tar", "w") as tar:
            for number in range(20):
                file = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(file, "PNG")
                for kind, content in (("png", file.getvalue()), ("cls", str(number % 2).encode())):
                    info = tarfile.TarInfo(f"{number:03}.{kind}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shards, "GROUP_BYTES", 20 * 3 * 16 * 16)
    monkeypatch.setattr(batches, "free_memory", lambda device: 0)
    return tmp_path


def weights(run: str) -> dict[str, torch.Tensor]:
    return Encoder.from_pretrained(run).state_dict()


@pytest.mark.usefixtures("undrawn")
def test_a_folder_of_tar_files_is_trained_on_measured_and_encoded(capsys: pytest.CaptureFixture[str]) -> None:
    train = f"train --recipe local-infonce --data birds --data_options.stream true {SMALL}"
    assert dim(f"{train} --epochs 2 --out run") == 0
    said = capsys.readouterr().err
    assert "birds: 60 inputs to train on, 20 to test on, 2 classes\n" in said
    assert "  stream: 4 shards in 4 files of 0.2 MB, decoded as they are needed; an epoch mixes the shards" in said
    assert dim("evaluate run --metrics knn,linear --layers Y") == 0
    assert dim("report run") == 0
    assert Path("run/report.html").exists()
    assert dim("encode run birds --out Y.npy") == 0
    assert dim("encode run birds --out again.npy --data_options.stream false") == 0
    np.testing.assert_allclose(np.load("Y.npy"), np.load("again.npy"), atol=1e-5)
    assert dim("explore run --out map.html") == 0


def test_a_stopped_training_on_a_stream_goes_on_to_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    train = f"train --recipe local-infonce --data birds --data_options.stream true --epochs 2 {SMALL}"
    assert dim(f"{train} --out whole") == 0
    read = shards.ShardedInputs.__getitem__

    def fails(inputs: shards.ShardedInputs, index: object) -> np.ndarray:
        if isinstance(index, np.ndarray) and len(index) == 20 and next(calls):
            raise OSError("train-1.tar cannot be reached (slow), tried 5 times")
        return read(inputs, index)

    calls = iter([False, False, False, True])
    with monkeypatch.context() as patch:
        patch.setattr(shards.ShardedInputs, "__getitem__", fails)
        assert dim(f"{train} --training.checkpoint_seconds 0 --out cut") == 2
    assert list(Path("cut/checkpoints").iterdir())
    assert dim("train --resume cut") == 0
    for name, value in weights("whole").items():
        assert torch.equal(value, weights("cut")[name]), name


def test_a_probe_of_image_files_goes_with_a_training_on_a_stream() -> None:
    for number in range(40):
        path = Path("labelled", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16, 3), 6 * number, np.uint8)).save(path)
    train = f"train --recipe local-infonce --data birds --data_options.stream true --epochs 1 {SMALL}"
    assert dim(f"{train} --probe labelled --out run") == 0
    assert dim("evaluate run --metrics knn --layers Y") == 0
    assert dim("encode run labelled --out Y.npy") == 0


def test_what_cannot_be_streamed_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert dim("train --data digits --data_options.stream true --out run") == 2
    assert (
        "dim: --data_options.stream reads images in tar files, parquet files and data sets" in capsys.readouterr().err
    )
    assert dim("train --data https://host/birds-{0..3}.tar --out run") == 2
    assert "is read over the network; set --data_options.stream to true, or download it" in capsys.readouterr().err
