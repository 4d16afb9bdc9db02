"""Several processes equal one with all inputs: losses, gradients, batch statistics; on a CPU, by gloo."""

import copy
import json
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from forked import Forked, wait_for
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from deep_infomax.baselines import AdversarialAutoencoder, ContrastivePredictiveCoding, NoiseAsTargets
from deep_infomax.bounds import BOUNDS
from deep_infomax.cli import main
from deep_infomax.contracts import Batch, Features, Losses, Part
from deep_infomax.decoders import Decoder
from deep_infomax.encoders import Convolution, ConvolutionalEncoder, ConvolutionalNetwork, Encoder, strided_crops
from deep_infomax.objectives import (
    DeepInfoMax,
    Gaussian,
    GaussianChannel,
    MutualInformation,
    PriorMatching,
    SIGReg,
    Untrained,
    mutual_information,
)
from deep_infomax.runtime.interrupt import StopRequest
from deep_infomax.runtime.processes import (
    SynchronisedBatchNorm,
    _Normalise,
    first_row,
    gathered,
    main_process_first,
    synchronise_batch_norms,
)
from deep_infomax.scorers import ConcatAndConvolve, EncodeAndDot, FoldedEncodeAndDot, GlobalConcat, GlobalEncodeAndDot
from deep_infomax.training import Callback, LostProcessError, NonFiniteLossError, TrainingConfig, fit, loop
from deep_infomax.training.log import RunningMeans
from deep_infomax.training.prepare import Model

INPUTS, UNITS, WORLDS = 12, 16, (2, 3)


def in_processes(work: Callable[[int, int, Path], None], world: int, folder: Path) -> None:
    """Let each of several processes do its work; they are forked from one that has loaded PyTorch already."""
    multiprocessing.start_processes(work, (world, folder), world, start_method="forkserver")


def encoder() -> Encoder:
    network = ConvolutionalNetwork(2, (6, 5), tuple(Convolution(8, 3, 1, 1) for _ in range(3)), 2, (UNITS,), 6)
    return ConvolutionalEncoder(network)


SCORERS: dict[str, Callable[[Encoder], nn.Module]] = {
    "folded": lambda e: FoldedEncodeAndDot(e.local_shape[0], e.vector_size, UNITS),
    "encode-and-dot": lambda e: EncodeAndDot(e.local_shape[0], e.vector_size, UNITS),
    "concat-and-convolve": lambda e: ConcatAndConvolve(e.local_shape[0], e.vector_size, UNITS),
    "global-concat": lambda e: GlobalConcat(8 * 6 * 5, e.vector_size, UNITS),
    "global-encode-and-dot": lambda e: GlobalEncodeAndDot(e.remaining_layers(UNITS), e.vector_size, UNITS),
}


def deep_infomax(scorer: str, bound: str, **options: Any) -> Model:
    inside = encoder()
    term = MutualInformation(SCORERS[scorer](inside), BOUNDS[bound], **options)
    return Model(inside, DeepInfoMax(local_term=term, beta=1.0))


class TwoVectors(Part):
    """The information between each map and two vectors of its input, as anchors of their own."""

    def __init__(self, term: MutualInformation) -> None:
        super().__init__()
        self.term = term

    def losses(self, batch: Batch, features: Features, encode: Callable[[Tensor], Features]) -> Losses:
        vectors = torch.stack([features.vector, features.vector.flip(1)], dim=1).flatten(0, 1)
        own = torch.arange(len(batch.inputs)).repeat_interleave(2)
        losses: Losses = self.term(features.local, vectors, own)
        return losses


def two_vectors(bound: str) -> Model:
    inside = encoder()
    part = TwoVectors(MutualInformation(SCORERS["folded"](inside), BOUNDS[bound]))
    return Model(inside, DeepInfoMax(parts={"two": (1.0, part)}))


class FixedSamples(Gaussian):
    """The same samples for the same inputs, whichever process they are in."""

    def sample(self, n: int, d: int, device: torch.device) -> Tensor:
        samples = torch.randn(INPUTS, d, generator=torch.Generator().manual_seed(0))
        return samples[first_row(n) : first_row(n) + n]


