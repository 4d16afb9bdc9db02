"""Several `PairCritic` trained in step, with their gradient by hand: the hot path of an estimate.

A step of one such network is mostly the overhead of some two hundred small operations. For several networks these are
done once, on tensors that hold all of them; only what runs over pairs is done network by network on a CPU, where it
then stays in the cache. By autograd and one by one, a step takes three times as long.
"""

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from deep_infomax.bounds import info_nce_bound
from deep_infomax.contracts import Scores
from deep_infomax.mutual_information.critics.critics import SomeInputs
from deep_infomax.mutual_information.critics.fitting import LOSSES, Fitting, batches
from deep_infomax.mutual_information.critics.pairing import Pairs
from deep_infomax.mutual_information.critics.scoring import chosen_in_parts, derangements

embedding_dense_backward, threshold_backward = (
    torch.ops.aten.embedding_dense_backward,
    torch.ops.aten.threshold_backward.grad_input,
)
DRAWN: Final = 64
"""Steps whose batches are drawn at a time."""
VALIDATION_PAIRS: Final = 2**15
"""Validation pairs that are looked at, about."""
VALIDATION_OTHERS: Final = (16, 64)
"""Partners of each validation sample, at least and at most."""
OF_X, OF_Y = ({f"first_{side}.weight", f"side_{side}.0.weight"} for side in "xy")
"""Weights of inputs."""


