"""Exported encoders compute what `encode` gives, in other programs and batches of any size, or leave no file."""

import copy
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from deep_infomax.encoders import (
    EXPORTS,
    Encoder,
    InexactExportError,
    TappedEncoder,
    VariationalEncoder,
    convolutional,
    digits,
    export,
    exporting,
    pooled,
    strided_crops,
)
from deep_infomax.runtime.missing import Missing
from deep_infomax.runtime.scaling import Scaling


def with_statistics(
    encoder: Encoder,
    mean: float,
    std: float,
    offset: float | None = None,
    scaling: Scaling = "standard",
    missing: Missing | None = None,
) -> Encoder:
    n = encoder.channels
    encoder.set_statistics([mean] * n, [std] * n, None if offset is None else [offset] * n, scaling, missing)
    return encoder.eval()


def own_network() -> Encoder:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5))
    return TappedEncoder(module, local="2", vector="4", hidden={"flat": "3"}, channels=3, spatial=(8, 8))


ENCODERS: dict[str, Callable[[], Encoder]] = {
    "digits": lambda: with_statistics(digits(), 78.0, 96.0),
    "series": lambda: with_statistics(convolutional(2, (50,), 3), 0.5, 2.0),
    "series far from zero": lambda: with_statistics(convolutional(1, (50,), 3), 0.001, 0.25, 1_000_000.0),
    "heavy tails": lambda: with_statistics(convolutional(2, (50,), 3), 0.5, 0.1, scaling="robust"),
    "gaps": lambda: with_statistics(convolutional(2, (50,), 3), 0.5, 0.1, missing="nan"),
    "declared gaps": lambda: with_statistics(digits(), 78.0, 96.0, missing=-9999.0),
    "counts": lambda: with_statistics(convolutional(2, (50,), 3), 4.0, 2.0, scaling="log1p"),
    "volumes": lambda: with_statistics(convolutional(1, (6, 7, 8), 4), -1.0, 3.0),
    "pooled": lambda: with_statistics(pooled(2, (50,), 3), 0.5, 2.0),
    "crops": lambda: with_statistics(strided_crops(3, (16, 16), 4), 100.0, 50.0),
    "variational": lambda: with_statistics(VariationalEncoder(digits()), 78.0, 96.0),
    "a network of one's own": lambda: with_statistics(own_network(), 100.0, 50.0),
}


def run_onnx(path: Path, inputs: Tensor) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"inputs": inputs.numpy()}), strict=True))


def run_torch(path: Path, inputs: Tensor) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in torch.export.load(path).module()(inputs).items()}


RUN = {"onnx": ("encoder.onnx", run_onnx), "torch": ("encoder.pt2", run_torch)}


@pytest.mark.parametrize("format", EXPORTS)
@pytest.mark.parametrize("name", ENCODERS)
def test_outputs_are_those_of_encode_for_batches_of_any_size(name: str, format: str, tmp_path: Path) -> None:
    encoder = ENCODERS[name]()
    file, run = RUN[format]
    found = export(encoder, tmp_path / file, format)
    assert found.input_type == ("float64" if name == "series far from zero" else "float32")
    assert found.difference <= exporting.TOLERANCE
    assert list(tmp_path.iterdir()) == [tmp_path / file]
    for n in (1, 3, 40):
        spread = torch.randn(n, encoder.channels, *encoder.spatial, dtype=torch.float64)
        around = 1_000_000.0 if encoder.offset is not None else 0.0
        inputs = spread * encoder.std.max() + encoder.mean.max() + around
        if name in ("counts", "heavy tails"):
            inputs = inputs.exp()
        if encoder.missing is not None:
            gone = torch.rand(inputs.shape) < 0.2
            inputs[gone] = torch.nan if encoder.missing == "nan" else encoder.missing
        inputs = inputs.to(getattr(torch, found.input_type))
        outputs = run(tmp_path / file, inputs)
        assert list(outputs) == list(found.outputs) == ["local", *encoder.layer_sizes]
        assert {key: values.shape[1:] for key, values in outputs.items()} == found.outputs
        expected = {layer: encoder.encode(inputs, layer).numpy() for layer in encoder.layer_sizes}
        with torch.no_grad():
            expected["local"] = encoder(inputs).local.numpy()
        for key, values in expected.items():
            assert outputs[key].dtype == np.float32
            np.testing.assert_allclose(outputs[key], values, rtol=1e-4, atol=1e-4 * np.abs(values).max(), err_msg=key)


