"""What an estimate of dependency says, as an object, a table, a figure, and JSON."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from rich.table import Table

from deep_infomax.mutual_information.critics.fitting import History
from deep_infomax.mutual_information.result import finite_or_none, printed
from deep_infomax.mutual_information.samples.units import check_unit, conversion, converted, retold

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray
_ROWS = 10


@dataclass(frozen=True)
class Dependency:
    """Total correlation, in nats unless `unit` says bits; ``print`` shows a table."""

    method: str
    """``joint``, ``chain`` or ``dim``."""
    reason: str
    """Why this method."""
    total_correlation: float
    """Best estimate: the mean over folds. Never clipped at 0."""
    interval: tuple[float, float] | None
    """At `level`; None for ``dim``."""
    level: float
    standard_error: float
    dual_total_correlation: float | None
    r"""``sum_i I(z_i; z_-i) - TC(z)``, what coordinates share rather than what is said twice; None for ``dim``, and
    where a coordinate is a function of the others."""
    dual_error: float | None
    """Its standard error, from the folds."""
    per_factor: Float[Array, " d"] | None
    """I(z_i; all other coordinates) of each coordinate that varies: 0 for one that is independent of the others."""
    per_factor_errors: Float[Array, " d"] | None
    """Standard errors of these."""
    readouts: dict[str, float]
    """``gaussian``: the normal model alone. ``density``: the density without a network that is likeliest: this model,
    independent sources or one common scale. ``joint``, ``one_shuffle``: the joint critic, where it was trained, with
    100 shuffles and with one, which is the paper's way."""
    effective_sample_size: float
    """Shuffled samples that carry the exponential mean of ``joint``, in the fold with the fewest."""
    warnings: tuple[str, ...]
    folds: tuple[float, ...]
    """The reading of each fold."""
    history: tuple[History, ...]
    """Of each fold: the figure on validation samples in the course of the training."""
    n: int
    seconds: float
    fitted: float | None = None
    """What the same method reads on samples that its critics were fitted to."""
    finished: bool = True
    """Whether all folds were completed; otherwise the figures are those known when the work ended."""
    unit: str = "nats"
    """Of every figure of information."""
    names: tuple[str, ...] = ()
    """Of the coordinates, where they have names."""

    def in_unit(self, unit: str) -> "Dependency":
        """The same in ``nats`` or ``bits``, every figure of it.

        Raises ValueError for another unit.
        """
        check_unit(unit)
        if unit == self.unit:
            return self
        factor = conversion(self.unit, unit)
        return replace(
            self,
            unit=unit,
            reason=retold(self.reason, unit),
            total_correlation=factor * self.total_correlation,
            interval=None if self.interval is None else (factor * self.interval[0], factor * self.interval[1]),
            standard_error=factor * self.standard_error,
            dual_total_correlation=_times(factor, self.dual_total_correlation),
            dual_error=_times(factor, self.dual_error),
            per_factor=None if self.per_factor is None else factor * self.per_factor,
            per_factor_errors=None if self.per_factor_errors is None else factor * self.per_factor_errors,
            readouts=converted(self.readouts, factor),
            warnings=tuple(retold(warning, unit) for warning in self.warnings),
            folds=tuple(factor * value for value in self.folds),
            history=tuple(
                replace(history, validation=tuple(factor * value for value in history.validation))
                for history in self.history
            ),
            fitted=None if self.fitted is None else factor * self.fitted,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything but the learning curves, as JSON values; what is infinite or unknown is null."""
        return {
            "unit": self.unit,
            "names": list(self.names),
            "total_correlation": self.total_correlation,
            "interval": None if self.interval is None else [finite_or_none(limit) for limit in self.interval],
            "level": self.level,
            "method": self.method,
            "reason": self.reason,
            "standard_error": finite_or_none(self.standard_error),
            "dual_total_correlation": self.dual_total_correlation,
            "dual_error": self.dual_error,
            "per_factor": None if self.per_factor is None else self.per_factor.tolist(),
            "per_factor_errors": None if self.per_factor_errors is None else self.per_factor_errors.tolist(),
            "readouts": self.readouts,
            "fitted": None if self.fitted is None else finite_or_none(self.fitted),
            "effective_sample_size": finite_or_none(self.effective_sample_size),
            "warnings": list(self.warnings),
            "folds": list(self.folds),
            "n": self.n,
            "seconds": self.seconds,
            "finished": self.finished,
        }

    def __str__(self) -> str:
        """The table; of the coordinates those that depend most on the others."""
        table = Table(title=f"Total correlation of {self.n:,} samples, in {self.unit}", title_justify="left")
        for heading in ("", self.unit, "± s.e.", "what it is"):
            table.add_column(heading, justify="right" if heading in (self.unit, "± s.e.") else "left")
        limits = "no interval"
        if self.interval is not None:
            limits = f"{100 * self.level:g}% interval {self.interval[0]:.4f} to {self.interval[1]:.4f}"
        error = "" if np.isnan(self.standard_error) else f"{self.standard_error:.4f}"
        table.add_row("estimate", f"{self.total_correlation:.4f}", error, f"{self.method}; {limits}")
        if self.dual_total_correlation is not None:
            table.add_row("dual", f"{self.dual_total_correlation:.4f}", f"{self.dual_error:.4f}", _MEANINGS["dual"])
        for name, value in self.readouts.items():
            table.add_row(name, f"{value:.4f}", "", _MEANINGS[name])
        if self.per_factor is not None and self.per_factor_errors is not None:
            table.add_section()
            order = np.argsort(-self.per_factor)
            for i in order[:_ROWS]:
                meaning = "with all other coordinates" if i == order[0] else ""
                name = self.names[i] if self.names else f"z[{i}]"
                table.add_row(name, f"{self.per_factor[i]:.4f}", f"{self.per_factor_errors[i]:.4f}", meaning)
            if len(order) > _ROWS:
                rest = self.per_factor[order[_ROWS:]]
                table.add_row(f"{len(rest)} others", f"{rest.max():.4f}", "", "at most")
        return printed(
            table,
            f"{'' if self.finished else 'UNFINISHED: '}{self.method}: {self.reason}; {self.seconds:.1f} s",
            self.warnings,
        )

    def plot(self) -> "Figure":
        """Each coordinate's dependency on all others, and the course of the training in every fold."""
        from matplotlib.figure import Figure  # drawing takes a second to load, which no estimate needs

        figure = Figure(figsize=(9, 3.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        if self.per_factor is not None and self.per_factor_errors is not None:
            places = np.arange(len(self.per_factor))
            left.bar(places, self.per_factor, yerr=1.96 * self.per_factor_errors, color="#1f5f8b", ecolor="#777777")
            left.axhline(0, color="#333333", linewidth=0.8)
            if self.names:
                left.set_xticks(places, self.names, rotation=90)
        left.set(xlabel="coordinate", ylabel=self.unit, title="information with all other coordinates")
        for number, history in enumerate(self.history, 1):
            right.plot(history.steps, history.validation, linewidth=1, label=f"fold {number}")
        right.set(xlabel="steps", ylabel=self.unit, title="validation samples")
        right.legend(fontsize="small")
        return figure


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


_MEANINGS = {
    "dual": "dual total correlation: all per-coordinate figures less the estimate",
    "density": "the likeliest density without a network",
    "gaussian": "the normal model alone",
    "joint": "the joint critic, 100 shuffles",
    "one_shuffle": "the joint critic, one shuffle: the paper's way",
}
