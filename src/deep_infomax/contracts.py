"""What the parts of the project hand to each other, and the legend of the shapes.

========  =====================================================================================
letter    meaning
========  =====================================================================================
n         inputs of a batch
a         anchors: the global vectors that are scored; often one of each input, and then a = n
p         pieces: the local maps that anchors are scored with; those of the inputs of all processes
k         other pieces an anchor is scored against
m         locations of a local feature map (the product of its spatial sizes; 1 for a global score)
c         channels of a local feature map
d         units of the global vector
u         units a scorer maps both sides to
spatial   spatial sizes of an input or a map: one (series), two (images) or three (volumes)
========  =====================================================================================

Paper letters: the local map is ``C``, the global vector ``Y``, the scorer (discriminator, critic) ``T``.
All information is in nats.

The argument ``own``, of type `Own`, says which piece is an anchor's own. Anchor i and piece ``own[i]`` are a joint
pair, and the unpaired scores of anchor i are with other pieces. Several anchors may own the same piece, which is a
negative of none of them. Other anchors are never negatives: a negative keeps the
anchor's vector and takes another piece.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

Own = range | Int[Tensor, " a"]
"""The place of each anchor's own piece among all pieces.

A ``range`` says that the anchors own neighbouring pieces, as in a plain batch, in a part of it or in one process. Their
scores are a diagonal, which views take out with one copy. A tensor of places is read by index, and any number of
anchors may own a piece. The type alone chooses between the two, so that no value on the device is waited for.
"""


class Batch(NamedTuple):
    """What data hand over: raw values, as stored; the encoder normalises them with statistics of its own."""

    inputs: Num[Tensor, "n channels *spatial"]
    index: Int[Tensor, " n"]
    """Position of each input in its data set."""
    labels: Int[Tensor, " n"] | None = None
    """Class of each input; only supervised objectives and probes read it."""


class Features(NamedTuple):
    """What an encoder hands over."""

    local: Float[Tensor, "n c *spatial"]
    """The local feature map ``C``."""
    vector: Float[Tensor, "n d"]
    """The global vector ``Y``."""
    hidden: dict[str, Float[Tensor, "n _"]]
    """Layers that probes read beside ``Y``, flattened, by name (``conv``, ``fc``)."""
    missing: Bool[Tensor, "n *spatial"] | None = None
    """Locations of the map that stand for missing values; None where no values of the data are missing."""

    def layer(self, name: str) -> Float[Tensor, "n _"]:
        """The layer of a name: the global vector for ``Y``, else one of ``hidden``.

        >>> import torch
        >>> features = Features(torch.zeros(2, 3, 4), torch.ones(2, 5), {"fc": torch.zeros(2, 6)})
        >>> features.layer("Y").shape, features.layer("fc").shape
        (torch.Size([2, 5]), torch.Size([2, 6]))

        Raises:
            ValueError: there is no such layer; the error names those there are.
        """
        layers = {**self.hidden, "Y": self.vector}
        if name not in layers:
            raise ValueError(f"unknown layer {name!r}; the features have {', '.join(layers)}")
        return layers[name]


class Scores(NamedTuple):
    """What a scorer hands over: real scores ``T(C^(location), Y)`` of pairs."""

    joint: Float[Tensor, "a m"]
    """Each anchor with the locations of its own piece."""
    marginal: Float[Tensor, "a k m"]
    """Each anchor with the locations of k other pieces; never its own, so that no bound masks anything."""


class Weights(NamedTuple):
    """How many pairs each score stands for: 0 where a value is missing and the pair is left out, else 1."""

    joint: Float[Tensor, "a m"]
    marginal: Float[Tensor, "a k m"]
    joint_total: Float[Tensor, ""]
    """Paired scores of the whole step, of which those at hand may be a part; at least 1."""
    marginal_total: Float[Tensor, ""]
    """Unpaired scores of the whole step."""


class Losses(NamedTuple):
    """What an objective hands to the training loop."""

    encoder: Float[Tensor, ""]
    """Minimised by the encoder, the scorers and other heads; its gradient never reaches an adversary."""
    adversary: Float[Tensor, ""] | None
    """Minimised by the adversary alone; its gradient reaches nothing else."""
    terms: dict[str, Float[Tensor, ""]]
    """Detached values for the log. ``<name>_bound`` is an estimate in nats of the pairs of this batch, in a training
    those that are trained on; ``<name>_ceiling`` is its largest value."""


class Pictures(NamedTuple):
    """What a method that decodes shows of itself; values as the encoder normalises them."""

    inputs: Float[Tensor, "n channels *spatial"]
    reconstructions: Float[Tensor, "n channels *spatial"]
    """Of the inputs."""
    samples: Float[Tensor, "n channels *spatial"]
    """Decoded from vectors drawn from the prior."""


class Bound(NamedTuple):
    """A variational objective: what is minimised, and the figure in nats that is reported."""

    name: str
    evaluate: Callable[[Scores], tuple[Float[Tensor, ""], Float[Tensor, ""]]]
    """The loss and the report at once, so that what they share is computed once."""
    ceiling: Callable[[int], float]
    """The largest value of the report with k others; infinity where there is none."""
    pooled: Callable[[Scores], Scores] | None = None
    """Of a bound that is no mean over anchors: equivalent scores, one unpaired score for each anchor and location, so
    that those of several processes can be put together."""
    title: str = ""
    """What the field calls it."""
    meaning: str = ""
    """What its figure says, in one sentence."""
    weighted: Callable[[Scores, Weights], tuple[Float[Tensor, ""], Float[Tensor, ""]]] | None = None
    """Loss and report where pairs are left out, whose unpaired scores are -inf. Those of parts of the anchors add up to
    those of all, unless the bound is `pooled`. None where the bound has no such form."""

    def loss(self, scores: Scores) -> Float[Tensor, ""]:
        """What is minimised."""
        return self.evaluate(scores)[0]

    def report(self, scores: Scores) -> Float[Tensor, ""]:
        """The lower bound on information (or on a divergence) in nats: minus the loss for all but InfoNCE."""
        return self.evaluate(scores)[1]


class Encoded(NamedTuple):
    """What a scorer computes once for each side, before it meets the other."""

    pieces: Float[Tensor, "n m _"]
    """The locations of the local maps."""
    anchors: Float[Tensor, "a _"]
    """The global vectors."""


@runtime_checkable
class Scorer(Protocol):
    """Scores pairs of local maps and global vectors."""

    def encode(self, local: Float[Tensor, "n c *spatial"], vector: Float[Tensor, "a d"]) -> Encoded:
        """What each side contributes by itself."""
        ...

    def score(
        self,
        pieces: Float[Tensor, "p m _"],
        anchors: Float[Tensor, "a _"],
        others: Int[Tensor, "a k"] | None = None,
        own: Own | None = None,
    ) -> Scores:
        """Score each anchor with its own piece and with those at ``others``.

        Anchors may be a part of a batch, and pieces may come from other processes. A scorer may take an anchor apart
        into several, equally many of each; the scores then have a row for every one of them.

        Args:
            pieces: what `encode` gives of local maps.
            anchors: what it gives of vectors.
            others: the other pieces of each anchor; None stands for all but its own.
            own: the piece of each anchor; None stands for ``range(a)``.
        """
        ...

    def values_per_anchor(self, p: int, m: int, k: int) -> int:
        """How many values are held at a time for each anchor while its k + 1 pairs of p pieces are scored."""
        ...


class Trained(nn.Module):
    """What an objective and a part of one have in common: by default no adversary, and no advice."""

    def adversary_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters that minimise ``Losses.adversary``; all others of the module minimise ``Losses.encoder``."""
        return ()

    def advice(self) -> Sequence[str]:
        """What may keep the loss finite, beside a lower learning rate: the ends of "Train anew with ..."."""
        return ()


