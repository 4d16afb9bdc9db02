"""What one untouched fold says of a dependency: by a density without a network, or by critics."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Int

from deep_infomax.mutual_information.critics.fitting import Fitting, History, Watch
from deep_infomax.mutual_information.critics.readouts import Readout
from deep_infomax.mutual_information.dependency.departure import Departure
from deep_infomax.mutual_information.dependency.folds import MOST_READ, JointFold, TermsFold, fit_joint, fit_terms
from deep_infomax.mutual_information.dependency.model import Index, Model, Variable, fit_model

Array = np.ndarray
MOST_COORDINATES: Final = 32
MOST_NATS: Final = 6.0
FEWEST_EFFECTIVE: Final = 500.0
"""The whole is read up to so many coordinates and nats, down to so large an effective sample size; else terms."""
UNTRAINED: Final = History((), (), True)


@dataclass(frozen=True)
class Fold:
    """What one untouched fold says."""

    method: str
    reason: str
    total: Readout
    fitted: float
    validated: float
    """The same on validation samples."""
    normal: Readout
    readouts: dict[str, float]
    per_factor: tuple[Readout, ...]
    dual: Readout
    """The sum of these less the total."""
    by_network: bool
    """Whether the total is a critic's, not that of a density without a network."""
    departure: Departure
    """Of latent coordinates of that density."""
    disagreement: tuple[Readout, Readout] | None
    """The joint critic and the chain, where both were read."""
    held_out: int
    read: Index
    """The samples of the fold that were read, of so many that were held out."""
    effective_sample_size: float
    late: float
    """What the second half of the training added to the total."""
    history: History
    determined: bool

    @property
    def fell(self) -> bool:
        """Whether the figure on validation samples fell by more than a nat below that of the start."""
        values = self.history.validation
        return len(values) > 0 and min(values) < values[0] - 1


@dataclass(frozen=True)
class Work:
    """What is the same for every fold."""

    variable: Variable
    method: str
    ranks: bool
    device: torch.device

    def fold(
        self, rest: Index, test: Index, fitting: Fitting, watches: Sequence[Watch], done: Sequence[Fold] = ()
    ) -> Fold:
        """Read one fold; the first decides by which method the others go."""
        model = fit_model(self.variable, rest, test, self.ranks, fitting, self.device)
        read = test[:MOST_READ]
        held_out = model.samples(read)
        best = model.best.readout(read)
        chosen = (done[0].method, done[0].reason) if done else self._method(best.value)
        joint: JointFold | None = None
        if chosen is None or chosen[0] == "joint":
            joint = fit_joint(model, held_out, fitting, watches[0]) if model.worth_training else None
            chosen = chosen or _choice(joint, best.value)
        method, reason = chosen
        d = self.variable.z.shape[1]
        factors, contexts = _terms(d, with_chain=method == "chain")
        terms = TermsFold((), (), (0.0, 0.0), math.nan, UNTRAINED)
        if model.worth_training:
            terms = fit_terms(model, held_out, factors, contexts, d, fitting, watches[1])
        if not watches[1].stop():
            watches[1].report(1.0)
        return _fold(method, reason, model, read, len(test), joint, terms)

    def _method(self, best: float) -> tuple[str, str] | None:
        """The method and why, as far as no critic is needed to tell."""
        d = self.variable.z.shape[1]
        if self.method != "auto":
            return self.method, "as asked for"
        if d > MOST_COORDINATES:
            return "chain", f"{d} coordinates, more than {MOST_COORDINATES}"
        if best > MOST_NATS:
            reads = f"the normal model reads {best:.1f} nats in the first fold"
            return "chain", f"{reads}, more than {MOST_NATS:g}"
        return None


def _fold(
    method: str, reason: str, model: Model, read: Index, held_out: int, joint: JointFold | None, terms: TermsFold
) -> Fold:
    d = len(model.correlations)
    best, normal = model.best.readout(read), model.base.readout(read)
    chain = _sum(terms.terms[d:]) if method == "chain" and terms.terms else None
    gain = terms.gains[1] * (d - 1) if method == "chain" else joint.gain if joint is not None else 0.0
    without = float(model.best.ratios(model.validation).mean())
    with_network = float(model.base.ratios(model.validation).mean()) + gain
    by_network = gain > 0 and with_network > without
    total, size, late, history = best, math.nan, 0.0, terms.history if method == "chain" else UNTRAINED
    fitted = model.best.readout(model.fit[: len(read)]).value
    if method == "joint" and joint is not None:
        history = joint.history
        if by_network:
            total, fitted, size = joint.total, joint.fitted, joint.effective_sample_size
            late = history.gained_after(0.5)
    elif by_network:
        assert chain is not None
        total, fitted, size = chain, sum(terms.fitted), terms.effective_sample_size
        late = history.gained_after(0.5) * (d - 1)
    by_terms = terms.gains[0] > 0 and (by_network or model.best is model.base)
    per_factor = terms.terms[:d] if by_terms else model.best.conditionals(read)
    readouts = {"gaussian": normal.value, "density": best.value}
    if joint is not None:
        readouts |= {"joint": joint.total.value, "one_shuffle": joint.one_shuffle}
    return Fold(
        method=method,
        reason=reason,
        total=total,
        fitted=fitted,
        validated=max(without, with_network) if by_network else without,
        normal=normal,
        readouts=readouts,
        per_factor=per_factor,
        dual=_difference(_sum(per_factor), total),
        by_network=by_network,
        departure=model.departure,
        disagreement=(joint.total, total) if joint is not None and method == "chain" and by_network else None,
        held_out=held_out,
        read=read,
        effective_sample_size=size,
        late=late,
        history=history,
        determined=model.determined,
    )


def _choice(joint: JointFold | None, best: float) -> tuple[str, str]:
    """The method for what the joint critic reads in the first fold, and why."""
    if joint is None or joint.gain == 0:
        return "joint", f"in the first fold a density without a network reads {best:.1f} nats; no reason against it"
    value, size = joint.total.value, joint.effective_sample_size
    reading = f"in the first fold joint reads {value:.1f} nats from an effective sample size of {size:,.0f}"
    if value > MOST_NATS:
        return "chain", f"{reading}; more than {MOST_NATS:g} nats"
    if size < FEWEST_EFFECTIVE:
        return "chain", f"{reading}; less than {FEWEST_EFFECTIVE:g}"
    return "joint", f"{reading}; no reason against it"


def _terms(d: int, with_chain: bool) -> tuple[Int[Array, " t"], Bool[Array, "t d"]]:
    """Each coordinate given all others; and, for the chain, each but the first given those before it."""
    others = ~np.eye(d, dtype=bool)
    if not with_chain:
        return np.arange(d), others
    before = np.tri(d, k=-1, dtype=bool)[1:]
    return np.concatenate([np.arange(d), np.arange(1, d)]), np.concatenate([others, before])


def _sum(readouts: Sequence[Readout]) -> Readout:
    return Readout(sum(r.value for r in readouts), torch.stack([r.influence for r in readouts]).sum(0))


def _difference(one: Readout, other: Readout) -> Readout:
    """Of readouts of the same samples, one of which may have read only the first of them."""
    n = min(len(one.influence), len(other.influence))
    return Readout(one.value - other.value, one.influence[:n].double().cpu() - other.influence[:n].double().cpu())
