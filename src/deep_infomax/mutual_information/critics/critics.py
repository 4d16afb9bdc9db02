"""Critics: networks that score pairs (x, y), the higher the likelier the two belong together."""

from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding

CACHED: Final = 64
"""Rows of x and of y, of whose pairs the hidden units stay in a processor's cache."""
MANY: Final = 2048
"""Likewise, for whose pairs a GPU has memory."""


@runtime_checkable
class Critic(Protocol):
    """A module that scores every x with every y; a user's own for structured inputs needs no more than this."""

    def __call__(self, x: Float[Tensor, "n *dx"], y: Float[Tensor, "p *dy"]) -> Float[Tensor, "n p"]:
        """Scores, x along the rows."""
        ...


class PairCritic(nn.Module):
    r"""A network of the concatenated pair, beside a separable one in many dimensions; its output starts at zero.

    .. math:: T(x, y) = w^T \, \mathrm{MLP}(A x + B y) + \langle f(x), g(y) \rangle, \qquad w = g = 0 \text{ at first}

    The first layer is a sum of one part of x and one of y, so it is computed once per x and once per y, and not once
    per pair. Added to a baseline such as a normal log-ratio, training starts at the baseline itself.

    Args:
        size_x: Coordinates of x.
        size_y: Coordinates of y.
        hidden: Units of each hidden layer.
        depth: Hidden layers.
        separable: Units of f and g; 0 leaves that part out.

    >>> critic = PairCritic(2, 3)
    >>> critic(torch.randn(4, 2), torch.randn(5, 3)).shape
    torch.Size([4, 5])
    """

    def __init__(self, size_x: int, size_y: int, hidden: int = 64, depth: int = 2, separable: int = 0) -> None:
        super().__init__()
        self.first_x, self.first_y = nn.Linear(size_x, hidden), nn.Linear(size_y, hidden, bias=False)
        self.hidden = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(depth - 1))
        self.last = nn.Linear(hidden, 1, bias=False)  # a constant changes no estimate
        nn.init.zeros_(self.last.weight)
        self.side_x, self.side_y = (
            nn.Sequential(nn.Linear(size, 2 * hidden), nn.ReLU(), nn.Linear(2 * hidden, separable))
            if separable
            else None
            for size in (size_x, size_y)
        )
        if self.side_y is not None:
            for parameter in self.side_y[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "n dx"], y: Float[Tensor, "p dy"]) -> Float[Tensor, "n p"]:
        """Scores of every x with every y."""
        block = CACHED if x.device.type == "cpu" else MANY
        columns = self.first_y(y).split(block)
        scores = torch.cat(
            [
                torch.cat([self._scores(row[:, None] + column) for column in columns], 1)
                for row in self.first_x(x).split(block)
            ]
        )
        if self.side_x is None or self.side_y is None:
            return scores
        separable: Tensor = self.side_x(x) @ self.side_y(y).T
        return scores + separable

    def chosen(
        self, x: Float[Tensor, "n dx"], y: Float[Tensor, "p dy"], partners: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k"]:
        """Scores of each x with k of the y."""
        # Rows taken by `embedding`: the gradient of plain indexing is summed in an order that differs from run to run.
        scores = self._scores(self.first_x(x)[:, None] + embedding(partners, self.first_y(y)))
        if self.side_x is None or self.side_y is None:
            return scores
        separable: Tensor = self.side_x(x) @ self.side_y(y).T
        return scores + separable.gather(1, partners)

    def _scores(self, first: Float[Tensor, "n p h"]) -> Float[Tensor, "n p"]:
        hidden = first.relu_().flatten(0, 1)  # a layer of a matrix gives no view, so it is changed in place for nothing
        for layer in self.hidden:
            hidden = layer(hidden).relu_()
        scores: Tensor = self.last(hidden).view(first.shape[:2])
        return scores


class SomeInputs(PairCritic):
    """A `PairCritic` of some inputs of x and of y, by their places.

    >>> critic = SomeInputs(torch.tensor([0, 2]), torch.tensor([1]))
    >>> critic(torch.randn(4, 3), torch.randn(5, 2)).shape
    torch.Size([4, 5])
    """

    places_x: Tensor
    places_y: Tensor

    def __init__(
        self, places_x: Int[Tensor, " fx"], places_y: Int[Tensor, " fy"], hidden: int = 64, depth: int = 2,
        separable: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(len(places_x), len(places_y), hidden, depth, separable)
        self.register_buffer("places_x", places_x)
        self.register_buffer("places_y", places_y)

    def forward(self, x: Float[Tensor, "n dx"], y: Float[Tensor, "p dy"]) -> Float[Tensor, "n p"]:
        """Scores of every x with every y."""
        return super().forward(x[:, self.places_x], y[:, self.places_y])

    def chosen(
        self, x: Float[Tensor, "n dx"], y: Float[Tensor, "p dy"], partners: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k"]:
        """Scores of each x with k of the y."""
        return super().chosen(x[:, self.places_x], y[:, self.places_y], partners)


class ZeroCritic(nn.Module):
    """Adds nothing to a baseline: what a new `PairCritic` scores, without its time."""

    def forward(self, x: Float[Tensor, "n *dx"], y: Float[Tensor, "p *dy"]) -> Float[Tensor, "n p"]:
        """Zeros for every x with every y."""
        return x.new_zeros(len(x), len(y))

    def chosen(
        self, x: Float[Tensor, "n *dx"], y: Float[Tensor, "p *dy"], partners: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k"]:
        """Zeros for each x with k of the y."""
        return x.new_zeros(partners.shape)


class AllPairs(nn.Module):
    """A user's critic, which scores every x with every y, asked for some of the pairs."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Float[Tensor, "n *dx"], y: Float[Tensor, "p *dy"]) -> Float[Tensor, "n p"]:
        """Scores of every x with every y."""
        scores: Tensor = self.critic(x, y)
        if scores.shape != (len(x), len(y)):
            raise ValueError(
                f"the critic gave scores of shape {tuple(scores.shape)} for {len(x)} x and {len(y)} y; "
                f"it must score every x with every y: {(len(x), len(y))}"
            )
        return scores

    def chosen(
        self, x: Float[Tensor, "n *dx"], y: Float[Tensor, "p *dy"], partners: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k"]:
        """Scores of each x with k of the y."""
        scores: Tensor = self(x, y)
        return scores.gather(1, partners)
