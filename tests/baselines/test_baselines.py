import math
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deep_infomax.baselines import (
    BiGAN,
    ContrastivePredictiveCoding,
    NoiseAsTargets,
    PairDiscriminator,
    Supervised,
    predictive_coding,
)
from deep_infomax.contracts import Batch, Features
from deep_infomax.data import Source
from deep_infomax.decoders import Decoder
from deep_infomax.encoders import Encoder, convolutional
from deep_infomax.objectives import Uniform
from deep_infomax.recipes import RECIPES, ObjectiveConfig, build_encoder, build_objective
from deep_infomax.training import TrainingConfig, fit

N, D = 6, 4


def as_they_are(inputs: Tensor) -> Features:
    return Features(inputs, inputs.flatten(1), {})


def batch(vectors: Tensor, labels: Tensor | None = None) -> Batch:
    return Batch(vectors[:, None], torch.arange(len(vectors)), labels)


def test_noise_as_targets_finds_the_best_of_all_assignments() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        objective, vectors = NoiseAsTargets(N, D), torch.randn(N, D)
        unit = vectors / vectors.norm(dim=1, keepdim=True)
        every = [(unit - objective.targets[list(order)]).square().sum(1).mean() for order in permutations(range(N))]
        losses = objective(batch(vectors), as_they_are)
        assert losses.encoder.item() == pytest.approx(min(every).item(), rel=1e-5)
        assert losses.terms["cosine"].item() == pytest.approx(1 - min(every).item() / 2, abs=1e-5)


def test_vectors_on_the_targets_in_any_order_and_of_any_length_cost_nothing() -> None:
    objective = NoiseAsTargets(N, D)
    order = torch.randperm(N)
    losses = objective(batch(3 * objective.targets[order]), as_they_are)
    assert losses.encoder.item() == pytest.approx(0, abs=1e-6)
    assert torch.equal(objective.assigned, order)


def test_every_target_keeps_exactly_one_input_and_batches_deal_out_their_own_only() -> None:
    torch.manual_seed(0)
    objective, vectors = NoiseAsTargets(40, D), torch.randn(40, D)
    for _ in range(20):
        rows = torch.randperm(40)[:8]
        before = objective.assigned.clone()
        objective(Batch(vectors[rows][:, None], rows), as_they_are)
        others = torch.ones(40, dtype=torch.bool).index_fill(0, rows, False)
        assert torch.equal(objective.assigned[others], before[others])
        assert torch.equal(objective.assigned.sort().values, torch.arange(40))


def test_targets_are_left_alone_in_evaluation() -> None:
    torch.manual_seed(0)
    objective = NoiseAsTargets(N, D).eval()
    vectors = torch.randn(N, D)
    loss = objective(batch(vectors), as_they_are).encoder
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    assert loss.item() == pytest.approx((unit - objective.targets).square().sum(1).mean().item(), rel=1e-5)


def test_inputs_without_a_target_are_refused() -> None:
    with pytest.raises(ValueError, match="targets for 3 inputs, and the data have more"):
        NoiseAsTargets(3, D)(batch(torch.randn(N, D)), as_they_are)


def test_the_assignment_is_part_of_a_checkpoint(tmp_path: Path) -> None:
    """A training cut in two ends like one that was not; the second half begins with other targets until it resumes."""
    series = torch.randn(40, 1, 32, generator=torch.Generator().manual_seed(0))

    def part(epochs: float, seed: int, resume: bool = False) -> tuple[Encoder, NoiseAsTargets]:
        torch.manual_seed(seed)
        encoder = convolutional(channels=1, spatial=(32,), dim=D)
        objective = NoiseAsTargets(40, D)
        training = TrainingConfig(epochs=epochs, batch_size=8, device="cpu", schedule="constant")
        out = tmp_path / ("two" if resume or epochs == 1 else "one")
        fit(encoder, objective, series, training, out=out, resume=resume, progress=False)
        return encoder, objective

    whole, targets = part(2, seed=1)
    part(1, seed=1)
    resumed, taken_up = part(2, seed=7, resume=True)
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))
    assert all(map(torch.equal, targets.state_dict().values(), taken_up.state_dict().values()))


def bigan(penalty: float) -> BiGAN:
    torch.manual_seed(0)
    return BiGAN(Decoder(D, 1, (D,), (8, 8)), PairDiscriminator(1, (D,), D, units=8), Uniform(), torch.neg, penalty)


@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_the_losses_of_a_bigan_are_those_of_a_plain_loop(penalty: float) -> None:
    objective, vectors = bigan(penalty), torch.randn(N, D)
    torch.manual_seed(1)
    losses = objective(batch(vectors), as_they_are)
    torch.manual_seed(1)
    z = torch.rand(N, D)
    pairs = [(-vectors[:, None], vectors.sigmoid(), 1), (objective.generator(z), z, -1)]
    encoder, adversary = 0.0, 0.0
    for x, y, sign in pairs:
        for i in range(N):
            pair = x[i : i + 1].detach().requires_grad_(), y[i : i + 1].detach().requires_grad_()
            score = objective.discriminator(*pair)
            slopes = torch.autograd.grad(score, pair)
            encoder += math.log1p(math.exp(-sign * score.item())) / N
            adversary += math.log1p(math.exp(sign * score.item())) / N
            adversary += penalty / 2 * sum(slope.square().sum().item() for slope in slopes) / N
    assert losses.encoder.item() == pytest.approx(encoder, rel=1e-4)
    assert losses.adversary is not None
    assert losses.adversary.item() == pytest.approx(adversary, rel=1e-4)


