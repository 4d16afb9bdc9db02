"""Scorers: each pair against a network written out for that pair alone."""

import pytest
import torch
from torch import nn

from deep_infomax.bounds import info_nce
from deep_infomax.negatives import draw_others
from deep_infomax.scorers import (
    ConcatAndConvolve,
    EncodeAndDot,
    FoldedEncodeAndDot,
    GlobalConcat,
    GlobalEncodeAndDot,
    ResidualProjection,
)

C, D, N, UNITS = 3, 5, 6, 16
SPATIAL = [(7,), (2, 3), (2, 1, 3)]


def features(spatial, n=N):
    return torch.randn(n, C, *spatial), torch.randn(n, D)


def locations(spatial):
    return torch.Size(spatial).numel()


def global_encode_and_dot(spatial):
    encode_local = nn.Sequential(nn.Flatten(), nn.Linear(C * locations(spatial), UNITS), nn.BatchNorm1d(UNITS))
    return GlobalEncodeAndDot(encode_local, D, units=UNITS)


SCORERS = {
    "global-concat": lambda spatial: GlobalConcat(C * locations(spatial), D, units=UNITS),
    "concat-and-convolve": lambda spatial: ConcatAndConvolve(C, D, units=UNITS),
    "encode-and-dot": lambda spatial: EncodeAndDot(C, D, units=UNITS),
    "encode-and-dot-bare-vector": lambda spatial: EncodeAndDot(C, D, UNITS, normalised_vector=False),
    "folded-encode-and-dot": lambda spatial: FoldedEncodeAndDot(C, D, units=UNITS),
    "global-encode-and-dot": global_encode_and_dot,
}
UNSCALED = ("encode-and-dot", "encode-and-dot-bare-vector", "global-encode-and-dot")
each_scorer = pytest.mark.parametrize("name", SCORERS)
each_spatial = pytest.mark.parametrize("spatial", SPATIAL, ids=["1d", "2d", "3d"])


def built(name, spatial):
    """A scorer with statistics and weights that are not those it starts with, in eval mode."""
    scorer = SCORERS[name](spatial)
    for _ in range(3):
        scorer(*features(spatial))
    with torch.no_grad():
        for parameter in scorer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return scorer.eval()


def concat_by_hand(network, piece, vector):
    x = torch.cat([piece, vector])
    for layer in (network.first, network.rest[1], network.rest[3]):
        x = layer.weight @ x + layer.bias
        x = x.relu() if len(x) > 1 else x
    return x[0]