def noisy(bound: str) -> Model:
    inside = encoder()
    term = MutualInformation(SCORERS["folded"](inside), BOUNDS[bound])
    return Model(inside, DeepInfoMax(local_term=term, beta=1.0, noise=GaussianChannel(6, 0.5)))


def sigreg() -> Model:
    inside = encoder()
    term = MutualInformation(SCORERS["folded"](inside), BOUNDS["infonce"])
    return Model(inside, DeepInfoMax(local_term=term, prior=SIGReg(projections=8), beta=1.0, gamma=0.5))


def baseline(name: str) -> Model:
    inside = strided_crops(2, (6, 5), 6) if name == "cpc" else encoder()
    objective = {
        "cpc": lambda: ContrastivePredictiveCoding(*inside.local_shape[:2], steps=2, units=UNITS),
        "nat": lambda: NoiseAsTargets(INPUTS, 6),
        "aae": lambda: AdversarialAutoencoder(
            Decoder(6, 2, (6, 5), filters=(8, 8, 8, 8)), PriorMatching(FixedSamples(), 6, units=(8,)), inside.normalise
        ),
    }[name]()
    return Model(inside, objective)


MODELS: dict[str, Callable[[], Model]] = {
    **{f"folded, {bound}": partial(deep_infomax, "folded", bound) for bound in BOUNDS},
    **{f"{scorer}, infonce": partial(deep_infomax, scorer, "infonce", limit=9.0, penalty=0.1) for scorer in SCORERS},
    **{f"{scorer}, dv": partial(deep_infomax, scorer, "dv") for scorer in ("encode-and-dot", "global-concat")},
    **{name: partial(baseline, name) for name in ("cpc", "nat", "aae")},
    **{f"noise, {bound}": partial(noisy, bound) for bound in ("infonce", "dv")},
    "noise, infonce, gaps": partial(noisy, "infonce"),
    "sigreg": sigreg,
    **{f"two vectors, {bound}": partial(two_vectors, bound) for bound in ("infonce", "dv")},
    **{f"folded, {bound}, in parts": partial(deep_infomax, "folded", bound) for bound in ("infonce", "dv")},
    **{f"folded, {bound}, gaps": partial(deep_infomax, "folded", bound, penalty=0.1) for bound in BOUNDS},
    **{f"folded, {bound}, gaps, in parts": partial(deep_infomax, "folded", bound) for bound in ("jsd", "dv")},
}


