"""Models of timm as encoders: which map is the local one, files, errors, and a run from the command to an export."""

import json
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fake_timm
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import deep_infomax
from deep_infomax.cli import main
from deep_infomax.data import Source
from deep_infomax.encoders import Encoder, TimmEncoder, VariationalEncoder
from deep_infomax.encoders.timm_models import local_place
from deep_infomax.evaluation.floors import untrained
from deep_infomax.objectives import Untrained
from deep_infomax.recipes import Config, EncoderConfig, build_encoder
from deep_infomax.training import Callback, InterruptedTrainingError, TrainingConfig, fit


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What models are made with by a small library in the place of timm."""
    calls: list[dict] = []
    monkeypatch.setitem(sys.modules, "timm", fake_timm.made(calls))
    return calls


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("longest", "place"),
    [
        ([16, 8, 4, 2, 1], 1),
        ([32, 16, 8, 4, 2], 2),
        ([14, 7, 4, 2, 1], 1),
        ([112, 56, 28, 14, 7], 4),  # 14 are too many
        ([24, 12, 6, 3], 2),
        ([44, 22, 11, 6], 3),  # 6 is nearer than 11
        ([9, 7], 0),
        ([4, 2, 1, 1], 0),
        ([14] * 12, 7),  # none is small: two thirds of the blocks
        ([8] * 3, 1),
        ([8] * 2, 1),
        ([28], 0),
    ],
)
def test_the_local_map_is_the_one_nearest_8_a_side(longest: list[int], place: int) -> None:
    assert local_place([(side, 1) for side in longest]) == place
    assert local_place([(1, side) for side in longest]) == place


@pytest.mark.usefixtures("calls")
def test_convolutional_features_are_those_of_the_model(images: Tensor) -> None:
    encoder = TimmEncoder("stages_small", 3, (32, 32), dim=7).eval()
    assert (encoder.local_shape, encoder.layer_sizes) == ((6, 8, 8), {"pooled": 8, "Y": 7})
    encoder.set_statistics([100.0] * 3, [50.0] * 3)
    inputs = (images.float() - 100) / 50
    features = encoder(images)
    torch.testing.assert_close(features.local, encoder.model.stages[1](encoder.model.stages[0](inputs)))
    torch.testing.assert_close(features.hidden["pooled"], encoder.model(inputs))
    torch.testing.assert_close(features.vector, encoder.output(encoder.model(inputs)))
    with pytest.raises(ValueError, match=r"^unknown layer 'fc-linear'; this encoder has pooled, Y$"):
        encoder.encode(images, "fc-linear")


@pytest.mark.usefixtures("calls")
def test_patch_tokens_are_arranged_as_their_grid() -> None:
    encoder = TimmEncoder("patch4_tiny", 1, (8, 12)).eval()
    assert encoder.local_shape == (5, 2, 3)
    inputs = torch.randn(2, 1, 8, 12)
    tokens = encoder.model.patches(inputs).flatten(2).mT
    for block in encoder.model.blocks[:4]:  # four of six are two thirds
        tokens = tokens + block(tokens).tanh()
    for row in range(2):
        for column in range(3):
            torch.testing.assert_close(encoder(inputs).local[:, :, row, column], tokens[:, 3 * row + column])


def test_models_have_random_weights_and_no_classifier_and_a_size_where_they_take_one(calls: list[dict]) -> None:
    TimmEncoder("stages_small", 2, (16, 16))
    TimmEncoder("patch4_tiny", 2, (16, 16))
    assert calls == [
        {"name": "stages_small", "pretrained": False, "in_chans": 2, "num_classes": 0},
        {"name": "patch4_tiny", "pretrained": False, "in_chans": 2, "num_classes": 0, "img_size": (16, 16)},
    ]


@pytest.mark.usefixtures("calls")
def test_a_recipe_names_a_model(images: Tensor) -> None:
    config = Config(encoder=EncoderConfig("timm:stages_small", dim=5))
    encoder = build_encoder(config, 3, (32, 32))
    assert encoder.summary == (
        "timm:stages_small without its pretrained weights: local map stages.1 (6 x 8 x 8), pooled (8), Y (5)"
    )
    assert VariationalEncoder(encoder).summary == encoder.summary
    assert build_encoder(Config(encoder=EncoderConfig("timm:stages_small")), 3, (32, 32)).vector_size == 64
    assert encoder.remaining_layers(11)(encoder(images).local).shape == (5, 11)


@pytest.mark.usefixtures("calls")
def test_building_moves_no_statistics() -> None:
    encoder = TimmEncoder("stages_small", 3, (32, 32))
    assert encoder.model.training
    assert not encoder.model.stages[0][1].running_mean.any()


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("name", ["stages_small", "patch4_tiny"])
@pytest.mark.parametrize("wrap", [lambda encoder: encoder, VariationalEncoder], ids=["plain", "variational"])
def test_a_saved_encoder_loads_again(name: str, wrap, images: Tensor, tmp_path: Path) -> None:
    encoder = wrap(TimmEncoder(name, 3, (32, 32), 4))
    encoder.set_statistics([90.0, 100.0, 110.0], [50.0, 60.0, 70.0])
    encoder(images)
    encoder.save_pretrained(tmp_path)
    loaded = Encoder.from_pretrained(tmp_path)
    for layer in ("pooled", "Y"):
        assert torch.equal(loaded.encode(images, layer), encoder.encode(images, layer))
    assert loaded.summary == encoder.summary
    assert loaded.extra == "timm"


@pytest.mark.usefixtures("calls")
def test_the_stage_is_kept_by_its_name(images: Tensor, tmp_path: Path) -> None:
    TimmEncoder("stages_small", 3, (32, 32), 4, local="stages.0").save_pretrained(tmp_path)
    described = json.loads((tmp_path / "encoder.json").read_text())
    assert described["architecture"] == "timm"
    assert described["arguments"] == {
        "name": "stages_small", "channels": 3, "spatial": [32, 32], "dim": 4, "local": "stages.0",
    }  # fmt: skip
    assert Encoder.from_pretrained(tmp_path)(images).local.shape == (5, 4, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stages_smal", 3, (32, 32)), "timm 1.2.3 has no model called 'stages_smal'; did you mean stages_small? All "
         "are in timm.list_models()"),
        (("?", 3, (32, 32)), "timm 1.2.3 has no model called '?'; all are in timm.list_models()"),
        (("stages_small.a1_in1k", 3, (32, 32)), "timm:stages_small.a1_in1k names pretrained weights, and an encoder "
         "begins with random ones; choose timm:stages_small"),
        (("hf-hub:timm/stages_small", 3, (32, 32)), "timm 1.2.3 has no model called 'hf-hub:timm/stages_small'; did "
         "you mean stages_small? All are in timm.list_models()"),
        (("stages_small", 2, (300,)), "timm:stages_small takes images, and inputs have 1 spatial size(s); choose "
         "convolutional or pooled, which take series and volumes too"),
        (("stages_small", 1, (8, 8, 8)), "timm:stages_small takes images, and inputs have 3 spatial size(s); choose "
         "convolutional or pooled, which take series and volumes too"),
        (("patch4_tiny", 3, (3, 40)), "timm:patch4_tiny does not take inputs of 3 channel(s) and 3x40 (Calculated "
         "padded input size per channel: (3 x 40). Kernel size: (4 x 4). Kernel size can't be greater than actual "
         "input size); choose another model, or another size with `data_options.resize`"),
        (("mapless", 3, (32, 32)), "timm 1.2.3 gives no intermediate maps of mapless, and one of them would be the "
         "local map; upgrade timm or choose another model"),
        (("stages_small", 3, (32, 32), 4, "stages"), "timm:stages_small has no stage 'stages'; its stages are "
         "stages.0, stages.1, stages.2"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("calls")
def test_what_cannot_be_used_gets_a_sentence(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TimmEncoder(*arguments)


def test_a_model_that_refuses_the_channels(calls: list[dict], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(sys.modules["timm"], "create_model", refuse)
    with pytest.raises(ValueError, match=r"does not take inputs of 7 channel\(s\) and 8x8 \(AssertionError\); choose"):
        TimmEncoder("stages_small", 7, (8, 8))


INSTALL = 'timm:stages_small needs timm, which is not installed; pip install "deep-infomax[timm]"'


@pytest.mark.usefixtures("absent")
def test_without_timm_there_is_a_remedy() -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(INSTALL)}$"):
        TimmEncoder("stages_small", 3, (32, 32))


def test_a_saved_encoder_without_timm(
    calls: list[dict], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    TimmEncoder("stages_small", 3, (32, 32)).save_pretrained(tmp_path)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=f"^{re.escape(INSTALL)}$"):
        Encoder.from_pretrained(tmp_path)
    assert main(["encode", str(tmp_path), "digits", "--out", str(tmp_path / "codes.npy")]) == 2
    assert f"dim: {INSTALL}\n" in capsys.readouterr().err


def test_a_library_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist\\nand more')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    message = (
        "timm:resnet18 needs timm, which cannot be loaded (operator torchvision::nms does not exist); "
        "install torch and torchvision anew, from one index, so that their builds agree"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TimmEncoder("resnet18", 3, (32, 32))


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize(
    "change", [{"spatial": [32]}, {"channels": 0}, {"dim": "4"}, {"local": 1}, {"name": None}], ids=str
)
def test_a_damaged_description(change: dict, tmp_path: Path) -> None:
    TimmEncoder("stages_small", 3, (32, 32)).save_pretrained(tmp_path)
    described = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps(described | {"arguments": described["arguments"] | change}))
    with pytest.raises(ValueError, match="its arguments do not describe a timm encoder"):
        Encoder.from_pretrained(tmp_path)


@pytest.mark.usefixtures("calls")
def test_it_builds_its_own_model(tmp_path: Path) -> None:
    TimmEncoder("stages_small", 3, (32, 32)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="this encoder builds its own model of timm; load it without module="):
        Encoder.from_pretrained(tmp_path, module=nn.Identity())


@pytest.mark.usefixtures("calls")
def test_an_untrained_encoder_is_one_as_the_model_begins(images: Tensor) -> None:
    encoder = TimmEncoder("stages_small", 3, (32, 32))
    nn.init.zeros_(encoder.model.scale)  # learnt; it has no `reset_parameters` that would draw it
    found = untrained(encoder, Source(images, None, None, "five", "train"), seed=3)
    torch.manual_seed(3)
    expected = TimmEncoder("stages_small", 3, (32, 32))
    assert found is not None
    for name, value in expected.named_parameters():
        assert torch.equal(found.get_parameter(name), value)
    assert not encoder.model.scale.any()


def dim(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.usefixtures("calls")
def test_a_run_from_training_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    np.savez("images.npz", x=generator.integers(256, size=(48, 16, 16, 3), dtype=np.uint8), y=np.arange(48) % 2)
    train = ["train", "--recipe", "local-infonce", "--data", "images.npz", "--encoder.architecture"]
    options = ["--training.epochs", 1, "--training.batch_size", 8, "--objective.units", 8, "--encoder.dim", 4]
    assert dim(*train, "timm:stages_small", *options, "--out", "run") == 0
    said = "encoder timm:stages_small without its pretrained weights: local map stages.0 (4 x 8 x 8), pooled (8), Y (4)"
    assert said in capsys.readouterr().err
    assert dim("evaluate", "run", "--metrics", "knn", "--seeds", 1, "--layers", "pooled,Y,floors") == 0
    assert "untrained encoder" in capsys.readouterr().out
    assert dim("encode", "run", "images.npz", "--out", "codes.npy") == 0
    encoder = Encoder.from_pretrained("run")
    images = torch.from_numpy(np.load("images.npz")["x"]).movedim(-1, 1)
    np.testing.assert_array_equal(np.load("codes.npy"), encoder.encode(images).numpy())
    assert dim("export", "run", "--out", "run.pt2") == 0
    assert dim("push", "run", "owner/name", "--license", "mit", "--dry_run", "pushed") == 0
    card = Path("pushed/README.md").read_text()
    assert 'pip install "deep-infomax[timm]"' in card
    assert f"| encoder | {encoder.summary} |" in card


class Interrupt(Callback):
    """Interrupts a training at its first line."""

    def on_log(self, line: Mapping[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("calls")
def test_a_training_that_is_interrupted_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(256, size=(32, 3, 16, 16), dtype=np.uint8)
    settings = {
        "encoder": {"architecture": "timm:patch4_tiny", "dim": 4}, "objective": {"units": 8},
        "training": {"batch_size": 8, "log_every": 2, "device": "cpu"},
    }  # fmt: skip
    whole = deep_infomax.train(data=images, epochs=1, out=tmp_path / "whole", progress=False, **settings)
    with pytest.raises(InterruptedTrainingError):
        deep_infomax.train(
            data=images, epochs=1, out=tmp_path / "run", progress=False, callbacks=[Interrupt()], **settings
        )
    resumed = deep_infomax.Run(tmp_path / "run").resume(images)
    for name, value in whole.encoder.state_dict().items():
        assert torch.equal(resumed.encoder.state_dict()[name], value), name


@pytest.mark.usefixtures("calls")
def test_a_batch_of_one_is_refused_where_a_model_normalises_batches() -> None:
    encoder = TimmEncoder("stages_small", 3, (8, 8))
    with pytest.raises(ValueError, match=r"`training.batch_size` is 1; give 2 or more"):
        fit(encoder, Untrained(), torch.randn(4, 3, 8, 8), TrainingConfig(batch_size=1, device="cpu"), progress=False)


@pytest.mark.usefixtures("calls")
def test_a_name_that_is_unknown_ends_with_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert dim("train", "--data", "digits", "--encoder.architecture", "timm:stages", "--out", run) == 2
    assert "dim: timm 1.2.3 has no model called 'stages'; " in capsys.readouterr().err


def require_timm() -> None:
    """Skip a test where timm is missing or does not load, as beside another build of torchvision."""
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm does not load: {error}")


@pytest.mark.parametrize(
    ("name", "side", "local_shape"),
    [
        ("resnet18", 64, (128, 8, 8)),
        ("convnext_atto", 32, (40, 8, 8)),
        ("mobilenetv3_small_050", 32, (8, 8, 8)),
        ("vit_tiny_patch16_224", 64, (192, 4, 4)),
    ],
)
def test_models_of_timm(name: str, side: int, local_shape: tuple[int, ...], tmp_path: Path) -> None:
    require_timm()
    encoder = TimmEncoder(name, 2, (side, side))
    assert encoder.local_shape == local_shape
    images = torch.randint(256, (3, 2, side, side), dtype=torch.uint8)
    found = encoder(images)
    (found.local.square().sum() + found.vector.square().sum()).backward()
    torch.testing.assert_close(encoder.encode(images, "pooled"), encoder.eval().model(encoder.normalise(images)))
    encoder.save_pretrained(tmp_path)
    assert torch.equal(Encoder.from_pretrained(tmp_path).encode(images), encoder.encode(images))
