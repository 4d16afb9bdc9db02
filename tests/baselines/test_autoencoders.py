import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from deep_infomax.baselines import AdversarialAutoencoder, VariationalAutoencoder
from deep_infomax.contracts import Batch, Features
from deep_infomax.decoders import Decoder
from deep_infomax.encoders import Encoder, VariationalEncoder, convolutional
from deep_infomax.objectives import Gaussian, PriorMatching, Uniform
from deep_infomax.report import write_report
from deep_infomax.training import TrainingConfig, fit

N, D = 64, 3
INPUTS = torch.randn(N, 2, 4, generator=torch.Generator().manual_seed(0))


class Constant(nn.Module):
    """Gives the same row for every input."""

    def __init__(self, row: Tensor) -> None:
        super().__init__()
        self.row = nn.Parameter(row)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.row.expand(len(inputs), *self.row.shape)


def encode(inputs: Tensor) -> Features:
    return Features(inputs, inputs.flatten(1)[:, :D], {})


def with_variance(log_variance: Tensor) -> Callable[[Tensor], Features]:
    """An encoder whose posterior has the same variances for every input."""
    return lambda inputs: encode(inputs)._replace(hidden={"log_variance": log_variance.expand(len(inputs), D)})


def halved(inputs: Tensor) -> Tensor:
    return inputs / 2


def test_the_variational_loss_is_half_the_squared_error_and_beta_times_the_divergence_of_normal_variables() -> None:
    decoded, log_variance = torch.randn(2, 4), torch.tensor([0.3, -1.0, 0.0])
    objective = VariationalAutoencoder(Constant(decoded), halved, beta=2.5)
    losses = objective(Batch(INPUTS, torch.arange(N)), with_variance(log_variance))
    squares = (INPUTS / 2 - decoded).square().flatten(1).sum(1).mean()
    posterior = Normal(INPUTS.flatten(1)[:, :D], (log_variance / 2).exp().expand(N, D))
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    assert losses.encoder.item() == pytest.approx((squares / 2 + 2.5 * divergence).item(), rel=1e-5)
    assert losses.terms["divergence"].item() == pytest.approx(divergence.item(), rel=1e-5)
    assert losses.terms["reconstruction_error"].item() == pytest.approx(squares.item() / 8, rel=1e-5)


def test_the_decoder_of_a_variational_autoencoder_reads_the_posterior() -> None:
    """Its mean is Y, its variance the encoder's; the decoder here passes on what it reads."""
    seen: list[Tensor] = []

    class Listening(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            seen.append(z)
            return torch.zeros(len(z), 2, 4)

    objective = VariationalAutoencoder(Listening(), halved)
    torch.manual_seed(0)
    for _ in range(400):
        objective(Batch(INPUTS, torch.arange(N)), with_variance(torch.full((D,), math.log(0.25))))
    z = torch.stack(seen)
    torch.testing.assert_close(z.mean(0), INPUTS.flatten(1)[:, :D], atol=0.12, rtol=0)
    assert z.std(0).mean().item() == pytest.approx(0.5, abs=0.01)


def test_a_variational_autoencoder_of_independent_normal_data_learns_the_optimum() -> None:
    """Data of one normal coordinate of deviation s beside noise: the best divergence is log s, for s above 1.

    Linear and Gaussian, so the optimum is known (Tipping and Bishop's probabilistic principal components with unit
    noise): the coordinate's posterior variance is 1 / s squared of the prior's, whose divergence is log s in the mean.
    """
    s = 4.0
    torch.manual_seed(0)
    data = torch.randn(20_000, 2, 1) * torch.tensor([s, 1.0])[:, None]
    head = nn.Linear(2, 1)
    encoder, decoder = nn.Linear(2, 1), nn.Sequential(nn.Linear(1, 2), nn.Unflatten(1, (2, 1)))

    def linear(inputs: Tensor) -> Features:
        return Features(inputs, encoder(inputs.flatten(1)), {"log_variance": head(inputs.flatten(1))})

    objective = VariationalAutoencoder(decoder, lambda inputs: inputs)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters(), *objective.parameters()], lr=2e-2)
    for rows in torch.randint(len(data), (1500, 512)):
        optimizer.zero_grad()
        objective(Batch(data[rows], rows), linear).encoder.backward()
        optimizer.step()
    terms = objective(Batch(data, torch.arange(len(data))), linear).terms
    assert terms["divergence"].item() == pytest.approx(math.log(s), abs=0.05)


def test_an_adversarial_autoencoder_reconstructs_from_what_the_prior_sees() -> None:
    """The uniform one: the decoder reads values between 0 and 1; the loss is the error and gamma times the prior's."""
    seen: list[Tensor] = []

    class Listening(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            seen.append(z)
            return torch.zeros(len(z), 2, 4)

    prior = PriorMatching(Uniform(), D, units=(8,))
    objective = AdversarialAutoencoder(Listening(), prior, halved, gamma=0.5)
    torch.manual_seed(0)
    losses = objective(Batch(INPUTS, torch.arange(N)), encode)
    torch.testing.assert_close(seen[0], INPUTS.flatten(1)[:, :D].sigmoid())
    expected = (INPUTS / 2).square().mean() + 0.5 * losses.terms["prior_encoder"]
    assert losses.encoder.item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses.adversary is not None


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_impossible_weights_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"beta is .*; give a finite number of at least 0"):
        VariationalAutoencoder(nn.Identity(), halved, beta=weight)
    with pytest.raises(ValueError, match=r"gamma is .*; give a finite number of at least 0"):
        AdversarialAutoencoder(nn.Identity(), PriorMatching(Gaussian(), D), halved, gamma=weight)


def test_an_encoder_without_variances_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gives no variances of Y; wrap it: VariationalEncoder\(encoder\)"):
        VariationalAutoencoder(nn.Identity(), halved)(Batch(INPUTS, torch.arange(N)), encode)


@pytest.mark.parametrize("method", ["vae", "aae"])
def test_a_run_keeps_pictures_and_the_report_shows_them(tmp_path: Path, method: str) -> None:
    torch.manual_seed(0)
    encoder: Encoder = convolutional(channels=1, spatial=(16, 16), dim=4)
    encoder = VariationalEncoder(encoder) if method == "vae" else encoder
    decoder = Decoder(4, 1, (16, 16), filters=(8, 8, 8, 8))
    objective = {
        "vae": lambda: VariationalAutoencoder(decoder, encoder.normalise),
        "aae": lambda: AdversarialAutoencoder(decoder, PriorMatching(Uniform(), 4, units=(8,)), encoder.normalise),
    }[method]()
    images = np.random.default_rng(0).integers(256, size=(40, 1, 16, 16), dtype=np.uint8)
    fit(encoder, objective, images, TrainingConfig(epochs=1, batch_size=8), out=tmp_path, progress=False)
    with np.load(tmp_path / "arrays" / "objective.npz") as arrays:
        assert {name: (values.shape, values.dtype) for name, values in arrays.items()} == dict.fromkeys(
            ("inputs", "reconstructions", "samples"), ((16, 16, 16, 1), np.dtype(np.uint8))
        )
        assert (arrays["inputs"][:1, ..., 0] == images[:1, 0]).all()
    (tmp_path / "config.yaml").write_text(f"recipe: {method}\ndata: noise\n")
    page = write_report([tmp_path]).read_text()
    assert page.count('alt="samples') == 8
