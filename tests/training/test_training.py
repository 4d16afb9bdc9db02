import dataclasses
import json
import math
import os
import shutil
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from deep_infomax.contracts import Batch, Features, Losses, Objective
from deep_infomax.data import CropAndFlip, batches
from deep_infomax.encoders import Encoder, convolutional, digits
from deep_infomax.objectives import Untrained
from deep_infomax.recipes import ObjectiveConfig, build_objective
from deep_infomax.training import (
    InterruptedTrainingError,
    NonFiniteLossError,
    TrainingConfig,
    dead_units,
    effective_rank,
    fit,
    has_fast_bfloat16,
    keep_freed_memory,
    learning_rate_factor,
    resolve_precision,
)
from deep_infomax.training.checkpoint import Checkpoints, Record, load_optimizer, optimizer_tensors
from deep_infomax.training.log import MetricsFile, RunningMeans
from deep_infomax.training.prepare import Model, prepare_optimizers
from deep_infomax.training.state import TrainingState

SERIES = np.random.default_rng(0).normal(size=(40, 2, 32)).astype(np.float32)
TRAINING = TrainingConfig(epochs=3, batch_size=8, device="cpu", log_every=4)
ONE_EPOCH = dataclasses.replace(TRAINING, epochs=1)
# Everything random at once: other inputs are drawn, the prior is sampled, an adversary has an optimiser of its own.
FLIP = CropAndFlip(flip=True)
OBJECTIVE = ObjectiveConfig(alpha=0.5, beta=1.0, gamma=0.1, others=3, units=16)
WITHOUT_ADVERSARY = dataclasses.replace(OBJECTIVE, noise=0.5, prior="gaussian", matching="sigreg")


def built(objective: ObjectiveConfig = OBJECTIVE) -> tuple[Encoder, nn.Module]:
    torch.manual_seed(1)
    encoder = convolutional(channels=2, spatial=(32,), dim=8)
    return encoder, build_objective(objective, encoder)


def interrupt_at(step: int) -> Callable[[Tensor], Tensor]:
    calls = iter(range(1, 10**6))

    def transform(inputs: Tensor) -> Tensor:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return FLIP(inputs)

    return transform


def records(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Encoder, nn.Module, Path]]:
    """The training that others are interrupted in: its encoder, its objective and its run, by precision."""

    @cache
    def trained(precision: str, config: ObjectiveConfig) -> tuple[Encoder, nn.Module, Path]:
        encoder, objective = built(config)
        run, training = tmp_path_factory.mktemp("whole"), dataclasses.replace(TRAINING, precision=precision)
        fit(encoder, objective, SERIES, training, seed=5, progress=False, out=run, transform=FLIP)
        return encoder, objective, run

    return trained


