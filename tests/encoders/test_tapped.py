"""Encoders made of a user's module: what the taps read, what they leave alone, and what they refuse."""

import copy
import re

import pytest
import torch
from torch import Tensor, nn

from deep_infomax.encoders import TappedEncoder


class Residual(nn.Module):
    """A small network as a user would write it: named stages, functional calls, a head that no tap reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.BatchNorm2d(6), nn.ReLU())
        self.stages = nn.ModuleDict({"deep": nn.Conv2d(6, 10, 2, 2)})
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(0.5)
        self.unused = nn.Linear(10, 10)
        self.fc = nn.Linear(10, 4)
        self.parts = Parts()

    def forward(self, inputs: Tensor) -> Tensor:
        local = self.activation(self.stem(inputs))
        deep = self.activation(self.stages["deep"](local)) + local[:, :1, ::2, ::2]
        first, second = self.parts(self.dropout(deep.mean(dim=(2, 3))))
        return self.fc(first + second).softmax(dim=1)


class Parts(nn.Module):
    """Gives two tensors."""

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return inputs, 2 * inputs


class Transposed(nn.Module):
    """Puts the batch last."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1).t()


@pytest.fixture
def module() -> Residual:
    module = Residual()
    module(torch.randn(64, 3, 16, 16))  # moves the running statistics away from 0 and 1
    return module


@pytest.fixture
def encoder(module) -> TappedEncoder:
    return tapped(module, hidden={"conv": "stages.deep", "stem": "stem.1"})


@pytest.fixture
def images() -> Tensor:
    return torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8)


def tapped(module: nn.Module, local: str = "stem", vector: str = "fc", **options) -> TappedEncoder:
    return TappedEncoder(module, local=local, vector=vector, **{"channels": 3, "spatial": (16, 16), **options})


def test_features_are_the_outputs_of_the_named_layers(encoder, module, images):
    encoder.set_statistics([100.0] * 3, [50.0] * 3)
    features = encoder.eval()(images)
    stem = module.stem((images.float() - 100) / 50)
    deep = module.stages["deep"](stem.relu())
    pooled = (deep.relu() + stem.relu()[:, :1, ::2, ::2]).mean(dim=(2, 3))
    torch.testing.assert_close(features.local, stem)
    torch.testing.assert_close(features.vector, module.fc(3 * pooled))
    torch.testing.assert_close(features.hidden["conv"], deep.flatten(1))
    assert list(features.hidden) == ["conv", "stem"]


def test_sizes(encoder):
    assert (encoder.channels, encoder.spatial) == (3, (16, 16))
    assert encoder.local_shape == (6, 4, 4)
    assert encoder.layer_sizes == {"conv": 10 * 2 * 2, "stem": 6 * 4 * 4, "Y": 4}
    assert encoder.layers == ("conv", "stem", "Y")


def test_the_empty_name_is_the_module_itself(module, images):
    encoder = tapped(module, vector="")
    torch.testing.assert_close(encoder.encode(images).sum(dim=1), torch.ones(5))  # after its softmax


def test_series_and_volumes():
    series = nn.Sequential(nn.Conv1d(2, 3, 4, 4), nn.Flatten(), nn.Linear(12, 5))
    assert tapped(series, "0", "2", channels=2, spatial=(16,)).local_shape == (3, 4)
    volumes = nn.Sequential(nn.Conv3d(1, 3, 2, 2), nn.Flatten(), nn.Linear(24, 5))
    assert tapped(volumes, "0", "2", channels=1, spatial=(4, 4, 4)).local_shape == (3, 2, 2, 2)


def test_building_leaves_the_module_as_it_was(module):
    module.train()
    module.dropout.eval()
    modes = [part.training for part in module.modules()]
    state = copy.deepcopy(module.state_dict())
    tapped(module)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_no_hook_outlives_a_forward_pass(encoder, images):
    encoder(images)
    with pytest.raises(RuntimeError):
        encoder(torch.zeros(1, 3, 2, 2))
    assert not any(part._forward_hooks for part in encoder.modules())


def test_gradients_flow_through_the_taps(encoder, module, images):
    features = encoder(images)
    (features.local.sum() + features.vector.sum()).backward()
    assert module.stem[0].weight.grad.abs().sum() > 0
    assert module.fc.weight.grad.abs().sum() > 0
    assert module.unused.weight.grad is None


def test_a_deep_copy_is_independent(encoder, images):
    before = encoder.encode(images)
    twin = copy.deepcopy(encoder)
    assert torch.equal(twin.encode(images), before)
    nn.init.zeros_(twin.module.fc.weight)
    assert torch.equal(encoder.encode(images), before)
    assert not torch.equal(twin.encode(images), before)


def test_the_state_holds_the_module_and_the_statistics(encoder, module, images):
    encoder.set_statistics([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert set(encoder.state_dict()) == {"mean", "std", *(f"module.{name}" for name in module.state_dict())}
    other = tapped(Residual(), hidden=encoder.hidden)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other.encode(images), encoder.encode(images))


def test_statistics_follow_the_type_of_the_module(module, images):
    encoder = tapped(module.double())
    assert encoder.mean.dtype is torch.float64
    assert encoder(images).vector.dtype is torch.float64


def test_a_module_without_parameters():
    encoder = tapped(nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), "0", "1")
    assert (encoder.local_shape, encoder.vector_size) == ((3, 4, 4), 48)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vector": "fcc"}, "the module has no layer 'fcc'; its layers include fc"),
        (
            {"local": "stage.deep"},
            "the module has no layer 'stage.deep'; its layers include stages.deep, stages, stem.2",
        ),
        (
            {"hidden": {"conv": "???"}},
            "the module has no layer '???'; its layers include stem, stem.0, stem.1, stem.2, stages",
        ),
        ({"hidden": {"Y": "fc"}}, "the name Y is kept for the vector; give the hidden layer another name"),
        (
            {"hidden": {"conv": "unused"}},
            "the layer 'unused' was not reached in the forward pass; name one that the module calls",
        ),
        (
            {"local": "activation"},
            "the layer 'activation' ran 2 times in one forward pass; name one that runs once",
        ),
        (
            {"hidden": {"parts": "parts"}},
            "the layer 'parts' gives a tuple, not a tensor; name a layer inside it or wrap it",
        ),
        (
            {"local": "dropout"},
            "the local layer 'dropout' gives shape (2, 10), not (n, c, *spatial) with one, two or three spatial sizes; "
            "name an earlier layer, before pooling and flattening",
        ),
        (
            {"vector": "stages.deep"},
            "the vector layer 'stages.deep' gives shape (2, 10, 2, 2), not (n, d); "
            "name a later layer, or add global pooling and nn.Flatten() after it",
        ),
    ],
)
def test_taps_that_cannot_be_used(module, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        tapped(module, **options)


def test_a_layer_that_does_not_keep_the_batch_first():
    with pytest.raises(ValueError, match=r"the layer '1' gives shape \(768, 2\) for 2 inputs; name one that keeps"):
        tapped(nn.Sequential(nn.ReLU(), Transposed()), "0", "1")


def test_a_module_that_does_not_take_such_inputs(module):
    with pytest.raises(
        ValueError, match=r"cannot run on inputs of shape \(2, 1, 16, 16\) \(.*\); check channels"
    ) as caught:
        tapped(module, channels=1)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_there_is_no_copy_of_the_remaining_layers(encoder):
    with pytest.raises(ValueError, match="TappedEncoder does not know which of its layers follow the local map"):
        encoder.remaining_layers(8)
