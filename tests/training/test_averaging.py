"""A moving average of the weights: its value, its place at the end of a training, and an exact resume."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deep_infomax.bounds import INFO_NCE
from deep_infomax.encoders import ConvolutionalEncoder, convolutional
from deep_infomax.experiments.run import train
from deep_infomax.objectives import DeepInfoMax, MutualInformation
from deep_infomax.scorers import EncodeAndDot
from deep_infomax.training import InterruptedTrainingError, TrainingConfig, fit
from deep_infomax.training.averaging import Average

SERIES = np.random.default_rng(0).normal(size=(48, 2, 16)).astype(np.float32)


def built() -> tuple[ConvolutionalEncoder, DeepInfoMax]:
    torch.manual_seed(0)
    encoder = convolutional(channels=2, spatial=(16,), dim=4)
    return encoder, DeepInfoMax(
        local_term=MutualInformation(EncodeAndDot(encoder.local_shape[0], 4, 8), INFO_NCE), beta=1.0
    )


def training(average: float) -> TrainingConfig:
    return TrainingConfig(epochs=3, batch_size=16, average=average, precision="float32", device="cpu")


def rise(decay: float, step: int) -> float:
    return min(decay, (1 + step) / (10 + step))


def test_the_average_is_the_weighted_sum_of_all_weights() -> None:
    weights = torch.randn(60, generator=torch.Generator().manual_seed(0)).double().numpy()
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, weights[0])
    average = Average(layer, 0.7)
    for step, weight in enumerate(weights[1:], 1):
        nn.init.constant_(layer.weight, weight)
        average.add(step)
    decays = [rise(0.7, step) for step in range(1, 60)]
    shares = [np.prod(decays), *((1 - decay) * np.prod(decays[step:]) for step, decay in enumerate(decays, 1))]
    assert sum(shares) == pytest.approx(1)
    assert average.tensors["weight"].item() == pytest.approx(weights @ shares)


def test_what_a_training_gives_is_the_average(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    encoder, objective = built()

    def watched(self: Average, step: int) -> None:
        seen.append(encoder.output.weight.detach().clone())
        add(self, step)

    add = Average.add
    monkeypatch.setattr(Average, "add", watched)
    expected = encoder.output.weight.detach().clone()
    fit(encoder, objective, SERIES, training(0.5), progress=False)
    assert len(seen) == 9
    for step, weight in enumerate(seen, 1):
        expected = rise(0.5, step) * expected + (1 - rise(0.5, step)) * weight
    torch.testing.assert_close(encoder.output.weight.detach(), expected)
    assert not torch.equal(encoder.output.weight, seen[-1])


def test_the_average_changes_nothing_of_the_steps(tmp_path: Path) -> None:
    losses = []
    for average in (None, 0.9):
        fit(*built(), SERIES, TrainingConfig(epochs=2, batch_size=16, log_every=1, average=average, device="cpu"),
            out=tmp_path / str(average), progress=False)  # fmt: skip
        log = (tmp_path / str(average) / "metrics.jsonl").read_text().splitlines()
        losses.append([line.partition('"terms"')[2] for line in log if '"train"' in line])
    assert losses[0] == losses[1]


def test_an_interrupted_training_resumes_to_the_identical_average(tmp_path: Path) -> None:
    whole, objective = built()
    fit(whole, objective, SERIES, training(0.9), out=tmp_path / "whole", progress=False)
    calls = 0

    def interrupting(inputs: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return inputs

    cut = {"out": tmp_path / "cut", "progress": False}
    with pytest.raises(InterruptedTrainingError):
        fit(*built(), SERIES, training(0.9), transform=interrupting, **cut)
    resumed, objective = built()
    fit(resumed, objective, SERIES, training(0.9), resume=True, transform=lambda inputs: inputs, **cut)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_state_without_the_average_is_refused() -> None:
    with pytest.raises(ValueError, match="the average of weight is not there"):
        Average(nn.Linear(1, 1), 0.9).load({})


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="give a decay of at least 0 and below 1"):
        TrainingConfig(average=decay)


def test_the_bound_of_a_run_with_averaged_weights_can_be_read(tmp_path: Path) -> None:
    changes = {"training": {"average": 0.9, "device": "cpu"}, "objective": {"units": 8}}
    run = train("local-infonce", "digits", epochs=1, out=tmp_path / "run", progress=False, **changes)
    [result] = run.evaluate(metrics=["bound"], seeds=1)
    assert 0 < result.value < np.log(128)
