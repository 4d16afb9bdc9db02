"""Deep InfoMax: the weighted sum of global information, local information and prior matching, with noise or without."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from deep_infomax.contracts import Batch, Features, Losses, Objective, Part
from deep_infomax.negatives import require_others
from deep_infomax.objectives.channel import GaussianChannel
from deep_infomax.runtime.processes import world_size

OWN_NAMES: Final = ("global", "local", "prior")
"""What the terms of the paper's three parts begin with in the log."""
_SCORED: Final = OWN_NAMES[:2]
"""Those of the parts that score ``Y``."""
_NOISE: Final = "noise"
"""What the term of the channel begins with."""


class DeepInfoMax(Objective):
    r"""The objective of Deep InfoMax, a weighted sum of parts.

    .. math:: \min_{E, T}\; \alpha \mathcal{L}_{global} + \beta \mathcal{L}_{local} + \gamma \mathcal{L}_{prior}
        + \sum_j w_j \mathcal{L}_j

    The losses of information are minus a bound in nats (InfoNCE's up to a constant), that of the prior is the encoder's
    side of an adversarial game, or SIGReg. The paper's DIM(G) has alpha = 1, gamma = 1; DIM(L) has beta = 1,
    gamma = 0.1. Further parts, the last sum, are the user's own. The adversaries' losses are added up, with weight 1.

    With ``noise`` the global and the local term read Z, a normalised and noisy ``Y``, and are bounds on I(X; Z), which
    is finite. The prior and further parts read ``Y`` itself.

    Args:
        global_term: information between the whole local map and ``Y``.
        local_term: information between each location and ``Y``, averaged over locations.
        prior: what matches ``Y`` to a prior, such as `PriorMatching`, with an adversary, or `SIGReg`, without.
        alpha: weight of ``global_term``.
        beta: weight of ``local_term``.
        gamma: weight of ``prior`` in the encoder's loss.
        parts: further parts by name, each with its weight in the encoder's loss.
        noise: the channel between ``Y`` and both scorers, one draw of noise for both; None lets them read ``Y``.

    Raises:
        ValueError: a weight is negative, not finite or has no part; a part has no weight, or a name that cannot be
            used; there is no part at all, or noise without a scorer that reads it.

    Example:
        >>> import torch
        >>> from deep_infomax.bounds import INFO_NCE
        >>> from deep_infomax.objectives import MutualInformation
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
    arXiv 1808.06670; the noise: Butakov et al., Efficient distribution matching of representations via noise-injected
    Deep InfoMax, 2024, arXiv 2410.06993.
    """

    def __init__(
        self,
        *,
        global_term: Part | None = None,
        local_term: Part | None = None,
        prior: Part | None = None,
        alpha: float = 0.0,
        beta: float = 0.0,
        gamma: float = 0.0,
        parts: Mapping[str, tuple[float, Part]] | None = None,
        noise: GaussianChannel | None = None,
    ) -> None:
        super().__init__()
        _require_weighted("alpha", alpha, "global_term", global_term)
        _require_weighted("beta", beta, "local_term", local_term)
        _require_weighted("gamma", gamma, "prior", prior)
        parts = {} if parts is None else parts
        for name, (weight, part) in parts.items():
            _require_name(name)
            _require_weighted(f"the weight of {name}", weight, name, part)
        if alpha == beta == gamma == 0 and not parts:
            raise ValueError("alpha, beta and gamma are all 0: nothing to learn; give at least one part and its weight")
        _require_channel(noise, alpha or beta)
        self.global_term = global_term
        self.local_term = local_term
        self.prior = prior
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.parts = nn.ModuleDict({name: part for name, (_, part) in parts.items()})
        self.weights = {name: weight for name, (weight, _) in parts.items()}
        self.noise = noise

    def weighted_parts(self) -> dict[str, tuple[float, Part]]:
        """Every part with its weight, by the name that its terms begin with in the log."""
        own = (self.alpha, self.global_term), (self.beta, self.local_term), (self.gamma, self.prior)
        named = {name: (weight, part) for name, (weight, part) in zip(OWN_NAMES, own, strict=True) if part is not None}
        for name, part in self.parts.items():
            assert isinstance(part, Part)
            named[name] = self.weights[name], part
        return named

    def forward(self, batch: Batch, encode: Callable[[Tensor], Features]) -> Losses:
        """Losses of one batch, encoded once.

        Terms: ``loss`` and, of every part, its own terms with its name before them: ``global_*`` and ``local_*`` (see
        `MutualInformation`), ``prior_*`` (see `PriorMatching` and `SIGReg`). With noise ``noise_ceiling``, the most
        information that ``Y`` can pass through it, in nats. Raises ValueError for a batch of 1.
        """
        require_others(
            world_size() * len(batch.inputs)
        )  # before batch normalisation refuses a batch of 1 in words of its own
        features = encode(batch.inputs)
        scored = features if self.noise is None else features._replace(vector=self.noise(features.vector))
        loss = features.vector.new_zeros((), dtype=torch.float32)
        adversary = None
        terms: dict[str, Tensor] = {}
        for name, (weight, part) in self.weighted_parts().items():
            found = part.losses(batch, scored if name in _SCORED else features, encode)
            loss = loss + weight * found.encoder
            if found.adversary is not None:
                adversary = found.adversary if adversary is None else adversary + found.adversary
            terms |= {f"{name}_{key}": term for key, term in found.terms.items()}
        if self.noise is not None:
            terms[f"{_NOISE}_ceiling"] = torch.full_like(loss.detach(), self.noise.capacity, dtype=torch.float32)
        return Losses(loss, adversary, {"loss": loss.detach().float(), **terms})

    def adversary_parameters(self) -> Iterable[nn.Parameter]:
        """Those of all parts."""
        return [p for _, part in self.weighted_parts().values() for p in part.adversary_parameters()]

    def advice(self) -> Sequence[str]:
        """That of all parts."""
        return tuple(dict.fromkeys(said for _, part in self.weighted_parts().values() for said in part.advice()))


def _require_name(name: str) -> None:
    if not name.isidentifier() or name in (*OWN_NAMES, _NOISE) or hasattr(nn.ModuleDict(), name):
        raise ValueError(f"a part cannot be called {name!r}; give it another name, of letters, digits and underscores")


def _require_weighted(weight_name: str, weight: float, part_name: str, part: object) -> None:
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"{weight_name} is {weight}; give a finite number of at least 0")
    if weight > 0 and part is None:
        raise ValueError(f"{weight_name} is {weight} but there is no {part_name}; give one or set {weight_name} to 0")
    if weight == 0 and part is not None:
        raise ValueError(f"{part_name} is given but {weight_name} is 0; set {weight_name} above 0 or leave it out")
    if part is not None and not isinstance(part, Part):
        raise ValueError(
            f"{part_name} is a {type(part).__name__}, which is no Part; "
            "give a MutualInformation, a PriorMatching or a subclass of deep_infomax.contracts.Part"
        )


def _require_channel(noise: object, weight: float) -> None:
    if noise is None:
        return
    if not isinstance(noise, GaussianChannel):
        raise ValueError(f"`noise` is {noise!r}; give a GaussianChannel(vector_size, deviation)")
    if not weight:
        raise ValueError("noise is given but no global_term or local_term that reads it; give one or leave noise out")
