"""What Deep InfoMax is compared with: objectives like any other, on the same encoders and in the same loop."""

from deep_infomax.baselines.adversarial_autoencoder import AdversarialAutoencoder
from deep_infomax.baselines.bigan import BiGAN, PairDiscriminator
from deep_infomax.baselines.noise_as_targets import NoiseAsTargets
from deep_infomax.baselines.predictive_coding import ContrastivePredictiveCoding
from deep_infomax.baselines.supervised import Supervised
from deep_infomax.baselines.variational_autoencoder import VariationalAutoencoder

__all__ = [
    "AdversarialAutoencoder",
    "BiGAN",
    "ContrastivePredictiveCoding",
    "NoiseAsTargets",
    "PairDiscriminator",
    "Supervised",
    "VariationalAutoencoder",
]
