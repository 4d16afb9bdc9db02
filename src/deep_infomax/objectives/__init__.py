"""Training methods: each turns a batch into losses and fits the one training loop (`Objective`)."""

from deep_infomax.objectives.channel import GaussianChannel
from deep_infomax.objectives.deep_infomax import DeepInfoMax
from deep_infomax.objectives.mutual_information import MutualInformation
from deep_infomax.objectives.prior import PRIORS, Ball, Gaussian, Prior, PriorMatching, Sphere, Uniform
from deep_infomax.objectives.sigreg import SIGReg, epps_pulley
from deep_infomax.objectives.untrained import Untrained

__all__ = [
    "PRIORS",
    "Ball",
    "DeepInfoMax",
    "Gaussian",
    "GaussianChannel",
    "MutualInformation",
    "Prior",
    "PriorMatching",
    "SIGReg",
    "Sphere",
    "Uniform",
    "Untrained",
    "epps_pulley",
]
