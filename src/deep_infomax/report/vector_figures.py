"""Figures of the global vectors Y: along their principal components by class, and against the prior."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from deep_infomax.report.figures import DASHES, REST, Key, Picture
from deep_infomax.report.projection import principal_components
from deep_infomax.report.run_map import finite_rows
from deep_infomax.report.runs import Representation, class_name
from deep_infomax.report.svg import CLASS_COLOURS, HALO, PALETTE, draw
from deep_infomax.runtime.names import Titled

_NAME: Final = np.array([0.1, 0.05])
"""Width and height of a name, as shares of a figure's."""
_DENSITIES: Final[dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    "uniform": np.ones_like,
    "gaussian": lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
}
"""Of the priors whose units can be drawn each by itself."""


def components(representation: Representation, most_points: int) -> Picture | None:
    """Y along its principal components, by class; None for fewer than two different vectors."""
    rows = finite_rows(representation, most_points)
    vectors, labels, classes = representation.vectors[rows], representation.labels[rows], representation.classes
    if len(vectors) < 2 or not np.ptp(vectors, axis=0).any():
        return None
    points, shares = principal_components(vectors)
    named = _largest_classes(labels)
    places = _apart([np.median(points[labels == label], axis=0) for label in named], np.ptp(points, axis=0))
    # Pale, as one of the ten is a grey as well.
    colours = np.full(len(labels), f"{REST}60" if named else f"{PALETTE[0]}cc")
    for label, colour in zip(named, CLASS_COLOURS, strict=False):
        colours[labels == label] = f"{colour}cc"
    mixed = np.random.default_rng(0).permutation(len(points))  # so that no class lies above all others

    def paint(axes: Axes) -> None:
        x, y = points[mixed].T
        axes.scatter(x, y, s=9, c=colours[mixed], linewidths=0, rasterized=True)
        for label, (x, y) in zip(named, places, strict=True):
            axes.text(x, y, class_name(label, classes), ha="center", va="center", weight="bold", gid=f"{HALO}-{label}")
        axes.set_xlabel(f"component 1 ({100 * shares[0]:.0f} % of the variance)")
        axes.set_ylabel(f"component 2 ({100 * shares[1]:.0f} % of the variance)")
        axes.grid(False)

    title = "Principal components of Y"
    caption = f"{len(rows):,} inputs along the two directions in which Y varies most; all other directions are hidden."
    if named and len(np.unique(labels)) > len(named):
        caption += f" The {len(named)} classes with most inputs are in colour, the others in grey."
    alt = f"{title}: {len(points)} points" + (f" of {len(np.unique(labels))} classes" if named else " without classes")
    return Picture(draw(paint, alt, height=4.0), title, caption)


def _largest_classes(labels: Int[np.ndarray, " p"]) -> list[int]:
    """The classes to show in colour, in order."""
    present, counts = np.unique(labels[labels >= 0], return_counts=True)
    largest = present[np.argsort(-counts, kind="stable")[: len(CLASS_COLOURS)]]
    return sorted(int(label) for label in largest)


def _apart(places: Sequence[Float[np.ndarray, " 2"]], extent: Float[np.ndarray, " 2"]) -> list[tuple[float, float]]:
    """Places of names, those that would cover another one moved down.

    >>> _apart([np.zeros(2), np.zeros(2)], np.array([10.0, 20.0]))
    [(0.0, 0.0), (0.0, -1.0)]
    """
    width, height = _NAME * extent
    taken: list[tuple[float, float]] = []
    for x, y in places:
        while any(abs(x - a) < width and abs(y - b) < 0.99 * height for a, b in taken):
            y -= height
        taken.append((float(x), float(y)))
    return taken