def test_encoder_and_generator_oppose_the_discriminator_of_a_bigan() -> None:
    """At every vector and every generated input, what lowers their loss raises the discriminator's."""
    objective = bigan(penalty=0.0)
    inputs, vectors = torch.randn(2 * N, 1, D), torch.randn(2 * N, D)
    pairs = inputs.requires_grad_(), vectors.requires_grad_()
    of_encoder = torch.autograd.grad(objective._encoder_loss(*pairs), pairs)
    scores = objective.discriminator(*pairs)
    told_apart = nn.functional.softplus(torch.cat([scores[:N], -scores[N:]])).mean()
    of_adversary = torch.autograd.grad(told_apart, pairs)
    for own, other in zip(of_encoder, of_adversary, strict=True):
        assert ((own * other).flatten(1).sum(1) < 0).all()


def test_predictive_coding_is_info_nce_of_every_position_ahead_as_a_plain_loop_computes_it() -> None:
    torch.manual_seed(0)
    n, c, rows, columns = 4, 3, 5, 2
    objective, local = ContrastivePredictiveCoding(c, rows, steps=2, units=7), torch.randn(n, c, rows, columns)
    losses = objective(Batch(local, torch.arange(n)), lambda inputs: Features(inputs, inputs[:, :, 0, 0], {}))
    total, bounds = 0.0, 0.0
    for step, prediction in enumerate(objective.predictions, start=1):
        terms = []
        for i, row, column in product(range(n), range(rows - step), range(columns)):
            state = objective.context(local[i, :, : row + 1, column].T[None])[0][0, -1]
            scores = [prediction(state) @ local[j, :, row + step, column] / c**0.5 for j in range(n)]
            terms.append(torch.stack(scores).logsumexp(0) - scores[i])
        total += torch.stack(terms).mean().item() / 2
        bounds += (math.log(n) - torch.stack(terms).mean().item()) / 2
    assert losses.encoder.item() == pytest.approx(total, rel=1e-4)
    assert losses.terms["prediction_bound"].item() == pytest.approx(bounds, abs=1e-4)
    assert losses.terms["prediction_ceiling"].item() == pytest.approx(math.log(n))


def test_predictive_coding_needs_rows_to_look_ahead() -> None:
    with pytest.raises(ValueError, match=r"map of 3 row\(s\) cannot be predicted 3 step\(s\) ahead; give fewer"):
        ContrastivePredictiveCoding(channels=4, rows=3)


def test_a_head_that_knows_nothing_costs_the_logarithm_of_the_classes() -> None:
    objective = Supervised(D, classes=5)
    for parameter in objective.parameters():
        torch.nn.init.zeros_(parameter)
    losses = objective(batch(torch.randn(N, D), torch.zeros(N, dtype=torch.long)), as_they_are)
    assert losses.encoder.item() == pytest.approx(math.log(5))
    assert losses.terms["accuracy"].item() == 1.0  # equal scores: the first class wins


def test_supervised_training_needs_labels() -> None:
    with pytest.raises(ValueError, match="supervised training needs labels, and the data have none"):
        Supervised(D, 5)(batch(torch.randn(N, D)), as_they_are)
    bare = Source(torch.randn(N, 1, 32), None, None, "series", "train")
    encoder = convolutional(channels=1, spatial=(32,), dim=D)
    with pytest.raises(ValueError, match="supervised training needs labels, series train has none"):
        build_objective(ObjectiveConfig(method="supervised"), encoder, bare)


@pytest.mark.parametrize(
    ("method", "option"), [("vae", {"prior": "ball"}), ("cpc", {"bound": "jsd"}), ("nat", {"gamma": 1.0})]
)
def test_what_a_baseline_does_not_read_is_refused(method: str, option: dict[str, Any]) -> None:
    [name] = option
    with pytest.raises(ValueError, match=f"`objective.{name}` says nothing to the method {method}; leave it out"):
        ObjectiveConfig(method=method, **option)


@pytest.mark.parametrize("recipe", ["vae", "beta-vae", "aae", "bigan", "nat", "cpc", "supervised"])
def test_the_recipes_train_on_series_too(recipe: str) -> None:
    torch.manual_seed(0)
    series = Source(torch.randn(40, 2, 32), torch.arange(40) % 3, ("a", "b", "c"), "series", "train")
    config = RECIPES[recipe]
    encoder = build_encoder(config, 2, (32,))
    objective = build_objective(config.objective, encoder, series)
    result = fit(encoder, objective, series, TrainingConfig(epochs=2, batch_size=8), progress=False)
    assert math.isfinite(result.terms["loss"])


@pytest.mark.parametrize("chosen", [False, True], ids=["all", "chosen"])
def test_predictions_are_scored_with_the_same_position_of_any_pieces(chosen: bool) -> None:
    own = torch.tensor([2, 0, 2])
    pieces, predicted = torch.randn(4, 5, 6).double(), torch.randn(3, 5, 6).double()
    others = torch.tensor([[3, 0], [1, 2], [0, 1]]) if chosen else torch.tensor([[0, 1, 3], [1, 2, 3], [0, 1, 3]])
    scorer = predictive_coding._SamePosition()
    joint, marginal = scorer.score(pieces, predicted.flatten(1), others if chosen else None, own)
    for i in range(3):
        for position in range(5):
            products = pieces[:, position] @ predicted[i, position] / 6**0.5
            torch.testing.assert_close(joint[5 * i + position, 0], products[own[i]])
            torch.testing.assert_close(marginal[5 * i + position, :, 0], products[others[i]])
