"""What the benchmarks measure the library against computes the same loss and the same gradients."""

import copy

import pytest
import torch
from torch import nn

from deep_infomax.bounds import INFO_NCE
from deep_infomax.encoders import Convolution, ConvolutionalEncoder, ConvolutionalNetwork
from deep_infomax.objectives import MutualInformation
from deep_infomax.scorers import EncodeAndDot, FoldedEncodeAndDot

references = pytest.importorskip("reference_steps", reason="the benchmarks are not part of this distribution")


@pytest.mark.parametrize(("limit", "penalty"), [(None, 0.0), (20.0, 0.05)])
@pytest.mark.parametrize("scorer_type", [EncodeAndDot, FoldedEncodeAndDot])
@pytest.mark.parametrize("formulation", ["direct", "expanded"])
def test_a_reference_has_the_loss_and_the_gradients_of_the_library(
    formulation: str, scorer_type: type[nn.Module], limit: float | None, penalty: float
) -> None:
    network = ConvolutionalNetwork(2, (6, 5), tuple(Convolution(8, 3, 1, 1) for _ in range(3)), 2, (16,), 6)
    encoder = ConvolutionalEncoder(network)
    term = MutualInformation(scorer_type(8, 6, 16), INFO_NCE, limit=limit, penalty=penalty)
    ours = nn.ModuleDict({"encoder": encoder, "term": term}).double()
    theirs = copy.deepcopy(ours)
    images = torch.randn(7, 2, 6, 5, dtype=torch.float64)
    features = ours["encoder"](images)
    loss, _, _ = ours["term"](features.local, features.vector)
    reference = references.reference_loss(
        theirs["encoder"], theirs["term"], images, references.FORMULATIONS[formulation]
    )
    torch.testing.assert_close(reference, loss)
    loss.backward()
    reference.backward()
    for (name, parameter), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(other.grad, parameter.grad, msg=lambda said, name=name: f"{name}: {said}")
