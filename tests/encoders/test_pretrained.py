"""Saved encoders: exact round trips, atomic files, and one sentence for everything that cannot be loaded."""

import json
import os
import re
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import nn

import deep_infomax
from deep_infomax.encoders import (
    Convolution,
    ConvolutionalEncoder,
    ConvolutionalNetwork,
    Encoder,
    TappedEncoder,
    convolutional,
    digits,
    pretrained,
)


@pytest.fixture
def encoder() -> ConvolutionalEncoder:
    """A small encoder that has seen some data and statistics."""
    encoder = convolutional(channels=2, spatial=(9, 7), dim=5)
    encoder.set_statistics([120.0, 1 / 3], [50.0, 0.1])
    encoder(torch.rand(32, 2, 9, 7))
    return encoder


@pytest.fixture
def folder(encoder, tmp_path) -> Path:
    encoder.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def tapped() -> TappedEncoder:
    return TappedEncoder(network(), local="0", vector="2", hidden={"conv": "0"}, channels=1, spatial=(8,))


def network(units: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(1, 4, 2, 2), nn.Flatten(), nn.Linear(16, units))


def same_state(a: nn.Module, b: nn.Module) -> bool:
    a_state, b_state = a.state_dict(), b.state_dict()
    return a_state.keys() == b_state.keys() and all(
        a_state[name].dtype == b_state[name].dtype and torch.equal(a_state[name], b_state[name]) for name in a_state
    )


def error_of(source: str | Path, module: nn.Module | None = None) -> str:
    """The one sentence that loading ``source`` gives."""
    with pytest.raises(ValueError, match=r"\S") as caught:
        Encoder.from_pretrained(source, module)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def rewrite(folder: Path, **changes: object) -> None:
    path = folder / "encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# Round trips


def test_round_trip_is_bit_identical(encoder, folder):
    loaded = Encoder.from_pretrained(folder)
    images = torch.randint(256, (6, 2, 9, 7), dtype=torch.uint8)
    assert same_state(loaded, encoder)
    assert loaded.network == encoder.network
    for layer in encoder.layers:
        assert torch.equal(loaded.encode(images, layer), encoder.encode(images, layer))


def test_a_loaded_encoder_is_in_evaluation_mode(folder):
    assert not any(part.training for part in Encoder.from_pretrained(str(folder)).modules())


def test_pooling_and_named_networks_survive(tmp_path):
    convolutions = (Convolution(4, 3, padding=1, pool=(3, 2)), Convolution(6, (3, 1), (2, 1)))
    encoder = ConvolutionalEncoder(ConvolutionalNetwork(1, (12, 9), convolutions, 1, (8, 7), 2))
    encoder.save_pretrained(tmp_path)
    loaded = Encoder.from_pretrained(tmp_path)
    assert isinstance(loaded, ConvolutionalEncoder)
    assert loaded.network == encoder.network
    assert same_state(loaded, encoder)


def test_channels_last_weights_are_saved(encoder, folder, tmp_path):
    encoder.to(memory_format=torch.channels_last).save_pretrained(tmp_path)
    assert (tmp_path / "encoder.safetensors").read_bytes() == (folder / "encoder.safetensors").read_bytes()


def test_tapped_round_trip(tapped, tmp_path):
    tapped.set_statistics([2.0], [3.0])
    tapped.save_pretrained(tmp_path)
    loaded = Encoder.from_pretrained(tmp_path, module=network())
    assert same_state(loaded, tapped)
    assert (loaded.layer_sizes, loaded.local_shape) == (tapped.layer_sizes, tapped.local_shape)
    assert loaded.arguments() == tapped.arguments()


def test_tied_weights_are_saved(tmp_path):
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv1d(4, 4, 1)
            self.again = self.convolution
            self.head = nn.Sequential(nn.Flatten(), nn.Linear(32, 2))

        def forward(self, inputs):
            return self.head(self.convolution(inputs))

    def build():
        return TappedEncoder(Tied(), local="convolution", vector="head.1", channels=4, spatial=(8,))

    encoder = build()
    encoder.save_pretrained(tmp_path)
    assert same_state(Encoder.from_pretrained(tmp_path, module=Tied()), encoder)