@pytest.mark.parametrize(
    ("step", "precision", "place", "config"),
    [
        (1, "float32", "memory", OBJECTIVE), (1, "bfloat16", "memory", OBJECTIVE), (6, "float32", "disk", OBJECTIVE),
        (14, "bfloat16", "memory", OBJECTIVE), (6, "float32", "memory", WITHOUT_ADVERSARY),
    ],
)  # fmt: skip
def test_an_interrupted_training_resumes_to_identical_weights(
    whole: Callable[..., tuple[Encoder, nn.Module, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    precision: str,
    place: str,
    config: ObjectiveConfig,
) -> None:
    training = dataclasses.replace(TRAINING, precision=precision)
    expected_encoder, expected_objective, expected_run = whole(precision, config)

    data: np.ndarray = SERIES
    if place == "disk":
        np.save(tmp_path / "x.npy", SERIES.astype(np.float64))
        data = np.load(tmp_path / "x.npy", mmap_mode="r")
        monkeypatch.setattr(batches, "free_memory", lambda device: 0)
    encoder, objective = built(config)
    transform = interrupt_at(step)
    with pytest.raises(InterruptedTrainingError, match=f"step {step} of 15"):
        fit(encoder, objective, data, training, seed=5, out=tmp_path / "cut", progress=False, transform=transform)
    torch.manual_seed(99)
    encoder = convolutional(channels=2, spatial=(32,), dim=8)
    objective = build_objective(config, encoder)
    cut_run = {"out": tmp_path / "cut", "transform": FLIP, "resume": True}
    fit(encoder, objective, data, training, seed=5, progress=False, **cut_run)

    found = encoder.state_dict()
    for name, expected in expected_encoder.state_dict().items():
        assert torch.equal(expected, found[name]), name
    found = objective.state_dict()
    for name, expected in expected_objective.state_dict().items():
        assert torch.equal(expected, found[name]), name
    timeless = [
        [{k: v for k, v in r.items() if k not in ("seconds", "images_per_second")} for r in records(run)]
        for run in (expected_run, tmp_path / "cut")
    ]
    assert timeless[0] == timeless[1]


def test_weights_depend_on_the_seed_and_on_nothing_drawn_before(tmp_path: Path) -> None:
    finals = []
    for seed, drawn in ((0, 1), (0, 100), (1, 1)):
        encoder, objective = built()
        torch.rand(drawn)
        fit(encoder, objective, SERIES, ONE_EPOCH, seed=seed, progress=False)
        finals.append(encoder.output.weight.detach().clone())
    assert torch.equal(finals[0], finals[1])
    assert not torch.equal(finals[0], finals[2])


def test_fit_leaves_the_global_random_numbers_alone() -> None:
    encoder, objective = built()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit(encoder, objective, SERIES, ONE_EPOCH, progress=False)
    assert torch.equal(before, torch.get_rng_state())


def test_an_untrained_encoder_keeps_its_weights_but_learns_batch_statistics() -> None:
    encoder, _ = built()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    fit(encoder, Untrained(), SERIES, dataclasses.replace(TRAINING, learning_rate=1.0), progress=False)
    for name, parameter in encoder.named_parameters():
        assert torch.equal(before[name], parameter), name
    moved = [name for name, value in encoder.named_buffers() if not torch.equal(before[name], value)]
    assert any("running_mean" in name for name in moved)


def test_the_run_directory_holds_log_checkpoints_and_encoder(tmp_path: Path) -> None:
    encoder, objective = built()
    result = fit(encoder, objective, SERIES, TRAINING, out=tmp_path, progress=False)
    log = records(tmp_path)
    assert [record["step"] for record in log if record["kind"] == "train"] == [4, 8, 12, 15]
    assert [record["step"] for record in log if record["kind"] == "health"] == [5, 10, 15]
    assert log[-1]["kind"] == "end"
    terms = log[0]["terms"]
    assert {"loss", "local_bound", "local_ceiling", "global_bound", "prior_adversary"} <= set(terms)
    assert terms["local_bound"] <= terms["local_ceiling"] == pytest.approx(math.log(4))
    assert result.steps == 15
    assert Encoder.from_pretrained(tmp_path).encode(SERIES).equal(encoder.encode(SERIES))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_an_epoch_without_a_line_of_the_log_passes_without_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    check_loss = TrainingState.check_loss

    def noted(state: TrainingState, checkpoints: Checkpoints | None) -> None:
        waits.append(state.step)
        check_loss(state, checkpoints)

    monkeypatch.setattr(TrainingState, "check_loss", noted)
    fit(*built(), SERIES, dataclasses.replace(TRAINING, log_every=9), out=tmp_path, progress=False)  # 5 steps an epoch
    log = records(tmp_path)
    assert [record["step"] for record in log if record["kind"] == "train"] == [9, 15]
    assert [record["step"] for record in log if record["kind"] == "health"] == [10, 15]
    assert sorted(set(waits)) == [9, 10, 15]


def test_statistics_of_the_data_become_part_of_the_encoder_unless_it_has_its_own() -> None:
    encoder, _ = built()
    fit(encoder, Untrained(), SERIES * 3 + 5, TRAINING, progress=False)
    assert encoder.mean.numpy() == pytest.approx((SERIES * 3 + 5).mean((0, 2)), rel=1e-5)
    kept = encoder.mean.clone()
    fit(encoder, Untrained(), SERIES, TRAINING, progress=False)
    assert torch.equal(encoder.mean, kept)


def test_other_data_than_before_are_noticed_on_a_resume(tmp_path: Path) -> None:
    with pytest.raises(InterruptedTrainingError):
        fit(built()[0], Untrained(), SERIES, TRAINING, out=tmp_path, transform=interrupt_at(3), progress=False)
    other = SERIES + np.float32(1e-6)
    with pytest.raises(ValueError, match=r"array train are not those that .* was trained on; restore them"):
        fit(built()[0], Untrained(), other, TRAINING, out=tmp_path, resume=True, progress=False)
    [path] = (tmp_path / "checkpoints").iterdir()
    with safe_open(path, framework="pt") as file:  # as earlier versions wrote it
        state = json.loads(file.metadata()["state"])
    del state["data"]
    save_file(load_file(path), path, metadata={"state": json.dumps(state)})
    assert fit(built()[0], Untrained(), other, TRAINING, out=tmp_path, resume=True, progress=False).steps == 15


class _NotANumberAt(Objective):
    """An objective whose loss turns into NaN at one step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step, self.calls = step, 0

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        self.calls += 1
        loss = encode(batch.inputs).vector.float().square().mean()
        if self.calls == self.step:
            loss = loss * math.nan
        return Losses(loss, None, {"loss": loss.detach()})


def test_a_loss_that_is_not_finite_is_found_before_the_end_of_the_epoch_is_looked_at() -> None:
    training = dataclasses.replace(TRAINING, log_every=100, precision="float32")
    with pytest.raises(NonFiniteLossError, match=r"step 7 is not finite; nothing is kept"):
        fit(built()[0], _NotANumberAt(7), SERIES, training, progress=False)


def test_resuming_with_another_order_of_the_data_is_refused(tmp_path: Path) -> None:
    fit(built()[0], Untrained(), SERIES, TRAINING, seed=3, out=tmp_path, progress=False)
    again = {"out": tmp_path, "resume": True, "progress": False}
    with pytest.raises(ValueError, match="was trained with the seed 3, not 0; give that"):
        fit(built()[0], Untrained(), SERIES, TRAINING, **again)
    with pytest.raises(ValueError, match="was trained with the batch_size 8, not 4; give that"):
        fit(built()[0], Untrained(), SERIES, dataclasses.replace(TRAINING, batch_size=4), seed=3, **again)


def test_resuming_without_a_run_directory_is_refused() -> None:
    with pytest.raises(ValueError, match="resume=True needs out"):
        fit(built()[0], Untrained(), SERIES, TRAINING, resume=True, progress=False)


def test_random_crops_of_any_sides_are_watched_at_the_centre() -> None:
    images = torch.rand(16, 1, 12, 20)
    encoder = convolutional(channels=1, spatial=(8, 16), dim=8)
    training = TrainingConfig(epochs=1, batch_size=8, device="cpu")
    crop = {"transform": lambda inputs: inputs[..., 3:11, :16]}
    assert fit(encoder, Untrained(), images, training, progress=False, **crop).steps == 2


def test_vectors_that_are_not_finite_stop_though_the_loss_is() -> None:
    class Blind(Untrained):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
            return Losses(self.weight.square(), None, {})

    encoder, _ = built()
    with torch.no_grad():
        next(encoder.parameters()).fill_(math.inf)
    with pytest.raises(NonFiniteLossError, match=r"^the encoder's vectors are not finite after step"):
        fit(encoder, Blind(), SERIES, TRAINING, progress=False)


def test_a_loss_that_is_not_finite_stops_with_the_step_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    encoder, _ = built()
    training = dataclasses.replace(TRAINING, checkpoint_seconds=0.0, log_every=100, precision="float32")
    with pytest.raises(NonFiniteLossError, match=r"step 7 is not finite.*step-000000006") as caught:
        fit(encoder, _NotANumberAt(7), SERIES, training, out=tmp_path, progress=False)
    assert str(caught.value).endswith("Train anew with a lower `training.learning_rate` than 0.002")
    state = load_file(max((tmp_path / "checkpoints").iterdir()))
    assert all(tensor.isfinite().all() for tensor in state.values())


@pytest.mark.parametrize(
    ("precision", "limit", "advice"),
    [
        ("float32", 20.0, "than 0.002"),
        ("bfloat16", 20.0, "than 0.002 or `training.precision` float32"),
        ("bfloat16", None, "than 0.002 or `training.precision` float32 or limited scores (`objective.limit` 20)"),
    ],
)
def test_the_advice_against_a_loss_that_is_not_finite_is_what_is_not_so_already(
    precision: str, limit: float | None, advice: str
) -> None:
    def breaking(inputs: Tensor) -> Tensor:
        return inputs * math.nan

    encoder, _ = built()
    objective = build_objective(ObjectiveConfig(units=8, limit=limit), encoder)
    training = dataclasses.replace(TRAINING, precision=precision, epochs=1)
    with pytest.raises(NonFiniteLossError) as caught:
        fit(encoder, objective, SERIES, training, transform=breaking, progress=False)
    assert str(caught.value).endswith(advice)


def test_inputs_that_cannot_be_read_are_not_told_as_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    def broken(inputs: Tensor) -> Tensor:
        raise FileNotFoundError(2, "No such file or directory", "mask.png")

    with pytest.raises(ValueError, match=r"inputs of step 1 cannot be read: .* 'mask.png'"):
        fit(built()[0], Untrained(), SERIES, TRAINING, out=tmp_path, transform=broken, progress=False)


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_precision_asked_for_is_used(precision: str, expected: torch.dtype) -> None:
    seen = []

    class Watch(Untrained):
        def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
            seen.append(encode(batch.inputs).vector.dtype)
            return super().forward(batch, encode)

    encoder, _ = built()
    fit(encoder, Watch(), SERIES, dataclasses.replace(TRAINING, precision=precision, epochs=1), progress=False)
    assert set(seen) == {expected}


@pytest.mark.parametrize(("seconds", "faster"), [(0.1, True), (0.9, False), (2.0, False)])
def test_bfloat16_is_fast_where_it_is_measured_to_be(
    seconds: float, faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = {torch.bfloat16: seconds, torch.float32: 1.0}
    monkeypatch.setattr("deep_infomax.training.precision._product_seconds", measured.__getitem__)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert has_fast_bfloat16.__wrapped__(torch.device("cpu")) is faster
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not has_fast_bfloat16.__wrapped__(torch.device("cpu"))  # emulated: not even tried


@pytest.mark.parametrize(("began_on", "expected"), [("cpu", {torch.bfloat16}), ("cuda", {torch.float32})])
def test_a_training_resumed_on_the_same_kind_of_device_keeps_the_precision_it_found_fastest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, began_on: str, expected: set[torch.dtype]
) -> None:
    found = iter([torch.bfloat16, torch.float32])
    monkeypatch.setattr("deep_infomax.training.loop.resolve_precision", lambda *_: next(found))
    seen = []

    class Watch(Untrained):
        def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
            seen.append(encode(batch.inputs).vector.dtype)
            return super().forward(batch, encode)

    with pytest.raises(InterruptedTrainingError):
        fit(built()[0], Watch(), SERIES, TRAINING, out=tmp_path, progress=False, transform=interrupt_at(3))
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=1)
    _, tensors, record = checkpoints.read_latest()
    assert record.device == "cpu"
    checkpoints.write(record.step, tensors, dataclasses.asdict(record) | {"device": began_on})
    begun = len(seen)
    fit(built()[0], Watch(), SERIES, TRAINING, out=tmp_path, progress=False, resume=True)
    assert len(seen) == 15
    assert set(seen[begun:]) == expected


def test_auto_precision_follows_the_processor() -> None:
    cpu = torch.device("cpu")
    expected = torch.bfloat16 if has_fast_bfloat16(cpu) else torch.float32
    assert resolve_precision("auto", cpu) == expected
    assert resolve_precision("float32", cpu) == torch.float32


def test_weights_of_layers_decay_and_nothing_else() -> None:
    """The loss is 0, so that what changes has decayed: by learning rate times decay in each of the steps."""
    torch.manual_seed(0)
    encoder = convolutional(channels=2, spatial=(32,), dim=8)
    for parameter in encoder.parameters():
        torch.nn.init.ones_(parameter)
    training = dataclasses.replace(TRAINING, learning_rate=0.1, weight_decay=0.5, schedule="constant")
    steps = fit(encoder, Untrained(), SERIES, training, progress=False).steps
    for name, parameter in encoder.named_parameters():
        expected = 0.95**steps if parameter.dim() > 1 else 1.0
        torch.testing.assert_close(parameter, torch.full_like(parameter, expected), msg=name)


def test_the_betas_are_those_of_both_optimisers_and_of_their_steps() -> None:
    encoder, objective = built()
    training = TrainingConfig(betas=(0.25, 0.75), learning_rate=0.1)
    optimizers = prepare_optimizers(Model(encoder, objective), training)
    assert {name: one.defaults["betas"] for name, one in optimizers.items()} == dict.fromkeys(
        ("encoder", "adversary"), (0.25, 0.75)
    )
    weight = next(parameter for parameter in encoder.parameters() if parameter.dim() > 1)
    before, first, second = weight.detach().clone(), 0.0, 0.0
    for step, slope in enumerate((1.0, -3.0, 0.5), start=1):
        weight.grad = torch.full_like(weight, slope)
        optimizers["encoder"].step()
        first, second = 0.25 * first + 0.75 * slope, 0.75 * second + 0.25 * slope**2
        before -= 0.1 * first / (1 - 0.25**step) / math.sqrt(second / (1 - 0.75**step))
    torch.testing.assert_close(weight.detach(), before)


@pytest.mark.parametrize("betas", [(0.5,), (0.5, 0.9, 0.99), (0.5, 1.0), (-0.1, 0.9), ()])
def test_betas_that_are_no_two_decays_are_refused(betas: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"`training\.betas` is .*; give two numbers of at least 0 and below 1"):
        TrainingConfig(betas=betas)


def test_one_cycle_rises_to_the_largest_rate_and_falls_to_nothing() -> None:
    training = TrainingConfig(warmup=0.2)
    factors = [learning_rate_factor(training, step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.04)
    assert factors[20] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert 0 < factors[-1] < 1e-3
    assert sorted(factors[:21]) == factors[:21]
    assert sorted(factors[20:], reverse=True) == factors[20:]


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", -1), ("epochs", math.inf), ("batch_size", 0), ("warmup", 1.0), ("learning_rate", math.nan)],
)
def test_impossible_settings_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`training.{field}` is {value:g}"):
        TrainingConfig(**{field: value})


def test_effective_rank_counts_equal_directions() -> None:
    directions = torch.linalg.qr(torch.randn(10, 3)).Q.T
    vectors = torch.cat([directions, -directions]) + 7.0
    assert effective_rank(vectors).item() == pytest.approx(3, abs=1e-3)
    assert effective_rank(torch.ones(5, 4)).item() == 0
    assert dead_units(torch.ones(5, 4)) == 4


STATE = {"step": 1, "seconds": 1.5, "log_size": 7, "precision": "float32", "added_later": [None]}


def test_old_checkpoints_go_and_torn_ones_are_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=2)
    checkpoints.prepare(1000)
    for step in range(4):
        checkpoints.write(step, {"weight": torch.full((2,), float(step))}, STATE | {"step": step})
    assert [path.name for path in checkpoints.paths()] == ["step-000000002.safetensors", "step-000000003.safetensors"]
    torn = tmp_path / "checkpoints" / "step-000000009.safetensors.partial"
    torn.write_bytes(b"half")
    assert torn not in checkpoints.paths()
    checkpoints.prepare(1000)
    assert not torn.exists()
    path, tensors, record = checkpoints.read_latest()
    assert path == checkpoints.paths()[-1]
    assert record == Record(step=3, seconds=1.5, log_size=7, precision="float32", tensors=1)
    assert tensors["weight"].tolist() == [3.0, 3.0]


def test_a_damaged_checkpoint_is_named_with_the_remedy(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.write(1, {"weight": torch.ones(2)}, STATE)
    checkpoints.paths()[0].write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"step-000000001.safetensors is damaged.*remove it"):
        checkpoints.read_latest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": 1e30}, "expected a whole number, got a number at step"),
        ({"step": 10**30}, "a whole number has more than 64 bits"),
        ({"step": -1}, "expected a whole number >= 0 at step"),
        ({"step": 2}, "it is of step 2, and its name says otherwise"),
        ({"seconds": float("nan")}, "a number is nan, not finite"),
        ({"log_size": None}, "expected a whole number, got nothing at log_size"),
        ({"precision": "int8"}, "Invalid enum value 'int8' at precision"),
        ({"stopped_early": 1}, "expected true or false, got a whole number at stopped_early"),
        ({"tensors": 2}, "it holds 1 tensors of 2"),
    ],
)
def test_a_record_of_another_kind_is_damaged(tmp_path: Path, change: dict[str, object], said: str) -> None:
    content = json.dumps(STATE | {"tensors": 1} | change)
    save_file({"weight": torch.ones(2)}, tmp_path / "step-000000001.safetensors", metadata={"state": content})
    with pytest.raises(ValueError, match="is damaged: ") as error:
        Checkpoints(tmp_path, keep=2).read_latest()
    assert f"is damaged: {said}; remove it to resume from the checkpoint before it" in str(error.value)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that was interrupted after a few steps."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(InterruptedTrainingError):
        fit(*built(), SERIES, TRAINING, out=folder, progress=False, transform=interrupt_at(3))
    return folder


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("optimizer.encoder.0.exp_avg", None, "it holds "),
        ("optimizer.encoder.0.exp_avg", lambda t: t[:1], "optimizer.encoder.0.exp_avg has the shape"),
        ("optimizer.encoder.0.exp_avg", lambda t: t.int(), "optimizer.encoder.0.exp_avg holds int32, not float32"),
        ("optimizer.encoder.0.exp_avg", lambda t: t / 0, "optimizer.encoder.0.exp_avg holds a number that is not fin"),
        ("optimizer.encoder.0.exp_avg_sq", lambda t: -t, "optimizer.encoder.0.exp_avg_sq holds a negative number"),
        ("optimizer.encoder.0.step", lambda t: t[None], "optimizer.encoder.0.step has the shape (1,), not ()"),
        ("optimizer.encoder.99.step", lambda t: torch.ones(()), "optimizer.encoder.99 is of no parameter"),
        ("optimizer.encoder.x.y.z", lambda t: torch.ones(()), "optimizer.encoder.x is of no parameter"),
        ("optimizer.encoder.0.max_exp", lambda t: torch.ones(()), "optimizer.encoder.0 has an unknown max_exp"),
        ("model.encoder.mean", lambda t: t.to(torch.complex64), "encoder.mean holds complex64, not float32"),
        ("model.encoder.mean", lambda t: t * math.nan, "encoder.mean holds a number that is not finite"),
        ("log.count", lambda t: t.float(), "log.count is not there or no count"),
        ("log.sum.loss", lambda t: t[None], "log.sum.loss is no number"),
    ],
)
def test_tensors_of_another_kind_are_damaged(
    stopped: Path, tmp_path: Path, name: str, change: Callable[[Tensor], Tensor] | None, said: str
) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    [path] = (tmp_path / "run" / "checkpoints").iterdir()
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    if change is None:
        del tensors[name]
    else:
        tensors[name] = change(tensors.get(name))
        state = json.loads(header["state"])
        header["state"] = json.dumps(state | {"tensors": len(tensors)})
    save_file(tensors, path, metadata=header)
    before = sorted(file.name for file in (tmp_path / "run").rglob("*"))
    with pytest.raises(ValueError, match="safetensors is damaged: ") as error:
        fit(*built(), SERIES, TRAINING, out=tmp_path / "run", progress=False, resume=True)
    assert f"is damaged: {said}" in str(error.value)
    assert sorted(file.name for file in (tmp_path / "run").rglob("*")) == before


def test_a_checkpoint_of_an_older_version_without_a_count_lacks_no_moment(stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    [path] = (tmp_path / "run" / "checkpoints").iterdir()
    with safe_open(path, framework="pt") as file:
        state = json.loads(file.metadata()["state"])
    tensors = load_file(path)
    del tensors["optimizer.encoder.0.exp_avg"], state["tensors"]
    save_file(tensors, path, metadata={"state": json.dumps(state)})
    with pytest.raises(ValueError, match=r"is damaged: optimizer.encoder.0 lacks exp_avg; remove it"):
        fit(*built(), SERIES, TRAINING, out=tmp_path / "run", progress=False, resume=True)


def test_a_full_disk_is_noticed_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match="10 MB free, but 2 checkpoints and one being written need 12 MB"):
        Checkpoints(tmp_path, keep=2).prepare(12_000_000)


def test_optimizer_states_return_in_their_parameters_layout() -> None:
    weight = nn.Parameter(torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last))
    optimizer = torch.optim.AdamW([weight], fused=True)
    weight.square().sum().backward()
    optimizer.step()
    saved = {name: value.clone().contiguous() for name, value in optimizer_tensors("encoder", optimizer).items()}
    fresh = torch.optim.AdamW([weight], fused=True)
    load_optimizer("encoder", fresh, saved)
    for key, value in optimizer.state[weight].items():
        assert torch.equal(fresh.state[weight][key], value)
    assert fresh.state[weight]["exp_avg"].stride() == weight.stride()


def test_running_means_survive_a_checkpoint() -> None:
    one, other = RunningMeans(), RunningMeans()
    for step, value in enumerate((1.0, 2.0), start=1):
        one.add(step, torch.tensor(value), {"loss": torch.tensor(value), "dv_ceiling": torch.tensor(math.inf)})
    other.load(one.tensors(), torch.device("cpu"))
    other.add(3, torch.tensor(6.0), {"loss": torch.tensor(6.0), "dv_ceiling": torch.tensor(math.inf)})
    assert other.take() == {"loss": 3.0}
    assert other.first_non_finite_step() == math.inf
    other.add(4, torch.tensor(math.nan), {})
    other.add(5, torch.tensor(math.inf), {})
    assert other.first_non_finite_step() == 4


def test_the_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsFile(path, 0)
    log.write({"step": 1})
    size = log.size
    log.write({"step": 2})
    log.close()
    again = MetricsFile(path, size)
    again.write({"step": 2, "again": True})
    again.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"step": 1}, {"step": 2, "again": True}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_that_cannot_be_written_says_so_once(tmp_path: Path) -> None:
    log = MetricsFile(tmp_path / "metrics.jsonl", 0)
    log.close()
    with Path("/dev/full").open("ab") as log._file:
        with pytest.raises(OSError, match="No space left"):
            log.write({"step": 1})
        log.close()


def test_a_tracker_that_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deep_infomax.training.prepare.get_available_trackers", lambda: [])
    training = dataclasses.replace(TRAINING, trackers=("wandb", "tensorboard"))
    with pytest.raises(ValueError, match="not installed; add it with 'pip install tensorboard wandb'"):
        fit(built()[0], Untrained(), SERIES, training, progress=False)


def test_the_allocator_is_tuned_where_it_is_glibc() -> None:
    import platform

    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


def test_volumes_train_and_resume(tmp_path: Path) -> None:
    volumes = np.random.default_rng(0).normal(size=(16, 1, 8, 8, 8)).astype(np.float32)
    encoder = convolutional(channels=1, spatial=(8, 8, 8), dim=4)
    objective = build_objective(ObjectiveConfig(units=8), encoder)
    training = dataclasses.replace(TRAINING, epochs=1)
    fit(encoder, objective, volumes, training, out=tmp_path, progress=False)
    expected = {name: value.clone() for name, value in encoder.state_dict().items()}
    fit(encoder, objective, volumes, training, out=tmp_path, resume=True, progress=False)
    for name, value in encoder.state_dict().items():
        assert torch.equal(expected[name], value), name


def test_a_folder_with_checkpoints_is_not_trained_over(tmp_path: Path) -> None:
    encoder, _ = built()
    fit(encoder, Untrained(), SERIES, TRAINING, out=tmp_path, progress=False)
    log = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(ValueError, match="already holds checkpoints"):
        fit(encoder, Untrained(), SERIES, TRAINING, out=tmp_path, progress=False)
    assert (tmp_path / "metrics.jsonl").read_text() == log


def test_random_crops_come_from_inputs_larger_than_the_encoders(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 12, 12), dtype=np.uint8)
    encoder = digits()
    training = dataclasses.replace(TRAINING, epochs=1)
    fit(encoder, Untrained(), images, training, out=tmp_path, transform=CropAndFlip(8, flip=True), progress=False)
    assert records(tmp_path)[-1]["step"] == 4
    with pytest.raises(ValueError, match="resize or crop them to 8x8"):
        fit(encoder, Untrained(), images, training, progress=False)


@pytest.mark.gpu
def test_a_gpu_learns_what_a_cpu_learns() -> None:
    losses = []
    for device in ("cpu", "cuda"):
        encoder, _ = built()
        training = dataclasses.replace(TRAINING, device=device, precision="float32", epochs=1)
        config = dataclasses.replace(OBJECTIVE, alpha=0.0, gamma=0.0, others=None)  # nothing drawn at random
        objective = build_objective(config, encoder)
        losses.append(fit(encoder, objective, SERIES, training, progress=False).terms["loss"])
        assert encoder.mean.device.type == device
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_tensorboard_gets_the_same_log(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    encoder, objective = built()
    training = dataclasses.replace(ONE_EPOCH, trackers=("tensorboard",))
    fit(encoder, objective, SERIES, training, out=tmp_path, progress=False)
    events = EventAccumulator(str(tmp_path / "deep-infomax")).Reload()
    logged = [record for record in records(tmp_path) if record["kind"] == "train"]
    scalars = [(event.step, event.value) for event in events.Scalars("local_bound")]
    assert scalars == [(r["step"], pytest.approx(r["terms"]["local_bound"], rel=1e-6)) for r in logged]
