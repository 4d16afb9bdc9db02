"""Supervised training, the ceiling of every comparison: the same encoder, told the classes."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from deep_infomax.contracts import Batch, Features, Losses, Objective


class Supervised(Objective):
    """Cross-entropy, in nats, of a linear layer on ``Y``.

    Args:
        vector_size: d, units of ``Y``.
        classes: how many there are; labels are 0 to ``classes - 1``.
    """

    def __init__(self, vector_size: int, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(vector_size, classes)

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch. Terms: ``loss``; ``accuracy``, a share.

        Raises:
            ValueError: the batch has no labels.
        """
        if batch.labels is None:
            raise ValueError("supervised training needs labels, and the data have none; add them to the data")
        logits = self.head(encode(batch.inputs).vector).float()
        loss = functional.cross_entropy(logits, batch.labels)
        accuracy = (logits.argmax(dim=1) == batch.labels).float().mean()
        return Losses(loss, None, {"loss": loss.detach(), "accuracy": accuracy})
