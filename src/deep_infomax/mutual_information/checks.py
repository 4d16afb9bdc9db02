"""Checks of an estimator on the data at hand, for which no true answer is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Int, Shaped

from deep_infomax.mutual_information.estimate import estimate_mi
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.samples.variables import read_variable

Array = np.ndarray
_WORDS: Final = {
    True: "Data processing loses information, as it must, as far as can be seen",
    False: "Data processing seems to add information, so one of these two estimates is wrong",
}


@dataclass(frozen=True)
class ProcessingCheck:
    """Whether processing y reads as losing information about x, which it can only lose; ``print`` shows a sentence."""

    whole: Estimate
    """I(x; y)."""
    processed: Estimate
    """I(x; g(y))."""

    @property
    def finished(self) -> bool:
        """Whether no interrupt ended the work."""
        return self.whole.finished and self.processed.finished

    @property
    def holds(self) -> bool:
        """Whether I(x; g(y)) <= I(x; y) is possible in their intervals, or true of their figures without intervals."""
        return _limits(self.processed)[0] <= _limits(self.whole)[1]

    def to_json(self) -> dict[str, Any]:
        """Both estimates and the answer, as JSON values."""
        return {"holds": self.holds, "whole": self.whole.to_json(), "processed": self.processed.to_json()}

    def __str__(self) -> str:
        """The sentence."""
        processed, whole = _figures(self.processed), _figures(self.whole)
        return f"{_WORDS[self.holds]}: I(x; g(y)) = {processed}, I(x; y) = {whole}."


def check_data_processing(
    x: Any,
    y: Any,
    g: Callable[[Any], Any] | None = None,
    *,
    whole: Estimate | None = None,
    **options: Any,
) -> ProcessingCheck:
    """Estimate I(x; y) and I(x; g(y)) in the same way, and see whether the second is no larger, as it must be.

    Args:
        x: As for `estimate_mi`.
        y: As for `estimate_mi`.
        g: Any function of the samples of y, row by row; None takes `quarters`.
        whole: I(x; y), where it has been estimated already, with the same options.
        options: Of `estimate_mi`, for both estimates.

    Raises:
        ValueError: As `estimate_mi`; or ksg, which cannot read equal values, is to read quarters.

    Example:
        >>> x, noise = np.random.default_rng(0).normal(size=(2, 1000))
        >>> check = check_data_processing(x, x + noise, estimator="gaussian", progress=False)
        >>> check.holds, check.processed.mi < check.whole.mi
        (True, True)
    """
    if g is None:
        require_quarters(options.get("estimator", "auto"))
    if whole is None:
        whole = estimate_mi(x, y, **options)
    processed = quarters(read_variable(y, "y").numbers) if g is None else g(y)
    return ProcessingCheck(whole, estimate_mi(x, processed, **options))


def require_quarters(estimator: str) -> None:
    """Raise ValueError for an estimator that cannot read quarters."""
    if estimator == "ksg":
        raise ValueError("ksg cannot read the equal values that quarters of y are; give another `estimator`")


def quarters(y: Shaped[Array, "n *d"]) -> Int[Array, "n *d"]:
    """For each coordinate the number, 0 to 3, of the quarter of the samples that it lies in.

    Equal values get equal numbers, and a coordinate that varies still does.

    >>> quarters(np.array([5, 1, 7, 3])), quarters(np.array([1, 1, 1, 1, 0]))
    (array([2, 0, 3, 1]), array([3, 3, 3, 3, 0]))
    """
    values = y.astype(np.float64)
    largest = values.max(axis=0)
    limits = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    numbers: Array = np.sum([np.where(limit < largest, values > limit, values >= limit) for limit in limits], axis=0)
    return numbers


def _limits(estimate: Estimate) -> tuple[float, float]:
    return (estimate.mi, estimate.mi) if estimate.interval is None else estimate.interval


def _figures(estimate: Estimate) -> str:
    limits = "" if estimate.interval is None else " ({:.4f} to {:.4f})".format(*estimate.interval)
    return f"{estimate.mi:.4f} nats{limits}"
