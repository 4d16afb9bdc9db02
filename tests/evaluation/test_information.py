import json
import math
import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from deep_infomax.cli import main
from deep_infomax.data import Dataset, Source, load_dataset
from deep_infomax.encoders import Encoder, VariationalEncoder, digits
from deep_infomax.evaluation import METRICS, Metric, Outcome, evaluate, information, read_results
from deep_infomax.evaluation.information import InputCritic
from deep_infomax.mutual_information import Fitting, estimate_mi, neural_dependency
from deep_infomax.recipes import RECIPES
from deep_infomax.report import published, runs, tables
from deep_infomax.runtime.verdict import FLOORS

N = 600


def silent(task: str, done: int, total: int) -> None:
    pass


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that show that all parts fit together."""
    monkeypatch.setattr(information, "FITTING", Fitting(steps=2, checks=1))
    monkeypatch.setattr(
        information, "neural_dependency", partial(neural_dependency, folds=2, fitting=Fitting(steps=2, checks=1))
    )
    monkeypatch.setattr(information, "EPOCHS", 2)
    monkeypatch.setattr(information, "PAPER_EPOCHS", 10)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings that suffice for a few coordinates."""
    monkeypatch.setattr(information, "FITTING", Fitting(steps=100, learning_rate=3e-3, checks=4))
    monkeypatch.setattr(information, "estimate_mi", partial(estimate_mi, folds=2))
    monkeypatch.setattr(information, "EPOCHS", 40)


@pytest.fixture
def dataset() -> Dataset:
    """Digits, fewer of them."""
    whole = load_dataset("digits")
    assert whole.test is not None
    return replace(whole, train=first(whole.train, 200), test=first(whole.test, 100), held_out=None)


@pytest.fixture
def unlabelled(dataset: Dataset) -> Dataset:
    return replace(dataset, train=replace(dataset.train, labels=None, classes=None), test=None)


@pytest.fixture
def encoder() -> Encoder:
    return digits()


def first(source: Source, n: int) -> Source:
    return replace(source, inputs=source.inputs[:n], labels=None if source.labels is None else source.labels[:n])


def series(generator: torch.Generator) -> Source:
    """Normal inputs."""
    return Source(torch.randn(N, 1, 8, generator=generator), None, None, "series", "test")


def noisy(source: Source, units: int, generator: torch.Generator) -> torch.Tensor:
    """Some coordinates, each with noise of a third of its deviation, so 1.15 nats of information."""
    assert isinstance(source.inputs, torch.Tensor)
    return source.inputs[:, 0, :units] + torch.randn(N, units, generator=generator) / 3


def equicorrelated(d: int, r: float, generator: torch.Generator) -> torch.Tensor:
    common = torch.randn(N, 1, generator=generator)
    return math.sqrt(r) * common + math.sqrt(1 - r) * torch.randn(N, d, generator=generator)


@pytest.mark.usefixtures("trained")
def test_mine_is_a_bound_that_grows_with_what_features_keep(generator: torch.Generator) -> None:
    source = series(generator)
    found = {}
    for units in (1, 4):
        y = noisy(source, units, generator)
        [outcome] = information.mine(source, y, y, [0], silent)
        assert outcome.value < units / 2 * math.log(10) + 0.15
        assert outcome.details is not None
        low, high = outcome.details["interval"]
        assert low < outcome.value
        assert high is None or high > outcome.value
        assert outcome.details["lower_bound"] < outcome.value
        assert outcome.details["ceiling"] == pytest.approx(math.log(N / 2))
        assert "infinite" in outcome.details["warnings"][0]
        found[units] = outcome.value
    assert found[1] > 0.5
    assert found[4] > found[1] + 0.5


@pytest.mark.usefixtures("trained")
def test_mine_of_features_that_belong_to_other_inputs_is_0(generator: torch.Generator) -> None:
    source = series(generator)
    y = noisy(source, 4, generator)[torch.randperm(N, generator=generator)]
    [outcome] = information.mine(source, y, y, [0], silent)
    assert outcome.value == pytest.approx(0, abs=0.05)


def test_mine_of_a_constant_is_0_and_says_why(generator: torch.Generator) -> None:
    outcomes = information.mine(series(generator), torch.ones(N, 3), torch.ones(N, 3), [0, 1], silent)
    assert [outcome.value for outcome in outcomes] == [0.0, 0.0]
    assert outcomes[0].details == {"warnings": ["no unit varies, and a constant tells nothing"]}


