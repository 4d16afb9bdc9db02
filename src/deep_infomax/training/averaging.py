"""A moving average of an encoder's weights, which varies less from step to step than the weights do."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from deep_infomax.runtime.tensors import first_misfit


class Average:
    r"""The exponential moving average of all floating-point weights and statistics of a module.

    .. math:: \bar\theta_t = m_t \bar\theta_{t-1} + (1 - m_t) \theta_t, \qquad m_t = \min(m, (1 + t) / (10 + t))

    so that the first weights are soon forgotten. Source: Polyak and Juditsky, Acceleration of stochastic approximation
    by averaging, 1992; the rising decay as in common implementations of moving averages.

    Args:
        module: Whose weights are averaged.
        decay: m, at least 0 and below 1.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> average = Average(layer, 0.5)
    >>> _ = torch.nn.init.constant_(layer.weight, 1.0), average.tensors["weight"].zero_()
    >>> average.add(1)
    >>> round(average.tensors["weight"].item(), 3)  # the decay is 2 / 11
    0.818
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._own = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
        self.tensors = {name: tensor.detach().clone() for name, tensor in self._own.items()}

    def add(self, step: int) -> None:
        """Take in the weights after a step, of which the first is 1."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._own.values()), 1 - decay)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up the state of a checkpoint.

        Raises:
            ValueError: It is not that of this module.
        """
        if missing := [name for name in self.tensors if name not in tensors]:
            raise ValueError(f"the average of {missing[0]} is not there")
        if said := first_misfit(tensors, self.tensors):
            raise ValueError(f"the average of {said}")
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @torch.no_grad()
    def hand_over(self) -> None:
        """Give the module the average in the place of its own weights."""
        for name, tensor in self._own.items():
            tensor.copy_(self.tensors[name])
