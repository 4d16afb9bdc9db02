import math
import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from torch.nn import functional

from deep_infomax.evaluation import classifiers, linear_fits, probes
from deep_infomax.evaluation.probes import PROBES as PUBLIC

PROBES = {"linear": probes.linear, "svm": probes.svm, "knn": probes.knn, "mlp": probes.mlp}
OF_THE_PAPER = {"mlp-paper": partial(probes.mlp_paper, epochs=3), "svm-paper": probes.svm_paper}


@pytest.fixture(autouse=True)
def _short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_LEAST_STEPS", 100)


def gaussian_classes(
    n: int, generator: torch.Generator, distance: float = 2.0, d: int = 6, classes: int = 2
) -> tuple[Tensor, Tensor]:
    """Unit Gaussians around the corners of a simplex whose corners are ``distance`` apart."""
    labels = torch.randint(classes, (n,), generator=generator)
    means = torch.eye(classes, d) * distance / math.sqrt(2)
    return means[labels] + torch.randn(n, d, generator=generator), labels


def bayes_accuracy(distance: float) -> float:
    """Percent of two such classes that the best rule gets right: Phi(distance / 2)."""
    return 50 * (1 + math.erf(distance / 2 / math.sqrt(2)))


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize("distance", [1.0, 2.0, 4.0])
def test_accuracy_is_near_that_of_the_best_rule(name: str, distance: float, generator: torch.Generator) -> None:
    x, y = gaussian_classes(3000, generator, distance)
    test_x, test_y = gaussian_classes(3000, generator, distance)
    [outcome] = PROBES[name](x, y, test_x, test_y, [0])
    # 2.5 standard errors of 3,000 test inputs at most, and what is lost by learning from 3,000 training inputs.
    assert bayes_accuracy(distance) - 6 < outcome.value < bayes_accuracy(distance) + 2.5


def test_mlp_reads_what_no_linear_rule_can(generator: torch.Generator) -> None:
    x = torch.randn(2000, 2, generator=generator)
    y = (x[:, 0] * x[:, 1] > 0).long()
    test_x = torch.randn(1000, 2, generator=generator)
    test_y = (test_x[:, 0] * test_x[:, 1] > 0).long()
    assert probes.linear(x, y, test_x, test_y)[0].value < 60
    assert probes.mlp(x, y, test_x, test_y)[0].value > 95


@pytest.mark.parametrize("name", PROBES)
def test_shuffled_labels_leave_chance(name: str, generator: torch.Generator) -> None:
    x, y = gaussian_classes(1000, generator, distance=6, classes=4)
    test_x, test_y = gaussian_classes(2000, generator, distance=6, classes=4)
    shuffled = y[torch.randperm(len(y), generator=generator)]
    assert PROBES[name](x, shuffled, test_x, test_y)[0].value == pytest.approx(25, abs=6)


@pytest.mark.parametrize("name", PROBES)
def test_the_test_part_influences_nothing(name: str, generator: torch.Generator) -> None:
    x, y = gaussian_classes(400, generator)
    test_x, test_y = gaussian_classes(301, generator)
    seeds = [0, 1]
    as_it_is = PROBES[name](x, y, test_x, test_y, seeds)
    swapped = PROBES[name](x, y, test_x, 1 - test_y, seeds)
    alone = PROBES[name](x, y, test_x[:1], test_y[:1], seeds)
    for original, opposite, single in zip(as_it_is, swapped, alone, strict=True):
        assert original.chosen == opposite.chosen == single.chosen
        assert original.value + opposite.value == pytest.approx(100)
        assert single.value in (0, 100)


@pytest.mark.parametrize("name", [*PROBES, *OF_THE_PAPER])
def test_a_seed_is_worth_the_same_alone_and_among_others(name: str, generator: torch.Generator) -> None:
    x, y = gaussian_classes(40, generator, d=20, classes=4)
    x = x.round()  # many neighbours are equally near
    test_x, test_y = gaussian_classes(40, generator, d=20, classes=4)
    probe = (PROBES | OF_THE_PAPER)[name]
    together = probe(x, y, test_x.round(), test_y, [0, 1])
    for seed in (1, 0):
        torch.rand(7)
        assert probe(x, y, test_x.round(), test_y, [seed]) == [together[seed]]


