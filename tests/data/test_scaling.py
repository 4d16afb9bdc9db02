"""Statistics of a stated scaling: right for heavy tails and counts, refused where they say nothing."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from torch import Tensor

from deep_infomax.data import DataOptions, Source, from_arrays, load_dataset, statistics
from deep_infomax.encoders import convolutional
from deep_infomax.runtime.scaling import CLIPPED_AT, NORMAL_QUARTILES, SCALINGS

MODULE = import_module("deep_infomax.data.statistics")  # the package gives its function the same name


def source(inputs: Tensor) -> Source:
    return Source(inputs, None, None, "sensors", "train")


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_quartiles_are_those_of_all_values_at_once(kind: torch.dtype) -> None:
    inputs = torch.randint(0, 256, (700, 3, 5)).to(kind)
    centre, spread = statistics(source(inputs), scaling="robust")
    low, middle, high = np.quantile(inputs.movedim(1, 0).flatten(1).double().numpy(), [0.25, 0.5, 0.75], axis=1)
    np.testing.assert_allclose(centre, middle, rtol=1e-6)
    np.testing.assert_allclose(spread, (high - low) / NORMAL_QUARTILES, rtol=1e-6)


def test_of_many_values_quartiles_are_close_and_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = 5 + 2 * torch.randn(4000, 1, 100)
    centre, spread = statistics(source(inputs), scaling="robust")
    assert torch.equal(centre, statistics(source(inputs), scaling="robust")[0])
    assert (centre.item(), spread.item()) == (pytest.approx(5, abs=0.03), pytest.approx(2, abs=0.03))
    monkeypatch.setattr(MODULE, "QUARTILE_VALUES", 2**12)
    assert statistics(source(inputs), scaling="robust")[0].item() == pytest.approx(5, abs=0.15)


def test_one_value_in_a_thousand_does_not_set_the_scale() -> None:
    inputs = torch.randn(1000, 1, 100, generator=torch.Generator().manual_seed(0))
    spoilt = inputs.clone()
    spoilt[::10, 0, 7] = 1e6
    plain, spoilt_plain = (statistics(source(x))[1].item() for x in (inputs, spoilt))
    robust, spoilt_robust = (statistics(source(x), scaling="robust")[1].item() for x in (inputs, spoilt))
    assert spoilt_plain > 1e4 * plain
    assert spoilt_robust == pytest.approx(robust, rel=0.01)
    encoder = convolutional(1, (100,), 4)
    encoder.set_statistics(*statistics(source(spoilt), scaling="robust"), scaling="robust")
    seen = encoder.normalise(spoilt)
    assert seen.max().item() == CLIPPED_AT
    assert seen.std().item() == pytest.approx(1, abs=0.2)


def test_an_offset_is_subtracted_before_quartiles_are_read() -> None:
    values = torch.linspace(0, 1, 101, dtype=torch.float64).reshape(101, 1, 1)
    centre, spread = statistics(source(values + 1e9), torch.tensor([1e9], dtype=torch.float64), "robust")
    assert (centre.item(), spread.item()) == (pytest.approx(0.5), pytest.approx(0.5 / NORMAL_QUARTILES))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.float32])
def test_counts_are_measured_by_their_logarithms(kind: torch.dtype) -> None:
    inputs = torch.randint(0, 200, (300, 2, 7)).to(kind)
    mean, std = statistics(source(inputs), scaling="log1p")
    logarithms = inputs.movedim(1, 0).flatten(1).double().log1p()
    torch.testing.assert_close(mean, logarithms.mean(1).float())
    torch.testing.assert_close(std, logarithms.std(1, correction=0).float())


def test_bytes_are_mapped_by_their_whole_range_from_minus_1_to_1() -> None:
    inputs = torch.randint(100, 140, (50, 3, 5), dtype=torch.uint8)
    centre, half = statistics(source(inputs), scaling="symmetric")
    assert centre.tolist() == half.tolist() == [127.5] * 3
    encoder = convolutional(3, (5,), 4)
    encoder.set_statistics(centre, half, scaling="symmetric")
    of_images = inputs.float() / 255  # as libraries of images have them
    torch.testing.assert_close(encoder.normalise(inputs), (of_images - 0.5) / 0.5)
    torch.testing.assert_close(encoder.denormalise(encoder.normalise(inputs)), inputs.float())
    inputs[:, 1] = 7  # a channel that never changes
    with pytest.warns(UserWarning, match="constant"):
        assert statistics(source(inputs), scaling="symmetric")[1].tolist() == [127.5] * 3


@pytest.mark.parametrize("kind", [torch.int16, torch.float32, torch.float64])
def test_other_values_are_mapped_by_the_least_and_the_largest(
    kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "CHUNK", 7)
    inputs = torch.randint(-300, 900, (60, 2, 4)).to(kind)
    encoder = convolutional(2, (4,), 4)
    encoder.set_statistics(*statistics(source(inputs), scaling="symmetric"), scaling="symmetric")
    seen = encoder.normalise(inputs).movedim(1, 0).flatten(1)
    torch.testing.assert_close(seen.amin(1), torch.full((2,), -1.0))
    torch.testing.assert_close(seen.amax(1), torch.ones(2))
    values = inputs.movedim(1, 0).flatten(1).float()
    assert torch.equal(seen.argsort(1), values.argsort(1))
    inputs[:, 1] = 7
    with pytest.warns(UserWarning, match="constant"):
        centre, half = statistics(source(inputs), scaling="symmetric")
    assert (centre[1].item(), half[1].item()) == (7, 1)


def test_an_offset_and_what_is_missing_are_left_out_of_the_range() -> None:
    values = torch.linspace(0, 4, 101, dtype=torch.float64).reshape(101, 1, 1)
    offset = torch.tensor([1e9], dtype=torch.float64)
    centre, half = statistics(source(values + 1e9), offset, "symmetric")
    assert (centre.item(), half.item()) == (pytest.approx(2), pytest.approx(2))
    gaps = values.float()
    gaps[::3] = -9999
    centre, half = statistics(replace(source(gaps), missing=-9999.0), scaling="symmetric")
    assert (centre.item(), half.item()) == (pytest.approx(2, abs=0.03), pytest.approx(2, abs=0.03))


def test_quartiles_that_are_one_value_are_refused() -> None:
    inputs = torch.zeros(100, 2, 4)
    inputs[:, 0], inputs[:10, 1] = torch.randn(100, 4), 1
    with pytest.raises(ValueError, match=r"half of the values of channel 1 of sensors .* `data_options\.scaling`"):
        statistics(source(inputs), scaling="robust")
    inputs[:, 1] = 3  # a constant is no such channel
    with pytest.warns(UserWarning, match="constant"):
        assert statistics(source(inputs), scaling="robust")[1][1].item() == 1


def test_a_negative_value_anywhere_is_refused_as_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "SAMPLE", 4)
    inputs = torch.ones(100, 3, 4)
    inputs[50:, 1], inputs[37, 2, 1] = 5, -0.25
    with pytest.raises(
        ValueError, match=r"channel 2 of sensors train has negative values, such as -0\.25, .* robust or standard"
    ):
        statistics(source(inputs), scaling="log1p")


def test_the_choice_is_said_and_kept_with_the_data() -> None:
    for scaling, entry in SCALINGS.items():
        description = load_dataset("digits", DataOptions(scaling=scaling)).description
        assert description.get("scaling_rule") == (None if scaling == "standard" else f"{scaling}: {entry.meaning}")
    assert "scaling_rule" not in from_arrays(np.ones((4, 1, 8, 8)), options=DataOptions()).description
