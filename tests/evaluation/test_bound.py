"""The bound of the training's objective on inputs it was not trained on."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import torch
from torch import Tensor, nn

from deep_infomax.baselines import ContrastivePredictiveCoding
from deep_infomax.bounds import BOUNDS, INFO_NCE
from deep_infomax.cli import main
from deep_infomax.contracts import Batch, Features, Losses, Objective, Scores
from deep_infomax.data import Dataset, Source
from deep_infomax.encoders import TappedEncoder
from deep_infomax.evaluation import TrainedBy, evaluate
from deep_infomax.negatives import all_pairs
from deep_infomax.objectives import DeepInfoMax, GaussianChannel, MutualInformation, Untrained
from deep_infomax.scorers import EncodeAndDot


def encoder() -> TappedEncoder:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 8, 6))
    return TappedEncoder(network, local="1", vector="4", hidden={"flat": "2"}, channels=2, spatial=(10,))


def dataset(n: int = 50) -> Dataset:
    generator = torch.Generator().manual_seed(1)
    parts = [
        Source(torch.randn(size, 2, 10, generator=generator), None, None, "series", split)
        for size, split in ((40, "train"), (n, "test"))
    ]
    return Dataset("series", *parts, None, {})


def term(bound: str = "infonce", others: int | None = None) -> MutualInformation:
    return MutualInformation(EncodeAndDot(local_channels=4, vector_size=6, units=8), BOUNDS[bound], others)


def of_batches(objective: MutualInformation, rows: Tensor) -> float:
    """The report of some inputs by hand: scores of all pairs in evaluation mode, and the bound's own formula."""
    assert dataset().test is not None
    model = encoder().eval()
    with torch.no_grad():
        features = model(dataset().test.inputs[rows])
        sides = objective.eval().scorer.encode(features.local, features.vector)
        scores: Scores = all_pairs(torch.einsum("pmu,au->apm", sides.pieces, sides.anchors))
        return INFO_NCE.report(scores).item()


def test_bound_is_the_mean_report_of_whole_batches_of_test_inputs() -> None:
    local = term()
    trained_by = TrainedBy(DeepInfoMax(local_term=local, beta=1.0).train(), 16)
    [result] = evaluate(encoder(), dataset(), metrics=["bound"], seeds=2, trained_by=trained_by)
    assert (result.protocol, result.variant, result.layer, result.unit) == ("bound/1", "local infonce", "Y", "nats")
    assert (result.split, result.n, result.seeds) == ("test", 48, (0, 1))  # 3 batches; the two left over are no batch
    by_hand = []
    for seed in (0, 1):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(seed))
        by_hand.append(fmean(of_batches(local, order[start : start + 16]) for start in (0, 16, 32)))
    assert result.value == pytest.approx(fmean(by_hand), abs=1e-5)
    assert result.spread == pytest.approx(abs(by_hand[0] - by_hand[1]) / math.sqrt(2), abs=1e-5)
    assert [details["ceiling"] for details in result.details] == pytest.approx([math.log(16)] * 2)
    assert trained_by.objective.training  # as it was


def test_the_bound_of_a_noisy_vector_is_read_through_its_noise() -> None:
    """With running means and variances, and noise that the seed draws after the order of the inputs."""
    local, channel = term(), GaussianChannel(6, 0.5)
    channel.normalise.running_mean.fill_(0.2)
    channel.normalise.running_var.fill_(0.3)
    trained_by = TrainedBy(DeepInfoMax(local_term=local, beta=1.0, noise=channel), 25)
    [result] = evaluate(encoder(), dataset(), metrics=["bound"], seeds=1, trained_by=trained_by)
    generator, by_hand = torch.Generator().manual_seed(0), []
    test = dataset().test
    assert test is not None
    for rows in torch.randperm(50, generator=generator).split(25):
        with torch.no_grad():
            features = encoder().eval()(test.inputs[rows])
            noise = 0.5 * torch.randn(25, 6, generator=generator)
            noisy = (features.vector - 0.2) / math.sqrt(0.3 + 1e-5) + noise
            by_hand.append(local.eval()(features.local, noisy).terms["bound"].item())
    assert (result.variant, result.details[0]["ceiling"]) == ("local infonce", pytest.approx(math.log(25)))
    assert result.value == pytest.approx(fmean(by_hand), abs=1e-5)


