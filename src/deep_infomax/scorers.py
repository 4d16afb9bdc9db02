"""Scorers: real scores T(C^(location), Y) of local maps with global vectors, for own and for unpaired inputs.

*Concat* scorers run a small network on each pair, *encode-and-dot* scorers map both sides to u units and take dot
products, which is far cheaper. *Global* scorers read the whole map (m = 1), *local* ones one location at a time.
Every scorer works in one, two or three spatial dimensions: a location is a row of channels, and a 1x1 convolution is
a linear layer on rows. Each side is encoded once, and its pairs are scored a part of the vectors at a time, where they
are many, or with the maps of other processes.

Source: Hjelm et al., "Learning deep representations by mutual information estimation and maximization", 2019,
arXiv 1808.06670.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from deep_infomax.contracts import Encoded, Own, Scorer, Scores
from deep_infomax.negatives import all_pairs, chosen_pairs, own_pieces, positions, require_others
from deep_infomax.runtime.processes import gathered, world_size


class _PairScorer(nn.Module, Scorer):
    """A scorer of whole batches, given how each side is encoded and how pairs are scored."""

    def forward(
        self,
        local: Float[Tensor, "n c *spatial"],
        vector: Float[Tensor, "a d"],
        others: Int[Tensor, "a k"] | None = None,
        own: Int[Tensor, " a"] | None = None,
    ) -> Scores:
        """Score each vector with its own map and with the maps at `others`; None stands for all others of the batch.

        The batch of `others` is that of all processes. `own` is the map of each vector, of this process's; None says
        that vector i has map i.

        Raises:
            ValueError: a batch of 1, or vectors and maps that are not equally many, without `own`.
        """
        require_others(world_size() * len(local))  # before batch normalisation refuses it in words of its own
        placed = own_pieces(own, len(vector), len(local))
        pieces, anchors = self.encode(local, vector)
        return self.score(gathered(pieces), anchors, others, placed)


class _Concat(_PairScorer):
    """A network units-units-1 on the concatenation of a piece of a map and a vector.

    As W [c; y] = W_c c + W_y y, the first layer runs for each piece and each vector, not for each pair.
    """

    def __init__(self, piece_size: int, vector_size: int, units: int) -> None:
        super().__init__()
        self.sizes = (piece_size, vector_size)
        self.first = nn.Linear(piece_size + vector_size, units)
        relu = nn.ReLU(inplace=True)
        self.rest = nn.Sequential(relu, nn.Linear(units, units), relu, nn.Linear(units, 1))

    def encode(self, local: Float[Tensor, "n c *spatial"], vector: Float[Tensor, "a d"]) -> Encoded:
        """What each side adds to the first layer."""
        of_piece, of_vector = self.first.weight.split(self.sizes, dim=1)
        pieces = nn.functional.linear(self.pieces(local), of_piece, self.first.bias)
        return Encoded(pieces, nn.functional.linear(vector, of_vector))

    @abstractmethod
    def pieces(self, local: Float[Tensor, "n c *spatial"]) -> Float[Tensor, "n m size"]:
        """The pieces that maps are read in."""

    def score(
        self,
        pieces: Float[Tensor, "p m u"],
        anchors: Float[Tensor, "a u"],
        others: Int[Tensor, "a k"] | None = None,
        own: Own | None = None,
    ) -> Scores:
        """The network on every pair."""
        by_anchor = anchors[:, None, None]
        if others is None:
            return all_pairs(self.rest(pieces + by_anchor).squeeze(-1), own)
        first = positions(range(len(anchors)) if own is None else own, others.device)[:, None]
        scores = self.rest(pieces[torch.cat([first, others], dim=1)] + by_anchor).squeeze(-1)
        return Scores(scores[:, 0], scores[:, 1:])

    def values_per_anchor(self, p: int, m: int, k: int) -> int:
        """The units of a layer, for each pair."""
        return (k + 1) * m * self.first.out_features


class GlobalConcat(_Concat):
    """Global scorer: the flattened map and the vector, concatenated, through a network units-units-1 with ReLU.

    `local_size` is the number of values of a map (channels times locations).

    >>> scores = GlobalConcat(local_size=3 * 4 * 4, vector_size=5)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 1]), torch.Size([8, 7, 1]))
    """

    def __init__(self, local_size: int, vector_size: int, units: int = 512) -> None:
        super().__init__(local_size, vector_size, units)

    def pieces(self, local: Float[Tensor, "n c *spatial"]) -> Float[Tensor, "n 1 size"]:
        """The whole map."""
        return local.flatten(1)[:, None]


class ConcatAndConvolve(_Concat):
    """Local scorer: the vector, repeated at every location, and the map through 1x1 convolutions units-units-1, ReLU.

    The network runs on every pair: its time is O(n k m units^2), so give `others` for large batches.

    >>> scores = ConcatAndConvolve(local_channels=3, vector_size=5)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 16]), torch.Size([8, 7, 16]))
    """

    def __init__(self, local_channels: int, vector_size: int, units: int = 512) -> None:
        super().__init__(local_channels, vector_size, units)

    def pieces(self, local: Float[Tensor, "n c *spatial"]) -> Float[Tensor, "n m c"]:
        """The locations."""
        return _locations(local)


class _Dot(_PairScorer):
    """Dot products of both sides, as one matrix product."""

    def score(
        self,
        pieces: Float[Tensor, "p m u"],
        anchors: Float[Tensor, "a u"],
        others: Int[Tensor, "a k"] | None = None,
        own: Own | None = None,
    ) -> Scores:
        """The product, of which the chosen others are taken out."""
        pairs = self.product(anchors, pieces.flatten(0, 1)).view(len(anchors), *pieces.shape[:2])
        return all_pairs(pairs, own) if others is None else chosen_pairs(pairs, others, own)

    def product(self, anchors: Float[Tensor, "a u"], rows: Float[Tensor, "q u"]) -> Float[Tensor, "a q"]:
        """The dot products of all anchors with all rows."""
        return anchors @ rows.T

    def values_per_anchor(self, p: int, m: int, k: int) -> int:
        """The scores with all pieces, whatever is chosen of them."""
        return p * m


class _UnscaledDot(_Dot):
    """Dot products that are not scaled: they reach some hundreds, where bfloat16 has steps of 1 or 2 nats."""

    def product(self, anchors: Float[Tensor, "a u"], rows: Float[Tensor, "q u"]) -> Float[Tensor, "a q"]:
        """The dot products of all anchors with all rows, in float32 at least."""
        products: Tensor = _WideProduct.apply(anchors, rows)
        return products


class EncodeAndDot(_UnscaledDot):
    """Local scorer: the dot product, at every location, of the map and the vector each encoded to u units.

    Both sides are a `ResidualProjection`, as in the authors' code; 2048 units are the paper's. The scores are not
    scaled. Without `normalised_vector` the vector's side has no layer norm, as in their code of January 2019.

    >>> scores = EncodeAndDot(local_channels=3, vector_size=5, units=32)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 16]), torch.Size([8, 7, 16]))
    """

    def __init__(
        self, local_channels: int, vector_size: int, units: int = 2048, normalised_vector: bool = True
    ) -> None:
        super().__init__()
        self.encode_local = ResidualProjection(local_channels, units)
        self.encode_vector = ResidualProjection(vector_size, units, normalised_vector)

    def encode(self, local: Float[Tensor, "n c *spatial"], vector: Float[Tensor, "a d"]) -> Encoded:
        """Both projections."""
        encoded = _as_multiplied(self.encode_local(_locations(local).flatten(0, 1)))
        return Encoded(encoded.unflatten(0, (len(local), -1)), self.encode_vector(vector))


class FoldedEncodeAndDot(_Dot):
    r"""Local scorer: encode-and-dot with the map's output layer folded into the vector's side.

    .. math::
        T(c, y) = \left< \mathrm{LN}(h(c)), g(y) \right> / \sqrt{u}, \qquad h(c) = \mathrm{ReLU}(\mathrm{BN}(W c))

    As <V h, g> = <h, V' g>, an output layer of the map's side is not needed where no normalisation stands between it
    and the product: a location costs u (c + n) multiply-adds instead of u (c + u + n). The layer norm LN, without
    weights, stands before it and takes out the mean that all hidden layers share. Scores are unbounded; see the limit
    and the penalty of `objectives.MutualInformation`.

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

    def encode(self, local: Float[Tensor, "n c *spatial"], vector: Float[Tensor, "a d"]) -> Encoded:
        """Both sides, the vector's divided by the largest length of a location."""
        encoded = _as_multiplied(self.encode_local(_locations(local).flatten(0, 1)))
        anchors = self.encode_vector(vector) / math.sqrt(encoded.shape[1])
        return Encoded(encoded.unflatten(0, (len(local), -1)), anchors)


