"""Scorers: real scores T(C^(location), Y) of local maps with global vectors, for own and for unpaired inputs.

*Concat* scorers run a small network on each pair, *encode-and-dot* scorers map both sides to u units and take dot
products, which is far cheaper. *Global* scorers read the whole map (m = 1), *local* ones one location at a time.
Every scorer works in one, two or three spatial dimensions: a location is a row of channels, and a 1x1 convolution is
a linear layer on rows. Of several processes each scores its own vectors with the maps of all, whose encoded locations
it is sent.

Source: Hjelm et al., "Learning deep representations by mutual information estimation and maximization", 2019,
arXiv 1808.06670.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deep_infomax.contracts import Scores
from deep_infomax.negatives import all_pairs, chosen_pairs, require_others
from deep_infomax.processes import gathered, world_size


class GlobalConcat(nn.Module):
    """Global scorer: the flattened map and the vector, concatenated, through a network units-units-1 with ReLU.

    `local_size` is the number of values of a map (channels times locations). Raises ValueError for a batch of 1.

    >>> scores = GlobalConcat(local_size=3 * 4 * 4, vector_size=5)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 1]), torch.Size([8, 7, 1]))
    """

    def __init__(self, local_size: int, vector_size: int, units: int = 512) -> None:
        super().__init__()
        self.network = _ConcatNetwork(local_size, vector_size, units)

    def forward(
        self,
        local: Float[Tensor, "n c *spatial"],
        vector: Float[Tensor, "n d"],
        others: Int[Tensor, "n k"] | None = None,
    ) -> Scores:
        """Score each vector with its own map and with the maps at `others`; None stands for all others of the batch."""
        return self.network.scores(local.flatten(1)[:, None], vector, others)


class ConcatAndConvolve(nn.Module):
    """Local scorer: the vector, repeated at every location, and the map through 1x1 convolutions units-units-1, ReLU.

    The network runs on every pair: its memory is O(n k m units), so give `others` for large batches.
    Raises ValueError for a batch of 1.

    >>> scores = ConcatAndConvolve(local_channels=3, vector_size=5)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 16]), torch.Size([8, 7, 16]))
    """

    def __init__(self, local_channels: int, vector_size: int, units: int = 512) -> None:
        super().__init__()
        self.network = _ConcatNetwork(local_channels, vector_size, units)

    def forward(
        self,
        local: Float[Tensor, "n c *spatial"],
        vector: Float[Tensor, "n d"],
        others: Int[Tensor, "n k"] | None = None,
    ) -> Scores:
        """Score each vector with its own map and with the maps at `others`; None stands for all others of the batch."""
        return self.network.scores(_locations(local), vector, others)


class EncodeAndDot(nn.Module):
    """Local scorer: the dot product, at every location, of the map and the vector each encoded to u units.

    Both sides are a `ResidualProjection`, as in the authors' code; 2048 units are the paper's. The scores are not
    scaled. Raises ValueError for a batch of 1.

    >>> scores = EncodeAndDot(local_channels=3, vector_size=5, units=32)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 16]), torch.Size([8, 7, 16]))
    """

    def __init__(self, local_channels: int, vector_size: int, units: int = 2048) -> None:
        super().__init__()
        self.encode_local = ResidualProjection(local_channels, units)
        self.encode_vector = ResidualProjection(vector_size, units)

    def forward(
        self,
        local: Float[Tensor, "n c *spatial"],
        vector: Float[Tensor, "n d"],
        others: Int[Tensor, "n k"] | None = None,
    ) -> Scores:
        """Score each vector with its own map and with the maps at `others`; None stands for all others of the batch."""
        require_others(world_size() * len(vector))
        encoded = self.encode_local(_locations(local).flatten(0, 1))
        return dot_scores(encoded.unflatten(0, (len(local), -1)), self.encode_vector(vector), others)


class FoldedEncodeAndDot(nn.Module):
    r"""Local scorer: encode-and-dot with the map's output layer folded into the vector's side.

    .. math::
        T(c, y) = \left< \mathrm{LN}(h(c)), g(y) \right> / \sqrt{u}, \qquad h(c) = \mathrm{ReLU}(\mathrm{BN}(W c))

    As <V h, g> = <h, V' g>, an output layer of the map's side is not needed where no normalisation stands between it
    and the product: a location costs u (c + n) multiply-adds instead of u (c + u + n). The layer norm LN, without
    weights, stands before it and takes out the mean that all hidden layers share. Scores are unbounded; see the limit
    and the penalty of `objectives.MutualInformation`. Raises ValueError for a batch of 1.

    >>> scorer = FoldedEncodeAndDot(local_channels=3, vector_size=5, units=32)
    >>> scores = scorer(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 16]), torch.Size([8, 7, 16]))
    """

    def __init__(self, local_channels: int, vector_size: int, units: int = 512) -> None:
        super().__init__()
        self.encode_local = nn.Sequential(
            nn.Linear(local_channels, units, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(inplace=True),
            nn.LayerNorm(units, elementwise_affine=False),
        )
        self.encode_vector = ResidualProjection(vector_size, units, normalised=False)

    def forward(
        self,
        local: Float[Tensor, "n c *spatial"],
        vector: Float[Tensor, "n d"],
        others: Int[Tensor, "n k"] | None = None,
    ) -> Scores:
        """Score each vector with its own map and with the maps at `others`; None stands for all others of the batch."""
        require_others(world_size() * len(vector))
        encoded = self.encode_local(_locations(local).flatten(0, 1))  # rows of length sqrt(u) at most
        vectors = self.encode_vector(vector) / math.sqrt(encoded.shape[1])
        return dot_scores(encoded.unflatten(0, (len(local), -1)), vectors, others)


class GlobalEncodeAndDot(nn.Module):
    """Global scorer: the dot product of the whole map and the vector, each encoded to u units.

    `encode_local` maps maps (n, c, *spatial) to (n, units): in the authors' code a copy of the encoder's layers after
    the map, ending in u units. The vector's side is a `ResidualProjection`. Raises ValueError for a batch of 1.

    >>> encode_local = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 32))
    >>> scores = GlobalEncodeAndDot(encode_local, vector_size=5, units=32)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 1]), torch.Size([8, 7, 1]))
    """

    def __init__(self, encode_local: nn.Module, vector_size: int, units: int = 2048) -> None:
        super().__init__()
        self.encode_local = encode_local
        self.encode_vector = ResidualProjection(vector_size, units)

    def forward(
        self,
        local: Float[Tensor, "n c *spatial"],
        vector: Float[Tensor, "n d"],
        others: Int[Tensor, "n k"] | None = None,
    ) -> Scores:
        """Score each vector with its own map and with the maps at `others`; None stands for all others of the batch."""
        require_others(world_size() * len(vector))
        return dot_scores(self.encode_local(local)[:, None], self.encode_vector(vector), others)


class ResidualProjection(nn.Module):
    """The authors' block of encode-and-dot, on rows: LayerNorm(linear(ReLU(BN(linear x))) + shortcut x).

    Without `normalised` the layer norm is left out.

    The linear shortcut starts as a noisy copy of its input: U(-0.01, 0.01), with ones on the diagonal.
    """

    def __init__(self, size: int, units: int, normalised: bool = True) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Linear(size, units, bias=False), nn.BatchNorm1d(units), nn.ReLU(inplace=True), nn.Linear(units, units)
        )
        self.shortcut = nn.Linear(size, units, bias=False)  # the residual ends in a bias, one is enough
        self.norm = nn.LayerNorm(units) if normalised else nn.Identity()
        nn.init.uniform_(self.shortcut.weight, -0.01, 0.01)
        with torch.no_grad():
            self.shortcut.weight.fill_diagonal_(1.0)

    def forward(self, rows: Float[Tensor, "rows size"]) -> Float[Tensor, "rows u"]:
        """Map rows to u units of zero mean and unit variance (before the learnt scale)."""
        projected: Tensor = self.norm(self.residual(rows) + self.shortcut(rows))
        return projected


def dot_scores(
    local: Float[Tensor, "n m u"], vector: Float[Tensor, "n u"], others: Int[Tensor, "n k"] | None = None
) -> Scores:
    """Dot products of encoded vectors with the encoded locations of own and other maps, as one matrix product.

    None stands for all others of the batch, those of other processes included. Raises ValueError for a batch of 1.
    """
    every = gathered(local)
    pairs = (vector @ every.flatten(0, 1).T).view(len(vector), *every.shape[:2])
    return all_pairs(pairs) if others is None else chosen_pairs(pairs, others)


class _ConcatNetwork(nn.Module):
    """A network units-units-1 on the concatenation of a piece of a map and a vector."""

    def __init__(self, piece_size: int, vector_size: int, units: int) -> None:
        super().__init__()
        self.sizes = (piece_size, vector_size)
        self.first = nn.Linear(piece_size + vector_size, units)
        relu = nn.ReLU(inplace=True)
        self.rest = nn.Sequential(relu, nn.Linear(units, units), relu, nn.Linear(units, 1))

    def scores(
        self, pieces: Float[Tensor, "n m size"], vector: Float[Tensor, "n d"], others: Int[Tensor, "n k"] | None
    ) -> Scores:
        """Scores of pairs; as W [c; y] = W_c c + W_y y, the first layer runs per piece and per vector, not per pair."""
        require_others(world_size() * (n := len(vector)))
        piece_weight, vector_weight = self.first.weight.split(self.sizes, dim=1)
        from_pieces = gathered(nn.functional.linear(pieces, piece_weight, self.first.bias))
        from_vectors = nn.functional.linear(vector, vector_weight)[:, None, None]
        if others is None:
            return all_pairs(self.rest(from_pieces + from_vectors).squeeze(-1))
        columns = torch.cat([torch.arange(n, device=others.device)[:, None], others], dim=1)
        scores = self.rest(from_pieces[columns] + from_vectors).squeeze(-1)
        return Scores(scores[:, 0], scores[:, 1:])


def _locations(local: Float[Tensor, "n c *spatial"]) -> Float[Tensor, "n m c"]:
    """The map's locations as rows of channels; no copy where the map is stored channels last."""
    return local.flatten(2).transpose(1, 2)