def test_a_run_directory_loads(encoder, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").write_text("recipe: local-infonce\n")
    encoder.save_pretrained(tmp_path)
    assert same_state(Encoder.from_pretrained(tmp_path), encoder)


def test_the_files(encoder, folder):
    assert sorted(path.name for path in folder.iterdir()) == ["encoder.json", "encoder.safetensors"]
    described = json.loads((folder / "encoder.json").read_text())
    assert described.keys() == {"schema", "package", "architecture", "arguments"}
    assert (described["schema"], described["architecture"]) == (1, "convolutional")
    assert described["package"] == f"deep-infomax {deep_infomax.__version__}"
    assert load_file(folder / "encoder.safetensors").keys() == encoder.state_dict().keys()


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json"])
def test_an_interrupted_save_leaves_the_older_file(encoder, folder, monkeypatch, name):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    replace = Path.replace

    def interrupted(self, target):
        if target.name == name:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    encoder.set_statistics([0.0, 0.0], [9.0, 9.0])
    with pytest.raises(KeyboardInterrupt):
        encoder.save_pretrained(folder)
    assert {path.name for path in folder.iterdir()} == before.keys()
    assert (folder / name).read_bytes() == before[name]
    assert Encoder.from_pretrained(folder).network == encoder.network


# What cannot be loaded


def test_a_path_that_does_not_exist(tmp_path):
    path = tmp_path / "nothing"
    expected = f"no saved encoder at '{path}': it is neither a folder nor a Hub name (owner/name); check the path"
    assert error_of(path) == error_of(str(path)) == expected


def test_a_file_is_no_folder(folder):
    assert "it is neither a folder nor a Hub name" in error_of(folder / "encoder.json")


def test_a_path_object_is_never_a_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "it is neither a folder nor a Hub name" in error_of(Path("owner/name"))


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    expected = f"'{folder}' lacks {name}; give a folder that save_pretrained wrote or a finished run directory"
    assert error_of(folder) == expected


def test_an_unfinished_run(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    assert error_of(tmp_path) == (
        f"'{tmp_path}' lacks encoder.json and encoder.safetensors; "
        f"its training has not ended; finish it with `Run({str(tmp_path)!r}).resume()`"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON (Expecting value in line 1, column 1)"),
        (b'{"schema": 1,', "no JSON (Expecting property name enclosed in double quotes in line 1, column 14)"),
        (b"\xff\xfe\x00", "no text in UTF-8 (byte 1)"),
        (b"[]", "expected a mapping, got a list"),
        (b"{}", "it lacks schema"),
        (b'{"schema": 1, "schema": 2}', "the key 'schema' is there twice"),
        (b'{"schema": "1", "architecture": "a", "arguments": {}}', "expected a whole number, got text at schema"),
        (b'{"schema": 1, "architecture": "a", "arguments": []}', "expected a mapping, got a list at arguments"),
    ],
)
def test_damaged_json(folder, content, said):
    (folder / "encoder.json").write_bytes(content)
    assert error_of(folder) == f"{folder / 'encoder.json'} is damaged: {said}; copy or save the encoder again"


def test_fields_of_later_versions_are_passed_over(folder, encoder):
    rewrite(folder, trained_by="me")
    assert same_state(Encoder.from_pretrained(folder), encoder)


def test_links_are_followed_as_the_hub_makes_them_but_no_pipe_is_waited_for(folder, encoder, tmp_path):
    (tmp_path / "snapshot").mkdir()
    for name in ("encoder.json", "encoder.safetensors"):
        (tmp_path / "snapshot" / name).symlink_to(folder / name)
    assert same_state(Encoder.from_pretrained(tmp_path / "snapshot"), encoder)
    (folder / "encoder.safetensors").unlink()
    os.mkfifo(folder / "encoder.safetensors")
    assert error_of(tmp_path / "snapshot").startswith(f"'{tmp_path / 'snapshot'}' lacks encoder.safetensors")


@pytest.mark.parametrize("arguments", [{}, {"channels": 1, "convolutions": []}, {"convolutions": [{"size": 3}]}])
def test_arguments_of_something_else(folder, arguments):
    rewrite(folder, arguments=arguments)
    assert "its arguments do not describe a convolutional encoder" in error_of(folder)


def test_a_newer_schema(folder):
    rewrite(folder, schema=3, package="deep-infomax 7.0")
    assert error_of(folder) == (
        f"'{folder / 'encoder.json'}' has schema 3, written by deep-infomax 7.0, and deep-infomax "
        f"{deep_infomax.__version__} reads schemas up to 2; upgrade it: pip install --upgrade deep-infomax"
    )


def test_an_unknown_architecture(folder):
    rewrite(folder, architecture="transformer")
    message = error_of(folder)
    assert "names the architecture 'transformer', and those known are convolutional, " in message
    assert message.endswith("; upgrade deep-infomax or import the module that defines it")


def test_damaged_weights(folder):
    path = folder / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    assert re.fullmatch(r".*encoder\.safetensors is damaged: .*; copy or save the encoder again", error_of(folder))


def changed(folder, **changes):
    tensors = load_file(folder / "encoder.safetensors")
    tensors |= {name: change(tensors[name]) for name, change in changes.items()}
    try:
        save_file(tensors, folder / "encoder.safetensors")
    except KeyError as error:
        pytest.skip(f"this safetensors writes no {error}")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("std", lambda std: -std, "a standard deviation is -50, not positive"),
        ("std", lambda std: 0 * std, "a standard deviation is 0, not positive"),
        ("std", lambda std: std / 0, "std holds a number that is not finite"),
        ("mean", lambda mean: mean * float("nan"), "mean holds a number that is not finite"),
        ("mean", lambda mean: mean.double() * 1e300, "mean holds a number that is not finite"),
        ("mean", lambda mean: mean.int(), "mean holds int32, not float32"),
        ("mean", lambda mean: mean.bool(), "mean holds bool, not float32"),
        ("output.weight", lambda weight: weight.to(torch.complex64), "output.weight holds complex64, not float32"),
        ("output.weight", lambda weight: weight.to(torch.int8), "output.weight holds int8, not float32"),
        ("lower.0.1.running_var", lambda variance: -variance, "a variance is -"),
        ("lower.0.1.num_batches_tracked", lambda count: count.float(), "lower.0.1.num_batches_tracked holds float32"),
    ],
)
def test_weights_of_another_kind(folder, name, change, said):
    changed(folder, **{name: change})
    assert f"encoder.safetensors is damaged: {said}" in error_of(folder)


