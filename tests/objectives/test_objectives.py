"""The information term and its weighted sum with the others, against slow references and their own parts."""

import copy
import math

import pytest
import torch
from torch import nn

from deep_infomax.bounds import BOUNDS, INFO_NCE, JENSEN_SHANNON, NWJ
from deep_infomax.contracts import Batch, Bound, Encoded, Features, Losses, Part, Scores
from deep_infomax.objectives import DeepInfoMax, Gaussian, MutualInformation, PriorMatching, Untrained
from deep_infomax.objectives import mutual_information as module
from deep_infomax.scorers import ConcatAndConvolve, EncodeAndDot, GlobalConcat


class FixedScorer(nn.Module):
    """Hands over the scores it was given, whatever the features, and keeps the others it was asked for."""

    def __init__(self, joint: torch.Tensor, marginal: torch.Tensor) -> None:
        super().__init__()
        self.joint = nn.Parameter(joint)
        self.marginal = nn.Parameter(marginal)
        self.others = []

    def encode(self, local, vector):
        n, m = self.joint.shape
        return Encoded(torch.zeros(n, m, 1), torch.zeros(n, 1))

    def score(self, pieces, anchors, others=None, own=None):
        self.others.append(others)
        return Scores(self.joint, self.marginal)

    def values_per_anchor(self, p, m, k):
        return p * m


def fixed_scorer(dtype: torch.dtype = torch.float32) -> FixedScorer:
    """The worked example: two anchors, two locations, one other."""
    joint = torch.tensor([[1.0, 2.0], [2.5, 0.5]], dtype=dtype)
    return FixedScorer(joint, torch.tensor([[[0.5, -1.0]], [[0.0, 1.5]]], dtype=dtype))