def histogram(representation: Representation, prior: str | None, priors: Mapping[str, Titled]) -> Picture | None:
    """The values of Y (norms, for a prior on a ball or a sphere) against the prior's density; None without values.

    ``priors`` says what priors are called; one that is not there is shown by its name.
    """
    vectors = representation.vectors[finite_rows(representation, len(representation.vectors))]
    if not vectors.size:
        return None
    vectors = vectors.astype(np.float64)
    called = f"{priors[prior].title if prior is not None and prior in priors else prior} prior"
    if prior in ("ball", "sphere"):
        return _norms(np.linalg.norm(vectors, axis=1), vectors.shape[1], prior, called)
    if prior == "uniform":
        return _values(1 / (1 + np.exp(-np.clip(vectors, -60, 60))), "sigmoid(Y)", prior, called, np.linspace(0, 1, 41))
    low, high = float(vectors.min()), float(vectors.max())
    if high - low < 1e-6 * max(1.0, abs(low)):
        low, high = low - 0.5, high + 0.5
    return _values(vectors, "Y", prior if prior in _DENSITIES else None, called, np.linspace(low, high, 41))


def _values(
    values: Float[np.ndarray, "p d"], name: str, prior: str | None, called: str, bins: Float[np.ndarray, " edges"]
) -> Picture:
    """Density of the values of all units, with a band for the single units, and the prior's."""
    units = np.stack([np.histogram(column, bins)[0] for column in values.T]) / (len(values) * np.diff(bins))
    low, high = (np.append(edge, edge[-1]) for edge in np.quantile(units, (0.1, 0.9), axis=0))
    x = np.linspace(bins[0], bins[-1], 200)

    def paint(axes: Axes) -> None:
        axes.fill_between(bins, low, high, step="post", color=PALETTE[5], alpha=0.35, linewidth=0)
        axes.stairs(units.mean(axis=0), bins, color=PALETTE[0], linewidth=1.6)
        if prior is not None:
            axes.plot(x, _DENSITIES[prior](x), color=PALETTE[1], linestyle=DASHES)
        axes.set_xlabel(name)
        axes.set_ylabel("density")
        axes.set_ylim(bottom=0)

    legend = [Key(f"{name}, all units", PALETTE[0], "line"), Key("80 % of single units", PALETTE[5], "area")]
    if prior is None:
        caption = "Y was matched to no prior: its shape is free. A spike means that inputs are encoded alike."
        alt = f"Histogram of {name} from {values.min():.3g} to {values.max():.3g}"
        return Picture(draw(paint, alt), f"Values of {name}", caption, tuple(legend))
    legend.append(Key(called, PALETTE[1], "dashed"))
    title = f"{name} against the {called}"
    caption = (
        "Matched where the line follows the dashed one and the band, which holds 80 % of the single units, is narrow. "
        "Mass at the ends means saturated units. Each unit alone is shown, not the dependence between units."
    )
    return Picture(draw(paint, f"Histogram of {title}"), title, caption, tuple(legend))


def _norms(norms: Float[np.ndarray, " p"], d: int, prior: str, called: str) -> Picture:
    """Norms of Y; those of a uniform ball in d dimensions have the density d r^(d - 1), a sphere's are all 1."""
    bins = np.linspace(0, max(1.05, float(norms.max())), 41)
    density = np.histogram(norms, bins)[0] / (len(norms) * np.diff(bins))

    def paint(axes: Axes) -> None:
        axes.stairs(density, bins, color=PALETTE[0], linewidth=1.6)
        if prior == "sphere":
            axes.axvline(1.0, color=PALETTE[1], linestyle=DASHES)
        else:
            r = np.linspace(0, 1, 400)
            axes.plot(np.append(r, 1), np.append(d * r ** (d - 1), 0), color=PALETTE[1], linestyle=DASHES)
        axes.set_xlabel("norm of Y")
        axes.set_ylabel("density")

    title = f"Norm of Y against the {called}"
    caption = "Matched where the line follows the dashed one. Lengths only: directions do not show."
    legend = (Key("norm of Y", PALETTE[0], "line"), Key(called, PALETTE[1], "dashed"))
    return Picture(draw(paint, f"Histogram of the norms of Y, mean {norms.mean():.3g}"), title, caption, legend)