def test_weights_of_another_precision_are_read(folder, encoder):
    changed(folder, **{"output.weight": lambda weight: weight.double()})
    assert same_state(Encoder.from_pretrained(folder), encoder)


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 2**62}, {"dim": 2**40}, {"dim": 0}, {"dim": -1}, {"dim": 5.0}, {"dim": True}, {"channels": 10**15},
        {"fully_connected": [2**31, 2**31]}, {"fully_connected": []}, {"fully_connected": "16"}, {"local": 99},
        {"spatial": [2**40, 2**40]}, {"spatial": []}, {"spatial": [8, 8, 8, 8]}, {"later": 1},
        {"convolutions": [{"filters": 4, "kernel": 3, "stride": 0}]},
        {"convolutions": [{"filters": 4, "kernel": 3, "pool": [2, 0]}]},
        {"convolutions": [{"filters": 4, "kernel": [3, 3, 3]}]},
        {"convolutions": [{"filters": 4, "kernel": 3, "padding": -1}]},
    ],
)  # fmt: skip
def test_networks_that_are_none_or_none_of_these_weights(folder, change):
    described = json.loads((folder / "encoder.json").read_text())
    rewrite(folder, arguments=described["arguments"] | change)
    assert re.search("its arguments do not describe a convolutional encoder|do not fit the encoder", error_of(folder))


def test_weights_that_do_not_fit(folder, encoder):
    tensors = load_file(folder / "encoder.safetensors")
    del tensors["mean"], tensors["std"], tensors["output.weight"], tensors["lower.0.0.weight"]
    save_file(tensors | {"output.bias": torch.zeros(9), "extra": torch.zeros(1)}, folder / "encoder.safetensors")
    assert error_of(folder) == (
        f"the weights in '{folder / 'encoder.safetensors'}' do not fit the encoder: "
        "missing: mean, std, lower.0.0.weight and 1 more; not expected: extra; "
        "of another shape: output.bias (9,) instead of (5,); "
        "build the network that was saved, or save the encoder again"
    )


