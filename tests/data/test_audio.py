"""Recordings: exact samples, splits and classes by folder, and the sentence each mistake gets."""

import re
import sys

import numpy as np
import pytest
import soundfile
import torch

from deep_infomax.data import DataOptions, load_dataset


def recording(path, samples, rate=8000, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def noise(length, channels=1, seed=0):
    return np.random.default_rng(seed).integers(-(2**15), 2**15, (length, channels)).astype(np.int16)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
@pytest.mark.parametrize("channels", [1, 2])
def test_one_recording(tmp_path, suffix, channels):
    samples = noise(50, channels)
    dataset = load_dataset(str(recording(tmp_path / f"a{suffix}", samples)))
    assert (len(dataset.train), dataset.train.shape, dataset.name) == (1, (channels, 50), "a")
    expected = torch.from_numpy(samples.T[None] / 2**15).float()
    assert torch.equal(dataset.train.take(torch.tensor([0])), expected)
    assert dataset.description["sampling_rule"] == "8,000 samples a second"
    assert dataset.description["axes"] == "cl (channels, length)"


def test_depths_may_be_mixed(tmp_path):
    samples = np.array([0, 0.5, -0.25, -1])
    for number, subtype in enumerate(("PCM_16", "PCM_24", "FLOAT", "DOUBLE", "PCM_U8")):
        recording(tmp_path / f"{number}.wav", samples, subtype=subtype)
    found = load_dataset(str(tmp_path)).train.take(torch.arange(5))
    assert found[:, 0].tolist() == [samples.tolist()] * 5


def test_folders_are_splits_and_classes(tmp_path):
    expected = {}
    for number, place in enumerate(("train/cat/0", "train/cat/1", "train/dog/0", "test/dog/0", "test/cat/0")):
        samples = noise(20, seed=number)
        recording(tmp_path / "set" / f"{place}.wav", samples)
        expected[place] = (samples[:, 0] / 2**15).tolist()
    (tmp_path / "set" / "readme.txt").write_text("by hand")
    (tmp_path / "set" / "train" / "cat" / "9.MP3").touch()
    recording(tmp_path / "set" / ".hidden" / "9.wav", noise(7))
    for _ in range(2):  # read, then out of the cache
        dataset = load_dataset(str(tmp_path / "set"))
        assert dataset.train.classes == ("cat", "dog")
        assert dataset.train.labels.tolist() == [0, 0, 1]
        assert dataset.test.labels.tolist() == [0, 1]
        train, test = (
            source.take(torch.arange(len(source)))[:, 0].tolist() for source in (dataset.train, dataset.test)
        )
        assert train == [expected[f"train/{name}"] for name in ("cat/0", "cat/1", "dog/0")]
        assert test == [expected[f"test/{name}"] for name in ("cat/0", "dog/0")]
    assert dataset.description["label_rule"] == "names of folders"
    assert dataset.description["left_out"] == "1 files that may be recordings: 1 ending in .mp3"
    assert dataset.description["split_rule"] == "test split as published"


def test_lengths_are_made_alike_by_a_rule(tmp_path):
    for number, length in enumerate((10, 14, 12)):
        recording(tmp_path / f"{number}.wav", noise(length, seed=number))
    with pytest.raises(ValueError, match=r"3 different sizes, from 10 \(.*0.wav\) to 14 \(.*1.wav\); crop or pad all"):
        load_dataset(str(tmp_path))
    dataset = load_dataset(str(tmp_path), DataOptions(size=12))
    assert dataset.train.shape == (1, 12)
    rows = [noise(length, seed=number)[:, 0] / 2**15 for number, length in enumerate((10, 14, 12))]
    expected = [[rows[0][0], *rows[0], rows[0][-1]], rows[1][1:13].tolist(), rows[2].tolist()]
    assert dataset.train.take(torch.arange(3))[:, 0].tolist() == expected
    assert "1 of 3 inputs cropped, 1 padded" in dataset.description["size_rule"]
    assert load_dataset(str(tmp_path), DataOptions(crop=8)).train.shape == (1, 8)


@pytest.mark.parametrize(
    ("second", "options", "sentence"),
    [
        (
            lambda path: recording(path, noise(9), rate=16000),
            {},
            "a.wav has 8,000 samples a second, .*b.wav has 16,000",
        ),
        (lambda path: recording(path, noise(9, 2)), {}, "a.wav has 1 channels, .*b.wav has 2; give inputs with one"),
        (lambda path: recording(path, noise(0)), {}, "b.wav has the size 0, so there is nothing in it; remove it"),
        (lambda path: path.write_bytes(b""), {}, "b.wav: it is no WAV or FLAC file that can be read; replace it"),
        (lambda path: path.write_bytes(b"RIFF and no more"), {}, "b.wav: it is no WAV or FLAC file that can be read"),
        (
            lambda path: recording(path, np.array([0, np.nan] * 5)[:9], subtype="FLOAT"),
            {},
            "b.wav: it has numbers that are NaN or infinite",
        ),
        (
            lambda path: recording(path, noise(9)),
            {"resize": 4},
            "`data_options.resize` is for images, and .* recordings",
        ),
        (lambda path: recording(path, noise(9)), {"channels": 1}, "`data_options.channels` is for images"),
    ],
)
def test_recordings_that_cannot_be_used(tmp_path, second, options, sentence):
    recording(tmp_path / "set" / "a.wav", noise(9))
    second(tmp_path / "set" / "b.wav")
    with pytest.raises(ValueError, match=sentence) as caught:
        load_dataset(str(tmp_path / "set"), DataOptions(**options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_a_recording_cut_short(tmp_path, suffix):
    path = recording(tmp_path / f"a{suffix}", noise(5000))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"it (has values of|is no WAV).*; replace it by a complete copy"):
        load_dataset(str(path))


def test_a_recording_whose_length_was_unknown_when_it_was_written(tmp_path):
    path = recording(tmp_path / "a.wav", noise(50))
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :])
    assert load_dataset(str(path)).train.shape == (1, 50)


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    recording(tmp_path / "a.wav", noise(9))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    sentence = 'WAV and FLAC files are read by soundfile, which is not installed; pip install "deep-infomax[audio]"'
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(str(tmp_path / "a.wav"))