def features(n: int = 2, size: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """A local map and a global vector."""
    return torch.randn(n, 4, size, size), torch.randn(n, 5)


def local_term(bound: Bound = JENSEN_SHANNON, others: int | None = None) -> MutualInformation:
    return MutualInformation(ConcatAndConvolve(4, 5, units=8), bound, others)


def global_term(bound: Bound = JENSEN_SHANNON) -> MutualInformation:
    return MutualInformation(GlobalConcat(4 * 9, 5, units=8), bound)


def prior() -> PriorMatching:
    return PriorMatching(Gaussian(), 5, units=(8,))


# --- MutualInformation -------------------------------------------------------


@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_reports_what_the_bound_reports(bound):
    scorer = fixed_scorer()
    loss, _, terms = MutualInformation(scorer, bound)(*features())
    scores = Scores(scorer.joint, scorer.marginal)
    assert torch.equal(loss, bound.loss(scores))
    assert terms.keys() == {"loss", "bound", "ceiling"}
    assert terms["loss"].item() == loss.item()
    assert terms["bound"].item() == pytest.approx(bound.report(scores).item(), abs=1e-6)
    assert terms["ceiling"].item() == pytest.approx(bound.ceiling(1))


def test_worked_example():
    terms = MutualInformation(fixed_scorer(), INFO_NCE)(*features()).terms
    assert terms["loss"].item() == pytest.approx(0.658044, abs=1e-6)
    assert terms["bound"].item() == pytest.approx(0.286756, abs=1e-6)
    assert terms["ceiling"].item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_terms_are_detached_float32_scalars(dtype):
    terms = MutualInformation(fixed_scorer(dtype), NWJ, limit=5.0, penalty=0.1)(*features()).terms
    assert all(term.shape == () and term.dtype == torch.float32 and not term.requires_grad for term in terms.values())


def test_a_bound_of_the_users_own_is_asked_for_its_report():
    """It may train on one figure and report another, as InfoNCE does."""
    bound = Bound("own", lambda s: (s.marginal.mean(), s.joint.mean()), ceiling=lambda k: 10.0 * k)
    scorer = fixed_scorer()
    loss, _, terms = MutualInformation(scorer, bound)(*features())
    assert loss.item() == pytest.approx(scorer.marginal.mean().item())
    assert terms["bound"].item() == pytest.approx(scorer.joint.mean().item())
    assert terms["ceiling"].item() == 10.0


def test_limit_and_penalty_equal_a_loop_over_scores():
    scorer, limit, penalty = fixed_scorer(torch.float64), 1.5, 0.3
    loss, _, terms = MutualInformation(scorer, JENSEN_SHANNON, limit=limit, penalty=penalty)(*features())

    joint = [limit * math.tanh(score / limit) for score in scorer.joint.flatten().tolist()]
    marginal = [limit * math.tanh(score / limit) for score in scorer.marginal.flatten().tolist()]
    squares = [score**2 for score in (*scorer.joint.flatten().tolist(), *scorer.marginal.flatten().tolist())]
    value = 2 * math.log(2)
    value -= sum(math.log1p(math.exp(-score)) for score in joint) / len(joint)
    value -= sum(math.log1p(math.exp(score)) for score in marginal) / len(marginal)
    assert loss.item() == pytest.approx(-value + penalty * sum(squares) / len(squares), rel=1e-12)
    assert terms["bound"].item() == pytest.approx(value)


def test_a_limit_far_above_the_scores_changes_nothing():
    plain = MutualInformation(fixed_scorer(torch.float64), INFO_NCE)(*features()).encoder
    limited = MutualInformation(fixed_scorer(torch.float64), INFO_NCE, limit=1e6)(*features()).encoder
    assert limited.item() == pytest.approx(plain.item(), rel=1e-9)


def test_limited_and_penalised_gradient_is_that_of_the_loss():
    scorer = fixed_scorer(torch.float64)
    term, given = MutualInformation(scorer, INFO_NCE, limit=2.0, penalty=0.1), features()

    def loss(joint, marginal):
        values = {"scorer.joint": joint, "scorer.marginal": marginal}
        return torch.func.functional_call(term, values, given).encoder

    assert torch.autograd.gradcheck(loss, (scorer.joint, scorer.marginal))


@pytest.mark.parametrize(("size", "info_nce"), [(0.0, math.log(4)), (1e4, 3 * math.exp(-40)), (-1e4, 40 + math.log(3))])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_limit_and_penalty_stay_finite_at_extreme_scores(dtype, size, info_nce):
    scorer = FixedScorer(torch.full((2, 3), size, dtype=dtype), torch.full((2, 1, 3), -size, dtype=dtype))
    loss, _, terms = MutualInformation(scorer, INFO_NCE, limit=20.0, penalty=0.05)(*features())
    loss.backward()
    assert loss.item() == pytest.approx(info_nce + 0.05 * size**2, rel=1e-2)
    assert terms["bound"].isfinite()
    assert all(gradient.isfinite().all() for gradient in (scorer.joint.grad, scorer.marginal.grad))


def test_others_are_redrawn_at_every_call():
    scorer = FixedScorer(torch.zeros(16, 1), torch.zeros(16, 3, 1))
    term = MutualInformation(scorer, JENSEN_SHANNON, others=3)
    given = features(16)
    term(*given)
    term(*given)
    first, second = scorer.others
    assert first.shape == (16, 3)
    assert not torch.equal(first, second)
    for drawn in (first, second):
        assert all(len({i, *row}) == 4 for i, row in enumerate(drawn.tolist()))


def test_all_others_are_scored_unless_told_otherwise():
    scorer = fixed_scorer()
    MutualInformation(scorer, JENSEN_SHANNON)(*features())
    assert scorer.others == [None]


def test_as_many_others_as_there_are_equal_all_pairs():
    all_others, chosen = local_term(), local_term(others=5)
    chosen.load_state_dict(all_others.state_dict())
    given = features(6)
    assert chosen(*given).encoder.item() == pytest.approx(all_others(*given).encoder.item(), rel=1e-5)


def test_several_vectors_of_an_input_equal_a_loop_over_them():
    """Each is an anchor of its own, whose joint pair is the map of its input."""
    local, vector, own = torch.randn(4, 4, 3, 3).double(), torch.randn(6, 5).double(), [3, 0, 0, 2, 3, 3]
    term = local_term(INFO_NCE).double()
    found = term(local, vector, torch.tensor(own)).encoder
    table = torch.stack([term.scorer(local, y.expand(4, 5)).joint for y in vector])  # anchors, pieces, locations
    expected = 0.0
    for i, piece in enumerate(own):
        unpaired = torch.cat([table[i, j] for j in range(4) if j != piece])
        for score in table[i, piece]:
            expected += (torch.cat([score[None], unpaired]).logsumexp(0) - score).item() / table[:, 0].numel()
    assert found.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("bound", [INFO_NCE, JENSEN_SHANNON], ids=lambda bound: bound.name)
@pytest.mark.parametrize("others", [None, 2], ids=["all", "chosen"])
def test_vectors_told_their_own_maps_equal_a_plain_batch(others, bound):
    term, (local, vector) = local_term(bound, others), features(5)
    found = []
    for own in (None, torch.arange(5)):
        torch.manual_seed(1)
        term.zero_grad()
        losses = term(local, vector, own)
        losses.encoder.backward()
        found.append([losses.encoder, *losses.terms.values(), *(p.grad.clone() for p in term.parameters())])
    for told, plain in zip(*found, strict=True):
        torch.testing.assert_close(told, plain)


@pytest.mark.parametrize("own", [None, [4, 0, 0, 1, 4]], ids=["one each", "told"])
@pytest.mark.parametrize("others", [None, 2], ids=["all", "chosen"])
@pytest.mark.parametrize("scorer", [EncodeAndDot, ConcatAndConvolve], ids=["dot", "concat"])
@pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS)
def test_parts_of_a_large_batch_add_up_to_it(bound, scorer, others, own, monkeypatch):
    """Two anchors at a time of five, and one left over: value, terms and gradient are those of all at once."""
    torch.manual_seed(0)
    term = MutualInformation(scorer(4, 5, units=8), bound, others, limit=9.0, penalty=0.1).double()
    told = None if own is None else torch.tensor(own)
    given = torch.randn(5, 4, 3, 3).double(), torch.randn(5, 5).double(), told

    def found():
        torch.manual_seed(1)
        term.zero_grad()
        loss, _, terms = term(*given)
        loss.backward()
        return {"loss": loss, **terms} | {name: p.grad.clone() for name, p in term.named_parameters()}

    whole = found()
    k = 4 if others is None else others
    monkeypatch.setattr(module, "MOST_VALUES", 2 * term.scorer.values_per_anchor(5, 9, k))
    scored, score = [], term.scorer.score
    monkeypatch.setattr(term.scorer, "score", lambda *given: (scored.append(len(given[1])), score(*given))[1])
    parts = found()
    assert scored == [2, 2, 1, 2, 2, 1]  # once more for the gradient
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, msg=lambda said, name=name: f"{name}: {said}")


