"""Noise as targets, a baseline: vectors are drawn to random points of the sphere, each input to one of its own."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from deep_infomax.contracts import Batch, Features, Losses, Objective
from deep_infomax.runtime.processes import gathered


class NoiseAsTargets(Objective):
    r"""The distance of each unit vector from a target of its own, fixed noise on the unit sphere.

    .. math:: \mathcal{L} = \frac{1}{n} \sum_i \left\lVert \frac{Y_i}{\lVert Y_i \rVert} - t_{P(i)} \right\rVert^2

    Which input has which target, P, is learnt, too: in training the targets of a batch are dealt out among its inputs
    anew so that the loss is least (an optimal assignment), and P remembers it. The paper does so in every third epoch,
    for speed; here it is done in every step. Targets and P are buffers, so a resumed training goes on exactly. Several
    processes deal out the targets of all their inputs.

    Args:
        inputs: how many the training data have; ``Batch.index`` is below it.
        vector_size: d, units of ``Y``.

    Source: Bojanowski and Joulin, Unsupervised learning by predicting noise, 2017, arXiv 1704.05310.
    """

    targets: Tensor
    assigned: Tensor

    def __init__(self, inputs: int, vector_size: int) -> None:
        super().__init__()
        self.register_buffer("targets", F.normalize(torch.randn(inputs, vector_size)))
        self.register_buffer("assigned", torch.arange(inputs))

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch. Terms: ``loss``; ``cosine``, the mean between a vector and its target.

        Raises:
            ValueError: an input has no target.
        """
        index = gathered(batch.index)
        if int(index.max()) >= len(self.targets):
            raise ValueError(
                f"there are targets for {len(self.targets):,} inputs, and the data have more; "
                "give NoiseAsTargets the number of training inputs"
            )
        vectors = F.normalize(encode(batch.inputs).vector.float())
        if self.training:
            self._assign(index, gathered(vectors.detach()))
        wanted = self.targets[self.assigned[batch.index]]
        loss = (vectors - wanted).square().sum(dim=1).mean()
        return Losses(loss, None, {"loss": loss.detach(), "cosine": 1 - loss.detach() / 2})

    def _assign(self, index: Int[Tensor, " n"], vectors: Float[Tensor, "n d"]) -> None:
        """Deal the targets of these inputs out among them, the sum of cosines being largest, where they are finite."""
        own = self.assigned[index]
        with torch.autocast(vectors.device.type, enabled=False):
            cosines = vectors @ self.targets[own].T
        if not torch.isfinite(cosines).all():
            return  # nor is the loss, which ends the training
        from scipy.optimize import linear_sum_assignment  # it takes half a second to load, which no other method needs

        _, chosen = linear_sum_assignment(cosines.cpu().numpy(), maximize=True)
        self.assigned[index] = own[torch.from_numpy(chosen).to(own.device)]
