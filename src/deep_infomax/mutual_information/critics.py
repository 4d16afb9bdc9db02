"""Critics: networks that score pairs (x, y), the higher the likelier the two belong together."""

from typing import Any, Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding

embedding_dense_backward, threshold_backward = (
    torch.ops.aten.embedding_dense_backward,
    torch.ops.aten.threshold_backward.grad_input,
)

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
            [torch.cat([self._block(row, column) for column in columns], 1) for row in self.first_x(x).split(block)]
        )
        if self.side_x is None or self.side_y is None:
            return scores
        separable: Tensor = self.side_x(x) @ self.side_y(y).T
        return scores + separable

    def _block(self, x: Float[Tensor, "n h"], y: Float[Tensor, "p h"]) -> Float[Tensor, "n p"]:
        hidden = (x[:, None] + y).relu_().flatten(0, 1)
        for layer in self.hidden:
            hidden = layer(hidden).relu_()
        scores: Tensor = self.last(hidden).view(len(x), len(y))
        return scores

    def chosen(
        self, x: Float[Tensor, "n dx"], y: Float[Tensor, "p dy"], partners: Int[Tensor, "n k"]
    ) -> Float[Tensor, "n k"]:
        """Scores of each x with k of the y."""
        layers = [parameter for layer in self.hidden for parameter in (layer.weight, layer.bias)]
        scores: Tensor = _ChosenScores.apply(  # type: ignore[no-untyped-call]
            x, y, partners, self.first_x.weight, self.first_x.bias, self.first_y.weight, self.last.weight[0], *layers
        )
        if self.side_x is None or self.side_y is None:
            return scores
        separable: Tensor = self.side_x(x) @ self.side_y(y).T
        return scores + separable.gather(1, partners)


class _ChosenScores(torch.autograd.Function):
    """The concatenated part of a `PairCritic`, with its gradient by hand, for some of the pairs.

    It is where a training on a CPU spends its time: by autograd a step takes more than twice as long.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, partners: Int[Tensor, "n k"], first_x: Float[Tensor, "h dx"],
        bias: Float[Tensor, " h"], first_y: Float[Tensor, "h dy"], last: Float[Tensor, " h"], *layers: Tensor,
    ) -> Float[Tensor, "n k"]:  # fmt: skip
        of_y = embedding(partners, y @ first_y.T)
        hidden = [of_y.add_(torch.addmm(bias, x, first_x.T)[:, None]).relu_().flatten(0, 1)]
        for weight, shift in zip(layers[::2], layers[1::2], strict=True):
            hidden.append(torch.addmm(shift, hidden[-1], weight.T).relu_())
        ctx.save_for_backward(x, y, partners, last, *layers[::2], *hidden)
        return (hidden[-1] @ last).view(partners.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_scores: Float[Tensor, "n k"]) -> tuple[Tensor | None, ...]:
        """Gradients of the parameters; x and y get none."""
        x, y, partners, last, *saved = ctx.saved_tensors
        weights, hidden = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        flat, of_layers = of_scores.flatten(), []
        of_hidden = torch.outer(flat, last)
        threshold_backward(of_hidden, hidden[-1], 0, grad_input=of_hidden)
        for weight, below in zip(reversed(weights), reversed(hidden[:-1]), strict=True):
            of_layers += [of_hidden.sum(0), of_hidden.T @ below]
            of_hidden = of_hidden @ weight
            threshold_backward(of_hidden, below, 0, grad_input=of_hidden)
        of_hidden = of_hidden.view(*partners.shape, -1)
        of_x = of_hidden.sum(1)
        # The gradient of plain indexing would be summed in an order that differs from run to run.
        of_y = embedding_dense_backward(of_hidden, partners, len(y), -1, False)
        return (
            *(None, None, None, of_x.T @ x, of_x.sum(0), of_y.T @ y, hidden[-1].T @ flat),
            *reversed(of_layers),
        )


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
