"""Missing locations are no positives and no negatives: against slow loops, in parts and in gradients."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from deep_infomax.bounds import BOUNDS
from deep_infomax.contracts import Batch, Bound, Encoded, Features, Own, Scores
from deep_infomax.negatives import all_pairs, chosen_pairs
from deep_infomax.objectives import DeepInfoMax, MutualInformation
from deep_infomax.objectives import mutual_information as module
from deep_infomax.scorers import EncodeAndDot, FoldedEncodeAndDot, GlobalConcat

N, M, UNITS = 6, 4, 3


class Dot(nn.Module):
    """Scores are the products of a location and a vector, which a loop repeats."""

    def encode(self, local: Tensor, vector: Tensor) -> Encoded:
        return Encoded(local.flatten(2).transpose(1, 2), vector)

    def score(self, pieces: Tensor, anchors: Tensor, others: Tensor | None = None, own: Own | None = None) -> Scores:
        pairs = torch.einsum("pmu,au->apm", pieces, anchors)
        if others is None:
            return all_pairs(pairs, own)
        return chosen_pairs(pairs, others, own)

    def values_per_anchor(self, p: int, m: int, k: int) -> int:
        return p * m


def given(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Local maps, vectors, and a mask that leaves one input without any location and one location almost alone."""
    local = torch.randn(N, UNITS, M, dtype=dtype)
    missing = torch.rand(N, M) < 0.4
    missing[2], missing[3] = True, False
    missing[:, 1] = True
    missing[3, 1] = False  # no other input has this location
    return local, torch.randn(N, UNITS, dtype=dtype), missing


def pairs_of(local: Tensor, vector: Tensor, missing: Tensor, others: list[list[int]]) -> tuple[dict, dict]:
    """Scores that are there, by (anchor, location) and by (anchor, other, location)."""
    score = {
        (i, j, place): math.fsum((vector[i] * local[j, :, place]).tolist())
        for i, j, place in itertools.product(range(N), range(N), range(M))
        if not missing[j, place]
    }
    joint = {(i, place): value for (i, j, place), value in score.items() if i == j}
    return joint, {key: value for key, value in score.items() if key[1] in others[key[0]]}


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def log_mean_exp(values: list[float]) -> float:
    return math.log(mean([math.exp(value) for value in values]))


def slow_info_nce(joint: dict, marginal: dict) -> tuple[float, float]:
    losses, bounds = [], []
    for (i, _), value in joint.items():
        own = {key: score for key, score in marginal.items() if key[0] == i}
        losses.append(math.log(math.exp(value) + math.fsum(math.exp(score) for score in own.values())) - value)
        pieces = {j for _, j, _ in own}
        averaged = [mean([math.exp(score) for key, score in own.items() if key[1] == j]) for j in pieces]
        bounds.append(value - math.log(math.exp(value) + math.fsum(averaged)) + math.log(len(pieces) + 1))
    return mean(losses), mean(bounds)


def slow_donsker_varadhan(joint: dict, marginal: dict) -> float:
    found = []
    for (_, place), value in joint.items():
        beside = [score for key, score in marginal.items() if key[2] == place]
        if beside:
            found.append(value - log_mean_exp(beside))
    return mean(found)


POINTWISE = {
    "jsd": (lambda t: 2 * math.log(2) - softplus(-t), softplus),
    "nwj": (lambda t: t, lambda t: math.exp(t - 1)),
    "reverse-kl": (lambda t: -math.exp(-t), lambda t: t - 1),
    "hellinger": (lambda t: 1 - math.exp(-t), lambda t: math.exp(t) - 1),
    "chi2": (lambda t: t, lambda t: t * t / 4 + t),
}


def slow(name: str, joint: dict, marginal: dict) -> tuple[float, float]:
    """Loss and bound in plain loops."""
    if name == "infonce":
        return slow_info_nce(joint, marginal)
    if name == "dv":
        value = slow_donsker_varadhan(joint, marginal)
    else:
        paired, unpaired = POINTWISE[name]
        value = mean([paired(t) for t in joint.values()]) - mean([unpaired(t) for t in marginal.values()])
    return -value, value


ALL = [[j for j in range(N) if j != i] for i in range(N)]


