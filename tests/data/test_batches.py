"""Batches as a function of seed and step, on the device or from disk; random crops; statistics."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deep_infomax.data import Batches, CropAndFlip, DataOptions, Source, augmentation, statistics
from deep_infomax.data.batches import JOBS, free_memory

N = 23


@pytest.fixture
def source():
    inputs = torch.randint(0, 256, (N, 3, 4, 5), dtype=torch.uint8)
    return Source(inputs, torch.arange(N) % 4, ("a", "b", "c", "d"), "noise", "train")


@pytest.fixture
def mapped(source, tmp_path):
    np.save(tmp_path / "x.npy", source.inputs.numpy())
    return replace(source, inputs=np.load(tmp_path / "x.npy", mmap_mode="r"))


def batches(source, **arguments):
    return Batches(source, **({"batch_size": 4, "seed": 3, "device": "cpu"} | arguments))


@pytest.mark.parametrize("resident_bytes", [None, 0])
def test_a_batch_depends_on_its_step_alone(mapped, resident_bytes):
    forward, backward = (batches(mapped, resident_bytes=resident_bytes) for _ in range(2))
    steps = range(12)
    ahead = [forward.batch(step) for step in steps]
    for step in reversed(steps):
        for one, other in zip(ahead[step], backward.batch(step), strict=True):
            assert torch.equal(one, other)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="pages are counted by Linux")
def test_what_is_kept_in_memory_is_there_once(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (4096, 1, 32, 32), np.uint8))
    inputs = np.load(tmp_path / "x.npy", mmap_mode="r")
    kept = batches(Source(inputs, None, None, "noise", "train")).resident
    [mapping] = re.findall(
        rf"{re.escape(str(tmp_path))}/x.npy\n(?:.*\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text()
    )
    assert int(mapping) * 1024 < 0.1 * inputs.nbytes
    assert np.array_equal(kept.numpy(), inputs)  # which is read again where it is wanted


def test_an_epoch_covers_every_input_at_most_once(source):
    loader = batches(source)
    assert loader.steps_per_epoch == 5
    epochs = [torch.cat([loader.batch(5 * epoch + step).index for step in range(5)]) for epoch in range(3)]
    for index in epochs:
        assert index.unique().numel() == 20
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], source.order(4, 0).permutation[:20])


def test_whole_epochs_cover_every_input_once(source):
    loader = batches(source, batch_size=1)
    assert sorted(int(loader.batch(step).index) for step in range(N)) == list(range(N))


def test_a_batch_is_what_the_source_has_at_its_index(source):
    batch = batches(source).batch(7)
    assert torch.equal(batch.inputs, source.inputs[batch.index])
    assert torch.equal(batch.labels, source.labels[batch.index])
    assert batches(replace(source, labels=None, classes=None)).batch(0).labels is None


def test_processes_share_out_the_batch_of_one(source):
    one = batches(source, batch_size=6)
    three = [batches(source, batch_size=6, rank=rank, world=3) for rank in range(3)]
    for step in (0, 2, 4):
        assert torch.equal(one.batch(step).index, torch.cat([part.batch(step).index for part in three]))


def test_on_disk_equals_on_the_device(source, mapped):
    on_device, to_device, on_disk = batches(source), batches(mapped), batches(mapped, resident_bytes=0)
    assert on_device.resident is source.inputs
    assert to_device.resident is not None
    assert on_disk.resident is None
    for step in (0, 1, 2, 9, 3):
        expected = on_device.batch(step).inputs
        assert torch.equal(to_device.batch(step).inputs, expected)
        assert torch.equal(on_disk.batch(step).inputs, expected)


def test_large_inputs_are_put_on_the_device_in_parts(source, mapped, monkeypatch):
    monkeypatch.setattr("deep_infomax.data.batches.at_a_time", lambda shape, most: 3)
    assert torch.equal(batches(mapped).resident, source.inputs)


def test_one_of_several_jobs_takes_its_part_of_the_memory(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=12_000))
    assert free_memory(torch.device("cpu")) == 12_000
    monkeypatch.setenv(JOBS, "4")
    assert free_memory(torch.device("cpu")) == 3_000


def test_a_cropped_map_is_gathered_as_a_cropped_tensor(source, mapped):
    expected = source.centre_crop(2).inputs
    assert torch.equal(source.inputs[:, :, 1:3, 1:3], expected)
    for resident_bytes in (None, 0):
        batch = batches(mapped.centre_crop(2), resident_bytes=resident_bytes).batch(1)
        assert torch.equal(batch.inputs, expected[batch.index])


def test_the_transform_is_applied_last(source):
    assert torch.equal(batches(source, transform=lambda x: x + 1).batch(2).inputs, batches(source).batch(2).inputs + 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"batch_size": 24},
            "noise train has 23 inputs, less than one batch of 24; set `training.batch_size` to at most 23",
        ),
        (
            {"batch_size": 24, "world": 3},
            "noise train has 23 inputs, less than one batch of 24; set `training.batch_size` to at most 21",
        ),
        (
            {"batch_size": 8, "world": 3},
            "3 processes cannot share a batch of 8 equally; set `training.batch_size` to a multiple of 3, such as 9",
        ),
        ({"batch_size": 0}, "`training.batch_size` is 0; give 1 or more"),
    ],
)
def test_batches_that_cannot_be_filled(source, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        batches(source, **arguments)


# Augmentation


@pytest.mark.parametrize("shape", [(9,), (9, 8), (5, 6, 7)])
@pytest.mark.parametrize("flip", [False, True])
def test_every_crop_is_a_window_of_its_input(shape, flip):
    inputs = torch.arange(1000 * 2 * int(np.prod(shape))).reshape(1000, 2, *shape)
    crops = CropAndFlip(4, flip)(inputs)
    assert crops.shape == (1000, 2, *[4] * len(shape))
    seen = set()
    for whole, crop in zip(inputs, crops, strict=True):
        flipped = bool(crop.flatten()[1] < crop.flatten()[0])
        crop = crop.flip(-1) if flipped else crop
        start = np.unravel_index(int(crop.flatten()[0] - whole.flatten()[0]), shape)
        window = (slice(None), *(slice(s, s + 4) for s in start))
        assert torch.equal(whole[window], crop)
        seen.add((*map(int, start), flipped))
    positions = np.prod([length - 3 for length in shape]) * (1 + flip)
    assert len(seen) == positions


def test_crops_lie_where_values_are():
    inputs = torch.full((2000, 1, 20, 9), torch.nan)
    inputs[:, :, 3:10] = torch.arange(7.0)[:, None]
    crops = CropAndFlip((4, 9), missing="nan")(inputs)
    assert not crops.isnan().any()
    starts, counts = crops[:, 0, 0, 0].unique(return_counts=True)
    assert starts.tolist() == [0, 1, 2, 3]
    assert counts.min() > 400
    short = CropAndFlip((11, 9), missing="nan")(inputs)[:, 0, :, 0]
    assert all(row[2:9].tolist() == [*range(7)] for row in short)  # as far in the middle as it goes
    at_an_end = CropAndFlip((14, 9), missing="nan")(inputs)[:, 0, :, 0]
    assert all(row[3:10].tolist() == [*range(7)] for row in at_an_end)
    gone = torch.full((3, 1, 20), torch.nan)
    assert CropAndFlip(4, missing="nan")(gone).isnan().all()


def test_a_crop_for_each_axis():
    assert CropAndFlip((4, 6))(torch.zeros(2, 1, 8, 8)).shape == (2, 1, 4, 6)
    with pytest.raises(ValueError, match=r"`data_options\.random_crop` is 4,6, a length for 2 axes, and inputs have 1"):
        CropAndFlip((4, 6))(torch.zeros(2, 1, 8))


def test_flips_are_fair_coins():
    inputs = torch.tensor([0.0, 1.0]).expand(2000, 1, 2)
    flips = CropAndFlip(flip=True)(inputs)[:, 0, 0]
    assert flips.mean().item() == pytest.approx(0.5, abs=0.05)


def test_draws_follow_the_global_generator():
    inputs, transform = torch.rand(8, 1, 9, 9), CropAndFlip(4, flip=True)
    torch.manual_seed(1)
    first = transform(inputs)
    assert not torch.equal(first, transform(inputs))
    torch.manual_seed(1)
    assert torch.equal(first, transform(inputs))


def test_augmentation_is_what_the_options_say():
    assert augmentation(DataOptions()) is None
    assert augmentation(DataOptions(random_crop=64, flip=True)) == CropAndFlip(64, flip=True)
    with pytest.raises(ValueError, match=r"`data_options\.random_crop` is 8, which does not fit into inputs of 4"):
        CropAndFlip(8)(torch.zeros(1, 1, 4))


# Statistics


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_statistics_equal_those_of_all_values_at_once(kind):
    inputs = torch.randint(0, 256, (1500, 3, 2, 2)).to(kind)
    mean, std = statistics(Source(inputs, None, None, "noise", "train"))
    values = inputs.double().movedim(1, 0).flatten(1)
    torch.testing.assert_close(mean, values.mean(dim=1).float())
    torch.testing.assert_close(std, values.std(dim=1, correction=0).float())


def test_statistics_of_a_map_equal_those_of_a_tensor(source, mapped):
    for one, other in zip(statistics(source), statistics(mapped), strict=True):
        assert torch.equal(one, other)


def test_a_large_mean_costs_no_precision():
    inputs = 1e4 + torch.randn(2000, 1, 4)
    _, std = statistics(Source(inputs, None, None, "far", "train"))
    assert std.item() == pytest.approx(inputs.double().std(correction=0).item(), rel=1e-6)


def test_constant_channels(source):
    source.inputs[:, 1] = 9
    with pytest.warns(UserWarning, match=r"channels \[1\] of noise train are constant"):
        mean, std = statistics(source)
    assert (mean[1].item(), std[1].item()) == (9, 1)
    with pytest.raises(ValueError, match="noise train are one constant"):
        statistics(replace(source, inputs=torch.full((N, 2, 3), 0.1)))
