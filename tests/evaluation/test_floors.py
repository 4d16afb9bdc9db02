"""What costs nothing: each floor against its value by hand, and in an evaluation."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deep_infomax.data import Dataset, Source, load_dataset
from deep_infomax.encoders import TappedEncoder, convolutional, digits
from deep_infomax.evaluation import evaluate
from deep_infomax.evaluation.floors import (
    averaged,
    band_powers,
    floors_of,
    principal_components,
    statistics,
    untrained,
)
from deep_infomax.evaluation.probes import few_labels, some_labelled
from deep_infomax.runtime.verdict import FLOORS


def random_source(n: int, *shape: int, split: str = "train") -> Source:
    return Source(torch.randn(n, *shape), torch.arange(n) % 2, ("a", "b"), "random", split)


@pytest.mark.parametrize(
    ("shape", "most", "kept"),
    [
        ((3, 32, 32), 4096, 3072),
        ((3, 96, 96), 4096, 3 * 24 * 48),
        ((1, 64, 64, 64), 4096, 16**3),
        ((2, 100_000), 4096, 2 * 1562),
        ((200, 5), 100, 200),  # a channel keeps one at least
    ],
)
def test_large_inputs_are_averaged_down_to_so_many_numbers(shape, most, kept):
    inputs = torch.rand(2, *shape)
    rows = averaged(inputs, most)
    assert rows.shape == (2, kept)
    assert rows.mean().item() == pytest.approx(inputs.mean().item(), abs=2e-3)


def test_averages_are_those_of_neighbours():
    inputs = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert averaged(inputs, 4).tolist() == [[2.5, 4.5, 10.5, 12.5]]


def test_components_are_the_directions_of_most_variance():
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(500, 2, generator=generator) * torch.tensor([5.0, 2.0])
    directions = torch.linalg.qr(torch.randn(6, 2, generator=generator)).Q
    train, test = principal_components(latent @ directions.T + 3.0, latent[:10] @ directions.T + 3.0, 2)
    singular = torch.linalg.svdvals(latent - latent.mean(0))
    torch.testing.assert_close(train.norm(dim=0), singular, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(test, train[:10], rtol=1e-4, atol=1e-4)


def test_no_more_components_than_there_are():
    train, test = principal_components(torch.randn(5, 30) + 2.0, torch.randn(3, 30), 64)
    assert (train.shape, test.shape) == ((5, 4), (3, 4))  # the fifth is the mean, which is subtracted
    train, test = principal_components(torch.ones(5, 3), torch.ones(2, 3), 2)
    assert train.tolist() == [[0.0]] * 5


def test_statistics_of_a_series_by_hand():
    series = torch.randn(3, 2, 101)
    rows = statistics(series)
    values = series.numpy()
    expected = [values.mean(2), values.std(2), *(np.sort(values, 2)[:, :, place] for place in (5, 25, 50, 75, 95))]
    by_hand = [expected[0], expected[1], np.stack(expected[2:], 2).reshape(3, -1)]
    np.testing.assert_allclose(rows[:, :14], np.concatenate(by_hand, 1), rtol=1e-4, atol=1e-5)
    assert rows.shape == (3, 14 + 2 * band_powers(series).shape[2])


def test_bands_hold_all_of_the_power():
    series = torch.randn(4, 1, 256)
    powers = band_powers(series).exp()
    spectrum = torch.fft.rfft(series - series.mean(2, keepdim=True)).abs().square()[:, :, 1:] / 256
    assert powers.shape == (4, 1, 8)
    torch.testing.assert_close(powers.sum(2), spectrum.sum(2))


@pytest.mark.parametrize("frequency", [1, 3, 20, 100])
def test_a_tone_is_in_the_octave_of_its_frequency(frequency):
    t = torch.arange(256) / 256
    band = band_powers(torch.sin(2 * math.pi * frequency * t)[None, None])[0, 0].argmax().item()
    assert band == math.ceil(math.log2(frequency))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 3)])
def test_very_short_series_and_constants_have_finite_statistics(shape):
    assert statistics(torch.ones(2, *shape)).isfinite().all()


@pytest.mark.parametrize(("shape", "numbers"), [((2, 8, 8), 2 * 7 + 2 * 2 * 16), ((1, 4, 2, 8), 7 + 2 * 32)])
def test_statistics_of_images_and_volumes(shape, numbers):
    inputs = torch.rand(3, *shape)
    rows = statistics(inputs)
    assert rows.shape == (3, numbers)
    corner = inputs[:, 0, :2, :2] if len(shape) == 3 else inputs[:, 0, :1, :1, :2]
    cells = rows[:, 7 * shape[0] :]
    torch.testing.assert_close(cells[:, 0], corner.flatten(1).mean(1))
    torch.testing.assert_close(cells[:, cells.shape[1] // 2], corner.flatten(1).std(1, correction=0))


def test_an_untrained_encoder_has_other_weights_and_leaves_the_encoder_alone():
    encoder, source = convolutional(1, (16, 16)), random_source(300, 1, 16, 16)
    encoder.train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    fresh = untrained(encoder, source)
    assert fresh is not None
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert encoder.training
    assert fresh.training
    again = untrained(encoder, source)
    assert again is not None
    same = fresh.encode(source.inputs), again.encode(source.inputs)
    assert torch.equal(*same)
    assert not torch.equal(same[0], encoder.encode(source.inputs))
    # Its normalisation fits the data: features before the last layer have about unit variance.
    assert 0.5 < fresh.encode(source.inputs, "fc").std().item() < 2


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.factor


def test_a_network_that_cannot_begin_anew_has_no_untrained_floor():
    module = nn.Sequential(Scale(), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 6, 3))
    encoder = TappedEncoder(module, local="1", vector="3", channels=1, spatial=(8,))
    source = random_source(40, 1, 8)
    assert untrained(encoder, source) is None
    assert [floor.name for floor in floors_of(encoder, source, source)] == ["raw", "pca", "statistics"]


def test_floors_know_nothing_of_labels_and_fit_the_training_part_alone():
    encoder, train, test = convolutional(2, (50,)), random_source(60, 2, 50), random_source(30, 2, 50, split="test")
    shuffled = replace(train, labels=train.labels.flip(0))
    for one, other in zip(floors_of(encoder, train, test), floors_of(encoder, shuffled, test), strict=True):
        assert torch.equal(one.train, other.train)
        assert torch.equal(one.test, other.test)
    alone = [floor.test[:1] for floor in floors_of(encoder, train, test.evenly_spaced(1))]
    for floor, first in zip(floors_of(encoder, train, test), alone, strict=True):
        torch.testing.assert_close(floor.test[:1], first, rtol=1e-4, atol=1e-4)


def test_an_evaluation_has_floors_unless_layers_are_named(tmp_path: Path):
    dataset = load_dataset("digits")
    train, test = dataset.train.evenly_spaced(200), dataset.test.evenly_spaced(50)
    small = replace(dataset, train=train, test=test, held_out=None)
    results = evaluate(digits(), small, ["knn", "few-labels"], seeds=1, out=tmp_path)
    found = {(r.metric, r.variant, r.layer) for r in results}
    knn = {("knn", "default", layer) for layer in (*FLOORS, "conv", "fc", "Y")}
    few = {("few-labels", variant, layer) for layer in (*FLOORS, "Y") for variant in ("default", "1%")}
    assert found == knn | few
    units = {r.layer: r.units for r in results}
    assert (units["raw"], units["pca"], units["untrained"], units["Y"]) == (64, 16, 16, 16)
    named = evaluate(digits(), small, ["knn"], ["Y"], seeds=1)
    assert [r.layer for r in named] == ["Y"]
    beside = evaluate(digits(), small, ["knn"], ["Y", "floors"], seeds=1)
    assert [r.layer for r in beside] == [*FLOORS, "Y"]
    without = evaluate(digits(), small, ["knn"], seeds=1, floors=False)
    assert [r.layer for r in without] == ["conv", "fc", "Y"]
    raw = next(r for r in results if (r.metric, r.layer) == ("knn", "raw"))
    identity = TappedEncoder(
        nn.Sequential(nn.Identity(), nn.Flatten()), local="0", vector="1", channels=1, spatial=(8, 8)
    )
    [own] = evaluate(identity, small, ["knn"], ["Y"], seeds=1)
    assert raw.value == own.value


def test_few_labels_reads_no_more_of_them():
    labels = torch.arange(1000) % 5
    features = nn.functional.one_hot(labels, 5).float() + 0.1 * torch.randn(1000, 5)
    [outcome] = few_labels(features, labels, features, labels, seeds=[3])
    assert outcome.value > 99
    assert outcome.details["labels"] == 100
    # Among those that are not drawn, classes that change places change nothing.
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(3))
    unread = labels[order].clone()
    unread[200:] = unread[200:].roll(1)
    moved = torch.empty_like(labels).scatter_(0, order, unread)
    assert torch.equal(some_labelled(moved, 0.1, seed=3), some_labelled(labels, 0.1, seed=3))
    [again] = few_labels(features, moved, features, labels, seeds=[3])
    assert again == outcome


@pytest.mark.parametrize(("share", "classes", "expected"), [(0.01, 3, 10), (0.01, 25, 25), (0.1, 3, 40), (1.0, 3, 400)])
def test_few_labels_are_at_least_ten_and_one_of_every_class(share, classes, expected):
    labels = torch.arange(400) % classes
    for seed in range(3):
        rows = some_labelled(labels, share, seed)
        assert len(rows) == expected == len(set(rows.tolist()))
        assert set(labels[rows].tolist()) == set(range(classes))


def test_placed_digits_are_the_digits():
    placed, plain = load_dataset("placed-digits"), load_dataset("digits")
    for copies, own, other in ((4, placed.train, plain.train), (1, placed.test, plain.test)):
        sums = own.inputs.float().sum((1, 2, 3))
        assert torch.equal(sums, other.inputs.float().sum((1, 2, 3)).repeat_interleave(copies))
        assert torch.equal(own.labels, other.labels.repeat_interleave(copies))
    tops = (placed.test.inputs.sum(3) > 0).float().argmax(2)
    assert tops.float().std() > 3


def test_placed_digits_without_labels_have_no_test_part():
    from deep_infomax.data import DataOptions

    placed = load_dataset("placed-digits", DataOptions(label_column="none", resize=40))
    assert (placed.train.labels, placed.test, placed.train.shape) == (None, None, (1, 40, 40))


def test_floors_of_data_in_a_dataset_object():
    train, test = random_source(40, 1, 20), random_source(20, 1, 20, split="test")
    results = evaluate(convolutional(1, (20,)), Dataset("random", train, test, None, {}), ["knn"], seeds=1)
    assert {r.layer for r in results} >= set(FLOORS)