class Objective(Trained, ABC):
    """A training method: a module (its scorers, heads, adversaries) that turns a batch into losses.

    >>> class Norm(Objective):
    ...     def forward(self, batch, encode):
    ...         loss = encode(batch.inputs).vector.square().mean()
    ...         return Losses(loss, None, {"loss": loss.detach()})
    >>> list(Norm().adversary_parameters())
    []
    """

    @abstractmethod
    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch; ``encode`` is the encoder in training."""


class Part(Trained, ABC):
    """A part of an objective that is a weighted sum of parts, such as `DeepInfoMax`.

    The objective encodes a batch once, for all its parts. A part that compares it with other inputs, such as blanked
    ones, encodes those itself.

    >>> class Shift(Part):
    ...     def losses(self, batch, features, encode):
    ...         shifted = encode(batch.inputs.roll(1, dims=-1)).vector
    ...         loss = (shifted - features.vector).square().mean()
    ...         return Losses(loss, None, {"loss": loss.detach()})
    """

    @abstractmethod
    def losses(self, batch: Batch, features: Features, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch, given its features; ``encode`` is the encoder in training.

        The objective puts the part's name before the names of its terms.
        """


@runtime_checkable
class Illustrated(Protocol):
    """An objective with a decoder, whose pictures the report shows."""

    def pictures(self, inputs: Num[Tensor, "n channels *spatial"], vector: Float[Tensor, "n d"]) -> Pictures:
        """Pictures of some inputs with their vectors, in evaluation mode."""
        ...