def project_by_hand(block, row):
    first, norm, _, last = block.residual
    x = (first.weight @ row - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
    x = last.weight @ x.relu() + last.bias + block.shortcut.weight @ row
    if isinstance(block.norm, nn.Identity):
        return x
    x = (x - x.mean()) / (x.var(correction=0) + block.norm.eps).sqrt()
    return x * block.norm.weight + block.norm.bias


def score_by_hand(name, scorer, local, vector):
    """Scores (m,) of one map (c, *spatial) with one vector."""
    rows = local.flatten(1).T
    match name:
        case "global-concat":
            return concat_by_hand(scorer, local.flatten(), vector)[None]
        case "concat-and-convolve":
            return torch.stack([concat_by_hand(scorer, row, vector) for row in rows])
        case "folded-encode-and-dot":
            linear, norm, _, layer_norm = scorer.encode_local
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            hidden = ((rows @ linear.weight.T - norm.running_mean) * scale + norm.bias).relu()
            hidden = hidden - hidden.mean(1, keepdim=True)
            hidden = hidden / (hidden.var(1, correction=0, keepdim=True) + layer_norm.eps).sqrt()
            return hidden @ project_by_hand(scorer.encode_vector, vector) / UNITS**0.5
        case "encode-and-dot" | "encode-and-dot-bare-vector":
            encoded = project_by_hand(scorer.encode_vector, vector)
            return torch.stack([project_by_hand(scorer.encode_local, row) @ encoded for row in rows])
        case "global-encode-and-dot":
            return (scorer.encode_local(local[None])[0] @ project_by_hand(scorer.encode_vector, vector))[None]


@each_spatial
@each_scorer
@torch.no_grad()
def test_scores_are_those_of_each_pair_alone(name, spatial):
    scorer, (local, vector), others = built(name, spatial), features(spatial), draw_others(range(N), 2, p=N)
    m = 1 if name.startswith("global") else locations(spatial)
    table = torch.stack([torch.stack([score_by_hand(name, scorer, c, y) for c in local]) for y in vector])
    assert table.shape == (N, N, m)
    every, chosen = scorer(local, vector), scorer(local, vector, others)
    for i in range(N):
        rest = [j for j in range(N) if j != i]
        torch.testing.assert_close(every.joint[i], table[i, i], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(every.marginal[i], table[i, rest], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(chosen.joint[i], table[i, i], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(chosen.marginal[i], table[i, others[i]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("chosen", [False, True], ids=["all", "chosen"])
@each_scorer
@torch.no_grad()
def test_several_vectors_of_an_input_are_scored_each_alone(name, chosen):
    scorer, (local, _), own = built(name, (2, 3)), features((2, 3)), torch.tensor([2, 0, 2, 5, 5, 5, 1, 0])
    vector = torch.randn(len(own), D)
    others = draw_others(own, 2, p=N) if chosen else torch.tensor([[j for j in range(N) if j != i] for i in own])
    joint, marginal = scorer(local, vector, others if chosen else None, own)
    for i, y in enumerate(vector):
        table = torch.stack([score_by_hand(name, scorer, c, y) for c in local])
        torch.testing.assert_close(joint[i], table[own[i]], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(marginal[i], table[others[i]], rtol=1e-4, atol=1e-4)


@each_scorer
def test_vectors_that_are_no_pairs_with_the_maps_need_to_be_told_theirs(name):
    with pytest.raises(ValueError, match=r"4 vectors and 6 local maps are not pairs; give `own`"):
        SCORERS[name]((2, 3))(features((2, 3))[0], torch.randn(4, D))


@each_spatial
def test_concat_and_convolve_is_a_convolution_of_the_repeated_vector(spatial):
    scorer, (local, vector) = built("concat-and-convolve", spatial), features(spatial)
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(spatial)]
    layers = (scorer.first, scorer.rest[1], scorer.rest[3])
    convolutions = [convolution(layer.in_features, layer.out_features, 1) for layer in layers]
    for ours, theirs in zip(layers, convolutions, strict=True):
        theirs.weight.data = ours.weight.data.view_as(theirs.weight)
        theirs.bias.data = ours.bias.data
    first, second, third = convolutions
    repeated = vector.view(N, D, *(1 for _ in spatial)).expand(N, D, *spatial)
    expected = third(second(first(torch.cat([local, repeated], dim=1)).relu()).relu())
    torch.testing.assert_close(scorer(local, vector).joint, expected.flatten(1))


@each_scorer
def test_all_others_given_are_all_others_of_the_batch(name):
    scorer, (local, vector) = built(name, (2, 3)), features((2, 3))
    others = torch.stack([torch.tensor([j for j in range(N) if j != i]) for i in range(N)])
    for given, default in zip(scorer(local, vector, others), scorer(local, vector), strict=True):
        torch.testing.assert_close(given, default)


@pytest.mark.parametrize("chosen", [False, True], ids=["all", "chosen"])
@each_scorer
def test_gradient_reaches_every_parameter_and_both_inputs(name, chosen):
    scorer, (local, vector) = SCORERS[name]((2, 3)), features((2, 3))
    local.requires_grad_()
    vector.requires_grad_()
    info_nce(scorer(local, vector, draw_others(range(N), 2, p=N) if chosen else None)).backward()
    gradients = {"local": local.grad, "vector": vector.grad, **{key: p.grad for key, p in scorer.named_parameters()}}
    # A constant added to all scores leaves the loss as it is, so the last bias of a concat network gets none here.
    gradients.pop("rest.3.bias", None)
    assert [key for key, gradient in gradients.items() if gradient is None or not gradient.any()] == []
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@each_scorer
def test_works_under_bf16_autocast(name):
    scorer, (local, vector) = built(name, (2, 3)), features((2, 3))
    expected = scorer(local, vector)
    with torch.autocast("cpu", torch.bfloat16):
        scores = scorer(local, vector)
    for ours, theirs in zip(scores, expected, strict=True):
        assert ours.dtype == (torch.float32 if name in UNSCALED else torch.bfloat16)
        torch.testing.assert_close(ours.float(), theirs, rtol=0.05, atol=0.05 * theirs.abs().max().item())


def test_large_scores_keep_their_differences_under_bf16_autocast():
    scorer = EncodeAndDot(3, 5)
    anchors, rows = torch.randn(4, 2048).bfloat16(), torch.randn(6, 2048).bfloat16()
    rows[:4] += anchors
    with torch.autocast("cpu", torch.bfloat16):
        scores = scorer.product(anchors, rows)
    torch.testing.assert_close(scores, (anchors.double() @ rows.double().T).float(), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("of_anchors", [torch.bfloat16, torch.float32])
def test_the_gradient_of_the_wide_product_is_that_of_the_product(of_anchors):
    scorer = EncodeAndDot(3, 5)
    anchors, rows = torch.randn(4, 32, dtype=torch.float64), torch.randn(6, 32, dtype=torch.float64)
    assert torch.autograd.gradcheck(scorer.product, (anchors.requires_grad_(), rows.requires_grad_()))
    factors, gradient = (anchors.detach().to(of_anchors), rows.detach().bfloat16()), torch.randn(4, 6)
    found = torch.autograd.functional.vjp(scorer.product, factors, gradient)[1]
    expected = torch.autograd.functional.vjp(lambda a, r: a.float() @ r.float().T, factors, gradient)[1]
    for ours, theirs, factor in zip(found, expected, factors, strict=True):
        assert ours.dtype == factor.dtype
        torch.testing.assert_close(ours.float(), theirs.float(), rtol=0.02, atol=0.1)


@each_scorer
def test_trains_under_bf16_autocast(name):
    scorer, (local, vector) = SCORERS[name]((2, 3)), features((2, 3))
    with torch.autocast("cpu", torch.bfloat16):
        loss = info_nce(scorer(local, vector))
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in scorer.parameters())


@each_scorer
def test_channels_last_maps_score_the_same(name):
    scorer, (local, vector) = built(name, (2, 3)), features((2, 3))
    for ours, theirs in zip(
        scorer(local.to(memory_format=torch.channels_last), vector), scorer(local, vector), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@each_scorer
def test_a_batch_of_1_is_an_error(name):
    scorer = SCORERS[name]((2, 3))
    with pytest.raises(
        ValueError, match="at least 2 inputs, got a batch of 1; use a larger batch or drop the last one"
    ):
        scorer(*features((2, 3), n=1))


@pytest.mark.parametrize(("size", "units"), [(16, 64), (64, 64), (64, 16)])
def test_shortcut_starts_near_the_identity(size, units):
    weight = ResidualProjection(size, units).shortcut.weight.detach()
    off_diagonal = weight - torch.eye(units, size)
    assert (weight.diagonal() == 1).all()
    assert off_diagonal.abs().max() <= 0.01
    assert off_diagonal.std().item() == pytest.approx(0.01 / 3**0.5, rel=0.1)


def test_projection_is_normalised_over_its_units():
    rows = ResidualProjection(C, 64)(5 * torch.randn(32, C) + 2)
    torch.testing.assert_close(rows.mean(1), torch.zeros(32), rtol=0, atol=1e-5)
    torch.testing.assert_close(rows.var(1, correction=0), torch.ones(32), rtol=0, atol=1e-3)


def test_folding_the_output_layer_into_the_vector_leaves_the_scores_as_they_are():
    folded, (local, vector) = built("folded-encode-and-dot", (2, 3)), features((2, 3))
    output = nn.Linear(UNITS, UNITS, bias=False)
    rows = folded.encode_local(local.flatten(2).transpose(1, 2).flatten(0, 1)).unflatten(0, (N, -1))
    unfolded = torch.einsum("jmu,iu->ijm", output(rows), folded.encode_vector(vector)) / UNITS**0.5
    last, shortcut = folded.encode_vector.residual[3], folded.encode_vector.shortcut
    with torch.no_grad():
        for part in (last.weight, shortcut.weight):
            part.copy_(output.weight.T @ part)
        last.bias.copy_(output.weight.T @ last.bias)
    joint, marginal = folded(local, vector)
    torch.testing.assert_close(joint, unfolded[range(N), range(N)])
    torch.testing.assert_close(marginal[0], unfolded[0, 1:])