class GlobalEncodeAndDot(_UnscaledDot):
    """Global scorer: the dot product of the whole map and the vector, each encoded to u units.

    `encode_local` maps maps (n, c, *spatial) to (n, units): in the authors' code a copy of the encoder's layers after
    the map, ending in u units. The vector's side is a `ResidualProjection`.

    >>> encode_local = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 32))
    >>> scores = GlobalEncodeAndDot(encode_local, vector_size=5, units=32)(torch.randn(8, 3, 4, 4), torch.randn(8, 5))
    >>> scores.joint.shape, scores.marginal.shape
    (torch.Size([8, 1]), torch.Size([8, 7, 1]))
    """

    def __init__(self, encode_local: nn.Module, vector_size: int, units: int = 2048) -> None:
        super().__init__()
        self.encode_local = encode_local
        self.encode_vector = ResidualProjection(vector_size, units)

    def encode(self, local: Float[Tensor, "n c *spatial"], vector: Float[Tensor, "a d"]) -> Encoded:
        """Both sides."""
        return Encoded(self.encode_local(local)[:, None], self.encode_vector(vector))


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


def _locations(local: Float[Tensor, "n c *spatial"]) -> Float[Tensor, "n m c"]:
    """The map's locations as rows of channels; no copy where the map is stored channels last."""
    return local.flatten(2).transpose(1, 2)


