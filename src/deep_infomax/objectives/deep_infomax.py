"""Deep InfoMax: the weighted sum of global information, local information and prior matching."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from deep_infomax.contracts import Batch, Features, Losses
from deep_infomax.negatives import require_others
from deep_infomax.objectives.mutual_information import MutualInformation
from deep_infomax.objectives.prior import PriorMatching
from deep_infomax.runtime.processes import world_size


class DeepInfoMax(nn.Module):
    r"""The objective of Deep InfoMax.

    .. math:: \min_{E, T}\; \alpha \mathcal{L}_{global} + \beta \mathcal{L}_{local} + \gamma \mathcal{L}_{prior}

    The losses of information are minus a bound in nats (InfoNCE's up to a constant), that of the prior is the encoder's
    side of an adversarial game. The paper's DIM(G) has alpha = 1, gamma = 1; DIM(L) has beta = 1, gamma = 0.1.

    Args:
        global_term: information between the whole local map and ``Y``.
        local_term: information between each location and ``Y``, averaged over locations.
        prior: the prior on ``Y`` and its adversary.
        alpha: weight of ``global_term``.
        beta: weight of ``local_term``.
        gamma: weight of ``prior`` in the encoder's loss; the adversary's own loss has weight 1.

    Raises:
        ValueError: a weight is negative, not finite or has no part; a part has no weight; there is no part at all.

    Example:
        >>> import torch
        >>> from deep_infomax.bounds import INFO_NCE
        >>> from deep_infomax.scorers import EncodeAndDot
        >>> term = MutualInformation(EncodeAndDot(local_channels=4, vector_size=8, units=16), INFO_NCE)
        >>> objective = DeepInfoMax(local_term=term, beta=1.0)
        >>> def encode(inputs):
        ...     return Features(local=inputs, vector=inputs.flatten(1)[:, :8], hidden={})
        >>> losses = objective(Batch(torch.rand(6, 4, 5, 5), torch.arange(6)), encode)
        >>> sorted(losses.terms)
        ['local_bound', 'local_ceiling', 'local_loss', 'loss']
        >>> round(losses.terms["local_ceiling"].exp().item(), 4)
        6.0

    Source: Hjelm et al., Learning deep representations by mutual information estimation and maximization, 2019,
    arXiv 1808.06670.
    """

    def __init__(
        self,
        *,
        global_term: MutualInformation | None = None,
        local_term: MutualInformation | None = None,
        prior: PriorMatching | None = None,
        alpha: float = 0.0,
        beta: float = 0.0,
        gamma: float = 0.0,
    ) -> None:
        super().__init__()
        _require_weighted("alpha", alpha, "global_term", global_term)
        _require_weighted("beta", beta, "local_term", local_term)
        _require_weighted("gamma", gamma, "prior", prior)
        if alpha == beta == gamma == 0:
            raise ValueError("alpha, beta and gamma are all 0: nothing to learn; give at least one part and its weight")
        self.global_term = global_term
        self.local_term = local_term
        self.prior = prior
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch, encoded once.

        Terms: ``loss`` and, of the parts present, ``global_*`` and ``local_*`` (see `MutualInformation`) and
        ``prior_*`` (see `PriorMatching`). Raises ValueError for a batch of 1.
        """
        require_others(
            world_size() * len(batch.inputs)
        )  # before batch normalisation refuses a batch of 1 in words of its own
        features = encode(batch.inputs)
        loss = features.vector.new_zeros((), dtype=torch.float32)
        adversary = None
        terms: dict[str, Tensor] = {}
        parts = (("global", self.alpha, self.global_term), ("local", self.beta, self.local_term))
        for name, weight, part in parts:
            if part is not None:
                value, report = part(features)
                loss = loss + weight * value
                terms |= {f"{name}_{key}": term for key, term in report.items()}
        if self.prior is not None:
            value, adversary, report = self.prior(features.vector)
            loss = loss + self.gamma * value
            terms |= report
        return Losses(loss, adversary, {"loss": loss.detach().float(), **terms})

    def adversary_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters of the prior's discriminator, if there is one."""
        return () if self.prior is None else self.prior.discriminator.parameters()


def _require_weighted(weight_name: str, weight: float, part_name: str, part: nn.Module | None) -> None:
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"{weight_name} is {weight}; give a finite number of at least 0")
    if weight > 0 and part is None:
        raise ValueError(f"{weight_name} is {weight} but there is no {part_name}; give one or set {weight_name} to 0")
    if weight == 0 and part is not None:
        raise ValueError(f"{part_name} is given but {weight_name} is 0; set {weight_name} above 0 or leave it out")
