"""Which pairs of a step are left where locations of local maps stand for missing values."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deep_infomax.contracts import Own, Weights
from deep_infomax.negatives import all_others, positions
from deep_infomax.runtime.processes import gathered


class Mask:
    """The weights of scores, 1 for pairs that are left and 0 for others.

    Args:
        missing: locations of this process's maps that are missing.
        own: the piece of each anchor, among those of all processes.
        others: the other pieces of each anchor; None stands for all but its own.
        slices: parts of the anchors, whose weights fit into memory together.
        dtype: of the weights.
    """

    def __init__(
        self,
        missing: Bool[Tensor, "n m"],
        own: Own,
        others: Int[Tensor, "a k"] | None,
        slices: Sequence[slice],
        dtype: torch.dtype,
    ) -> None:
        self.there = 1 - gathered(missing.to(dtype))
        self.own, self.others = own, others
        self.k = len(self.there) - 1 if others is None else others.shape[1]
        self.paired = self.there[positions(own, self.there.device)]
        self.unpaired = torch.cat([self._of_others(some).sum(1) for some in slices])
        both = torch.stack([self.paired.sum(), self.unpaired.sum()])
        # The loss of a step is the mean of the processes' losses, so each divides by its share of all pairs.
        self.totals = gathered(both[None]).mean(0).clamp(min=1)

    def weights(self, some: slice) -> Weights:
        """Those of some anchors."""
        return Weights(self.paired[some], self._of_others(some), *self.totals)

    def pooled(self) -> Weights:
        """Those of all anchors of all processes, where the unpaired scores of each were put together."""
        return Weights(gathered(self.paired), gathered(self.unpaired[:, None] / self.k), *self.totals)

    def _of_others(self, some: slice) -> Float[Tensor, "rows k m"]:
        own = self.own[some]
        others = all_others(own, len(self.there), self.there.device) if self.others is None else self.others[some]
        return self.there[others]