@pytest.mark.parametrize("format", EXPORTS)
def test_images_are_taken_as_they_are_stored(format: str, tmp_path: Path) -> None:
    encoder = ENCODERS["digits"]()
    file, run = RUN[format]
    assert export(encoder, tmp_path / file, input_type="uint8").input_type == "uint8"
    images = torch.randint(256, (5, 1, 8, 8), dtype=torch.uint8)
    np.testing.assert_allclose(run(tmp_path / file, images)["Y"], encoder.encode(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("format", EXPORTS)
def test_the_encoder_is_left_as_it_is(format: str, tmp_path: Path) -> None:
    encoder = ENCODERS["digits"]().train()
    encoder.upper.eval()
    before, modes = copy.deepcopy(encoder.state_dict()), [part.training for part in encoder.modules()]
    export(encoder, tmp_path / RUN[format][0])
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert [part.training for part in encoder.modules()] == modes


def twisted(network: nn.Module, inputs: Tensor, path: Path) -> None:
    """Write a network whose vector is a little off."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.encoder.output.weight.mul_(1.01)
    exporting._write_torch(other, inputs, path)


def test_what_computes_something_else_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "encoder.pt2"
    path.write_bytes(b"earlier")
    monkeypatch.setitem(EXPORTS, "torch", EXPORTS["torch"]._replace(write=twisted))
    with pytest.raises(InexactExportError, match=r"is not written: it would differ from the encoder by \d\.\de-03 of"):
        export(ENCODERS["digits"](), path)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_within_pytorch_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(network: nn.Module, inputs: Tensor, path: Path) -> None:
        try:
            raise KeyboardInterrupt
        except BaseException as error:
            raise RuntimeError("it cannot be exported") from error

    monkeypatch.setitem(EXPORTS, "torch", EXPORTS["torch"]._replace(write=interrupted))
    with pytest.raises(KeyboardInterrupt):
        export(digits(), tmp_path / "encoder.pt2")
    assert not list(tmp_path.iterdir())


def test_what_is_not_finite_leaves_no_file(tmp_path: Path) -> None:
    encoder = digits()
    with torch.no_grad():
        encoder.output.bias[0] = torch.nan
    with pytest.raises(InexactExportError, match="by nan of the largest value"):
        export(encoder, tmp_path / "encoder.pt2")
    assert not list(tmp_path.iterdir())


class Counting(nn.Module):
    """A network that asks what values it has, which no program can be made of."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum().item() > 0 else x


@pytest.mark.parametrize("format", EXPORTS)
def test_a_network_that_no_program_can_be_made_of_gets_one_sentence(format: str, tmp_path: Path) -> None:
    module = nn.Sequential(Counting(), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(12, 2))
    encoder = TappedEncoder(module, local="1", vector="3", channels=1, spatial=(8,))
    with pytest.raises(ValueError, match=rf"torch .* cannot write this network as {EXPORTS[format].title} \(.+\); ch"):
        export(encoder, tmp_path / RUN[format][0])
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("a.bin", {}, r"a\.bin ends in \.bin; name a file that ends in \.onnx or \.pt2"),
        ("a", {}, r"a has no ending; name a file that ends in \.onnx or \.pt2"),
        ("a.pt2", {"format": "onnx"}, r"ends in \.pt2; name a file that ends in \.onnx, as the format onnx does"),
        ("a.onnx", {"format": "tf"}, "`format` is tf; give onnx or torch"),
        ("a.pt2", {"input_type": "int8"}, "`input_type` is int8; give one of uint8, float32, float64"),
        ("no/a.pt2", {}, "there is no folder .*no; create it first"),
    ],
)
def test_wrong_names_are_refused(name: str, options: dict, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        export(digits(), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["local", "inputs"])
def test_a_layer_may_not_be_called_like_what_every_network_has(name: str, tmp_path: Path) -> None:
    module = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(12, 2))
    encoder = TappedEncoder(module, local="0", vector="2", hidden={name: "1"}, channels=1, spatial=(8,))
    with pytest.raises(ValueError, match=f"a layer of the encoder is called '{name}', .*; give it another name"):
        export(encoder, tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unchecked")
def test_a_plain_module_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no Encoder; wrap it: TappedEncoder"):
        export(nn.Linear(2, 2), tmp_path / "a.pt2")


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda module: None if module.startswith("onnx") else stat)
    sentence = r'needs onnx and onnxscript and onnxruntime; install what it needs: pip install "deep-infomax\[onnx\]"'
    with pytest.raises(ValueError, match=sentence):
        export(digits(), tmp_path / "a.onnx")
    export(digits(), tmp_path / "a.pt2")
