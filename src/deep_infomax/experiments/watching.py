"""What is looked at while an encoder is trained."""

from typing import Final

import torch

from deep_infomax.data import Source, require_labels
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation.classifiers import neighbour_votes
from deep_infomax.evaluation.features import extract
from deep_infomax.evaluation.probes import standardised
from deep_infomax.training import Callback

MOST: Final = 5000
"""Labelled inputs that are looked at."""
NEIGHBOURS: Final = 20


class WatchedNeighbours(Callback):
    """The accuracy of nearest neighbours by Y, in %, after every epoch: ``knn`` of the log, the bar and the report.

    At most 5,000 inputs of the labelled training part are encoded, a fifth of which is told its class by 20 others.
    Test inputs are never read. The training is the same to the bit.
    """

    def __init__(self, source: Source) -> None:
        self.source = source.evenly_spaced(MOST)
        self.labels, names = require_labels(self.source)
        self.classes = len(names)
        order = torch.randperm(len(self.source), generator=torch.Generator().manual_seed(0))
        self.read, self.known = order[: len(order) // 5], order[len(order) // 5 :]

    def on_look(self, encoder: Encoder) -> dict[str, float]:
        """The accuracy by the encoder as it is."""
        if not len(self.read):
            return {}
        device = encoder.mean.device
        vectors = extract(encoder, self.source, ["Y"])["Y"].to(device)
        known, read = (
            torch.nn.functional.normalize(part) for part in standardised(vectors[self.known], vectors[self.read])
        )
        labels = self.labels.to(device)
        k = min(NEIGHBOURS, len(known))
        votes = neighbour_votes(known, labels[self.known], read, self.classes, [k])[k]
        return {"knn": 100 * (votes == labels[self.read]).double().mean().item()}
