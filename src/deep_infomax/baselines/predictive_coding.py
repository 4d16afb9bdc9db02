"""Contrastive predictive coding, a baseline: what follows in the local map is predicted from what came before."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deep_infomax.bounds import INFO_NCE
from deep_infomax.contracts import Batch, Encoded, Features, Losses, Objective, Own, Scores
from deep_infomax.negatives import all_pairs, chosen_pairs
from deep_infomax.objectives import MutualInformation


class ContrastivePredictiveCoding(Objective):
    r"""InfoNCE between the prediction of a position some rows ahead and what is there, over the first axis of the map.

    A recurrent network reads every column of the local map ``C`` row by row. From its state after row t, a linear layer
    for each number of steps s predicts row t + s of the column, and the prediction is told from the same position of
    the other inputs of the batch by its dot product, divided by the root of its length:

    .. math:: \mathcal{L} = \frac{1}{S} \sum_{s=1}^{S} \mathrm{InfoNCE}(W_s h_t^{(j)}, C_{t+s}^{(j)})

    The encoder has to read every position by itself, such as `StridedCropsEncoder`. In the paper the network that reads
    the rows is a masked convolution, and the encoder has no batch normalisation; here columns do not see one another,
    and the encoder is normalised as all others are.

    Args:
        channels: c, of the local map.
        rows: of the local map: the size of its first axis.
        steps: S, the rows to look ahead.
        units: of the recurrent network.

    Raises:
        ValueError: there are not more rows than steps.

    Source: van den Oord et al., Representation learning with contrastive predictive coding, 2018, arXiv 1807.03748.
    """

    def __init__(self, channels: int, rows: int, steps: int = 3, units: int = 256) -> None:
        super().__init__()
        if not 1 <= steps < rows:
            raise ValueError(
                f"a local map of {rows} row(s) cannot be predicted {steps} step(s) ahead; "
                "give fewer steps, or an encoder with a larger map, such as strided-crops"
            )
        self.context = nn.GRU(channels, units, batch_first=True)
        self.information = MutualInformation(_SamePosition(), INFO_NCE)
        self.predictions = nn.ModuleList([nn.Linear(units, channels) for _ in range(steps)])

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch. Terms: ``loss``; ``prediction_bound`` and ``prediction_ceiling``, in nats.

        Raises:
            ValueError: a batch of 1.
        """
        local = encode(batch.inputs).local
        columns = local.reshape(*local.shape[:3], -1).permute(0, 3, 2, 1)  # n, columns, rows, c
        states = self._states(columns.flatten(0, 1)).unflatten(0, (len(columns), -1))
        found: list[Losses] = []
        for step, prediction in enumerate(self.predictions, start=1):
            predicted, ahead = prediction(states[:, :, :-step]), columns[:, :, step:]
            found.append(self.information(ahead.flatten(1, 2).transpose(1, 2), predicted.flatten(1)))
        loss = torch.stack([each.encoder for each in found]).mean()
        bound = torch.stack([each.terms["bound"] for each in found]).mean()
        terms = {"loss": loss, "prediction_bound": bound, "prediction_ceiling": found[0].terms["ceiling"]}
        return Losses(loss, None, {name: term.detach().float() for name, term in terms.items()})

    def _states(self, columns: Float[Tensor, "p rows c"]) -> Float[Tensor, "p rows u"]:
        """What the recurrent network has read after each row."""
        if not columns.is_cuda:
            states: Tensor = self.context(columns)[0]
            return states
        # Under autocast cuDNN computes recurrent networks in float16, whatever type was asked for.
        with torch.autocast("cuda", enabled=False):
            states = self.context(columns.float())[0]
            return states


class _SamePosition(nn.Module):
    """Scores a prediction of every position with what is there: dot products over the root of their length.

    An input's predictions come as one row of m c values, and its scores leave as m rows: a position is an anchor whose
    own piece is that position of its input, and is scored with the same position of other inputs alone. Scoring each
    with every position and keeping one would take m times as long.
    """

    def encode(self, local: Float[Tensor, "n c m"], vector: Float[Tensor, "a size"]) -> Encoded:
        """Both sides as they are, the map's channels last."""
        return Encoded(local.transpose(1, 2), vector)

    def score(
        self,
        pieces: Float[Tensor, "p m c"],
        anchors: Float[Tensor, "a size"],
        others: Int[Tensor, "a k"] | None = None,
        own: Own | None = None,
    ) -> Scores:
        """A row of scores for each input and position."""
        predicted = anchors.unflatten(1, pieces.shape[1:])
        pairs = torch.einsum("amc,pmc->apm", predicted, pieces) / math.sqrt(pieces.shape[2])
        joint, marginal = all_pairs(pairs, own) if others is None else chosen_pairs(pairs, others, own)
        return Scores(joint.flatten()[:, None], marginal.movedim(2, 1).flatten(0, 1)[..., None])

    def values_per_anchor(self, p: int, m: int, k: int) -> int:
        """The scores with all pieces, whatever is chosen of them."""
        return p * m