@pytest.mark.parametrize("rows", [N, 2], ids=["at once", "in parts"])
@pytest.mark.parametrize("others", [None, 3])
@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_the_loss_is_that_of_a_loop_over_what_is_there(
    bound: Bound, others: int | None, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_VALUES", rows * N * M)
    local, vector, missing = given()
    chosen = [[(i + step) % N for step in (1, 2, 4)] for i in range(N)]
    monkeypatch.setattr(module, "draw_others", lambda *_: torch.tensor(chosen))
    joint, marginal = pairs_of(local, vector, missing, ALL if others is None else chosen)
    loss, value = slow(bound.name, joint, marginal)
    found = MutualInformation(Dot(), bound, others)(local, vector, missing=missing)
    assert found.encoder.item() == pytest.approx(loss, rel=1e-9)
    assert found.terms["bound"].item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_where_nothing_is_missing_the_loss_is_the_plain_one(bound: Bound) -> None:
    local, vector, _ = given()
    term = MutualInformation(Dot(), bound, limit=3.0, penalty=0.1)
    plain, masked = term(local, vector), term(local, vector, missing=torch.zeros(N, M, dtype=torch.bool))
    assert masked.encoder.item() == pytest.approx(plain.encoder.item(), rel=1e-12)
    assert {name: value.item() for name, value in masked.terms.items()} == pytest.approx(
        {name: value.item() for name, value in plain.terms.items()}
    )


def test_the_penalty_is_the_mean_square_of_what_is_there() -> None:
    local, vector, missing = given()
    joint, marginal = pairs_of(local, vector, missing, ALL)
    losses = [
        MutualInformation(Dot(), BOUNDS["jsd"], penalty=penalty)(local, vector, missing=missing).encoder.item()
        for penalty in (0.0, 0.5)
    ]
    squares = [score**2 for score in (*joint.values(), *marginal.values())]
    assert losses[1] - losses[0] == pytest.approx(0.5 * mean(squares), rel=1e-9)


@pytest.mark.parametrize("rows", [N, 2], ids=["at once", "in parts"])
@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_the_gradient_is_right_and_none_at_missing_locations(
    bound: Bound, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_VALUES", rows * N * M)
    local, vector, missing = given()
    local.requires_grad_()
    vector.requires_grad_()
    term = MutualInformation(Dot(), bound, limit=5.0, penalty=0.1)
    term(local, vector, missing=missing).encoder.backward()
    assert local.grad is not None
    assert vector.grad is not None
    assert (local.grad.movedim(1, -1)[missing] == 0).all()
    step = 1e-6
    for values, gradient in ((local, local.grad), (vector, vector.grad)):
        for place in ((0, 0), (3, 1), (5, 2)):
            ends = []
            for sign in (1, -1):
                moved = values.detach().clone()
                moved[place] += sign * step
                pair = (moved, vector.detach()) if values is local else (local.detach(), moved)
                ends.append(term(*pair, missing=missing).encoder.item())
            slope = (ends[0] - ends[1]) / (2 * step)
            assert gradient[place].sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("scorer", [EncodeAndDot, FoldedEncodeAndDot])
@pytest.mark.parametrize("bound", ["infonce", "jsd", "dv"])
def test_scorers_that_normalise_over_locations_send_no_gradient_to_missing_ones(scorer: type, bound: str) -> None:
    local, vector, missing = given(torch.float32)
    local.requires_grad_()
    term = MutualInformation(scorer(UNITS, UNITS, units=8), BOUNDS[bound])
    term(local, vector, missing=missing).encoder.backward()
    assert local.grad is not None
    assert (local.grad.movedim(1, -1)[missing] == 0).all()
    assert (local.grad.movedim(1, -1)[~missing] != 0).any()


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("which", ["all", "all but one input"])
def test_hardly_anything_there_is_finite(bound: Bound, which: str) -> None:
    local, vector, _ = given()
    local.requires_grad_()
    missing = torch.ones(N, M, dtype=torch.bool)
    missing[0] = which == "all"
    found = MutualInformation(Dot(), bound)(local, vector, missing=missing)
    found.encoder.backward()
    assert local.grad is not None
    assert found.encoder.isfinite()
    assert local.grad.isfinite().all()
    assert all(term.isfinite() or name == "ceiling" for name, term in found.terms.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_extreme_scores_at_missing_locations_change_nothing(bound: Bound, dtype: torch.dtype) -> None:
    local, vector, missing = given()
    far = torch.where(missing[:, None], 1e4, local)
    term = MutualInformation(Dot(), bound)
    losses = [term(x.to(dtype), vector.to(dtype), missing=missing).encoder for x in (local, far)]
    assert torch.equal(*losses)


def test_a_scorer_of_whole_maps_reads_them_all_the_same() -> None:
    local, vector, missing = given(torch.float32)
    term = MutualInformation(GlobalConcat(UNITS * M, UNITS, units=8), BOUNDS["jsd"])
    assert torch.equal(term(local, vector).encoder, term(local, vector, missing=missing).encoder)


def test_a_bound_without_a_form_for_it_is_refused() -> None:
    local, vector, missing = given()
    bound = Bound("own", lambda scores: (scores.joint.mean(), scores.joint.mean()), ceiling=lambda k: 0.0)
    with pytest.raises(ValueError, match="the bound own has no form that leaves out missing values"):
        MutualInformation(Dot(), bound)(local, vector, missing=missing)


def test_deep_infomax_hands_the_mask_of_an_encoder_on() -> None:
    local, vector, missing = given()
    term = MutualInformation(Dot(), BOUNDS["infonce"])
    objective = DeepInfoMax(local_term=term, beta=1.0)
    losses = objective(Batch(local, torch.arange(N)), lambda inputs: Features(inputs, vector, {}, missing))
    assert losses.encoder.item() == pytest.approx(term(local, vector, missing=missing).encoder.item())