def test_gradients_of_many_parts_in_bfloat16_are_those_of_one(monkeypatch):
    """As a sum in bfloat16, what the last of 1,024 parts add would be rounded away."""
    torch.manual_seed(0)
    term = MutualInformation(ConcatAndConvolve(4, 5, units=8), JENSEN_SHANNON, others=3)
    given = torch.randn(1024, 4, 2, 2), torch.randn(1024, 5)
    found = []
    for most in (2**26, 1):
        monkeypatch.setattr(module, "MOST_VALUES", most)
        torch.manual_seed(1)
        term.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            term(*given).encoder.backward()
        found.append({name: p.grad.clone() for name, p in term.named_parameters()})
    whole, parts = found
    for name, gradient in whole.items():
        assert (parts[name] - gradient).norm() < 0.02 * gradient.norm(), name


def test_order_of_the_batch_does_not_matter():
    term, (local, vector), order = local_term(INFO_NCE), features(6), torch.randperm(6)
    shuffled = term(local[order], vector[order])
    assert shuffled.encoder.item() == pytest.approx(term(local, vector).encoder.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"others": 0}, "others is 0"),
        ({"limit": 0.0}, "limit is 0.0"),
        ({"limit": math.nan}, "limit is nan"),
        ({"penalty": -0.1}, "penalty is -0.1"),
        ({"penalty": math.inf}, "penalty is inf"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MutualInformation(fixed_scorer(), INFO_NCE, **options)


# --- DeepInfoMax -------------------------------------------------------------


def test_is_the_weighted_sum_of_its_parts():
    parts = {"global_term": global_term(), "local_term": local_term(), "prior": prior()}
    objective = DeepInfoMax(**parts, alpha=0.5, beta=0.1, gamma=2.0)
    given = Features(*features(6), {})
    torch.manual_seed(1)
    losses = objective(Batch(torch.zeros(6, 1, 2, 2), torch.arange(6)), lambda inputs: given)

    of_global, of_local = (parts[name](given.local, given.vector) for name in ("global_term", "local_term"))
    torch.manual_seed(1)
    of_prior = parts["prior"](given.vector)
    expected = 0.5 * of_global.encoder + 0.1 * of_local.encoder + 2.0 * of_prior.encoder
    assert losses.encoder.item() == pytest.approx(expected.item())
    assert losses.adversary.item() == of_prior.adversary.item()
    named = {"global": of_global, "local": of_local, "prior": of_prior}
    assert losses.terms == {
        "loss": losses.encoder,
        **{f"{part}_{name}": term for part, found in named.items() for name, term in found.terms.items()},
    }


class Shifted(Part):
    """A part that encodes the inputs once more, and has an adversary of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.against = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(3.0))

    def losses(self, batch, features, encode):
        loss = self.weight * (encode(batch.inputs + 1).vector - features.vector).square().mean()
        return Losses(loss, self.against.square(), {"distance": loss.detach()})

    def adversary_parameters(self):
        return [self.against]

    def advice(self):
        return ("a shorter shift",)


def test_a_part_of_the_users_own_is_added_with_its_weight_and_its_adversary():
    term, matching, part = local_term(), prior(), Shifted()
    objective = DeepInfoMax(local_term=term, prior=matching, beta=1.0, gamma=0.5, parts={"shift": (0.25, part)})
    inputs = torch.randn(6, 4, 3, 3)

    def encode(inputs):
        return Features(inputs, inputs.flatten(1)[:, :5], {})

    torch.manual_seed(1)
    losses = objective(Batch(inputs, torch.arange(6)), encode)
    torch.manual_seed(1)
    plain = DeepInfoMax(local_term=term, prior=matching, beta=1.0, gamma=0.5)(Batch(inputs, torch.arange(6)), encode)
    assert losses.encoder.item() == pytest.approx(plain.encoder.item() + 0.25 * 2, rel=1e-5)
    assert losses.adversary.item() == pytest.approx(plain.adversary.item() + 9, rel=1e-5)
    assert losses.terms["shift_distance"].item() == pytest.approx(2, rel=1e-5)
    assert losses.terms.keys() - plain.terms.keys() == {"shift_distance"}
    adversary = [*matching.discriminator.parameters(), part.against]
    assert [id(p) for p in objective.adversary_parameters()] == [id(p) for p in adversary]
    assert objective.state_dict().keys() >= {"parts.shift.weight", "parts.shift.against"}
    assert list(objective.advice()) == ["limited scores (`objective.limit` 20)", "a shorter shift"]


def test_a_copy_of_the_objective_has_parts_of_its_own():
    objective = DeepInfoMax(local_term=local_term(), beta=1.0, parts={"shift": (0.5, Shifted())})
    copied = copy.deepcopy(objective)
    inside = {id(module) for module in objective.modules()}
    assert list(copied.weighted_parts()) == ["local", "shift"]
    assert not any(id(part) in inside for _, part in copied.weighted_parts().values())


@pytest.mark.parametrize("name", ["", "two words", "a.b", "local", "global", "prior", "keys"])
def test_names_of_parts_that_cannot_be_used_are_refused(name):
    with pytest.raises(ValueError, match=f"a part cannot be called '{name}'; give it another name"):
        DeepInfoMax(parts={name: (1.0, Shifted())})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ((0.0, Shifted()), "shift is given but the weight of shift is 0"),
        ((-1.0, Shifted()), "the weight of shift is -1.0; give a finite number"),
        ((1.0, nn.Linear(2, 2)), "shift is a Linear, which is no Part; give a MutualInformation"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_parts_that_cannot_be_used_are_refused(part, message):
    with pytest.raises(ValueError, match=message):
        DeepInfoMax(parts={"shift": part})


def test_encodes_the_inputs_once():
    calls = []

    def encode(inputs):
        calls.append(inputs)
        return given

    given, inputs = Features(*features(6), {}), torch.zeros(6, 1, 2, 2)
    parts = {"global_term": global_term(), "local_term": local_term(), "prior": prior()}
    DeepInfoMax(**parts, alpha=1.0, beta=1.0, gamma=1.0)(Batch(inputs, torch.arange(6)), encode)
    assert len(calls) == 1
    assert calls[0] is inputs


def test_without_a_prior_there_is_no_adversary():
    objective = DeepInfoMax(local_term=local_term(), beta=1.0)
    given = Features(*features(6), {})
    losses = objective(Batch(torch.zeros(6, 1, 2, 2), torch.arange(6)), lambda inputs: given)
    assert losses.adversary is None
    assert list(objective.adversary_parameters()) == []


def test_adversary_parameters_are_the_discriminators():
    objective = DeepInfoMax(local_term=local_term(), prior=prior(), beta=1.0, gamma=0.1)
    names = {id(parameter): name for name, parameter in objective.named_parameters()}
    adversary = {names[id(parameter)] for parameter in objective.adversary_parameters()}
    assert adversary == {name for name in names.values() if name.startswith("prior.")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "all 0"),
        ({"beta": 1.0}, "beta is 1.0 but there is no local_term"),
        ({"alpha": 1.0}, "alpha is 1.0 but there is no global_term"),
        ({"gamma": 1.0}, "gamma is 1.0 but there is no prior"),
        ({"local_term": local_term}, "local_term is given but beta is 0"),
        ({"global_term": global_term}, "global_term is given but alpha is 0"),
        ({"prior": prior}, "prior is given but gamma is 0"),
        ({"local_term": local_term, "beta": -1.0}, "beta is -1.0"),
        ({"local_term": local_term, "beta": math.nan}, "beta is nan"),
        ({"prior": prior, "gamma": math.inf}, "gamma is inf"),
    ],
)
def test_weights_and_parts_must_agree(options, message):
    given = {name: value() if callable(value) else value for name, value in options.items()}
    with pytest.raises(ValueError, match=message):
        DeepInfoMax(**given)


# --- Untrained ---------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_untrained_keeps_its_weights_and_estimates_its_statistics(optimizer):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 9, 5))
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def encode(inputs):
        local = network[:2](inputs)
        return Features(local, network[2:](local), {})

    step = optimizer(network.parameters(), lr=1.0)
    for _ in range(3):
        Untrained()(Batch(torch.randn(8, 1, 5, 5) + 3, torch.arange(8)), encode).encoder.backward()
        step.step()
    after = network.state_dict()
    assert all(torch.equal(after[name], before[name]) for name, _ in network.named_parameters())
    assert not torch.equal(after["1.running_mean"], before["1.running_mean"])
