"""What the training loop relies on, checked for every objective in one place; append new ones to OBJECTIVES."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import nn

from deep_infomax.baselines import (
    AdversarialAutoencoder,
    BiGAN,
    ContrastivePredictiveCoding,
    NoiseAsTargets,
    PairDiscriminator,
    Supervised,
    VariationalAutoencoder,
)
from deep_infomax.bounds import DONSKER_VARADHAN, INFO_NCE, JENSEN_SHANNON
from deep_infomax.contracts import Batch, Bound, Losses
from deep_infomax.decoders import Decoder
from deep_infomax.encoders import (
    Convolution,
    ConvolutionalEncoder,
    ConvolutionalNetwork,
    Encoder,
    VariationalEncoder,
    strided_crops,
)
from deep_infomax.objectives import (
    Ball,
    DeepInfoMax,
    Gaussian,
    GaussianChannel,
    MutualInformation,
    Prior,
    PriorMatching,
    SIGReg,
    Sphere,
    Uniform,
    Untrained,
)
from deep_infomax.scorers import ConcatAndConvolve, EncodeAndDot, GlobalConcat, GlobalEncodeAndDot

INPUTS, CLASSES, UNITS = 12, 3, 16
SPATIAL = [(9,), (6, 5), (4, 4, 5)]


def three_convolutions(channels: int, spatial: tuple[int, ...], dim: int) -> Encoder:
    convolutions = tuple(Convolution(8, 3, 1, 1) for _ in range(3))
    return ConvolutionalEncoder(ConvolutionalNetwork(channels, spatial, convolutions, 2, (UNITS,), dim))


class Case(NamedTuple):
    name: str
    build: Callable[[Encoder], nn.Module]
    """The objective for an encoder."""
    learns: bool = True
    """Whether training lowers its loss."""
    adversarial: bool = False
    """Whether it has an adversary."""
    encoder: Callable[[int, tuple[int, ...], int], Encoder] = three_convolutions
    """What it trains, from channels, spatial sizes and d."""


def local(encoder: Encoder, bound: Bound = INFO_NCE, **options) -> MutualInformation:
    return MutualInformation(EncodeAndDot(encoder.local_shape[0], encoder.vector_size, UNITS), bound, **options)


def matching(encoder: Encoder, prior: Prior) -> PriorMatching:
    return PriorMatching(prior, encoder.vector_size, units=(32, UNITS))


def local_dv(encoder: Encoder) -> DeepInfoMax:
    scorer = ConcatAndConvolve(encoder.local_shape[0], encoder.vector_size, UNITS)
    term = MutualInformation(scorer, DONSKER_VARADHAN)
    return DeepInfoMax(local_term=term, prior=matching(encoder, Uniform()), beta=1.0, gamma=0.1)


def global_jsd(encoder: Encoder) -> DeepInfoMax:
    scorer = GlobalConcat(math.prod(encoder.local_shape), encoder.vector_size, UNITS)
    term = MutualInformation(scorer, JENSEN_SHANNON)
    return DeepInfoMax(global_term=term, prior=matching(encoder, Gaussian()), alpha=1.0, gamma=1.0)


def local_global(encoder: Encoder) -> DeepInfoMax:
    scorer = GlobalEncodeAndDot(encoder.remaining_layers(UNITS), encoder.vector_size, UNITS)
    parts = {"global_term": MutualInformation(scorer, INFO_NCE), "local_term": local(encoder)}
    return DeepInfoMax(**parts, prior=matching(encoder, Ball()), alpha=0.5, beta=0.1, gamma=0.1)


def noisy(encoder: Encoder) -> DeepInfoMax:
    scorer = GlobalConcat(math.prod(encoder.local_shape), encoder.vector_size, UNITS)
    parts = {"global_term": MutualInformation(scorer, JENSEN_SHANNON), "local_term": local(encoder)}
    return DeepInfoMax(**parts, alpha=0.5, beta=0.5, noise=GaussianChannel(encoder.vector_size, 0.5))


OBJECTIVES = [
    Case("untrained", lambda encoder: Untrained(), learns=False),
    Case("local-infonce", lambda encoder: DeepInfoMax(local_term=local(encoder), beta=1.0)),
    Case("limited", lambda encoder: DeepInfoMax(local_term=local(encoder, limit=10.0, penalty=0.01), beta=1.0)),
    Case("few-others", lambda encoder: DeepInfoMax(local_term=local(encoder, JENSEN_SHANNON, others=4), beta=1.0)),
    Case("local-dv", local_dv, adversarial=True),
    Case("global-jsd", global_jsd, adversarial=True),
    Case("local-global", local_global, adversarial=True),
    Case("noise", noisy),
    Case("sigreg", lambda encoder: DeepInfoMax(local_term=local(encoder), prior=SIGReg(), beta=1.0, gamma=0.05)),
    Case("sigreg-alone", lambda encoder: DeepInfoMax(prior=SIGReg(), gamma=1.0)),
    Case("prior", lambda encoder: DeepInfoMax(prior=matching(encoder, Sphere()), gamma=1.0), adversarial=True),
]


def vae(encoder: Encoder) -> VariationalAutoencoder:
    return VariationalAutoencoder(decoder(encoder), encoder.normalise)


def aae(encoder: Encoder) -> AdversarialAutoencoder:
    return AdversarialAutoencoder(decoder(encoder), matching(encoder, Uniform()), encoder.normalise, gamma=0.1)


def bigan(encoder: Encoder) -> BiGAN:
    discriminator = PairDiscriminator(encoder.channels, encoder.spatial, encoder.vector_size, UNITS)
    return BiGAN(decoder(encoder), discriminator, Uniform(), encoder.normalise)


def cpc(encoder: Encoder) -> ContrastivePredictiveCoding:
    return ContrastivePredictiveCoding(*encoder.local_shape[:2], steps=2, units=UNITS)


def decoder(encoder: Encoder) -> Decoder:
    return Decoder(encoder.vector_size, encoder.channels, encoder.spatial, filters=(UNITS, 8, 8, 8))


OBJECTIVES += [
    Case("vae", vae, encoder=lambda *sizes: VariationalEncoder(three_convolutions(*sizes))),
    Case("aae", aae, adversarial=True),
    Case("bigan", bigan, adversarial=True),
    Case("nat", lambda encoder: NoiseAsTargets(INPUTS, encoder.vector_size)),
    Case("cpc", cpc, encoder=strided_crops),
    Case("supervised", lambda encoder: Supervised(encoder.vector_size, CLASSES)),
]

every_objective = pytest.mark.parametrize("case", OBJECTIVES, ids=lambda case: case.name)


class Setup(NamedTuple):
    encoder: Encoder
    objective: nn.Module
    batch: Batch

    def losses(self, seed: int = 0) -> Losses:
        torch.manual_seed(seed)
        return self.objective(self.batch, self.encoder)

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(nn.ModuleDict({"encoder": self.encoder, "objective": self.objective}).named_parameters())

    def adversary(self) -> set[str]:
        adversary = {id(parameter) for parameter in self.objective.adversary_parameters()}
        return {name for name, parameter in self.parameters().items() if id(parameter) in adversary}

    def gradients(self, pick: Callable[[Losses], torch.Tensor]) -> dict[str, torch.Tensor | None]:
        for parameter in self.parameters().values():
            parameter.grad = None
        pick(self.losses()).backward()
        return {name: parameter.grad for name, parameter in self.parameters().items()}


def set_up(case: Case, spatial: tuple[int, ...] = (6, 5), inputs: int = INPUTS, seed: int = 0) -> Setup:
    torch.manual_seed(seed)
    encoder = case.encoder(2, spatial, 6)
    batch = Batch(torch.randn(inputs, 2, *spatial), torch.arange(inputs), torch.arange(inputs) % CLASSES)
    return Setup(encoder, case.build(encoder), batch)


def total(losses: Losses) -> torch.Tensor:
    """What the loop differentiates: one backward for both sides."""
    return losses.encoder if losses.adversary is None else losses.encoder + losses.adversary


def is_untouched(gradient: torch.Tensor | None) -> bool:
    return gradient is None or not gradient.any()


@every_objective
@pytest.mark.parametrize("spatial", SPATIAL, ids=["1d", "2d", "3d"])
def test_losses_and_gradients_are_finite_in_every_dimension(case, spatial):
    setup = set_up(case, spatial)
    losses = setup.losses()
    total(losses).backward()
    assert losses.encoder.isfinite()
    assert losses.adversary is None or losses.adversary.isfinite()
    for name, parameter in setup.parameters().items():
        assert parameter.grad is not None, f"{name} takes no part in the losses"
        assert parameter.grad.isfinite().all(), name


@every_objective
def test_terms_are_detached_float32_scalars_with_the_loss_among_them(case):
    losses = set_up(case).losses()
    assert losses.terms["loss"].item() == losses.encoder.item()
    for name, term in losses.terms.items():
        assert term.shape == (), name
        assert term.dtype == torch.float32, name
        assert not term.requires_grad, name


@every_objective
def test_no_bound_exceeds_its_ceiling(case):
    terms = set_up(case).losses().terms
    for name in (name for name in terms if name.endswith("_bound")):
        assert terms[name] <= terms[name.replace("_bound", "_ceiling")]


@every_objective
def test_an_adversary_has_parameters_and_a_loss(case):
    setup = set_up(case)
    assert bool(setup.adversary()) == case.adversarial
    assert (setup.losses().adversary is not None) == case.adversarial


@every_objective
def test_each_side_gets_only_its_own_gradient(case):
    """Bit for bit: the gradient of the sum is the encoder's on its side and the adversary's on the other."""
    setup = set_up(case)
    of_encoder, of_both, adversary = setup.gradients(lambda losses: losses.encoder), setup.gradients(total), set()
    if case.adversarial:
        of_adversary, adversary = setup.gradients(lambda losses: losses.adversary), setup.adversary()
        assert all(is_untouched(gradient) for name, gradient in of_adversary.items() if name not in adversary)
        assert all(is_untouched(of_encoder[name]) for name in adversary)
        assert all(torch.equal(of_both[name], of_adversary[name]) for name in adversary)
    assert all(torch.equal(of_both[name], of_encoder[name]) for name in of_both.keys() - adversary)


@pytest.mark.parametrize(
    "case", [case for case in OBJECTIVES if case.adversarial and case.build is not bigan], ids=lambda case: case.name
)
def test_the_encoder_opposes_the_adversary(case):
    """At every vector, the direction that lowers the encoder's loss raises the discriminator's."""
    setup = set_up(case)
    (prior,) = (part for part in setup.objective.modules() if isinstance(part, PriorMatching))
    vector = setup.encoder(setup.batch.inputs).vector.detach().requires_grad_()
    (of_encoder,) = torch.autograd.grad(prior(vector).encoder, vector)
    told_apart = nn.functional.softplus(prior.discriminator(prior.prior.squash(vector))).mean()
    (of_adversary,) = torch.autograd.grad(told_apart, vector)
    assert ((of_encoder * of_adversary).sum(1) < 0).all()


@pytest.mark.parametrize("case", [case for case in OBJECTIVES if case.learns], ids=lambda case: case.name)
def test_one_batch_is_learnt(case):
    """With the adversary held still: against one that answers, the loss need not fall."""
    setup = set_up(case)
    adversary = setup.adversary()
    learning = [parameter for name, parameter in setup.parameters().items() if name not in adversary]
    optimizer = torch.optim.Adam(learning, lr=1e-2)
    before = setup.losses()
    for step in range(40):
        optimizer.zero_grad()
        setup.losses(step).encoder.backward()
        optimizer.step()
    after = setup.losses()
    assert after.encoder < before.encoder - 0.1 * before.encoder.abs()
    for name in (name for name in before.terms if name.endswith("_bound")):
        ceiling = before.terms[name.replace("_bound", "_ceiling")]
        risen = after.terms[name] - before.terms[name]
        assert risen > 0.2 * (ceiling - before.terms[name] if ceiling.isfinite() else 1), name


@every_objective
def test_bfloat16_autocast_changes_little(case):
    setup = set_up(case)
    plain = setup.losses()
    with torch.autocast("cpu", torch.bfloat16):
        cast = setup.losses()
    total(cast).backward()
    assert cast.encoder.dtype == torch.float32
    assert cast.encoder.item() == pytest.approx(plain.encoder.item(), rel=0.1, abs=0.1)
    assert all(parameter.grad.isfinite().all() for parameter in setup.parameters().values())


@every_objective
def test_saved_weights_give_the_same_losses(case):
    saved, loaded = set_up(case), set_up(case, seed=1)._replace(batch=set_up(case).batch)
    loaded.encoder.load_state_dict(saved.encoder.state_dict())
    loaded.objective.load_state_dict(saved.objective.state_dict())
    assert torch.equal(total(loaded.losses()), total(saved.losses()))


@every_objective
def test_losses_are_a_function_of_the_seed(case):
    setup = set_up(case)
    first, second = setup.losses(seed=3), setup.losses(seed=3)
    assert torch.equal(total(first), total(second))
    assert {name: term.item() for name, term in first.terms.items()} == {
        name: term.item() for name, term in second.terms.items()
    }


@every_objective
def test_a_batch_of_one_is_refused(case):
    setup = set_up(case, inputs=1)
    with pytest.raises(ValueError, match=r"batch of 1|more than 1 value per channel"):
        setup.losses()