class _WideProduct(torch.autograd.Function):
    """The dot products of all anchors with all rows in float32 at least; the gradients' products in the rows' type."""

    @staticmethod
    def forward(ctx: Any, anchors: Float[Tensor, "a u"], rows: Float[Tensor, "q u"]) -> Float[Tensor, "a q"]:
        ctx.save_for_backward(anchors, rows)
        wide = torch.promote_types(anchors.dtype, torch.float32)
        with torch.autocast(anchors.device.type, enabled=False):
            return anchors.to(wide) @ rows.to(wide).T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Float[Tensor, "a q"]) -> tuple[Tensor, Tensor]:
        anchors, rows = ctx.saved_tensors
        own = gradient.to(rows.dtype)
        return (own @ rows).to(anchors.dtype), own.T @ anchors.to(rows.dtype)


def _as_multiplied(encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """In the precision that products have under autocast, converted once for all of them."""
    kind = encoded.device.type
    if encoded.dtype == torch.float32 and torch.is_autocast_enabled(kind):
        return encoded.to(torch.get_autocast_dtype(kind))
    return encoded


@runtime_checkable
class Sized(Protocol):
    """What of an encoder a scorer is built for."""

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Channels and spatial sizes of the local map."""
        ...

    @property
    def vector_size(self) -> int:
        """Units of ``Y``."""
        ...

    def remaining_layers(self, units: int) -> nn.Module:
        """New layers like the encoder's own behind its local map, ending in some units."""
        ...


class NamedScorer(NamedTuple):
    """A scorer that a recipe can name."""

    title: str
    meaning: str
    build: Callable[[Sized, int], Scorer]
    """From an encoder and a number of units."""


LOCAL_SCORERS: Final[dict[str, NamedScorer]] = {
    "folded": NamedScorer(
        "encode-and-dot, folded",
        "Dot products of encoded locations and vectors, without an output layer for locations.",
        lambda encoder, units: FoldedEncodeAndDot(encoder.local_shape[0], encoder.vector_size, units),
    ),
    "encode-and-dot": NamedScorer(
        "encode-and-dot",
        "Dot products of encoded locations and vectors, as in the authors' code.",
        lambda encoder, units: EncodeAndDot(encoder.local_shape[0], encoder.vector_size, units),
    ),
    "encode-and-dot-bare-vector": NamedScorer(
        "encode-and-dot, vectors without layer norm",
        "Encode-and-dot whose vectors have no layer norm, as in the authors' code of January 2019.",
        lambda encoder, units: EncodeAndDot(encoder.local_shape[0], encoder.vector_size, units, False),
    ),
    "concat-and-convolve": NamedScorer(
        "concat-and-convolve",
        "A network on each location concatenated with the vector, which is slow for many pairs.",
        lambda encoder, units: ConcatAndConvolve(encoder.local_shape[0], encoder.vector_size, units),
    ),
}
"""How a location and a vector are scored, by the names that recipes use."""

GLOBAL_SCORERS: Final[dict[str, NamedScorer]] = {
    "encode-and-dot": NamedScorer(
        "encode-and-dot",
        "Dot products of encoded maps and vectors; maps are encoded by layers like the encoder's own.",
        lambda encoder, units: GlobalEncodeAndDot(encoder.remaining_layers(units), encoder.vector_size, units),
    ),
    "concat": NamedScorer(
        "concat",
        "A network on the whole map concatenated with the vector.",
        lambda encoder, units: GlobalConcat(math.prod(encoder.local_shape), encoder.vector_size, units),
    ),
}
"""How a whole map and a vector are scored, by the names that recipes use."""
