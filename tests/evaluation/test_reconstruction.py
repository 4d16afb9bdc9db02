import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from deep_infomax.data import Dataset, Source
from deep_infomax.decoders import Decoder
from deep_infomax.encoders import convolutional
from deep_infomax.evaluation import evaluate, reconstruction
from deep_infomax.evaluation.reconstruction import WEIGHTS, ms_ssim, scales, similarity
from deep_infomax.report import write_report


def silent(task: str, done: int, total: int) -> None:
    pass


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction, "STEPS", 30)
    monkeypatch.setattr(reconstruction, "BATCH", 16)


def bars(n: int, spatial: tuple[int, ...] = (16, 16), seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images of one bright bar, and where it is."""
    position = torch.rand(n, 1, generator=torch.Generator().manual_seed(seed))
    axis = torch.linspace(0, 1, spatial[-1])
    bar = torch.exp(-((axis - position) ** 2) / 0.02).mul(255).byte()
    return bar.view(n, 1, *(1 for _ in spatial[1:]), -1).expand(n, 1, *spatial).contiguous(), position


def source(inputs: Tensor, split: str = "train") -> Source:
    return Source(inputs, torch.arange(len(inputs)) % 2, ("even", "odd"), "bars", split)


@pytest.mark.parametrize("spatial", [(40,), (32, 32), (15, 9), (8, 8, 11)], ids=str)
def test_a_decoder_gives_inputs_of_any_size_and_every_value_depends_on_the_vector(spatial: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    decoder = Decoder(5, 2, spatial, filters=(16, 8, 8, 8)).eval()
    decoded = decoder(torch.randn(3, 5))
    assert decoded.shape == (3, 2, *spatial)
    assert (decoded.var(dim=0) > 0).all()


def test_the_decoder_for_32_pixels_is_the_published_one() -> None:
    sizes = [tuple(weight.shape) for weight in Decoder(64, 3, (32, 32)).parameters() if weight.dim() > 1]
    assert sizes == [(512 * 4 * 4, 64), (512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4), (3, 64, 3, 3)]


def test_similarity_of_flat_images_is_what_luminance_alone_gives() -> None:
    """Flat images have equal structure at every scale, and the last scale's weight is the luminance's power."""
    a, b, c1 = 0.8, 0.3, 0.01**2
    weight = WEIGHTS[1] / (WEIGHTS[0] + WEIGHTS[1])
    found = similarity(torch.full((2, 3, 32, 32), a), torch.full((2, 3, 32, 32), b))
    assert found.tolist() == pytest.approx([((2 * a * b + c1) / (a * a + b * b + c1)) ** weight] * 2, abs=1e-3)


@pytest.mark.parametrize("side", [11, 22, 44, 88, 98, 99, 175, 176])
def test_images_of_any_size_have_as_many_scales_as_fit(side: int) -> None:
    image = torch.rand(1, 1, side, side + 3)
    assert similarity(image, image).item() == pytest.approx(1)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_similarity_is_that_of_an_independent_computation(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    wanted = torch.rand(2, 1, side, side, generator=generator)
    found = (wanted + 0.2 * torch.randn(wanted.shape, generator=generator)).clamp(0, 1)
    expected = [plain_ms_ssim(x[0].double().numpy(), y[0].double().numpy()) for x, y in zip(found, wanted, strict=True)]
    assert similarity(found, wanted).tolist() == pytest.approx(expected, abs=1e-4)


def plain_ms_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2003, one channel: contrast and structure at every scale, luminance at the last.

    As torchmetrics has it, the last scale is averaged over the whole image, mirrored at its borders, the others where
    the window lies inside.
    """
    weights = np.array(WEIGHTS[: scales(x.shape)])
    weights /= weights.sum()
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def smooth(image: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(image, window, 0, mode="mirror"), window, 1, mode="mirror")

    value = 1.0
    for scale, weight in enumerate(weights, 1):
        mx, my = smooth(x), smooth(y)
        vx, vy, vxy = smooth(x * x) - mx * mx, smooth(y * y) - my * my, smooth(x * y) - mx * my
        similar = (2 * vxy + 0.03**2) / (vx + vy + 0.03**2)
        if scale == len(weights):
            similar = similar * (2 * mx * my + 0.01**2) / (mx * mx + my * my + 0.01**2)
        else:
            similar = similar[5:-5, 5:-5]
        value *= max(float(similar.mean()), 0.0) ** weight
        x, y = (image.reshape(len(image) // 2, 2, -1, 2).mean(axis=(1, 3)) for image in (x, y))
    return value


def test_what_features_tell_is_reconstructed_and_what_they_do_not_is_not() -> None:
    inputs, position = bars(256)
    test_inputs, test_position = bars(64, seed=1)
    told = torch.cat([torch.sin(math.pi * k * position) for k in range(1, 9)], dim=1)
    test_told = torch.cat([torch.sin(math.pi * k * test_position) for k in range(1, 9)], dim=1)
    arguments = {"seeds": [0, 1], "progress": silent}
    knowing = ms_ssim(source(inputs), told, source(test_inputs, "test"), test_told, **arguments)
    noise, test_noise = torch.randn(256, 8), torch.randn(64, 8)
    [guessing] = ms_ssim(source(inputs), noise, source(test_inputs, "test"), test_noise, [0], silent)
    assert min(outcome.value for outcome in knowing) > 0.6 > 0.4 > guessing.value
    assert knowing[0].details is not None
    assert knowing[0].details["scales"] == 1
    assert knowing[0].arrays["reconstructions"].shape == knowing[0].arrays["inputs"].shape == (16, 16, 16, 1)
    again = ms_ssim(source(inputs), told, source(test_inputs, "test"), test_told, seeds=[1], progress=silent)
    assert again[0].value == knowing[1].value


def test_stored_values_of_any_range_give_the_same_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scaled to 0 and 1 by the range of the training part, which the images of 8 bits here have in full."""
    monkeypatch.setattr(reconstruction, "STEPS", 8)
    inputs, position = bars(64)
    values = [
        ms_ssim(source(x), position, source(x, "test"), position, [0], silent)[0].value
        for x in (inputs, inputs.float() * 30 - 1000)
    ]
    assert values[1] == pytest.approx(values[0], abs=1e-3)


@pytest.mark.parametrize(("spatial", "sizes"), [((10, 40), "10 x 40"), ((64,), "64")])
def test_inputs_that_the_window_does_not_fit_are_refused_before_anything_slow(
    spatial: tuple[int, ...], sizes: str
) -> None:
    inputs, _ = bars(40, spatial)
    encoder = convolutional(channels=1, spatial=spatial, dim=4)
    data = Dataset("bars", source(inputs), source(inputs, "test"), None, {})
    with pytest.raises(ValueError, match=f"sides of at least 11, bars test has inputs of {sizes}; leave it out"):
        evaluate(encoder, data, metrics=["ms_ssim"])


def test_inputs_of_one_value_are_refused() -> None:
    flat = source(torch.zeros(20, 1, 16, 16))
    with pytest.raises(ValueError, match="bars train has one value only, 0; there is nothing to reconstruct"):
        ms_ssim(flat, torch.randn(20, 4), flat, torch.randn(20, 4), [0], silent)


def test_volumes_are_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconstruction, "STEPS", 2)
    inputs, position = bars(16, (11, 12, 16))
    [outcome] = ms_ssim(source(inputs), position, source(inputs, "test"), position, [0], silent)
    assert 0 < outcome.value <= 1
    assert not outcome.arrays


@pytest.mark.usefixtures("undrawn")
def test_an_evaluation_keeps_the_figure_and_the_report_shows_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstruction, "STEPS", 4)
    inputs, _ = bars(40)
    encoder = convolutional(channels=1, spatial=(16, 16), dim=4)
    data = Dataset("bars", source(inputs), source(inputs, "test"), None, {"name": "bars"})
    [result] = evaluate(encoder, data, metrics=["ms_ssim"], seeds=1, out=tmp_path)
    assert (result.layer, result.unit, result.protocol) == ("Y", "", "ms_ssim/1")
    (tmp_path / "config.yaml").write_text("recipe: vae\ndata: bars\n")
    page = write_report([tmp_path]).read_text()
    assert "Reconstructions" in page
    assert page.count('alt="reconstructions') == 8
