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
    others = draw_others(range(n), p - 1, p)
    assert [sorted(row) for row in others.tolist()] == [[j for j in range(p) if j != i] for i in range(n)]
    for i, row in enumerate(others.tolist()):
        assert chosen_pairs(scores, others).marginal[i].equal(scores[i, row])


@sizes
def test_chosen_pairs_is_the_plain_loop(n, m):
    scores, others = torch.randn(n, n, m), draw_others(range(n), n // 2, n)
    joint, marginal = chosen_pairs(scores, others)
    assert joint.shape == (n, m)
    assert marginal.shape == (n, n // 2, m)
    for i in range(n):
        assert joint[i].equal(scores[i, i])
        assert marginal[i].equal(torch.stack([scores[i, j] for j in others[i].tolist()]))


@pytest.mark.parametrize(("shape", "first"), [((3, 2, 1), 0), ((2, 3, 1), 2), ((2, 3, 1), -1)])
def test_anchors_without_a_column_are_refused(shape, first):
    with pytest.raises(ValueError, match=f"{shape[0]} anchors from piece {first} on do not fit"):
        all_pairs(torch.zeros(shape), range(first, first + shape[0]))


@pytest.mark.parametrize("first", [1, 3])
def test_anchors_in_the_middle_are_the_plain_loop(first):
    scores = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    own = range(first, first + 2)
    joint, marginal = all_pairs(scores, own)
    others = torch.stack([torch.tensor([j for j in range(5) if j != first + i]) for i in range(2)])
    for i in range(2):
        assert joint[i].equal(scores[i, first + i])
        assert marginal[i].equal(scores[i, others[i]])
    assert torch.autograd.gradcheck(lambda given: all_pairs(given, own), scores)
    for ours, theirs in zip(chosen_pairs(scores, others, own), (joint, marginal), strict=True):
        assert ours.equal(theirs)


OWNERS = [[2, 0, 2, 2, 4, 0, 1], [3], [1, 1]]


@pytest.mark.parametrize("own", OWNERS)
def test_any_pieces_of_any_number_of_anchors_are_the_plain_loop(own):
    """Several anchors may own a piece, which is then a negative of none of them."""
    scores, places = torch.randn(len(own), 5, 3, dtype=torch.float64, requires_grad=True), torch.tensor(own)
    joint, marginal = all_pairs(scores, places)
    assert marginal.shape == (len(own), 4, 3)
    others = [[j for j in range(5) if j != piece] for piece in own]
    for i, piece in enumerate(own):
        assert joint[i].equal(scores[i, piece])
        assert marginal[i].equal(scores[i, others[i]])
    for ours, theirs in zip(chosen_pairs(scores, torch.tensor(others), places), (joint, marginal), strict=True):
        assert ours.equal(theirs)
    assert torch.autograd.gradcheck(lambda given: all_pairs(given, places), scores)


@pytest.mark.parametrize("first", [0, 2])
def test_a_tensor_of_neighbouring_pieces_is_their_range(first):
    scores = torch.randn(3, 5, 2)
    contiguous, places = range(first, first + 3), torch.arange(first, first + 3)
    for ours, theirs in zip(all_pairs(scores, places), all_pairs(scores, contiguous), strict=True):
        assert ours.equal(theirs)
    torch.manual_seed(1)
    drawn = draw_others(places, 2, 5)
    torch.manual_seed(1)
    assert drawn.equal(draw_others(contiguous, 2, 5))
    for ours, theirs in zip(chosen_pairs(scores, drawn, places), chosen_pairs(scores, drawn, contiguous), strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize("own", OWNERS)
def test_the_others_drawn_for_any_pieces_are_distinct_and_never_their_own(own):
    for _ in range(20):
        for piece, row in zip(own, draw_others(torch.tensor(own), 3, 5).tolist(), strict=True):
            assert len({piece, *row}) == 4


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("own", [range(2), torch.tensor([0, 1, 2, 3])])
def test_pieces_of_another_number_of_anchors_are_refused(own):
    with pytest.raises(ValueError, match=f"`own` names the pieces of {len(own)} anchors, and there are 3"):
        all_pairs(torch.zeros(3, 5, 1), own)


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
    others = draw_others(range(n), k, n)
    assert others.shape == (n, k)
    assert others.dtype == torch.int64
    for i, row in enumerate(others.tolist()):
        assert len(set(row)) == k
        assert i not in row
        assert set(row) <= set(range(n))


def test_drawn_others_are_uniform():
    n, k, draws = 5, 2, 4000
    counts = sum(torch.zeros(n, n).scatter_(1, draw_others(range(n), k, n), 1) for _ in range(draws))
    frequency = counts / draws  # standard deviation 0.008
    assert (frequency.diagonal() == 0).all()
    torch.testing.assert_close(frequency, k / (n - 1) * (1 - torch.eye(n)), atol=0.04, rtol=0)


def test_others_are_redrawn_from_the_global_generator():
    torch.manual_seed(3)
    first, second = draw_others(range(50), 5, 50), draw_others(range(50), 5, 50)
    torch.manual_seed(3)
    assert draw_others(range(50), 5, 50).equal(first)
    assert not second.equal(first)


@pytest.mark.parametrize(("n", "k"), [(4, 4), (4, 9), (4, 0), (4, -1)])
def test_more_others_than_there_are_is_an_error(n, k):
    with pytest.raises(
        ValueError, match=rf"each of {n} inputs has {n - 1} others, cannot draw {k}; choose 1 to {n - 1} or"
    ):
        draw_others(range(n), k, n)


@pytest.mark.parametrize(
    "call",
    [
        lambda n: all_pairs(torch.zeros(n, n, 3)),
        lambda n: chosen_pairs(torch.zeros(n, n, 3), torch.zeros(n, 1, dtype=torch.int64)),
        lambda n: draw_others(range(n), 1, n),
    ],
    ids=["all", "chosen", "drawn"],
)
@pytest.mark.parametrize("n", [0, 1])
def test_a_batch_without_others_is_an_error(call, n):
    with pytest.raises(ValueError, match=f"at least 2 inputs, got a batch of {n}; use a larger batch or drop"):
        call(n)