def test_mlp_leaves_the_global_generator_alone(generator: torch.Generator) -> None:
    x, y = gaussian_classes(50, generator)
    state = torch.get_rng_state()
    probes.mlp(x, y, x, y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", PROBES)
def test_units_and_constant_features_do_not_matter(name: str, generator: torch.Generator) -> None:
    x, y = gaussian_classes(400, generator)
    test_x, test_y = gaussian_classes(301, generator)
    [plain] = PROBES[name](x, y, test_x, test_y)
    scale = 2.0 ** torch.arange(-3, 3)  # powers of two, so that standardising undoes them exactly
    [scaled] = PROBES[name](x * scale, y, test_x * scale, test_y)
    assert scaled == plain
    constant = torch.full((400, 1), 0.1)
    [more] = PROBES[name](torch.hstack([x, constant]), y, torch.hstack([test_x, constant[:301] + 1e-8]), test_y)
    assert more.value == pytest.approx(plain.value, abs=3)


@pytest.mark.parametrize("l2", [1e-1, 1e-3])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_logistic_regression_is_that_of_scikit_learn(
    l2: float, preconditioned: bool, generator: torch.Generator
) -> None:
    x, y = gaussian_classes(500, generator, d=12, classes=3)
    x, test_x = probes.standardised(x, x[:100])
    scale = linear_fits.cholesky_scales(x, 1 / 3)(l2) if preconditioned else None
    fitted = linear_fits.fit_linear(linear_fits.CROSS_ENTROPY, x, y, 3, l2, scale)
    reference = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-8, max_iter=1000).fit(x.numpy(), y.numpy())
    probability = functional.softmax(fitted.scores(test_x), dim=1)
    torch.testing.assert_close(
        probability, torch.from_numpy(reference.predict_proba(test_x.numpy())).float(), atol=2e-3, rtol=0
    )


