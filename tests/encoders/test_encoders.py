"""The convolutional encoders: exact shapes, parameters counted by hand, normalisation, encoding, errors."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from deep_infomax.encoders import (
    ENCODERS,
    Convolution,
    ConvolutionalEncoder,
    ConvolutionalNetwork,
    Encoder,
    StridedCropsEncoder,
    VariationalEncoder,
    convolutional,
    convolutional_28,
    convolutional_32,
    convolutional_64,
    digits,
    encoder_for,
    pooled,
    strided_crops,
)
from deep_infomax.encoders.convolutions import PositionStatistics
from deep_infomax.recipes import Config, EncoderConfig, build_encoder


def exactly(message: str) -> str:
    """A pattern that matches this message and no other."""
    return f"^{re.escape(message)}$"


@pytest.fixture
def encoder() -> ConvolutionalEncoder:
    """A small encoder of two channels that has seen some data and statistics."""
    encoder = convolutional(channels=2, spatial=(9, 7), dim=5)
    encoder.set_statistics([120.0, 3.0], [50.0, 0.5])
    encoder(torch.randint(256, (32, 2, 9, 7), dtype=torch.uint8))
    return encoder


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(256, (7, 2, 9, 7), dtype=torch.uint8)


NETWORKS = [
    (lambda: convolutional_28(1), (1, 28, 28), (128, 7, 7), {"conv": 6272, "fc-linear": 1024, "fc": 1024, "Y": 64}),
    (lambda: convolutional_32(3), (3, 32, 32), (128, 8, 8), {"conv": 4096, "fc-linear": 1024, "fc": 1024, "Y": 64}),
    (lambda: convolutional_64(3), (3, 64, 64), (384, 15, 15), {"conv": 9408, "fc-linear": 4096, "fc": 4096, "Y": 64}),
    (lambda: digits(), (1, 8, 8), (128, 4, 4), {"conv": 1024, "fc-linear": 256, "fc": 256, "Y": 16}),
    (
        lambda: convolutional_32(13, dim=7),
        (13, 32, 32),
        (128, 8, 8),
        {"conv": 4096, "fc-linear": 1024, "fc": 1024, "Y": 7},
    ),
    (lambda: convolutional(2, (128,)), (2, 128), (256, 8), {"conv": 1024, "fc-linear": 512, "fc": 512, "Y": 64}),
    (lambda: convolutional(1, (5,)), (1, 5), (128, 5), {"conv": 640, "fc-linear": 512, "fc": 512, "Y": 64}),
    (
        lambda: convolutional(4, (48, 20)),
        (4, 48, 20),
        (256, 6, 5),
        {"conv": 3840, "fc-linear": 512, "fc": 512, "Y": 64},
    ),
    (
        lambda: convolutional(1, (16, 16, 16)),
        (1, 16, 16, 16),
        (64, 8, 8, 8),
        {"conv": 8192, "fc-linear": 1024, "fc": 1024, "Y": 64},
    ),
    (
        lambda: convolutional(2, (3, 40, 40)),
        (2, 3, 40, 40),
        (64, 3, 10, 10),
        {"conv": 9600, "fc-linear": 1024, "fc": 1024, "Y": 64},
    ),
]


@pytest.mark.parametrize(("build", "input_shape", "local_shape", "layer_sizes"), NETWORKS)
def test_shapes(build, input_shape, local_shape, layer_sizes):
    encoder = build()
    features = encoder(torch.zeros(2, *input_shape))
    assert (encoder.channels, *encoder.spatial) == input_shape
    assert encoder.local_shape == features.local.shape[1:] == local_shape
    assert encoder.layer_sizes == layer_sizes
    assert encoder.layers == ("conv", "fc", "Y")
    assert encoder.vector_size == features.vector.shape[1] == layer_sizes["Y"]
    assert {name: hidden.shape[1] for name, hidden in features.hidden.items()} | {
        "Y": encoder.vector_size
    } == layer_sizes


def test_parameters_of_the_32_pixel_network():
    convolutions = 3 * 64 * 16 + 64 * 128 * 16 + 128 * 256 * 16
    normalisations = 2 * (64 + 128 + 256 + 1024)
    fully_connected = 4096 * 1024
    output = 1024 * 64 + 64
    counted = sum(parameter.numel() for parameter in convolutional_32(3).parameters())
    assert counted == convolutions + normalisations + fully_connected + output


def test_parameters_of_the_64_pixel_network():
    convolutions = 9 * (1 * 96 + 96 * 192 + 192 * 384 + 384 * 384 + 384 * 192)
    normalisations = 2 * (96 + 192 + 384 + 384 + 192 + 4096 + 4096)
    fully_connected = 192 * 7 * 7 * 4096 + 4096 * 4096
    output = 4096 * 10 + 10
    with torch.device("meta"):
        counted = sum(parameter.numel() for parameter in convolutional_64(1, dim=10).parameters())
    assert counted == convolutions + normalisations + fully_connected + output


def test_parameters_of_a_network_for_volumes():
    convolutions = 27 * 2 * 32 + 64 * 32 * 64 + 64 * 64 * 128
    normalisations = 2 * (32 + 64 + 128 + 1024)
    fully_connected = 128 * 4**3 * 1024
    output = 1024 * 64 + 64
    counted = sum(parameter.numel() for parameter in convolutional(2, (16, 16, 16)).parameters())
    assert counted == convolutions + normalisations + fully_connected + output


def plain_forward(encoder: ConvolutionalEncoder, inputs: torch.Tensor) -> torch.Tensor:
    """Y of the 8x8 network in evaluation mode, from its weights by name and the definition of each layer."""
    weights = encoder.state_dict()

    def normalised(x, layer):
        mean, variance = weights[f"{layer}.running_mean"], weights[f"{layer}.running_var"]
        x = (x.movedim(1, -1) - mean) / (variance + 1e-5).sqrt()
        return (x * weights[f"{layer}.weight"] + weights[f"{layer}.bias"]).movedim(-1, 1).clamp(min=0)

    x = (inputs - weights["mean"].item()) / weights["std"].item()
    for layer, stride in (("lower.0", 1), ("lower.1", 2), ("upper.0", 2)):
        kernel = weights[f"{layer}.0.weight"]
        side = (x.shape[-1] + 2 - kernel.shape[-1]) // stride + 1
        patches = nn.functional.unfold(x, kernel.shape[-2:], padding=1, stride=stride)
        x = normalised((kernel.flatten(1) @ patches).unflatten(2, (side, side)), f"{layer}.1")
    x = normalised(x.flatten(1) @ weights["fully_connected.0.weight"].T, "fully_connected.1")
    return x @ weights["output.weight"].T + weights["output.bias"]


def test_forward_equals_the_definition_of_every_layer():
    encoder = digits().double()
    encoder.set_statistics([4.0], [6.0])
    images = torch.randint(17, (64, 1, 8, 8)).double()
    encoder(images)  # moves the running statistics away from 0 and 1
    torch.testing.assert_close(encoder.eval()(images).vector, plain_forward(encoder, images))


def test_pooling_follows_relu():
    network = ConvolutionalNetwork(1, (6,), (Convolution(4, 3, padding=1, pool=(3, 2)),), 1, (8,), 2)
    encoder = ConvolutionalEncoder(network).eval()
    inputs = torch.randn(3, 1, 6)
    mapped = nn.functional.conv1d(inputs, encoder.lower[0][0].weight, padding=1) / (1 + 1e-5) ** 0.5
    expected = torch.stack([mapped[..., 0:3].amax(-1), mapped[..., 2:5].amax(-1)], dim=-1).clamp(min=0)
    torch.testing.assert_close(encoder(inputs).local, expected)


def test_channels_last_changes_no_value(encoder, images):
    expected = encoder.eval()(images)
    found = encoder.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    assert found.local.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected)


def before_the_normalisation(encoder: ConvolutionalEncoder, conv: torch.Tensor) -> torch.Tensor:
    """``fc-linear`` from ``conv`` and the weights, layer by layer."""
    *linears, last = (layer for layer in encoder.fully_connected if isinstance(layer, nn.Linear))
    for linear, normalisation in zip(linears, encoder.fully_connected[1::3], strict=False):
        conv = normalisation(conv @ linear.weight.T).clamp(min=0)
    return conv @ last.weight.T


@pytest.mark.parametrize(("build", "input_shape"), [network[:2] for network in NETWORKS] + [
    (lambda: pooled(2, (64,)), (2, 64)), (lambda: pooled(1, (9, 9, 9)), (1, 9, 9, 9)),
])  # fmt: skip
def test_fc_is_the_linear_layer_normalised_and_rectified(build, input_shape) -> None:
    encoder = build()
    with torch.no_grad():
        features = encoder(torch.randn(16, *input_shape)).hidden  # moves the running statistics, too
        linear = features["fc-linear"]
        mean, variance = linear.mean(0), linear.var(0, correction=0)
    torch.testing.assert_close(linear, before_the_normalisation(encoder, features["conv"]).detach())
    # With batch statistics, as in training; its weights are 1 and 0 at first.
    torch.testing.assert_close(features["fc"], ((linear - mean) / (variance + 1e-5).sqrt()).clamp(min=0))
    assert linear.min() < 0


def test_fc_linear_is_kept_for_the_gradient_anyway(encoder, images) -> None:
    kept = set()
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.add(x.data_ptr()) or x, lambda x: x):
        features = encoder(images)
    assert features.hidden["fc-linear"].data_ptr() in kept


def test_every_parameter_gets_a_gradient(encoder, images):
    encoder(images).vector.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())


def test_remaining_layers_are_those_after_the_local_map(encoder, images):
    remaining = encoder.remaining_layers(11)
    assert remaining(encoder(images).local).shape == (7, 11)
    own = [*encoder.upper.parameters(), *encoder.fully_connected.parameters()]
    fresh = list(remaining.parameters())
    assert [p.shape for p in own] == [p.shape for p in fresh[:-2]]
    # Drawn anew and shared with nothing; only the affine parameters of the normalisations begin alike.
    assert not any(torch.equal(a, b) for a, b in zip(own, fresh, strict=False) if a.ndim > 1)
    assert {p.data_ptr() for p in own}.isdisjoint(p.data_ptr() for p in fresh)


# Normalisation


def test_normalisation_equals_the_formula_per_channel(encoder, images):
    expected = torch.stack([(images[:, 0].float() - 120) / 50, (images[:, 1].float() - 3) / 0.5], dim=1)
    torch.testing.assert_close(encoder.normalise(images), expected)


def test_statistics_are_0_and_1_until_set(images):
    encoder = convolutional(2, (9, 7))
    assert not encoder.has_statistics
    assert torch.equal(encoder.normalise(images), images.float())
    encoder.set_statistics(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 2.0]))
    assert encoder.has_statistics


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64, torch.float32, torch.float64])
def test_all_numeric_types_encode_alike(encoder, images, dtype):
    assert torch.equal(encoder.encode(images.to(dtype)), encoder.encode(images))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.0], [1.0, 1.0], "mean must hold one value for each of 2 channels, got shape (1,)"),
        ([0.0, 0.0], [1.0] * 3, "std must hold one value for each of 2 channels, got shape (3,)"),
        ([0.0, float("nan")], [1.0, 1.0], "mean must be finite, got [0.0, nan]; look for NaN or infinity in the data"),
        ([0.0, 0.0], [1.0, float("inf")], "std must be finite, got [1.0, inf]; look for NaN or infinity in the data"),
        ([0.0, 0.0], [1.0, 0.0], "std must be positive, got [1.0, 0.0]; give 1 for a constant channel"),
    ],
)
def test_statistics_that_cannot_be_used(encoder, mean, std, message):
    before = encoder.mean.clone(), encoder.std.clone()
    with pytest.raises(ValueError, match=exactly(message)):
        encoder.set_statistics(mean, std)
    assert torch.equal(encoder.mean, before[0])
    assert torch.equal(encoder.std, before[1])


# encode


@pytest.mark.parametrize("layer", ["conv", "fc-linear", "fc", "Y"])
def test_encode_is_forward_in_evaluation_mode(encoder, images, layer):
    encoded = encoder.encode(images, layer)
    features = encoder.eval()(images)
    expected = features.vector if layer == "Y" else features.hidden[layer]
    torch.testing.assert_close(encoded, expected.detach())
    assert encoded.shape == (7, encoder.layer_sizes[layer])
    assert not encoded.requires_grad


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_encode_does_not_depend_on_the_batch(encoder, images, batch_size):
    torch.testing.assert_close(encoder.encode(images, batch_size=batch_size), encoder.encode(images))


def test_encode_of_nothing_is_empty(encoder, images):
    assert encoder.encode(images[:0], "fc").shape == (0, 512)


def test_encode_gives_float32_whatever_the_weights(encoder, images):
    assert copy.deepcopy(encoder).double().encode(images).dtype is torch.float32
    assert copy.deepcopy(encoder).bfloat16().encode(images).dtype is torch.float32


def test_encode_takes_numpy_read_only_and_memory_mapped(encoder, images, tmp_path):
    expected = encoder.encode(images)
    array = images.numpy()
    np.save(tmp_path / "images.npy", array)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert torch.equal(encoder.encode(mapped, batch_size=512), expected)
    assert torch.equal(encoder.encode(array.astype("float32")), expected)
    assert torch.equal(encoder.encode(array.astype(">i4")), expected)
    assert torch.equal(encoder.encode(np.asfortranarray(array)), expected)


def test_encode_restores_the_mode_of_every_submodule_and_leaves_statistics_alone(encoder, images):
    encoder.train()
    encoder.upper.eval()
    encoder.lower[0][1].eval()
    modes = [part.training for part in encoder.modules()]
    state = copy.deepcopy(encoder.state_dict())
    encoder.encode(images)
    assert [part.training for part in encoder.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())


def test_encode_restores_the_mode_after_an_error(encoder, images):
    encoder.output = nn.Linear(3, 3)
    encoder.train()
    with pytest.raises(RuntimeError):
        encoder.encode(images)
    assert all(part.training for part in encoder.modules())


FITS = "inputs of shape {} do not fit an encoder of (n, {}): {}"


@pytest.mark.parametrize(
    ("channels", "spatial", "shape", "remedy"),
    [
        (2, (9, 7), (4, 3, 9, 7), "convert them to 2 channel(s) or build an encoder with channels=3"),
        (2, (9, 7), (4, 2, 8, 7), "resize or crop them to 9x7 or build an encoder for 8x7"),
        (2, (9, 7), (2, 9, 7), "add the batch dimension: inputs[None]"),
        (2, (9, 7), (4, 9, 7, 2), "move the channels to the second place: moveaxis(inputs, -1, 1)"),
        (2, (9, 7), (4, 126), "arrange them as batch, channels and 2 spatial size(s)"),
        (2, (9, 7), (), "arrange them as batch, channels and 2 spatial size(s)"),
        (1, (9, 7), (4, 9, 7), "add the channel dimension: inputs[:, None]"),
    ],
)
def test_inputs_that_do_not_fit(channels, spatial, shape, remedy):
    with pytest.raises(
        ValueError, match=exactly(FITS.format(shape, f"{channels}, {spatial[0]}, {spatial[1]}", remedy))
    ):
        convolutional(channels, spatial).encode(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [np.dtype("bool"), np.dtype("complex64"), np.dtype("U3"), np.dtype("object")])
def test_inputs_that_are_no_real_numbers(encoder, dtype):
    with pytest.raises(
        ValueError, match=rf"inputs must be real numbers, got {dtype}; convert them to uint8 or float32"
    ):
        encoder.encode(np.zeros((1, 2, 9, 7), dtype))


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_tensors_that_are_no_real_numbers(encoder, dtype):
    with pytest.raises(ValueError, match=rf"inputs must be real numbers, got {dtype}"):
        encoder.encode(torch.zeros(1, 2, 9, 7, dtype=dtype))


def test_unknown_layer_and_batch_size(encoder, images):
    with pytest.raises(ValueError, match=r"^unknown layer 'local'; this encoder has conv, fc-linear, fc, Y$"):
        encoder.encode(images, layer="local")
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1, got 0$"):
        encoder.encode(images, batch_size=0)


# Networks by description and by name


def test_a_kernel_that_does_not_fit():
    convolutions = (Convolution(8, 5, 2), Convolution(8, 5, 2))
    with pytest.raises(
        ValueError,
        match=exactly(
            "inputs of 12x9 are too small: nothing is left of them after convolution 2 (kernel 5); "
            "use larger inputs or fewer convolutions"
        ),
    ):
        ConvolutionalNetwork(1, (12, 9), convolutions, 1, (16,))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: convolutional(1, ()), r"inputs need one, two or three spatial sizes, got \(\)"),
        (lambda: encoder_for(1, ()), r"inputs need one, two or three spatial sizes, got \(\)"),
        (lambda: convolutional(1, (8, 8, 8, 8)), r"inputs need one, two or three spatial sizes, got \(8, 8, 8, 8\)"),
        (lambda: convolutional(0, (8, 8)), "sizes must be at least 1, got channels=0"),
        (lambda: convolutional(1, (8, 0)), r"sizes must be at least 1, got channels=1, spatial=\(8, 0\)"),
        (lambda: convolutional_32(3, dim=0), "sizes must be at least 1, .* dim=0"),
        (
            lambda: ConvolutionalNetwork(1, (8,), (Convolution(2, 3),), 2, (4,)),
            r"the local map is read after one of 1 convolution\(s\), got local=2",
        ),
        (
            lambda: ConvolutionalNetwork(1, (8,), (Convolution(2, 3),), 1, ()),
            "a convolutional encoder needs at least one fully connected layer; give its size",
        ),
    ],
)
def test_networks_that_cannot_be_built(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    "spatial", [(1,), (5,), (6,), (11,), (12,), (31,), (32,), (100,), (7, 90), (13, 13), (2, 9, 33)]
)
def test_the_generic_network_keeps_its_rule(spatial):
    encoder = convolutional(1, spatial)
    *_, last = encoder.network.maps
    local = encoder.network.local
    assert all(side < 6 for side in last[1:])
    assert all(side >= min(3, size) for side, size in zip(last[1:], spatial, strict=True))
    assert max(encoder.local_shape[1:]) <= 11
    assert local >= 2
    assert local == 2 or max(encoder.network.maps[local - 2][1:]) > 11
    assert encoder(torch.zeros(2, 1, *spatial)).local.shape[1:] == encoder.local_shape


@pytest.mark.parametrize(
    ("spatial", "local"),
    [
        ((1,), (256, 1)),
        ((24,), (256, 12)),
        ((100,), (256, 12)),
        ((4096,), (256, 64)),
        ((20, 20), (256, 5, 5)),
        ((64, 64), (256, 16, 16)),
        ((4, 200), (256, 4, 12)),
        ((16, 16, 16), (128, 4, 4, 4)),
    ],
    ids=str,
)
def test_the_pooled_network_keeps_its_rule(spatial, local):
    encoder = pooled(1, spatial)
    assert encoder.local_shape == local
    filters = [convolution.filters for convolution in encoder.network.convolutions]
    assert filters == sorted(filters)
    features = encoder(torch.randn(2, 1, *spatial))
    assert features.local.shape[1:] == local
    assert features.hidden["conv"].shape == (2, 2 * local[0])


def test_pooled_layers_are_statistics_over_positions():
    torch.manual_seed(0)
    encoder = pooled(2, (40, 9)).eval()
    inputs = torch.randn(3, 2, 40, 9)
    maps = encoder.upper(encoder.lower(inputs)).detach().numpy().reshape(3, 256, -1)
    expected = np.concatenate([maps.mean(2), np.sqrt(maps.var(2) + 1e-5)], axis=1)
    np.testing.assert_allclose(encoder.encode(inputs, "conv").numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spatial", [(41,), (20, 9), (9, 8, 7)])
def test_statistics_over_known_positions_are_those_of_what_is_known(spatial):
    torch.manual_seed(0)
    maps = torch.randn(3, 5, *spatial)
    known = (torch.rand(3, 1, *spatial) < 0.5).float()
    found = PositionStatistics()(maps, known)
    for row, there, values in zip(found, known, maps, strict=True):
        kept = values[:, there[0] == 1].double()
        wanted = torch.cat([kept.mean(1), (kept.var(1, correction=0) + 1e-5).sqrt()])
        torch.testing.assert_close(row.double(), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(PositionStatistics()(maps, torch.ones_like(known)), PositionStatistics()(maps))
    assert PositionStatistics()(maps, torch.zeros_like(known)).isfinite().all()


def test_a_pooled_vector_does_not_see_what_is_padded():
    torch.manual_seed(0)
    encoder = pooled(1, (64,)).eval()
    encoder.set_statistics([0.0], [1.0], missing="nan")
    wave = torch.sin(torch.arange(2048) * 0.7)[None, None] * 3 + 5
    padded = torch.nn.functional.pad(wave, (2048, 2048), value=torch.nan)
    plain, seen = (encoder(inputs).vector for inputs in (wave, padded))
    blind = encoder.features(encoder.normalise(padded)).vector
    assert (seen - plain).norm() < 0.05 * (blind - plain).norm()
    assert encoder(padded).missing.shape == encoder(padded).local[:, 0].shape


def test_which_inputs_a_network_fits():
    assert convolutional(2, (40,)).fits((2, 40))
    assert not convolutional(2, (40,)).fits((2, 41))
    encoder = pooled(2, (40,))
    assert encoder.fits((2, 41))
    assert not encoder.fits((1, 40))
    assert not encoder.fits((2, 40, 40))
    assert not encoder.fits((2, 1))
    assert encoder.encode(torch.zeros(3, 2, 100)).shape == (3, 64)
    with pytest.raises(ValueError, match=r"do not fit an encoder of .* convert them to 2 channel"):
        encoder.encode(torch.zeros(3, 1, 100))
    inside = VariationalEncoder(encoder)
    assert inside.fits((2, 41))
    assert inside.local_sizes((100,)) == encoder.local_sizes((100,)) == encoder(torch.zeros(3, 2, 100)).local.shape[2:]


def test_a_pooled_vector_says_what_is_there_and_not_where():
    torch.manual_seed(0)
    series = torch.zeros(2, 1, 400)
    series[0, 0, 100:130] = series[1, 0, 260:290] = torch.randn(30)  # 160 is a multiple of all strides
    encoder, elsewhere = pooled(1, (400,)).eval(), convolutional(1, (400,)).eval()
    torch.testing.assert_close(*encoder.encode(series))
    here, there = elsewhere.encode(series)
    assert (here - there).abs().max() > 1e-4


def test_a_pooled_network_can_learn_from_constant_maps():
    encoder = pooled(1, (64,))
    encoder(torch.zeros(2, 1, 64)).vector.sum().backward()
    assert all(weight.grad.isfinite().all() for weight in encoder.parameters())


def test_choice_by_size():
    assert encoder_for(3, (32, 32)).network == convolutional_32(3).network
    assert encoder_for(2, (28, 28), dim=5).network == convolutional_28(2, 5).network
    assert encoder_for(1, (8, 8)).network == digits().network
    assert encoder_for(1, (8,)).network == pooled(1, (8,)).network
    assert encoder_for(3, (32, 28), dim=9).network == convolutional(3, (32, 28), 9).network
    with torch.device("meta"):
        assert encoder_for(1, (64, 64)).network == convolutional_64(1).network


def test_a_named_network_takes_its_own_size_only():
    with pytest.raises(
        ValueError,
        match=exactly(
            "the encoder convolutional-32 takes 32x32 inputs, got 28x28; "
            "resize or crop them, or choose convolutional, which takes any size"
        ),
    ):
        ENCODERS["convolutional-32"](3, (28, 28), None)


def test_an_encoder_without_remaining_layers_says_so():
    class Mean(Encoder):
        features = arguments = from_arguments = None

    with pytest.raises(ValueError, match=r"Mean does not know which .* module of your own from \(3, 2\) to 5 units"):
        Mean(1, (2,), (3, 2), {"Y": 1}).remaining_layers(5)


def test_every_position_of_strided_crops_is_its_own_crop_encoded_alone() -> None:
    torch.manual_seed(0)
    encoder = strided_crops(channels=2, spatial=(12, 8), dim=5).eval()
    inputs = torch.randn(3, 2, 12, 8)
    features = encoder(inputs)
    assert features.local.shape == (3, 5, 10, 7)  # crops of 3 x 2, 1 x 1 apart
    for row, column in ((0, 0), (4, 3), (8, 6)):
        crop = inputs[:, :, row : row + 3, column : column + 2]
        alone = encoder.output(encoder.fully_connected(encoder.layers_of_crop(crop)))
        torch.testing.assert_close(features.local[:, :, row, column], alone)
    torch.testing.assert_close(features.vector, features.local.mean(dim=(2, 3)))
    assert {name: values.shape[1] for name, values in features.hidden.items()} | {"Y": 5} == encoder.layer_sizes
    assert encoder.layers == ("conv", "fc", "Y")
    crops = inputs.unfold(2, 3, 1).unfold(3, 2, 1).movedim(1, 3).flatten(0, 2)
    linear = encoder.layers_of_crop(crops) @ encoder.fully_connected[0].weight.T
    torch.testing.assert_close(features.hidden["fc-linear"], linear.unflatten(0, (3, -1)).mean(1))


@pytest.mark.parametrize("spatial", [(32,), (28, 28), (64, 64), (8, 9, 10)], ids=str)
def test_strided_crops_are_saved_and_loaded(spatial: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = strided_crops(channels=1, spatial=spatial, dim=4).eval()
    encoder.save_pretrained(tmp_path)
    inputs = torch.randn(2, 1, *spatial)
    loaded = Encoder.from_pretrained(tmp_path)
    for layer in encoder.layers:
        torch.testing.assert_close(loaded.encode(inputs, layer), encoder.encode(inputs, layer))
    with pytest.raises(ValueError, match="wraps no module"):
        Encoder.from_pretrained(tmp_path, module=torch.nn.Identity())


def test_crops_larger_than_the_input_are_refused() -> None:
    network = strided_crops(channels=1, spatial=(32, 32)).network
    with pytest.raises(ValueError, match=r"crops of \(8, 8\) at strides of \(4, 4\) do not fit inputs of \(7, 32\)"):
        StridedCropsEncoder(network, (7, 32), (4, 4))


# Scaling


def test_scalings_are_what_they_say_and_can_be_undone() -> None:
    inputs = torch.tensor([[0.0, 1.0, 8.0, 1e6]])[:, None]
    encoder = convolutional(1, (4,), 2)
    for scaling, expected in {
        "standard": (inputs - 3) / 2,
        "robust": ((inputs - 3) / 2).clamp(-10, 10),
        "log1p": ((inputs + 1).log() - 3) / 2,
    }.items():
        encoder.set_statistics([3.0], [2.0], scaling=scaling)
        torch.testing.assert_close(encoder.normalise(inputs), expected)
        shown = inputs.clamp(max=23) if scaling == "robust" else inputs
        torch.testing.assert_close(encoder.denormalise(encoder.normalise(inputs)), shown, rtol=1e-5, atol=1e-5)
    far = inputs[..., :3].double() + 1e9
    encoder.set_statistics([3.0], [2.0], [1e9], "robust")
    assert torch.equal(encoder.denormalise(encoder.normalise(far)), far)


def test_a_scaling_that_cannot_be_is_refused() -> None:
    encoder = convolutional(1, (16,), 2)
    with pytest.raises(ValueError, match="`scaling`: log is unknown; did you mean log1p"):
        encoder.set_statistics([0.0], [1.0], scaling="log")
    with pytest.raises(ValueError, match="`offset` cannot be subtracted"):
        encoder.set_statistics([0.0], [1.0], [5.0], "log1p")
    encoder.set_statistics([0.0], [1.0], scaling="log1p")
    with pytest.raises(ValueError, match="channel 0 of the inputs has negative values, such as -3, which are"):
        encoder.encode(torch.full((2, 1, 16), -3.0))


@pytest.mark.parametrize(
    ("chosen", "sizes"),
    [
        (EncoderConfig(local=1), "(64 x 16 x 16), conv (4096), fc (1024), Y (64)"),
        (EncoderConfig(local=3), "(256 x 4 x 4), conv (4096), fc (1024), Y (64)"),
        (EncoderConfig(hidden=32, dim=8), "(128 x 8 x 8), conv (4096), fc (32), Y (8)"),
    ],
)
def test_the_local_map_and_the_hidden_layer_can_be_others(chosen: EncoderConfig, sizes: str) -> None:
    encoder = build_encoder(Config(encoder=chosen), 3, (32, 32))
    assert encoder.sizes == sizes
    features = encoder(torch.zeros(2, 3, 32, 32))
    assert features.local.shape[1:] == encoder.local_shape


def test_a_place_or_a_width_that_no_network_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`encoder.local` is 4; give 1 to 3, as many convolutions as there are"):
        build_encoder(Config(encoder=EncoderConfig(local=4)), 3, (32, 32))
    with pytest.raises(ValueError, match=r"`encoder.hidden` is 0; give 1 or more"):
        EncoderConfig(hidden=0)
    with pytest.raises(ValueError, match="say nothing to the network strided-crops; leave them out"):
        build_encoder(Config(encoder=EncoderConfig("strided-crops", local=1)), 3, (32, 32))
