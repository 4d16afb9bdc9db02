from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from deep_infomax.encoders import (
    Convolution,
    ConvolutionalEncoder,
    ConvolutionalNetwork,
    Encoder,
    TappedEncoder,
    VariationalEncoder,
    strided_crops,
)


@pytest.fixture
def inside() -> Encoder:
    torch.manual_seed(0)
    convolutions = (Convolution(4, 3, padding=1), Convolution(6, 3, 2, 1))
    encoder = ConvolutionalEncoder(ConvolutionalNetwork(2, (9, 7), convolutions, 2, (8,), 3))
    encoder.set_statistics([1.0, 2.0], [3.0, 4.0])
    return encoder


@pytest.fixture
def inputs() -> Tensor:
    return torch.randint(256, (6, 2, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_mean_is_the_vector_of_the_encoder_inside(inside: Encoder, inputs: Tensor) -> None:
    encoder = VariationalEncoder(inside)
    for layer in inside.layer_sizes:
        torch.testing.assert_close(encoder.encode(inputs, layer), inside.encode(inputs, layer), atol=0, rtol=0)
    assert encoder(inputs).local.shape == (6, *encoder.local_shape) == (6, *inside.local_shape)


def test_the_variance_is_read_beside_the_mean(inside: Encoder, inputs: Tensor) -> None:
    encoder = VariationalEncoder(inside)
    expected = encoder.log_variance(inside.encode(inputs, "fc"))
    torch.testing.assert_close(encoder.encode(inputs, "log_variance"), expected)
    assert expected.shape == (6, 3)


def test_probes_do_not_read_the_variance(inside: Encoder) -> None:
    encoder = VariationalEncoder(inside)
    assert encoder.layers == ("conv", "fc", "Y")
    assert list(encoder.layer_sizes) == ["conv", "fc-linear", "fc", "log_variance", "Y"]


def test_the_encoder_inside_has_the_same_statistics(inside: Encoder, inputs: Tensor) -> None:
    encoder = VariationalEncoder(inside)
    assert torch.equal(encoder.mean, inside.mean)
    encoder.set_statistics([5.0, 6.0], [7.0, 8.0])
    torch.testing.assert_close(inside.encode(inputs), encoder.encode(inputs), atol=0, rtol=0)


def test_the_precision_is_that_of_the_encoder_inside() -> None:
    module = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(12, 4)).double()
    encoder = VariationalEncoder(TappedEncoder(module, local="0", vector="2", channels=1, spatial=(8,)))
    assert encoder(torch.randn(5, 1, 8)).hidden["log_variance"].dtype == torch.float64


def test_an_encoder_without_hidden_layers_has_its_variance_read_from_y() -> None:
    module = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(12, 4))
    encoder = VariationalEncoder(TappedEncoder(module, local="0", vector="2", channels=1, spatial=(8,)))
    inputs = torch.randn(5, 1, 8)
    torch.testing.assert_close(
        encoder.encode(inputs, "log_variance"), encoder.log_variance(encoder.encode(inputs)).detach()
    )


@pytest.mark.parametrize("kind", ["convolutional", "strided-crops", "tapped"])
def test_saved_and_loaded_alike(kind: str, inside: Encoder, tmp_path: Path) -> None:
    torch.manual_seed(0)

    def network() -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3 * 7 * 5, 4))

    encoder = VariationalEncoder(
        {
            "convolutional": lambda: inside,
            "strided-crops": lambda: strided_crops(2, (9, 7), 3),
            "tapped": lambda: TappedEncoder(network(), local="0", vector="2", channels=2, spatial=(9, 7)),
        }[kind]()
    )
    encoder.set_statistics([5.0, 6.0], [7.0, 8.0])
    encoder.save_pretrained(tmp_path)
    loaded = Encoder.from_pretrained(tmp_path, module=network() if kind == "tapped" else None)
    assert isinstance(loaded, VariationalEncoder)
    assert loaded.arguments() == encoder.arguments()
    inputs = torch.randn(5, 2, 9, 7)
    for layer in ("log_variance", *encoder.layers):
        assert torch.equal(loaded.encode(inputs, layer), encoder.encode(inputs, layer))


def test_a_class_inside_that_is_not_defined_is_named(inside: Encoder, tmp_path: Path) -> None:
    VariationalEncoder(inside).save_pretrained(tmp_path)
    path = tmp_path / "encoder.json"
    path.write_text(path.read_text().replace('"architecture": "convolutional"', '"architecture": "unheard-of"'))
    with pytest.raises(ValueError, match=r"names the architecture 'unheard-of'.* import the module that defines it"):
        Encoder.from_pretrained(tmp_path)