def test_a_tapped_encoder_needs_its_module(tapped, tmp_path):
    tapped.save_pretrained(tmp_path)
    assert error_of(tmp_path) == (
        "this encoder wraps a module of your own, a Sequential: "
        "pass one of that architecture, from_pretrained(..., module=Sequential(...))"
    )


def test_a_tapped_encoder_in_another_module(tapped, tmp_path):
    tapped.save_pretrained(tmp_path)
    message = error_of(tmp_path, network(units=7))
    assert "of another shape: module.2.weight (3, 16) instead of (7, 16), module.2.bias (3,) instead of (7,)" in message
    assert "the module has no layer '2'" in error_of(tmp_path, nn.Sequential(nn.Flatten()))


def test_a_convolutional_encoder_takes_no_module(folder):
    assert (
        error_of(folder, network()) == "this is a convolutional encoder, which wraps no module; load it without module="
    )


# The Hub


def test_a_hub_name_is_downloaded(encoder, folder, monkeypatch):
    asked = {}

    def download(name, allow_patterns):
        asked.update(name=name, files=allow_patterns)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert same_state(Encoder.from_pretrained("owner/an.encoder-1"), encoder)
    assert asked == {"name": "owner/an.encoder-1", "files": ["encoder.safetensors", "encoder.json"]}


def test_a_folder_comes_before_the_hub(encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder.save_pretrained("owner/name")
    assert same_state(Encoder.from_pretrained("owner/name"), encoder)


def test_a_hub_repository_without_an_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_args, **_options: str(tmp_path))
    assert "lacks encoder.json and encoder.safetensors" in error_of("owner/name")


# What the client raises: its own errors, those of its HTTP library (of no common kind), those of the system.
@pytest.mark.parametrize(
    "kind", [LocalEntryNotFoundError, ConnectionError, ValueError, type("ConnectError", (Exception,), {})]
)
def test_a_hub_that_cannot_be_reached(monkeypatch, kind):
    def unreachable(*_args, **_options):
        raise kind("Name or service not known\nand much more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    assert error_of("runs/first") == (
        "no folder 'runs/first' here, and the Hugging Face Hub gave none (Name or service not known); "
        "check the path, the name and the connection to https://huggingface.co"
    )


def test_push_to_hub_uploads_what_save_pretrained_writes(encoder, folder, monkeypatch, tmp_path):
    calls = []

    class Api:
        def __init__(self, token):
            calls.append(("token", token))

        def create_repo(self, repo_id, *, private, exist_ok):
            calls.append(("create", repo_id, private, exist_ok))
            return f"https://huggingface.co/{repo_id}"

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
            calls.append(("upload", repo_id, commit_message, files))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    address = encoder.push_to_hub("owner/name", private=True, token="secret", commit_message="First")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert address == "https://huggingface.co/owner/name"
    assert calls == [
        ("token", "secret"),
        ("create", "owner/name", True, True),
        ("upload", "owner/name", "First", files),
    ]


def test_push_to_a_hub_that_refuses(monkeypatch):
    def refuse(self, repo_id, **_options):
        raise PermissionError("401 Client Error")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(
        ValueError, match=r"^could not upload to 'o/n' on the Hugging Face Hub \(401 Client Error\); "
    ) as caught:
        digits().push_to_hub("o/n")
    assert str(caught.value).endswith("check the login (hf auth login) and the connection to https://huggingface.co")
    assert caught.value.__suppress_context__


def test_hub_names():
    assert pretrained.HUB_NAME.fullmatch("owner/name")
    assert not any(
        map(pretrained.HUB_NAME.fullmatch, ["name", "./name", "../name", "a/b/c", "/a", "a/", "a b/c", "~/x"])
    )


def test_a_scaling_is_kept_and_older_versions_refuse_it(tmp_path):
    encoder = convolutional(1, (16,), 2)
    encoder.set_statistics([3.0], [2.0], scaling="robust")
    encoder.save_pretrained(tmp_path)
    described = json.loads((tmp_path / "encoder.json").read_text())
    assert (described["schema"], described["scaling"]) == (2, "robust")
    assert Encoder.from_pretrained(tmp_path).scaling == "robust"
    rewrite(tmp_path, scaling="cubic")
    assert "is damaged" in error_of(tmp_path)
