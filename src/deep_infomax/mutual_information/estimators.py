"""The estimators of mutual information and of dependency by their names; here because it loads none of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deep_infomax.runtime.names import Entry

if TYPE_CHECKING:
    from deep_infomax.mutual_information.result import Estimate


class Estimator(NamedTuple):
    """How an estimator of mutual information works: with critics on untouched folds, or alone."""

    title: str
    meaning: str
    readouts: tuple[str, ...] = ()
    """The readouts whose largest, over all folds, is its estimate."""
    loss: str | None = None
    """What critics minimise, in `deep_infomax.mutual_information.critics.fitting.LOSSES`; None trains none."""
    second: bool = False
    """Whether a second opinion that is clearly higher is the estimate."""
    alone: "Callable[..., Estimate] | None" = None
    """Of an estimator without folds: from samples x and y, the level, warnings and a `Watch` to an estimate."""


def _ksg(*given: Any) -> "Estimate":
    from deep_infomax.mutual_information.named import ksg

    return ksg(*given)


def _mine(*given: Any) -> "Estimate":
    from deep_infomax.mutual_information.named import mine

    return mine(*given)


ESTIMATORS: Final[dict[str, Estimator]] = {
    "auto": Estimator(
        "automatic",
        "A critic trained with Donsker-Varadhan, read as the larger of Donsker-Varadhan and InfoNCE, or a second "
        "opinion that is clearly higher.",
        ("dv", "infonce"),
        "dv",
        second=True,
    ),
    "jsd": Estimator(
        "Jensen-Shannon",
        "A critic trained with the Jensen-Shannon bound, read as the larger of Donsker-Varadhan and InfoNCE.",
        ("dv", "infonce"),
        "jsd",
    ),
    "infonce": Estimator("InfoNCE", "A critic trained with InfoNCE and read with it.", ("infonce",), "infonce"),
    "nwj": Estimator("NWJ", "A critic trained with NWJ and read with it.", ("nwj",), "nwj"),
    "smile": Estimator(
        "SMILE", "A critic trained with the Jensen-Shannon bound, read with clipped scores.", ("smile",), "jsd"
    ),
    "gaussian": Estimator("normal model", "The information of a normal distribution of the ranks.", ("gaussian",)),
    "ksg": Estimator("KSG", "Distances to nearest neighbours, for few coordinates.", alone=_ksg),
    "mine": Estimator("MINE", "The neural estimator of 2018 to the letter, read on its own pairs.", alone=_mine),
}
"""Estimators of `estimate_mi`, by name."""

DEPENDENCIES: Final[dict[str, Entry]] = {
    "auto": Entry("automatic", "The whole where few samples can read it, else the chain."),
    "joint": Entry("joint", "The divergence from independent coordinates as a whole."),
    "chain": Entry("chain", "The sum of what each coordinate shares with those before it."),
    "dim": Entry("Deep InfoMax", "The paper's protocol, read on its own training samples."),
}
"""Ways of `neural_dependency`, by name."""