class PairNetworks:
    """Networks with as many layers and units each, and pairs to fit them to, as `fitting.Networks`.

    Where some read fewer inputs than others, zeros stand in for these.

    Args:
        networks: The networks; which hold the weights that were looked at last.
        fitted: What each is fitted to.
        validated: What each is looked at on.
        loss: A name in `LOSSES`.
        fitting: How they are trained.
        generators: What each draws its batches from.
    """

    def __init__(
        self,
        networks: Sequence[SomeInputs],
        fitted: Sequence[Pairs],
        validated: Sequence[Pairs],
        loss: str,
        fitting: Fitting,
        generators: Sequence[torch.Generator],
    ) -> None:
        self.networks, self.validated, self.generators = networks, validated, generators
        self.loss_name, self.loss, self.others = loss, LOSSES[loss], fitting.others
        places = [(network.places_x, network.places_y) for network in networks]
        sizes = [max(len(one[side]) for one in places) for side in (0, 1)]
        inputs = [
            (pairs.x[:, x], pairs.y[:, y], pairs.base_x, pairs.base_y)
            for pairs, (x, y) in zip(fitted, places, strict=True)
        ]
        widths = [*sizes, *[max(pairs.base_x.shape[1] for pairs in fitted)] * 2]
        self.inputs = [
            torch.cat([_widened(part, width) for part in parts])
            for parts, width in zip(zip(*inputs, strict=True), widths, strict=True)
        ]
        ends = torch.tensor([len(pairs) for pairs in fitted]).cumsum(0).tolist()
        self.starts = [end - len(pairs) for end, pairs in zip(ends, fitted, strict=True)]
        size = min(fitting.batch_size, *map(len, fitted))
        self.orders = [batches(len(pairs), size, one) for pairs, one in zip(fitted, generators, strict=True)]
        self.own = torch.arange(size, device=self.inputs[0].device)[:, None]
        self.names = [name for name, _ in networks[0].named_parameters()]
        width_of = dict.fromkeys(OF_X, sizes[0]) | dict.fromkeys(OF_Y, sizes[1])
        packed = [
            [
                _widened(value.detach(), width_of.get(name, value.shape[-1]))
                for name, value in network.named_parameters()
            ]
            for network in networks
        ]
        self.shapes = [part.shape for part in packed[0]]
        self.counts = [part.numel() for part in packed[0]]
        self.weights = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in packed])
        self.partners = [validation_partners(len(pairs), one) for pairs, one in zip(validated, generators, strict=True)]
        self.depth = len(networks[0].hidden)
        self.drawn: list[tuple[Tensor, Tensor]] = []
        self.stacked: tuple[list[int], Tensor, Tensor] | None = None
        self.step = 0

    def gradients(
        self, chosen: Sequence[int], weights: Float[Tensor, "c w"], average: Float[Tensor, " c"]
    ) -> tuple[Float[Tensor, " c"], Float[Tensor, "c w"], Float[Tensor, " c"]]:
        """As `fitting.Networks`."""
        rows, partners = self._draw(chosen)
        x, y, base_x, base_y = (part[rows] for part in self.inputs)
        parts = self._parts(weights)
        scores = torch.bmm(base_x, base_y.mT)
        sides = [_side(parts, side, z) for side, z in (("x", x), ("y", y))] if "side_x.0.weight" in parts else []
        if sides:
            scores.baddbmm_(sides[0][1], sides[1][1].mT)
        scores = scores.gather(2, partners)
        first_x = torch.baddbmm(parts["first_x.bias"][:, None], x, parts["first_x.weight"].mT)
        first_y = torch.bmm(y, parts["first_y.weight"].mT)
        layers = [(parts[f"hidden.{i}.weight"], parts[f"hidden.{i}.bias"]) for i in range(self.depth)]
        last = parts["last.weight"][:, 0]
        chunks = _chunks(len(chosen), x.device)
        hidden = []
        for chunk in chunks:
            own = [(weight[chunk], bias[chunk]) for weight, bias in layers]
            hidden.append(_hidden(first_x[chunk], first_y[chunk], partners[chunk], own))
            scores[chunk].add_(torch.bmm(hidden[-1][-1], last[chunk, :, None]).view(scores[chunk].shape))
        value, of_scores, average = self.loss(scores, average)
        of_parts = [
            _of_hidden(of_scores[chunk], units, partners[chunk], [weight[chunk] for weight, _ in layers], last[chunk])
            for chunk, units in zip(chunks, hidden, strict=True)
        ]
        of_x, of_y, of_last, *of_layers = (torch.cat(same) for same in zip(*of_parts, strict=True))
        of = {"first_x.weight": of_x.mT @ x, "first_x.bias": of_x.sum(1), "first_y.weight": of_y.mT @ y}
        of |= {"last.weight": of_last}
        for i in range(self.depth):
            of[f"hidden.{i}.weight"], of[f"hidden.{i}.bias"] = of_layers[2 * i : 2 * i + 2]
        if sides:
            of_matrix = of_scores.new_zeros(len(chosen), len(self.own), len(self.own))
            of_matrix.scatter_(2, partners, of_scores)
            of |= _of_side(parts, "x", x, sides[0][0], torch.bmm(of_matrix, sides[1][1]))
            of |= _of_side(parts, "y", y, sides[1][0], torch.bmm(of_matrix.mT, sides[0][1]))
        return value, torch.cat([of[name].flatten(1) for name in self.names], dim=1), average

    def validate(self, number: int, weights: Float[Tensor, " w"]) -> float:
        """As `fitting.Networks`."""
        self.load_network(number, weights)
        return validation_figure(self.networks[number], self.validated[number], self.partners[number], self.loss_name)

    def state(self, weights: Float[Tensor, " w"]) -> Float[Tensor, " w"]:
        """As `fitting.Networks`."""
        return weights.clone()

    def load(self, weights: Float[Tensor, " w"], state: Float[Tensor, " w"]) -> None:
        """As `fitting.Networks`."""
        weights.copy_(state)

    @torch.no_grad()
    def load_network(self, number: int, weights: Float[Tensor, " w"]) -> None:
        """Give a network some weights."""
        parts = self._parts(weights[None])
        for name, parameter in self.networks[number].named_parameters():
            parameter.copy_(parts[name][0][..., : parameter.shape[-1]])

    def _parts(self, weights: Float[Tensor, "c w"]) -> dict[str, Tensor]:
        """Views of the parameters of each network, by name."""
        views = weights.split(self.counts, dim=1)
        return {
            name: view.view(len(weights), *shape)
            for name, view, shape in zip(self.names, views, self.shapes, strict=True)
        }

    def _draw(self, chosen: Sequence[int]) -> tuple[Int[Tensor, "c n"], Int[Tensor, "c n p"]]:
        """The rows of a new batch of each network, and the partners of each of them, by their place in the batch."""
        now = self.step % DRAWN
        if now == 0:
            self.drawn = [self._drawn(number) for number in range(len(self.networks))]
            self.stacked = None
        if self.stacked is None or self.stacked[0] != list(chosen):
            rows, shifts = (torch.stack([self.drawn[number][part] for number in chosen], dim=1) for part in (0, 1))
            self.stacked = list(chosen), rows, shifts
        self.step += 1
        _, rows, shifts = self.stacked
        return rows[now], (self.own + shifts[now][:, None]) % len(self.own)

    def _drawn(self, number: int) -> tuple[Int[Tensor, "s n"], Int[Tensor, "s p"]]:
        generator, size = self.generators[number], len(self.own)
        rows = torch.stack(list(islice(self.orders[number], DRAWN))) + self.starts[number]
        order = torch.rand(DRAWN, size - 1, generator=generator, device=generator.device).argsort(dim=1)
        return rows, pad(order[:, : self.others] + 1, (1, 0))


def decisive(loss: str) -> str:
    """The readout that decides on weights: InfoNCE leaves free what depends on x alone, which the other would read."""
    return "infonce" if loss == "infonce" else "dv"