def test_mine_of_many_inputs_takes_some_from_everywhere(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def estimate(x: torch.Tensor, y: torch.Tensor, **options: object) -> None:
        seen.extend([x, y])
        raise ArithmeticError

    monkeypatch.setattr(information, "MOST_INPUTS", 60)
    monkeypatch.setattr(information, "estimate_mi", estimate)
    y = torch.randn(N, 2, generator=generator)
    with pytest.raises(ArithmeticError):
        information.mine(source := series(generator), y, y, [0], silent)
    torch.testing.assert_close(seen[0], source.inputs[::10])
    torch.testing.assert_close(seen[1], (y[::10] - y.mean(0)) / y.std(0, correction=0))


@pytest.mark.parametrize("kind", ["independent", "dependent", "nearly equal", "constant"])
def test_ndm_is_the_total_correlation(kind: str, generator: torch.Generator) -> None:
    features, truth, within = {
        "independent": (torch.rand(N, 6, generator=generator), 0.0, 0.08),
        "dependent": (equicorrelated(4, 0.5, generator), -0.5 * (3 * math.log(0.5) + math.log(2.5)), 0.08),
        "nearly equal": (equicorrelated(8, 0.9, generator), -0.5 * (7 * math.log(0.1) + math.log(7.3)), 0.3),
        "constant": (torch.ones(N, 3) * torch.tensor([1.0, 2.0, 3.0]), 0.0, 0.0),
    }[kind]
    [outcome] = information.ndm(features, [0], silent)
    assert outcome.value == pytest.approx(truth, abs=within)
    assert outcome.details is not None
    if kind == "constant":
        assert "fewer than two units vary" in outcome.details["warnings"][0]
    else:
        assert outcome.details["method"] == ("chain" if kind == "nearly equal" else "joint")
        assert len(outcome.details["per_factor"]) == features.shape[1]


def test_samples_that_the_noise_covers_are_independent(generator: torch.Generator) -> None:
    """The dependency of samples of equicorrelated means in independent noise has a closed form; that of means stays."""
    means = equicorrelated(4, 0.9, generator)
    for deviation in (0.5, 3.0):
        log_variance = torch.full_like(means, 2 * math.log(deviation))
        [outcome] = information.ndm_sample(means, log_variance, [0], silent)
        correlation = 0.9 / (1 + deviation**2)
        truth = -0.5 * (3 * math.log(1 - correlation) + math.log(1 + 3 * correlation))
        assert outcome.value == pytest.approx(truth, abs=0.15)
    [unchanged] = information.ndm(means / 3.0, [0], silent)
    assert unchanged.value == pytest.approx(-0.5 * (3 * math.log(0.1) + math.log(3.7)), abs=0.2)


def test_every_seed_draws_samples_of_its_own(generator: torch.Generator) -> None:
    means, log_variance = torch.randn(100, 2, generator=generator), torch.zeros(100, 2)
    before = torch.get_rng_state()
    both = information.ndm_sample(means, log_variance, [0, 1], silent)
    assert torch.equal(before, torch.get_rng_state())
    assert both == information.ndm_sample(means, log_variance, [0], silent) + information.ndm_sample(
        means, log_variance, [1], silent
    )
    assert both[0].value != both[1].value


def test_samples_need_a_posterior(encoder: Encoder, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    [result] = evaluate(VariationalEncoder(encoder), dataset, ["ndm-sample"], seeds=1)
    assert (result.protocol, result.layer, result.n, result.unit) == ("ndm-sample/1", "Y", 100, "nats")
    monkeypatch.setattr("deep_infomax.evaluation.suite.extract", None)
    with pytest.raises(ValueError, match="this encoder was saved without one; train a variational one"):
        evaluate(encoder, dataset, ["ndm-sample"])
    with pytest.raises(ValueError, match="draws from the posterior of Y, and fc has none; measure ndm of fc"):
        evaluate(VariationalEncoder(encoder), dataset, ["ndm-sample"], layers=["fc"])


@pytest.mark.usefixtures("trained")
def test_the_papers_dependency_reads_its_own_samples(generator: torch.Generator) -> None:
    independent = 4 * torch.rand(N // 2, 3, generator=generator) - 2
    dependent = torch.cat([independent, independent[:, :1]], dim=1)
    [low] = information.ndm_paper(independent, [0], silent, sigmoid=False)
    [high, other] = information.ndm_paper(dependent, [0, 1], silent, sigmoid=False)
    assert low.value == pytest.approx(0, abs=0.1)
    assert high.value > 0.3
    assert other.value != high.value
    assert high.details is not None
    assert [epoch for epoch, _ in high.details["course"]] == list(range(0, 41, 2))
    assert high.details["course"][-1][1] == high.value


def test_the_papers_sigmoid_comes_first(generator: torch.Generator) -> None:
    features = torch.randn(100, 2, generator=generator)
    expected = information.ndm_paper(features.sigmoid(), [3], silent, sigmoid=False)
    assert information.ndm_paper(features, [3], silent, sigmoid=True) == expected


def test_the_papers_information_reads_its_own_samples(generator: torch.Generator) -> None:
    source = series(generator)
    y = noisy(source, 2, generator)
    before = torch.get_rng_state()
    [outcome] = information.mine_paper(source, y, [0], silent)
    assert torch.equal(before, torch.get_rng_state())
    assert outcome.value > 0.3
    assert outcome.details is not None
    assert [epoch for epoch, _ in outcome.details["course"]] == list(range(11))
    assert outcome.details["course"][0][1] == 0
    assert outcome.details["course"][-1][1] == outcome.value


@pytest.mark.parametrize("metric", ["mine", "mine_paper", "ndm", "ndm_sample", "ndm_paper"])
def test_a_seed_is_worth_the_same_alone_and_among_others(metric: str, generator: torch.Generator) -> None:
    source = series(generator)
    y = noisy(source, 3, generator)
    measure: Callable[[list[int]], list[Outcome]] = {
        "mine": lambda seeds: information.mine(source, y, y, seeds, silent),
        "mine_paper": lambda seeds: information.mine_paper(source, y, seeds, silent),
        "ndm": lambda seeds: information.ndm(y, seeds, silent),
        "ndm_sample": lambda seeds: information.ndm_sample(y, torch.zeros_like(y), seeds, silent),
        "ndm_paper": lambda seeds: information.ndm_paper(y, seeds, silent, sigmoid=False),
    }[metric]
    first, second = measure([0, 1])
    assert measure([1])[0].value == second.value != first.value


def test_a_constant_has_no_spread(encoder: Encoder, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Metric("mine/1", "nats", lambda train, test, seeds, progress: [Outcome(0.0, {}) for _ in seeds])
    monkeypatch.setitem(METRICS, "mine", told)
    [result] = evaluate(encoder, dataset, metrics=["mine"], layers=["Y"], seeds=3)
    assert (result.value, result.spread) == (0.0, None)


@pytest.mark.parametrize("spatial", [(1,), (8,), (1000,), (8, 8), (28, 28), (30, 7), (64, 64), (5, 6, 7), (24, 24, 24)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_critic_reads_every_part_of_inputs_of_any_size(channels: int, spatial: tuple[int, ...]) -> None:
    critic = InputCritic(channels, spatial, 5)
    x, y = torch.randn(3, channels, *spatial, requires_grad=True), torch.randn(3, 5)
    assert (critic(x, y) == 0).all()
    critic.body(x).sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).all()
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    partners = torch.tensor([[0, 1], [1, 2], [2, 0]])
    torch.testing.assert_close(critic.chosen(x, y, partners), critic(x, y).gather(1, partners))


def test_protocols_units_and_parts(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    names = ["mine", "ndm", "mine-paper", "ndm-paper", "knn"]
    told = set()
    results = evaluate(
        encoder,
        dataset,
        names,
        seeds=2,
        out=tmp_path,
        progress=lambda task, done, total: told.add((task, done == total)),
    )
    assert [(r.metric, r.variant, r.layer) for r in results if r.metric != "knn"] == [
        ("mine", "default", "Y"), ("ndm", "default", "Y"), ("mine-paper", "default", "Y"),
        ("ndm-paper", "default", "Y"), ("ndm-paper", "sigmoid", "Y"),
    ]  # fmt: skip
    assert [r.layer for r in results if r.metric == "knn"] == [*FLOORS, *encoder.layers]
    for result in results:
        assert result.protocol == METRICS[result.metric].protocol
        assert result.unit == ("%" if result.metric == "knn" else "nats")
        assert (result.split, result.n) == (("train", 200) if "paper" in result.metric else ("test", 100))
        assert len(result.details) == (0 if result.metric == "knn" else 2)
        assert (result.spread is None) == (len(set(result.chosen.get("k", (1, 2)))) == 1)
        assert result.seconds > 0
    assert read_results(tmp_path / "evaluation.json") == results
    assert {("mine on Y, seed 1", True), ("ndm-paper (sigmoid) on Y, seed 0", True), ("probing", True)} <= told


def test_labels_are_not_needed(encoder: Encoder, unlabelled: Dataset, tmp_path: Path) -> None:
    [result] = evaluate(encoder, unlabelled, ["mine"], seeds=1, out=tmp_path)
    assert (result.split, result.n) == ("train", 200)
    assert [path.name for path in (tmp_path / "arrays").iterdir()] == ["representation.npz"]
    assert set(np.load(tmp_path / "arrays" / "representation.npz")["labels"]) == {-1}
    with pytest.raises(ValueError, match="has no labels"):
        evaluate(encoder, unlabelled, ["mine", "knn"])
    [result] = evaluate(encoder, replace(unlabelled, test=first(unlabelled.train, 60)), ["ndm"], seeds=1)
    assert result.n == 60


@pytest.mark.parametrize("metric", ["ndm", "ndm-paper"])
def test_wide_layers_are_refused_before_anything_slow(
    metric: str, encoder: Encoder, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deep_infomax.evaluation.suite.extract", None)
    width = f"{encoder.layer_sizes['conv']:,}"
    with pytest.raises(ValueError, match=f"layers of 2 to 256 units, conv has {width}; name others with `layers`"):
        evaluate(encoder, dataset, [metric], layers=["Y", "conv"])
    few = replace(dataset, train=first(dataset.train, 49), test=first(dataset.train, 49))
    with pytest.raises(ValueError, match="need at least 50 inputs, digits train has 49"):
        evaluate(encoder, few, [metric])


def test_other_layers_are_measured_where_they_are_named(encoder: Encoder, dataset: Dataset) -> None:
    [result] = evaluate(encoder, dataset, ["mine"], layers=["fc"], seeds=1)
    assert result.layer == "fc"


def test_an_interrupt_leaves_no_figure(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    def interrupt(task: str, done: int, total: int) -> None:
        if task.startswith("mine"):
            signal.raise_signal(signal.SIGINT)
            raise_no_more.append(task)

    raise_no_more: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        evaluate(encoder, dataset, ["knn", "mine"], layers=["Y"], seeds=1, out=tmp_path, progress=interrupt)
    assert [result.metric for result in read_results(tmp_path / "evaluation.json")] == ["knn"]
    assert len(raise_no_more) == 1


def test_an_open_interval_is_kept_as_null(
    generator: torch.Generator, encoder: Encoder, dataset: Dataset, tmp_path: Path
) -> None:
    duplicated = torch.rand(N, 1, generator=generator).repeat(1, 2)
    [outcome] = information.ndm(duplicated, [0], silent)
    assert outcome.details is not None
    assert outcome.details["interval"][1] is None
    assert json.loads(json.dumps(outcome.details, allow_nan=False)) == outcome.details


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(f"train --recipe random --data digits --epochs 1 --out {run}".split()) == 0
    capsys.readouterr()
    assert main(f"evaluate {run} --metrics mine,ndm --seeds 1 --json".split()) == 0
    printed = json.loads(capsys.readouterr().out)["results"]
    assert [result["protocol"] for result in printed] == ["mine/1", "ndm/1"]
    assert printed[0]["details"][0]["ceiling"] == pytest.approx(math.log(100))
    assert json.loads((run / "evaluation.json").read_text())["results"] == printed
    assert main(f"evaluate {run} --metrics ndm --layers conv".split()) == 2


def test_nats_in_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"name": "cifar10", "split_rule": "test split as published", "shape": "3 x 32 x 32"}
    result = partial(runs.RecordedResult, layer="Y", unit="nats", spread=0.0123, seeds=3, n=50_000)
    results = [
        result("mine", "default", value=5.6789, split="test", protocol="mine/1"),
        result("mine-paper", "default", value=44.444, split="train", protocol="mine-paper/2"),
        result("ndm-paper", "default", value=9.0, split="train", protocol="ndm-paper/2"),
        result("ndm-paper", "sigmoid", value=0.2, split="train", protocol="ndm-paper/2"),
    ]
    config = {"recipe": "local-jsd-paper", "dataset": data, **asdict(RECIPES["local-jsd-paper"])}
    run = runs.RecordedRun(Path("a"), "a", config, None, runs.Log(), tuple(results), data, None, (), (), ())
    cells = {row.measure.name: row.cells["Y"] for row in tables.result_rows(run)}
    assert {name: (cell.value, cell.spread, cell.paper and cell.paper.value) for name, cell in cells.items()} == {
        "mine": ("5.68", "± 0.01", None),
        "mine-paper": ("44.44", "± 0.01", "45.09"),
        "ndm-paper": ("9.00", "± 0.01", "9.18"),
        "ndm-paper (sigmoid)": ("0.20", "± 0.01", "0.18"),
    }


def test_published_dependency_with_and_without_the_sigmoid() -> None:
    figure: Callable[..., published.PublishedFigure | None] = partial(published.published_figure, "cifar10", layer="Y")
    assert figure("DIM(L+G)", metric="ndm-paper") == ("22.89", "DIM(L+G)", 3, False)
    assert figure("DIM(L+G)", metric="ndm-paper (sigmoid)") == ("0.5", "DIM(L+G)", 3, False)
    assert figure("VAE", metric="ndm-paper (sigmoid)") is None