def exact_hinge(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    raised = scores + 1 - functional.one_hot(labels, scores.shape[1])
    return raised.amax(1) - scores.gather(1, labels[:, None])[:, 0]


def minimised_hinge(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor, l2: float) -> float:
    penalty = weight.square().sum() + bias.square().sum()
    return (exact_hinge(functional.linear(x, weight, bias), y).mean() + l2 / 2 * penalty).item()


@pytest.mark.parametrize(("n", "d", "classes", "l2"), [
    (400, 8, 4, 1e-1), (400, 8, 4, 1e-2), (400, 8, 4, 1e-4), (200, 40, 4, 1e-1), (200, 40, 4, 1e-2), (200, 40, 4, 1e-4),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Liblinear failed to converge")  # of some versions, as near the optimum as others
def test_support_vector_machine_minimises_what_that_of_scikit_learn_does(
    n: int, d: int, classes: int, l2: float, generator: torch.Generator
) -> None:
    x, y = gaussian_classes(n + 200, generator, distance=3, d=d, classes=classes)
    x, test_x = probes.standardised(x[:n], x[n:])
    y = y[:n]
    fitted = linear_fits.fit_linear(
        linear_fits.HINGE, x, y, classes, l2, linear_fits.cholesky_scales(x, 10 / classes)(l2)
    )
    theirs = LinearSVC(multi_class="crammer_singer", C=1 / (l2 * n), max_iter=1_000_000, tol=1e-6, random_state=0)
    theirs.fit(x.numpy(), y.numpy())
    weight, bias = (torch.from_numpy(part).float() for part in (theirs.coef_, theirs.intercept_))
    wanted = minimised_hinge(weight, bias, x, y, l2)
    assert wanted * (1 - 1e-4) <= minimised_hinge(fitted.weight, fitted.bias, x, y, l2) <= 1.02 * wanted
    assert (fitted.scores(test_x).argmax(1) == (test_x @ weight.T + bias).argmax(1)).float().mean() >= 0.98


@pytest.mark.parametrize("l2", [1e-1, 1e-2, 1e-3, 1e-4])
def test_logistic_regression_minimises_what_that_of_scikit_learn_does(l2: float, generator: torch.Generator) -> None:
    x, y = gaussian_classes(200, generator, distance=4, d=40, classes=4)
    x = probes.standardised(x, x)[0]
    fitted = linear_fits.fit_linear(linear_fits.CROSS_ENTROPY, x, y, 4, l2, linear_fits.cholesky_scales(x, 1 / 4)(l2))
    theirs = LogisticRegression(C=1 / (l2 * len(x)), tol=1e-8, max_iter=10_000).fit(x.double().numpy(), y.numpy())
    log_loss = -theirs.predict_log_proba(x.double().numpy())[range(len(x)), y.numpy()].mean()
    wanted = log_loss + l2 / 2 * (theirs.coef_**2).sum()
    assert wanted * (1 - 1e-4) <= fitted.objective <= 1.005 * wanted


def test_hinge_is_that_of_all_classes_but_for_its_corners(generator: torch.Generator) -> None:
    scores = torch.tensor([[3.0, -3.0, 0.95], [0.0, 0.5, -2.0], [1.0, 0.0, -2.0]])
    found = linear_fits.hinge(scores, torch.tensor([0, 0, 0]))
    # Where two classes are level, the corner is rounded by t log 2.
    torch.testing.assert_close(found, torch.tensor([0.0, 1.5, 0.01 * math.log(2)]))
    scores, labels = torch.randn(1000, 5, generator=generator), torch.randint(5, (1000,), generator=generator)
    rounding = linear_fits.hinge(scores, labels) - exact_hinge(scores, labels)
    assert rounding.min() > -1e-6
    assert 0.001 < rounding.max() < 0.01 * math.log(5) + 1e-6


@pytest.mark.parametrize("loss", [linear_fits.CROSS_ENTROPY, linear_fits.HINGE])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_a_fit_to_some_rows_is_that_to_them_alone(
    loss: linear_fits.LinearLoss, preconditioned: bool, generator: torch.Generator
) -> None:
    x, y = gaussian_classes(300, generator, d=8, classes=3)
    rows = torch.rand(300, generator=generator) < 0.5
    scale = linear_fits.cholesky_scales(x, 1.0)(1e-2) if preconditioned else None
    some = linear_fits.fit_linear(loss, x, y, 3, 1e-2, scale, rows, gap=1e-4)
    alone = linear_fits.fit_linear(loss, x[rows], y[rows], 3, 1e-2, gap=1e-4)
    torch.testing.assert_close(some.scores(x), alone.scores(x), atol=0.05, rtol=0)
    assert some.objective == pytest.approx(alone.objective, rel=1e-3)


def test_a_fit_that_ends_early_says_so(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = gaussian_classes(200, generator, d=40, classes=4)
    [whole] = probes.svm(x, y, x, y)
    assert whole.details is not None
    assert whole.details["gap"] < 0.01
    assert whole.details["warnings"] == []
    monkeypatch.setattr(linear_fits, "MOST_ITERATIONS", 1)
    monkeypatch.setattr(linear_fits, "_BETWEEN_LOOKS", 1)
    [cut] = probes.svm(x, y, x, y)
    assert cut.details is not None
    [said] = cut.details["warnings"]
    assert re.fullmatch(r"the fit ended after \d steps, up to [\d.e+]+ % above its minimum", said)


def test_progress_of_probes_ends_at_all(generator: torch.Generator) -> None:
    x, y = gaussian_classes(60, generator)
    for probe in (probes.linear, probes.svm, probes.mlp, *OF_THE_PAPER.values()):
        told: list[tuple[int, int]] = []
        probe(x, y, x, y, [0, 1], lambda task, done, total, told=told: told.append((done, total)))
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1] >= 2


def test_logistic_regression_is_at_a_minimum(generator: torch.Generator) -> None:
    x, y = gaussian_classes(300, generator, d=20, classes=3)
    x = x @ torch.randn(20, 20, generator=generator)  # correlated features
    l2 = 1e-2
    fitted = linear_fits.fit_linear(linear_fits.CROSS_ENTROPY, x, y, 3, l2, linear_fits.cholesky_scales(x, 1 / 3)(l2))
    residual = functional.softmax(fitted.scores(x), dim=1) - functional.one_hot(y)
    assert (residual.T @ x / len(x) + l2 * fitted.weight).abs().max() < 5e-3
    assert residual.mean(0).abs().max() < 5e-3


def test_more_features_than_inputs(generator: torch.Generator) -> None:
    y = torch.arange(120) % 2
    x = torch.randn(120, 300, generator=generator) + y[:, None]
    assert probes.linear(x[:60], y[:60], x[60:], y[60:])[0].value > 95


def test_linear_prefers_a_strong_penalty_where_features_are_noise(generator: torch.Generator) -> None:
    x, y = gaussian_classes(200, generator, distance=0.5, d=100)
    assert probes.linear(x, y, x, y)[0].chosen == {"l2": 0.1}
    x, y = gaussian_classes(2000, generator, distance=8, d=2)
    assert probes.linear(x, y, x, y)[0].chosen["l2"] < 0.01


@pytest.mark.parametrize("k", [1, 5, 20])
def test_neighbour_votes_are_those_of_scikit_learn(k: int, generator: torch.Generator) -> None:
    x, y = gaussian_classes(700, generator, classes=5)
    queries, _ = gaussian_classes(333, generator, classes=5)
    unit, unit_queries = functional.normalize(x), functional.normalize(queries)
    votes = classifiers.neighbour_votes(unit, y, unit_queries, 5, [k, 50], chunk=100)[k]
    reference = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(x.numpy(), y.numpy())
    assert torch.equal(votes, torch.from_numpy(reference.predict(queries.numpy())))


def test_knn_chooses_among_as_many_neighbours_as_there_are(generator: torch.Generator) -> None:
    x, y = gaussian_classes(12, generator, distance=20)
    [outcome] = probes.knn(x, y, x, y)
    assert outcome.value == 100
    assert outcome.chosen == {"k": 1}


def test_held_out_part_is_a_tenth_and_drawn_by_the_seed() -> None:
    labels = torch.zeros(105, dtype=torch.long)
    fit, held_out = probes.hold_out(labels, 0)
    assert len(held_out) == 10
    assert torch.equal(torch.cat([fit, held_out]).sort().values, torch.arange(105))
    assert not torch.equal(held_out, probes.hold_out(labels, 1)[1])


def test_learning_rates_follow_the_protocols() -> None:
    assert [probes._tenth_at_50_and_100(epoch, 150) for epoch in (0, 49.9, 50, 99.9, 100, 149)] == [
        1,
        1,
        0.1,
        0.1,
        0.01,
        0.01,
    ]
    factors = [probes._warm_up_and_cosine(epoch, 20) for epoch in (0.0, 1.0, 2.0, 11.0, 20.0)]
    assert factors == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_paper_probe_trains_1000_epochs_and_averages_the_last_100(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, shown = [], iter(range(1, 1001))

    def record(
        network: nn.Module,
        x: Tensor,
        labels: Tensor,
        training: classifiers.NetworkTraining,
        told: Callable[[int, int], None],
    ) -> None:
        seen.append((x, training, [type(layer) for layer in network.children()]))
        for epoch in range(training.epochs):
            told(epoch + 1, training.epochs)

    monkeypatch.setattr(probes, "train_classifier", record)
    monkeypatch.setattr(probes, "_percent", lambda predicted, labels: float(next(shown)))
    x, y = gaussian_classes(100, generator)
    [outcome] = PUBLIC["mlp-paper"].measure(x, y, x, y, [3])
    [(features, training, layers)] = seen
    assert features is x  # not standardised
    assert layers == [nn.Linear, nn.Dropout, nn.BatchNorm1d, nn.ReLU, nn.Linear]
    assert (training.learning_rate, training.batch_size, training.epochs, training.least_steps) == (1e-4, 64, 1000, 0)
    assert training.betas == (0.5, 0.999)
    assert outcome.value == pytest.approx(50.5)  # the mean of 1 to 100
    assert next(shown) == 101


def test_paper_probe_is_near_the_best_rule(generator: torch.Generator) -> None:
    x, y = gaussian_classes(2000, generator)
    test_x, test_y = gaussian_classes(3000, generator)
    [outcome] = probes.mlp_paper(x, y, test_x, test_y, epochs=110)
    assert bayes_accuracy(2.0) - 4 < outcome.value < bayes_accuracy(2.0) + 2.5


def test_the_training_of_the_paper_probe_is_the_plain_one_that_it_says(generator: torch.Generator) -> None:
    x, y = gaussian_classes(150, generator, d=5, classes=3)
    torch.manual_seed(7)
    network = classifiers.hidden_layer(5, 3, dropout_first=True)
    training = classifiers.NetworkTraining(1e-4, 64, 3, 0, probes._tenth_at_50_and_100, (0.5, 0.999))
    classifiers.train_classifier(network, x, y, training, lambda epoch, epochs: None)
    torch.manual_seed(7)
    first, last = nn.Linear(5, 200), nn.Linear(200, 3)
    parameters = [*first.parameters(), torch.ones(200), torch.zeros(200), *last.parameters()]
    moments = [[torch.zeros_like(p), torch.zeros_like(p)] for p in parameters]
    mean, variance, step = torch.zeros(200), torch.ones(200), 0
    for _ in range(3):
        order = torch.randperm(150)
        for rows in (order[:64], order[64:128]):
            step += 1
            leaves = [p.detach().requires_grad_() for p in parameters]
            w, b, scale, shift, v, c = leaves
            hidden = functional.dropout(x[rows] @ w.T + b, 0.1)
            mean = 0.9 * mean + 0.1 * hidden.detach().mean(0)
            variance = 0.9 * variance + 0.1 * hidden.detach().var(0)
            hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + 1e-5).sqrt() * scale + shift
            loss = -functional.log_softmax(hidden.clamp(min=0) @ v.T + c, 1)[range(64), y[rows]].mean()
            for p, gradient, moment in zip(parameters, torch.autograd.grad(loss, leaves), moments, strict=True):
                moment[0] = 0.5 * moment[0] + 0.5 * gradient
                moment[1] = 0.999 * moment[1] + 0.001 * gradient**2
                change = moment[0] / (1 - 0.5**step) / ((moment[1] / (1 - 0.999**step)).sqrt() + 1e-8)
                p.data -= 1e-4 * change
    w, b, scale, shift, v, c = parameters
    expected = ((x @ w.T + b - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0) @ v.T + c
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(x), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("distance", [1.0, 4.0])
def test_the_paper_s_machine_is_near_the_best_rule(distance: float, generator: torch.Generator) -> None:
    x, y = gaussian_classes(1000, generator, distance)
    test_x, test_y = gaussian_classes(3000, generator, distance)
    for outcome in probes.svm_paper(x, y, test_x, test_y):
        assert bayes_accuracy(distance) - 3 < outcome.value < bayes_accuracy(distance) + 2.5
        assert outcome.details == {"iterations": outcome.details["iterations"], "warnings": []}


def test_the_paper_s_machine_minimises_the_squared_hinge_of_each_class_against_all_others(
    generator: torch.Generator,
) -> None:
    x, y = gaussian_classes(300, generator, distance=3, d=5, classes=3)
    test_x, test_y = gaussian_classes(500, generator, distance=3, d=5, classes=3)
    weight = torch.zeros(
        3, 6, dtype=torch.float64, requires_grad=True
    )  # the last for a constant, penalised like others
    search = torch.optim.LBFGS([weight], max_iter=500, line_search_fn="strong_wolfe")
    signs = 2.0 * functional.one_hot(y) - 1

    def scores(inputs: Tensor) -> Tensor:
        return functional.pad(inputs.double(), (0, 1), value=1.0) @ weight.T

    def closure() -> Tensor:
        search.zero_grad()
        objective = weight.square().sum() / 2 + (1 - signs * scores(x)).clamp(min=0).square().sum()
        objective.backward()
        return objective.detach()

    search.step(closure)
    expected = 100 * (scores(test_x).argmax(1) == test_y).double().mean().item()
    for outcome in probes.svm_paper(x, y, test_x, test_y):
        assert outcome.value == pytest.approx(expected, abs=0.5)


def test_what_the_paper_s_machine_leaves_unfinished_is_said_and_differs_by_its_states(
    generator: torch.Generator,
) -> None:
    x, y = gaussian_classes(300, generator, d=20, classes=4)
    outcomes = probes.svm_paper(100 * x, y, 100 * x, y)  # any warning of Python's would be an error
    assert len(outcomes) == 5
    for outcome in outcomes:
        assert outcome.details == {
            "iterations": 1000, "warnings": ["the fit ended after 1,000 passes, short of its minimum"],
        }  # fmt: skip
    assert len({outcome.value for outcome in outcomes}) > 1
    with pytest.raises(ValueError, match="all 300 training inputs are of the class 2; give it another"):
        probes.svm_paper(x, torch.full_like(y, 2), x, y)


@pytest.mark.parametrize("name", [*PROBES, *OF_THE_PAPER])
def test_what_cannot_be_probed_is_refused(name: str) -> None:
    probe = (PROBES | OF_THE_PAPER)[name]
    x, y = torch.randn(20, 3), torch.arange(20) % 2
    with pytest.raises(ValueError, match="at least 10 labelled training inputs, got 9"):
        probe(x[:9], y[:9], x, y)
    with pytest.raises(ValueError, match="got the label -1"):
        probe(x, y - 1, x, y)


@pytest.mark.parametrize(("distance", "metric"), [("cosine", "cosine"), ("l1", "manhattan"), ("l2", "euclidean")])
def test_neighbours_agree_as_scikit_learn_finds_them(distance: str, metric: str) -> None:
    generator = torch.Generator().manual_seed(0)
    labels, test_labels = (torch.arange(n) % 3 for n in (200, 50))
    x, test_x = (torch.randn(len(y), 5, generator=generator) + y[:, None] for y in (labels, test_labels))
    found = NearestNeighbors(n_neighbors=8, metric=metric).fit(x.numpy()).kneighbors(test_x.numpy())[1]
    expected = 100 * (labels[torch.from_numpy(found)] == test_labels[:, None]).float().mean().item()
    [outcome] = probes.neighbours(x, labels, test_x, test_labels, distance=distance)
    assert outcome.value == pytest.approx(expected, abs=1e-3)
    assert 40 < outcome.value < 95
