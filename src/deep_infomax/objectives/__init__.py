"""Training methods: each turns a batch into losses and fits the one training loop (`Objective`)."""

from deep_infomax.objectives.deep_infomax import DeepInfoMax
from deep_infomax.objectives.mutual_information import MutualInformation
from deep_infomax.objectives.prior import PRIORS, Ball, Gaussian, Prior, PriorMatching, Sphere, Uniform
from deep_infomax.objectives.untrained import Untrained

__all__ = [
    "PRIORS",
    "Ball",
    "DeepInfoMax",
    "Gaussian",
    "MutualInformation",
    "Prior",
    "PriorMatching",
    "Sphere",
    "Uniform",
    "Untrained",
]