def test_every_bound_of_an_objective_is_told_with_its_kind_and_ceiling() -> None:
    objective = DeepInfoMax(
        local_term=term(), beta=1.0, global_term=term("dv"), alpha=0.5, parts={"further": (1.0, term("jsd", others=3))}
    )
    results = evaluate(encoder(), dataset(), metrics=["bound"], seeds=1, trained_by=TrainedBy(objective, 8))
    ceilings = {result.variant: result.details[0]["ceiling"] for result in results}
    assert ceilings == {
        "global dv": None, "local infonce": pytest.approx(math.log(8)), "further jsd": pytest.approx(2 * math.log(2)),
    }  # fmt: skip
    assert {result.n for result in results} == {48}


def test_a_seed_of_the_bound_is_worth_the_same_alone_and_among_others() -> None:
    trained_by = TrainedBy(DeepInfoMax(local_term=term(others=3), beta=1.0), 16)
    [one] = evaluate(encoder(), dataset(), metrics=["bound"], seeds=1, trained_by=trained_by)
    [both] = evaluate(encoder(), dataset(), metrics=["bound"], seeds=2, trained_by=trained_by)
    # Mean and deviation of two figures give both.
    assert both.spread is not None
    assert min(abs(both.value + sign * both.spread / math.sqrt(2) - one.value) for sign in (1, -1)) < 1e-6


def test_no_other_layer_has_a_bound() -> None:
    trained_by = TrainedBy(DeepInfoMax(local_term=term(), beta=1.0), 16)
    every = evaluate(encoder(), dataset(), metrics=["bound"], layers=["flat", "Y"], seeds=1, trained_by=trained_by)
    assert [result.layer for result in every] == ["Y"]
    with pytest.raises(ValueError, match="bound is read at Y alone"):
        evaluate(encoder(), dataset(), metrics=["bound"], layers=["flat"], seeds=1, trained_by=trained_by)


class Reporting(Objective):
    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        value = encode(batch.inputs).vector.mean()
        return Losses(value, None, {"bound": value.detach()})


def test_an_objective_of_ones_own_may_report_a_bound() -> None:
    [result] = evaluate(encoder(), dataset(), metrics=["bound"], seeds=1, trained_by=TrainedBy(Reporting(), 50))
    assert (result.variant, result.spread) == ("default", None)
    assert dataset().test is not None
    assert result.value == pytest.approx(encoder().encode(dataset().test.inputs).mean().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("trained_by", "data", "said"),
    [
        (None, dataset(), "read with the objective that trained the encoder"),
        (TrainedBy(Reporting(), 51), dataset(), "in batches of 51, as in the training, and series test has 50 inputs"),
        (
            TrainedBy(Reporting(), 8),
            replace(dataset(), test=None),
            "on inputs not trained on, and series has no test part",
        ),
        (TrainedBy(Untrained(), 8), dataset(), "Untrained reports no bound on information"),
    ],
)
def test_what_has_no_bound_is_refused(trained_by: TrainedBy | None, data: Dataset, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate(encoder(), data, metrics=["bound"], trained_by=trained_by)


def trained(path: Path, recipe: str) -> Path:
    assert main(["train", "--recipe", recipe, "--data", "digits", "--epochs", "0.05", "--out", str(path)]) == 0
    return path


def test_the_command_reads_the_bound_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path / "run", "local-infonce")
    capsys.readouterr()
    assert main(["evaluate", str(run), "--metrics", "bound", "--seeds", "1"]) == 0
    said = capsys.readouterr()
    assert "bound/1 (local infonce)" in said.out
    assert "at most 4.85" in said.out  # log 128
    for checkpoint in (run / "checkpoints").iterdir():
        checkpoint.unlink()
    assert main(["evaluate", str(run), "--metrics", "bound"]) == 2
    [sentence] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dim: ")]
    assert "only the last checkpoint of a training keeps" in sentence


def test_methods_without_a_bound_are_refused_before_they_are_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compared"
    assert main(["compare", "--recipes", "local-infonce,vae", "--metrics", "bound", "--out", str(out)]) == 2
    assert "bound is what an objective says of information, and vae says nothing" in capsys.readouterr().err
    assert not list(out.rglob("config.yaml"))


def test_contrastive_predictive_coding_has_one() -> None:
    objective = ContrastivePredictiveCoding(channels=4, rows=8, units=8)
    [result] = evaluate(encoder(), dataset(), metrics=["bound"], seeds=1, trained_by=TrainedBy(objective, 25))
    assert (result.variant, result.n) == ("prediction infonce", 50)
    assert result.details[0]["ceiling"] == pytest.approx(math.log(25))
    assert -1 < result.value < math.log(25)