def validation_partners(n: int, generator: torch.Generator) -> Int[Tensor, "n p"]:
    """Partners of each of n validation samples, itself first."""
    return derangements(n, sorted((*VALIDATION_OTHERS, VALIDATION_PAIRS // n))[1], generator)


def validation_figure(network: nn.Module, validated: Pairs, partners: Int[Tensor, "n p"], loss: str) -> float:
    """What a network reads on validation pairs, in nats."""
    scores = chosen_in_parts(network, validated, partners)
    if decisive(loss) == "infonce":
        return info_nce_bound(Scores(scores[:, :1], scores[:, 1:, None])).item()
    return float(scores[:, 0].mean() - scores[:, 1:].flatten().logsumexp(0)) + math.log(scores[:, 1:].numel())


def _chunks(networks: int, device: torch.device) -> list[slice]:
    """Networks whose pairs are scored at once: one on a CPU, for the sake of its cache, and all on a GPU."""
    return [slice(place, place + 1) for place in range(networks)] if device.type == "cpu" else [slice(networks)]


def _widened(part: Float[Tensor, "*n d"], width: int) -> Float[Tensor, "*n w"]:
    return pad(part, (0, width - part.shape[-1]))


def _hidden(
    x: Float[Tensor, "c n h"],
    y: Float[Tensor, "c n h"],
    partners: Int[Tensor, "c n p"],
    layers: Sequence[tuple[Float[Tensor, "c h h"], Float[Tensor, "c h"]]],
) -> list[Float[Tensor, "c m h"]]:
    """The hidden units of all pairs, layer by layer."""
    c, n, h = x.shape
    first = embedding(_flat(partners), y.view(c * n, h)).view(c, n, -1, h).add_(x[:, :, None])
    hidden = [first.relu_().view(c, -1, h)]
    for weight, bias in layers:
        hidden.append(torch.baddbmm(bias[:, None], hidden[-1], weight.mT).relu_())
    return hidden


def _of_hidden(
    of_scores: Float[Tensor, "c n p"],
    hidden: Sequence[Float[Tensor, "c m h"]],
    partners: Int[Tensor, "c n p"],
    weights: Sequence[Float[Tensor, "c h h"]],
    last: Float[Tensor, "c h"],
) -> list[Tensor]:
    """Gradients by the first layers of x and of y, the last weights, and weights and biases of each hidden layer."""
    c, n, _ = partners.shape
    of_layers: list[Tensor] = []
    flat = of_scores.reshape(c, -1, 1)
    of_last = torch.bmm(hidden[-1].mT, flat)[..., 0]
    of = flat * last[:, None]
    threshold_backward(of, hidden[-1], 0, grad_input=of)
    for weight, below in zip(reversed(weights), reversed(hidden[:-1]), strict=True):
        of_layers = [torch.bmm(of.mT, below), of.sum(1), *of_layers]
        of = torch.bmm(of, weight)
        threshold_backward(of, below, 0, grad_input=of)
    of_x = of.view(c, n, -1, of.shape[-1]).sum(2)
    # Summed in an order that is always the same, unlike that of plain indexing.
    of_y = embedding_dense_backward(of.view(-1, of.shape[-1]), _flat(partners), c * n, -1, False).view_as(of_x)
    return [of_x, of_y, of_last, *of_layers]


def _flat(partners: Int[Tensor, "c n p"]) -> Int[Tensor, " m"]:
    """Places of partners in the rows of all networks."""
    c, n, _ = partners.shape
    if c > 1:
        partners = partners + n * torch.arange(c, device=partners.device)[:, None, None]
    return partners.flatten()


def _side(parts: dict[str, Tensor], side: str, z: Float[Tensor, "c n f"]) -> tuple[Tensor, Tensor]:
    """Hidden units and outputs of a separable part."""
    weights = [parts[f"side_{side}.{i}.weight"].mT for i in (0, 2)]
    biases = [parts[f"side_{side}.{i}.bias"][:, None] for i in (0, 2)]
    hidden = torch.baddbmm(biases[0], z, weights[0]).relu_()
    return hidden, torch.baddbmm(biases[1], hidden, weights[1])


def _of_side(parts: dict[str, Tensor], side: str, z: Tensor, hidden: Tensor, of_outputs: Tensor) -> dict[str, Tensor]:
    """Gradients by its parameters."""
    of_hidden = torch.bmm(of_outputs, parts[f"side_{side}.2.weight"])
    threshold_backward(of_hidden, hidden, 0, grad_input=of_hidden)
    return {
        f"side_{side}.0.weight": of_hidden.mT @ z,
        f"side_{side}.0.bias": of_hidden.sum(1),
        f"side_{side}.2.weight": of_outputs.mT @ hidden,
        f"side_{side}.2.bias": of_outputs.sum(1),
    }
