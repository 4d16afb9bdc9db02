"""What an estimate of mutual information says, as an object, a table, a figure, and JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from rich.table import Table

from deep_infomax.mutual_information.critics.fitting import History
from deep_infomax.mutual_information.samples.names import listed
from deep_infomax.mutual_information.samples.units import check_unit, conversion, converted, retold
from deep_infomax.runtime.terminal import PlainConsole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray


@dataclass(frozen=True)
class Estimate:
    """Mutual information, in nats unless `unit` says bits; ``print`` shows a table."""

    estimator: str
    readout: str
    """The readout that is the estimate: the larger of ``dv`` and ``infonce`` for the estimator ``auto``."""
    mi: float
    """Best estimate: the mean of this readout over folds. Never clipped at 0."""
    interval: tuple[float, float] | None
    """At `level`; None where the estimator has none."""
    level: float
    lower_bound: float | None
    """One-sided limit, at `level`, of InfoNCE on held-out pairs: what holds without trust in the critic."""
    readouts: dict[str, float]
    """Held-out lower bounds ``dv``, ``nwj``, ``infonce``; the diagnostic ``smile``, no bound; ``gaussian``, which is
    ``dv`` of the normal model alone."""
    standard_errors: dict[str, float]
    """Of each readout."""
    ceiling: float
    """The largest value that ``infonce`` can read: the logarithm of the samples scored against one another."""
    effective_sample_size: float
    """Pairs that carry the exponential mean in ``dv``, in the fold with the fewest."""
    converged: bool
    """Whether the figure on validation pairs had stopped to rise in every fold."""
    warnings: tuple[str, ...]
    folds: tuple[dict[str, float], ...]
    """The readouts of each fold."""
    history: tuple[History, ...]
    """Of each fold: the figure on validation pairs in the course of the training."""
    n: int
    seconds: float
    finished: bool = True
    """Whether all folds were completed; otherwise the figures are those known when the work ended."""
    p_value: float | None = None
    """Of the hypothesis that x and y are independent, where permutations were asked for."""
    fitted: float | None = None
    """What ``dv`` is on pairs that the critics were fitted to: too much."""
    unit: str = "nats"
    """Of every figure of information."""
    x_names: tuple[str, ...] = ()
    """Of the columns of x, where they have names."""
    y_names: tuple[str, ...] = ()
    log_ratio: Callable[[Any, Any], Float[Array, " n"]] | None = field(default=None, repr=False)

    def in_unit(self, unit: str) -> "Estimate":
        """The same in ``nats`` or ``bits``, every figure of it.

        Raises ValueError for another unit.
        """
        check_unit(unit)
        if unit == self.unit:
            return self
        factor, log_ratio = conversion(self.unit, unit), self.log_ratio
        return replace(
            self,
            unit=unit,
            mi=factor * self.mi,
            interval=None if self.interval is None else (factor * self.interval[0], factor * self.interval[1]),
            lower_bound=None if self.lower_bound is None else factor * self.lower_bound,
            readouts=converted(self.readouts, factor),
            standard_errors=converted(self.standard_errors, factor),
            ceiling=factor * self.ceiling,
            warnings=tuple(retold(warning, unit) for warning in self.warnings),
            folds=tuple(converted(fold, factor) for fold in self.folds),
            history=tuple(
                replace(history, validation=tuple(factor * value for value in history.validation))
                for history in self.history
            ),
            fitted=None if self.fitted is None else factor * self.fitted,
            log_ratio=None if log_ratio is None else lambda x, y: factor * log_ratio(x, y),
        )

    def pointwise(self, x: Any, y: Any) -> Float[Array, " n"]:
        """Estimated ``log p(x, y) / (p(x) p(y))`` of each pair: the mean over the folds' critics.

        Raises ValueError where the estimator has no critic, or the pairs do not have the shape of the samples.
        """
        if self.log_ratio is None:
            raise ValueError(f"the estimator {self.estimator} has no critic to score new pairs with; use auto")
        return self.log_ratio(x, y)

    def to_json(self) -> dict[str, Any]:
        """Everything but the critics and the learning curves, as JSON values; what is infinite is null."""
        return {
            "estimator": self.estimator,
            "unit": self.unit,
            "x_names": list(self.x_names),
            "y_names": list(self.y_names),
            "readout": self.readout,
            "mi": finite_or_none(self.mi),
            "interval": None if self.interval is None else [finite_or_none(limit) for limit in self.interval],
            "level": self.level,
            "lower_bound": None if self.lower_bound is None else finite_or_none(self.lower_bound),
            "readouts": _finite(self.readouts),
            "standard_errors": _finite(self.standard_errors),
            "fitted": None if self.fitted is None else finite_or_none(self.fitted),
            "ceiling": finite_or_none(self.ceiling),
            "effective_sample_size": finite_or_none(self.effective_sample_size),
            "converged": self.converged,
            "warnings": list(self.warnings),
            "folds": [_finite(fold) for fold in self.folds],
            "n": self.n,
            "seconds": self.seconds,
            "finished": self.finished,
            "p_value": self.p_value,
        }

    def __str__(self) -> str:
        """The table."""
        table = Table(title=f"Mutual information of {self.n:,} pairs, in {self.unit}", title_justify="left")
        for heading in ("", self.unit, "± s.e.", "what it is"):
            table.add_column(heading, justify="right" if heading in (self.unit, "± s.e.") else "left")
        limits = "no interval"
        if self.interval is not None:
            limits = f"{100 * self.level:g}% interval {self.interval[0]:.4f} to {self.interval[1]:.4f}"
        table.add_row("estimate", figure(self.mi), "", f"{self.estimator} ({self.readout}); {limits}")
        if self.lower_bound is not None:
            table.add_row("at least", figure(self.lower_bound), "", f"one-sided {100 * self.level:g}% limit of InfoNCE")
        for name, value in self.readouts.items():
            error = self.standard_errors.get(name)
            table.add_row(name, figure(value), "" if error is None else figure(error), MEANINGS.get(name, ""))
        if self.p_value is not None:
            table.add_row("p-value", f"{self.p_value:.4f}", "", "of independence, by permutation")
        return printed(
            table,
            f"{'' if self.finished else 'UNFINISHED: '}{self._named()}{self._basis()}{self.seconds:.1f} s",
            self.warnings,
        )

    def _named(self) -> str:
        named = [f"{name} = {listed(names)}" for name, names in (("x", self.x_names), ("y", self.y_names)) if names]
        return "".join(f"{one}; " for one in named)

    def _basis(self) -> str:
        if not self.folds:
            return "all samples at once, "
        return f"{len(self.folds)} held-out folds, effective sample size {self.effective_sample_size:,.0f}, "

    def plot(self) -> "Figure":
        """The readouts with their errors under the ceiling, and the course of the training in every fold."""
        from matplotlib.figure import Figure  # drawing takes a second to load, which no estimate needs

        drawing = Figure(figsize=(9, 3.5), layout="constrained")
        left, right = drawing.subplots(1, 2)
        names = list(self.readouts)
        errors = [1.96 * self.standard_errors.get(name, 0.0) for name in names]
        left.errorbar(list(self.readouts.values()), range(len(names)), xerr=errors, fmt="o", color="#1f5f8b")
        left.set_yticks(range(len(names)), names)
        left.invert_yaxis()
        left.axvline(self.mi, color="#333333", linewidth=1, label="estimate")
        if self.interval is not None and np.isfinite(self.interval).all():
            left.axvspan(*self.interval, color="#1f5f8b", alpha=0.15, label=f"{100 * self.level:g}% interval")
        if self.lower_bound is not None:
            left.axvline(self.lower_bound, color="#b5532a", linestyle="--", linewidth=1, label="at least")
        left.set(xlabel=self.unit, title="readouts on held-out pairs")
        left.legend(fontsize="small")
        for number, history in enumerate(self.history, 1):
            right.plot(history.steps, history.validation, linewidth=1, label=f"fold {number}")
        right.set(xlabel="steps", ylabel=self.unit, title="validation pairs")
        if self.history:
            right.legend(fontsize="small")
        return drawing


MEANINGS = {
    "dv": "Donsker-Varadhan; a lower bound in expectation",
    "nwj": "Nguyen, Wainwright and Jordan; a lower bound",
    "infonce": "a lower bound with a ceiling",
    "smile": "clipped exponentials; a diagnostic, not a bound",
    "gaussian": "the normal model alone, read by dv",
    "grassberger": "counts of pairs; categories whose pairs recur",
    "ross": "neighbours in each category; few continuous dimensions",
    "mine": "the training objective on its own samples; not a bound on new ones",
    "ksg": "nearest neighbours; continuous variables, few dimensions",
}


def finite_or_none(value: float) -> float | None:
    """A number as JSON has it."""
    return value if np.isfinite(value) else None


def figure(value: float) -> str:
    """A figure of information as a table shows it."""
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.1e}"


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in values.items()}


def printed(table: Table, footer: str, warnings: Sequence[str]) -> str:
    """A table as text, with a line and the warnings below it."""
    text = StringIO()
    console = PlainConsole(file=text, width=100)
    console.print(table)
    for line in (footer, *(f"! {warning}" for warning in warnings)):
        console.print(line, soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