@contextmanager
def joined(rank: int, world: int, folder: Path) -> Iterator[None]:
    torch.set_num_threads(1)
    of_torchrun = {"WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "RANK": rank, "LOCAL_RANK": rank}
    os.environ |= {name: str(value) for name, value in of_torchrun.items()}
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def unlike_new(module: nn.Module) -> None:
    """Scales that are not 1 and shifts that are not 0."""
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.data.add_(0.3 * torch.randn_like(parameter))


def step(name: str, own: slice, parallel: bool) -> dict[str, Tensor]:
    """The terms, gradients and buffers of one step with a share of the inputs."""
    torch.manual_seed(0)
    dtype = torch.float32 if name == "nat" else torch.float64  # it computes its distances in float32
    model = MODELS[name]().to(dtype)
    unlike_new(model)
    inputs = torch.randn(INPUTS, 2, 6, 5, dtype=dtype)
    if "gaps" in name:
        model.encoder.missing = "nan"
        inputs[(torch.rand(INPUTS, 1, 6, 5) < 0.1 * torch.arange(INPUTS).view(-1, 1, 1, 1)).expand_as(inputs)] = (
            torch.nan
        )
    batch = Batch(inputs[own], torch.randperm(INPUTS)[own])
    module: nn.Module = model
    if parallel:
        synchronise_batch_norms(model)
        module = DistributedDataParallel(model)
        module.broadcast_buffers = False
    most_values = 1 if "in parts" in name else mutual_information.MOST_VALUES  # 1: anchors one by one
    with (
        mock.patch.object(mutual_information, "MOST_VALUES", most_values),
        mock.patch.object(Gaussian, "sample", FixedSamples.sample),
    ):
        losses: Losses = module(batch)
        (losses.encoder if losses.adversary is None else losses.encoder + losses.adversary).backward()
    terms = {f"terms.{key}": gathered(value[None]).mean() for key, value in losses.terms.items()}
    gradients = {f"gradients.{key}": p.grad for key, p in model.named_parameters() if p.grad is not None}
    return terms | gradients | {f"buffers.{key}": buffer.clone() for key, buffer in model.named_buffers()}


def normalised(own: slice, affine: bool, parallel: bool) -> dict[str, Tensor]:
    """Values and gradients of a batch normalisation of bfloat16 inputs, in one process computed in float32."""
    torch.manual_seed(0)
    inputs, sent_back = torch.randn(2, INPUTS, 4, 3, 2).to(torch.bfloat16)
    dtype = torch.bfloat16 if parallel else torch.float32
    module: nn.Module = nn.BatchNorm2d(4, affine=affine)
    unlike_new(module)
    if parallel:
        module = SynchronisedBatchNorm.of(module)
    x = (inputs[own] + 1).to(dtype).requires_grad_()
    y = module(x)
    y.backward(sent_back[own].to(dtype))
    assert x.grad is not None
    of_parameters = {name: parameter.grad for name, parameter in module.named_parameters()}
    return {"output": y.detach(), "input": x.grad, **of_parameters}


def projected(own: slice, seed: int) -> dict[str, Tensor]:
    """Value and gradient of SIGReg of a share of the vectors, with directions from a seed."""
    vectors = torch.randn(INPUTS, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.manual_seed(seed)
    y = vectors[own].requires_grad_()
    loss = SIGReg(projections=8)(y).encoder
    loss.backward()
    assert y.grad is not None
    return {"loss": loss.detach(), "gradient": y.grad}


def steps(rank: int, world: int, folder: Path) -> None:
    share = INPUTS // world
    with joined(rank, world, folder):
        own = slice(rank * share, (rank + 1) * share)
        found: dict[str, Any] = {name: step(name, own, parallel=True) for name in MODELS}
        found["normalised"] = {affine: normalised(own, affine, parallel=True) for affine in (True, False)}
        found["projected"] = projected(own, seed=rank)
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module", params=WORLDS)
def several(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What every process of a world found, by the name of the model."""
    folder = tmp_path_factory.mktemp("processes")
    in_processes(steps, request.param, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(request.param)]


@pytest.mark.parametrize("name", MODELS)
def test_several_processes_take_the_step_of_one(several: list[dict[str, Any]], name: str) -> None:
    expected = step(name, slice(None), parallel=False)
    assert {key.split(".")[0] for key in expected} == {"terms", "gradients", "buffers"}
    for found in several:
        assert found[name].keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[name][key], value, msg=lambda said, key=key: f"{key}: {said}")


def test_processes_with_other_random_numbers_project_onto_the_directions_of_the_first(several: list[Any]) -> None:
    found, expected = [process["projected"] for process in several], projected(slice(None), seed=0)
    for process in found:
        torch.testing.assert_close(process["loss"], expected["loss"])
    # The loss of a step is the mean of theirs, and each sends a gradient to the vectors of all.
    together = torch.cat([process["gradient"] for process in found]) / len(found)
    torch.testing.assert_close(together, expected["gradient"])
    assert not torch.isclose(projected(slice(None), seed=1)["loss"], expected["loss"])


@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_of_16_bits_has_the_statistics_of_all(several: list[dict[str, Any]], affine: bool) -> None:
    expected = normalised(slice(None), affine, parallel=False)
    found = [process["normalised"][affine] for process in several]
    for name, value in expected.items():
        own = [part[name].float() for part in found]
        together = torch.cat(own) if name in ("output", "input") else torch.stack(own).sum(0)
        torch.testing.assert_close(together, value, rtol=0.02, atol=0.02)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def lonely(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """A device with a process group of one."""
    backend = {"cpu": "gloo", "cuda": "nccl"}[request.param]
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    yield torch.device(request.param)
    dist.destroy_process_group()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(8, 4), (8, 4, 6), (8, 4, 3, 2), (8, 4, 3, 2, 2)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_the_kernels_of_all_layouts_agree(
    lonely: torch.device, shape: tuple[int, ...], channels_last: bool, dtype: torch.dtype, affine: bool
) -> None:
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    layout = layouts.get(len(shape), torch.contiguous_format) if channels_last else torch.contiguous_format
    x, sent_back = torch.randn(2, *shape, device=lonely).to(dtype)
    parameters = torch.randn(2, 4, device=lonely) if affine else (None, None)

    def gradients(normalise: Callable[..., Tensor], wanted: torch.dtype) -> list[Tensor]:
        """And the output before them."""
        own = [p if p is None else p.clone().requires_grad_() for p in parameters]
        inputs = x.to(wanted, copy=True).contiguous(memory_format=layout).requires_grad_()
        output = normalise(inputs, *own)
        output.backward(sent_back.to(wanted).contiguous(memory_format=layout))
        return [output.detach().float(), *(value.grad.float() for value in (inputs, *own) if value is not None)]

    found = gradients(lambda inputs, *own: _Normalise.apply(inputs, *own, 1e-5)[0], dtype)
    expected = gradients(lambda inputs, *own: F.batch_norm(inputs, None, None, *own, training=True), torch.float32)
    tolerance = 0.03 if dtype is torch.bfloat16 else 1e-4
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_batch_normalisation_alone_is_the_usual_one() -> None:
    module = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4, momentum=None))
    usual, inputs = copy.deepcopy(module), torch.randn(5, 2, 8)
    synchronise_batch_norms(module)
    assert type(module[1]).__name__ == "SynchronisedBatchNorm"
    assert module.state_dict().keys() == usual.state_dict().keys()
    assert torch.equal(module(inputs), usual(inputs))
    assert torch.equal(module.eval()(inputs), usual.eval()(inputs))


def test_a_batch_normalisation_of_another_class_is_refused() -> None:
    class Activated(nn.BatchNorm1d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input).relu()

    with pytest.raises(ValueError, match=r"the layer 'body\.1', a Activated, cannot share its statistics"):
        synchronise_batch_norms(nn.ModuleDict({"body": nn.Sequential(nn.Linear(2, 4), Activated(4))}))


def two_trainings(rank: int, world: int, folder: Path) -> None:
    """One after the other, of an encoder with a layer that no loss reaches and that has to be frozen first."""
    with joined(rank, world, folder):
        torch.manual_seed(0)
        trained = encoder()
        trained.aside = nn.Linear(2, 2)
        term = MutualInformation(SCORERS["folded"](trained), BOUNDS["infonce"])
        untouched = trained.aside.weight.detach().clone()
        objective, data = DeepInfoMax(local_term=term, beta=1.0), torch.randn(18, 2, 6, 5)
        training = TrainingConfig(epochs=1, batch_size=6, device="cpu")
        with pytest.raises(ValueError, match=r"does not reach encoder\.aside\.weight \(parameters left out: 2\)"):
            fit(trained, objective, data, training, progress=False)
        trained.aside.requires_grad_(False)
        for seed in (0, 1):
            assert fit(trained, objective, data, training, seed=seed, progress=False).steps == 3
        assert torch.equal(trained.aside.weight, untouched)
        every = gathered(trained.output.weight.detach()[None])
        assert torch.equal(every[0], every[1])
        means = RunningMeans()
        means.add(1, torch.tensor(0.0), {"term": torch.tensor(float(rank))})
        assert means.tensors()["log.sum.term"] == 0.5


def test_trainings_follow_each_other_and_refuse_what_no_loss_reaches(tmp_path: Path) -> None:
    in_processes(two_trainings, 2, tmp_path)


class StopInOne(Callback):
    """The first process alone hears of epochs, and ends the training after the second."""

    def __init__(self) -> None:
        self.epochs = list[float]()

    def on_epoch(self, epoch: float, encoder: Encoder) -> bool:
        encoder.encode(torch.zeros(2, 2, 6, 5))
        self.epochs.append(epoch)
        return epoch == 2


def one_stops_all(rank: int, world: int, folder: Path) -> None:
    with joined(rank, world, folder):
        training = TrainingConfig(epochs=4, batch_size=6, log_every=2, device="cpu")
        data = torch.arange(18 * 60).reshape(18, 2, 6, 5) / 100
        stop = StopInOne()
        done = fit(encoder(), Untrained(), data, training, out=folder / "run", progress=False, callbacks=[stop])
        assert (done.steps, done.stopped_early) == (6, True)
        assert stop.epochs == ([1, 2] if rank == 0 else [])


def test_a_callback_in_the_first_process_stops_all(tmp_path: Path) -> None:
    in_processes(one_stops_all, 2, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["step"]) for line in lines][-2:] == [("health", 6), ("end", 6)]
    assert lines[-1]["stopped_early"]
    assert (tmp_path / "run" / "encoder.json").exists()


def takes_its_turn(rank: int, world: int, folder: Path) -> None:
    """Three processes, of which the third is alone on a second machine."""
    with joined(rank, world, folder):
        os.environ["LOCAL_RANK"] = ("0", "1", "0")[rank]
        with main_process_first(timedelta(minutes=1)):
            time.sleep(0.2 * (world - rank))  # those who have to wait would be the first to be done
            with (folder / "order").open("a") as file:
                file.write(f"{rank} ")


def test_the_first_process_is_first_and_then_those_of_other_machines(tmp_path: Path) -> None:
    in_processes(takes_its_turn, 3, tmp_path)
    assert (tmp_path / "order").read_text() == "0 2 1 "


def one_is_infinite(rank: int, world: int, folder: Path) -> None:
    """Train in two processes, the second of which has an infinite loss in the third step, which is logged."""

    class Overflowing(Untrained):
        steps = 0

        def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
            self.steps += 1
            losses = super().forward(batch, encode)
            return losses._replace(encoder=losses.encoder + (math.inf if rank == 1 and self.steps == 3 else 0.0))

    with joined(rank, world, folder):
        training = TrainingConfig(epochs=2, batch_size=6, log_every=3, device="cpu")
        with pytest.raises(NonFiniteLossError, match="the loss of step 3 is not finite"):
            fit(encoder(), Overflowing(), torch.randn(18, 2, 6, 5), training, progress=False)


def test_a_loss_that_one_process_cannot_compute_ends_all(tmp_path: Path) -> None:
    in_processes(one_is_infinite, 2, tmp_path)


def test_a_process_that_lost_another_outlives_the_launcher_s_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone(Untrained):
        def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
            raise RuntimeError("gloo: connection closed by peer")

    monkeypatch.setattr(loop, "lost_process", lambda error: True)
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(LostProcessError, match="cannot be reached any more, after step 0 or in it"):
            fit(encoder(), Alone(), torch.randn(8, 2, 6, 5), TrainingConfig(batch_size=4, device="cpu"), progress=False)
        assert isinstance(signal.getsignal(signal.SIGTERM), StopRequest)
        assert signal.getsignal(signal.SIGINT) is usual[signal.SIGINT]
    finally:
        signal.signal(signal.SIGTERM, usual[signal.SIGTERM])


def words(run: Path, *options: str) -> list[str]:
    """The command that trains on the digits."""
    flags = "train --data digits --training.batch_size 96 --objective.units 32"
    device = ["--training.device", "cpu"] if torch.cuda.is_available() else []  # without a GPU nothing has to be said
    return [*flags.split(), *device, "--out", str(run), *options]


def launched(world: int, run: Path, *options: str) -> Forked:
    """The same in several processes, begun by PyTorch's launcher."""
    launch = ["--nproc_per_node", str(world), "-m", "deep_infomax.cli", *words(run, *options)]
    return Forked(torchrun, launch, out=run.with_name("launched.out"), err=run.with_name("launched.err"))


def torchrun(words: list[str]) -> None:
    from torch.distributed.run import main

    main(words)


def command(rank: int, world: int, folder: Path) -> None:
    """The command of ``words.json`` in an environment as torchrun gives it; its exit code and what it said are kept."""
    torch.set_num_threads(1)
    given = json.loads((folder / "words.json").read_text())
    os.environ |= {name: str(rank) for name in ("RANK", "LOCAL_RANK")}
    os.environ |= {name: str(world) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(given["port"])}
    with (folder / f"{rank}.err").open("w") as file, redirect_stderr(file):
        code = main(given["words"])
    (folder / f"{rank}.code").write_text(str(code))


def prepare_command(folder: Path, given: list[str]) -> None:
    """Write what ``command`` reads."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    (folder / "words.json").write_text(json.dumps({"words": given, "port": port}))


def in_processes_of_a_launcher(world: int, folder: Path, given: list[str]) -> tuple[list[int], list[str]]:
    """The exit codes of a command's processes, and what each said."""
    prepare_command(folder, given)
    in_processes(command, world, folder)
    codes = [int((folder / f"{rank}.code").read_text()) for rank in range(world)]
    return codes, [(folder / f"{rank}.err").read_text() for rank in range(world)]


def train_terms(run: Path) -> list[dict[str, float]]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record["terms"] for record in records if record["kind"] == "train"]


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


OPTIONS = ["--epochs", "2", "--training.log_every", "1", "--training.precision", "float32"]
STEPS = 2 * (1297 // 96)


@pytest.fixture(scope="module")
def in_one(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The terms of all steps of a training in this process."""
    run = tmp_path_factory.mktemp("one") / "run"
    assert main(words(run, *OPTIONS)) == 0
    return train_terms(run)


def test_a_training_in_several_processes_is_that_in_one(tmp_path: Path, in_one: list[dict[str, float]]) -> None:
    codes, said = in_processes_of_a_launcher(2, tmp_path, words(tmp_path / "two", *OPTIONS))
    assert codes == [0, 0], said
    assert "".join(said).count(f"trained {STEPS} steps") == 1
    two = train_terms(tmp_path / "two")
    assert len(in_one) == len(two) == STEPS
    for expected, found in zip(in_one, two, strict=True):
        assert found == pytest.approx(expected, rel=5e-3)
    assert two[0] == pytest.approx(in_one[0], rel=1e-5)


@pytest.mark.parametrize("place", [0, 1])
def test_a_training_that_loses_a_process_goes_on_in_fewer(tmp_path: Path, place: int) -> None:
    run = tmp_path / "run"
    options = ["--epochs", "2", "--training.log_every", "1", "--training.checkpoint_seconds", "0"]
    prepare_command(tmp_path, words(run, *options))
    context = multiprocessing.start_processes(command, (2, tmp_path), 2, join=False, start_method="forkserver")
    while not list((run / "checkpoints").glob("*.safetensors")):
        assert all(process.is_alive() for process in context.processes)
        time.sleep(0.05)
    os.kill(context.pids()[place], signal.SIGKILL)
    for process in context.processes:  # the other one ends by itself
        process.join()
    [code, said] = [(tmp_path / f"{1 - place}.{kind}").read_text() for kind in ("code", "err")]
    assert code == "1", said
    [line] = [line for line in said.splitlines() if line.startswith("dim: ")]
    assert "another process of the training cannot be reached any more" in line
    assert line.endswith(f"continue with: dim train --resume {run}")
    assert main(["train", "--resume", str(run)]) == 0
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if record["kind"] == "train"] == list(range(1, 2 * 13 + 1))


@pytest.mark.usefixtures("one_thread")
def test_a_signal_to_all_stops_them_at_a_checkpoint_from_which_more_go_on(
    tmp_path: Path, in_one: list[dict[str, float]]
) -> None:
    run = tmp_path / "run"
    process = launched(2, run, *OPTIONS)
    try:
        wait_for(lambda: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text(), process)
        launcher = psutil.Process(process.pid)
        for one in [*launcher.children(), launcher]:  # as a scheduler does; the launcher sends it on once more
            one.terminate()
        said = process.end()
    finally:
        process.kill()
    [line] = [line for line in said.splitlines() if line.startswith("dim: ")]
    assert line.startswith("dim: interrupted after step ")
    assert line.endswith(f" of {STEPS}; continue with: dim train --resume {run}")
    codes, sentences = in_processes_of_a_launcher(3, tmp_path, ["train", "--resume", str(run)])
    assert codes == [0, 0, 0], sentences
    resumed = train_terms(run)
    assert len(in_one) == len(resumed) == STEPS
    for expected, found in zip(in_one, resumed, strict=True):
        assert found == pytest.approx(expected, rel=0.02)


def test_processes_that_cannot_share_a_batch_are_told_so(tmp_path: Path) -> None:
    codes, said = in_processes_of_a_launcher(2, tmp_path, words(tmp_path / "run", "--training.batch_size", "97"))
    assert codes == [2, 2]
    assert "2 processes cannot share a batch of 97 equally; set --training.batch_size to a multiple of 2" in said[0]
