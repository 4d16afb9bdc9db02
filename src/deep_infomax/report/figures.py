"""What a figure of the report is made of, and the curves of a training."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from deep_infomax.report.svg import PALETTE, draw

REST: Final = "#888888"
DASHES: Final = (0, (5, 3))
_MOST_POINTS_OF_A_CURVE: Final = 400
_LINES: Final = tuple((color, style) for style in ("line", "dotted") for color in PALETTE)


class Key(NamedTuple):
    """One entry of a legend, which the page writes in HTML."""

    label: str
    color: str
    kind: str
    """line, dotted, dashed or area."""


class Picture(NamedTuple):
    """A figure with what the page says about it."""

    svg: str
    title: str
    caption: str
    legend: tuple[Key, ...] = ()


class Curve(NamedTuple):
    """Values over the epochs of a training."""

    label: str
    epoch: Float[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    ceiling: float | None = None
    """The largest possible value, drawn dashed."""
    style: int = 0
    """Position of its colour, so that a run keeps one colour in all figures."""


def curves(
    lines: Sequence[Curve],
    title: str,
    unit: str,
    caption: str,
    zero: bool = False,
    limit: tuple[float, str] | None = None,
) -> list[Picture]:
    """A picture of curves over epochs; none where no curve has two finite values.

    ``zero`` starts the axis there, ``limit`` is a level to draw dashed, with its name.
    """
    lines = [line for line in lines if np.isfinite(line.value).sum() > 1]
    if not lines:
        return []
    keys = [Key(line.label, *_LINES[line.style % len(_LINES)]) for line in lines]

    def paint(axes: Axes) -> None:
        for line, (_, color, kind) in zip(lines, keys, strict=True):
            epoch, value = thinned(line.epoch, line.value)
            axes.plot(epoch, value, color=color, linestyle="-" if kind == "line" else ":")
            if line.ceiling is not None:
                axes.axhline(line.ceiling, color=color, linestyle=DASHES, linewidth=1.0)
        if limit is not None:
            axes.axhline(limit[0], color=REST, linestyle=DASHES, linewidth=1.0)
        axes.set_xlim(left=0)
        axes.set_xlabel("epoch")
        axes.set_ylabel(unit)
        if zero:
            low = min(np.fmin.reduce(line.value, initial=0.0) for line in lines)
            flat = not any(np.nan_to_num(line.value).any() for line in lines)
            axes.set_ylim(bottom=low, top=1.0 if flat else None)

    levels = [Key(limit[1], REST, "dashed")] if limit is not None else []
    if any(line.ceiling is not None for line in lines):
        levels.append(Key("ceiling", "currentColor" if len(lines) > 1 else keys[0].color, "dashed"))
    legend = [*keys, *levels] if len(keys) + len(levels) > 1 else []
    alt = f"{title} over the epochs: " + "; ".join(f"{line.label} {_course(line.value)}" for line in lines)
    return [Picture(draw(paint, alt), title, caption, tuple(legend))]


def thinned(
    epoch: Float[np.ndarray, " n"], value: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
    """At most 400 points of a curve: the means of consecutive values, those that are NaN left out.

    >>> epoch, value = thinned(np.arange(1200.0), np.tile([1.0, np.nan, 3.0], 400))
    >>> len(value), set(value.tolist())
    (400, {2.0})
    """
    if len(epoch) <= _MOST_POINTS_OF_A_CURVE:
        return epoch, value
    starts = np.linspace(0, len(epoch), _MOST_POINTS_OF_A_CURVE, endpoint=False).astype(int)
    there = np.isfinite(value)
    number = np.add.reduceat(there.astype(float), starts)
    sums = np.add.reduceat(np.where(there, value, 0.0), starts)
    means = np.full(len(starts), np.nan)
    np.divide(sums, number, out=means, where=number > 0)
    return np.maximum.reduceat(epoch, starts), means


def _course(value: Float[np.ndarray, " n"]) -> str:
    finite = value[np.isfinite(value)]
    return f"from {finite[0]:.4g} to {finite[-1]:.4g}" if len(finite) else "without a finite value"
