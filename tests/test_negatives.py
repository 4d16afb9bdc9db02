"""Negatives: which scores are paired, which are not, and how others are drawn."""

import pytest
import torch

from deep_infomax.negatives import all_pairs, chosen_pairs, draw_others

sizes = pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 4), (7, 2)])


@sizes
def test_all_pairs_is_the_plain_loop(n, m):
    scores = torch.randn(n, n, m)
    joint, marginal = all_pairs(scores)
    assert joint.shape == (n, m)
    assert marginal.shape == (n, n - 1, m)
    for i in range(n):
        assert joint[i].equal(scores[i, i])
        assert marginal[i].equal(torch.stack([scores[i, j] for j in range(n) if j != i]))


@pytest.mark.parametrize(("n", "p", "m"), [(1, 2, 3), (2, 3, 1), (3, 7, 2)])
def test_all_pairs_with_inputs_of_other_processes_are_the_plain_loop(n, p, m):
    scores = torch.randn(n, p, m, dtype=torch.float64, requires_grad=True)
    joint, marginal = all_pairs(scores)
    for i in range(n):
        assert joint[i].equal(scores[i, i])
        assert marginal[i].equal(torch.stack([scores[i, j] for j in range(p) if j != i]))
    assert torch.autograd.gradcheck(all_pairs, scores)
    others = draw_others(n, p - 1, p=p)
    assert [sorted(row) for row in others.tolist()] == [[j for j in range(p) if j != i] for i in range(n)]
    for i, row in enumerate(others.tolist()):
        assert chosen_pairs(scores, others).marginal[i].equal(scores[i, row])


@sizes
def test_chosen_pairs_is_the_plain_loop(n, m):
    scores, others = torch.randn(n, n, m), draw_others(n, n // 2)
    joint, marginal = chosen_pairs(scores, others)
    assert joint.shape == (n, m)
    assert marginal.shape == (n, n // 2, m)
    for i in range(n):
        assert joint[i].equal(scores[i, i])
        assert marginal[i].equal(torch.stack([scores[i, j] for j in others[i].tolist()]))


@pytest.mark.parametrize(("shape", "first"), [((3, 2, 1), 0), ((2, 3, 1), 2), ((2, 3, 1), -1)])
def test_anchors_without_a_column_are_refused(shape, first):
    with pytest.raises(ValueError, match=f"{shape[0]} anchors from column {first} on do not fit"):
        all_pairs(torch.zeros(shape), first)


@pytest.mark.parametrize("first", [1, 3])
def test_anchors_in_the_middle_are_the_plain_loop(first):
    scores = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    joint, marginal = all_pairs(scores, first)
    others = torch.stack([torch.tensor([j for j in range(5) if j != first + i]) for i in range(2)])
    for i in range(2):
        assert joint[i].equal(scores[i, first + i])
        assert marginal[i].equal(scores[i, others[i]])
    assert torch.autograd.gradcheck(lambda given: all_pairs(given, first), scores)
    for ours, theirs in zip(chosen_pairs(scores, others, first), (joint, marginal), strict=True):
        assert ours.equal(theirs)


def all_others(n):
    return torch.stack([torch.tensor([j for j in range(n) if j != i]) for i in range(n)])


@sizes
def test_all_others_chosen_are_all_pairs(n, m):
    scores = torch.randn(n, n, m)
    for chosen, every in zip(chosen_pairs(scores, all_others(n)), all_pairs(scores), strict=True):
        assert chosen.equal(every)


@pytest.mark.parametrize(
    "pairs", [all_pairs, lambda scores: chosen_pairs(scores, all_others(4))], ids=["all", "chosen"]
)
def test_gradcheck(pairs):
    assert torch.autograd.gradcheck(pairs, torch.randn(4, 4, 3, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("used", ["joint", "marginal"])
def test_gradient_where_only_one_of_the_two_is_used(used):
    scores = torch.randn(3, 3, 2, requires_grad=True)
    getattr(all_pairs(scores), used).sum().backward()
    on_diagonal = torch.eye(3)[..., None].expand(3, 3, 2)
    assert scores.grad.equal(on_diagonal if used == "joint" else 1 - on_diagonal)


def test_all_pairs_of_scores_in_another_memory_order():
    scores = torch.randn(4, 5, 5).permute(1, 2, 0)
    for ours, theirs in zip(all_pairs(scores), all_pairs(scores.contiguous()), strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (5, 1), (5, 3), (5, 4), (300, 20)])
def test_drawn_others_are_distinct_and_never_the_anchor(n, k):
    others = draw_others(n, k)
    assert others.shape == (n, k)
    assert others.dtype == torch.int64
    for i, row in enumerate(others.tolist()):
        assert len(set(row)) == k
        assert i not in row
        assert set(row) <= set(range(n))


def test_drawn_others_are_uniform():
    n, k, draws = 5, 2, 4000
    counts = sum(torch.zeros(n, n).scatter_(1, draw_others(n, k), 1) for _ in range(draws))
    frequency = counts / draws  # standard deviation 0.008
    assert (frequency.diagonal() == 0).all()
    torch.testing.assert_close(frequency, k / (n - 1) * (1 - torch.eye(n)), atol=0.04, rtol=0)


def test_others_are_redrawn_from_the_global_generator():
    torch.manual_seed(3)
    first, second = draw_others(50, 5), draw_others(50, 5)
    torch.manual_seed(3)
    assert draw_others(50, 5).equal(first)
    assert not second.equal(first)


@pytest.mark.parametrize(("n", "k"), [(4, 4), (4, 9), (4, 0), (4, -1)])
def test_more_others_than_there_are_is_an_error(n, k):
    with pytest.raises(
        ValueError, match=rf"each of {n} inputs has {n - 1} others, cannot draw {k}; choose 1 to {n - 1} or"
    ):
        draw_others(n, k)


@pytest.mark.parametrize(
    "call",
    [
        lambda n: all_pairs(torch.zeros(n, n, 3)),
        lambda n: chosen_pairs(torch.zeros(n, n, 3), torch.zeros(n, 1, dtype=torch.int64)),
        lambda n: draw_others(n, 1),
    ],
    ids=["all", "chosen", "drawn"],
)
@pytest.mark.parametrize("n", [0, 1])
def test_a_batch_without_others_is_an_error(call, n):
    with pytest.raises(ValueError, match=f"at least 2 inputs, got a batch of {n}; use a larger batch or drop"):
        call(n)
