"""Draw the documents' figures from the tables that stand in them; nothing is measured.

    python benchmarks/page_figures.py

It writes ``docs/comparison.png`` (recipes by layer), ``docs/step.png`` (a training step three ways) and
``docs/tasks.png`` (estimates of information against the truth).
"""

import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

DOCS = Path(__file__).parent.parent / "docs"
LAYERS = ("conv", "fc", "Y")
NAMED = 0.5
"""Nats from the truth, from which on a task is named."""


def main() -> None:
    draw_comparison(table(DOCS / "results.md", "| recipe | `mlp/1` conv / fc / Y | `svm/2` conv / fc / Y |"))
    draw_step(table(DOCS / "speed.md", "| shape | library, ms |"))
    draw_tasks(finite(DOCS / "information" / "tasks.md", "| task | truth | mean | spread |", "## Every task"))


def table(page: Path, heading: str) -> list[list[str]]:
    """The rows below the first heading that begins so."""
    lines = page.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(heading)) + 2
    rows: list[list[str]] = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip(" `") for cell in line.strip("|").split("|")])
    return rows


def finite(page: Path, heading: str, section: str) -> list[list[str]]:
    """The rows of all tables of a section below headings that begin so, without those of an infinite truth."""
    text = page.read_text().split(f"\n{section}", 1)[1].split("\n## ", 1)[0]
    rows = []
    for part in text.split(f"\n{heading}")[1:]:
        lines = itertools.takewhile(lambda line: line.startswith("|"), part.splitlines()[2:])
        rows += [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[1] != "∞"]


def draw_comparison(rows: list[list[str]]) -> None:
    recipes = [row[0] for row in rows]
    figure, panels = plt.subplots(1, 3, figsize=(9, 4.2), sharey=True, layout="constrained")
    for panel, (axes, layer) in enumerate(zip(panels, LAYERS, strict=True)):
        axes.plot([float(row[1].split("/")[panel]) for row in rows], recipes, "o")
        axes.set(title=layer, xlabel="accuracy of mlp/1, %")
        axes.grid(alpha=0.3)
    panels[0].invert_yaxis()
    save(figure, "comparison.png")


def draw_step(rows: list[list[str]]) -> None:
    shapes = [row[0].replace("` ", "\n").replace("`", "") for row in rows]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for number, (column, name) in enumerate(((1, "library"), (2, "careful float32"), (4, "expanded float32"))):
        places = [place + 0.27 * (number - 1) for place in range(len(rows))]
        bars = axes.bar(places, [float(row[column].replace(",", "")) for row in rows], 0.25, label=name)
        axes.bar_label(bars, [row[column] for row in rows], fontsize=7, padding=2)
    axes.set(yscale="log", ylabel="ms a step", ylim=(30, 5000))
    axes.set_xticks(range(len(rows)), shapes)
    axes.legend(frameon=False, ncols=3, loc="upper center")
    axes.grid(axis="y", alpha=0.3)
    save(figure, "step.png")


def draw_tasks(rows: list[list[str]]) -> None:
    figure, axes = plt.subplots(figsize=(6, 4.6), layout="constrained")
    for missed, colour, name in ((False, "C0", "bias as wanted"), (True, "C3", "bias larger")):
        some = [row for row in rows if row[5].endswith("missed") == missed]
        truth, mean = ([max(0.0, float(row[column])) for row in some] for column in (1, 2))
        axes.plot(truth, mean, "o", color=colour, markersize=5, alpha=0.6, label=f"{name}: {len(some)} tasks")
        for row, x, y in zip(some, truth, mean, strict=True):
            if abs(y - x) > NAMED:
                turned = 35 if y < 0.1 else 0
                axes.annotate(
                    row[0], (x, y), (6, -3), textcoords="offset points", fontsize=7, color=colour, rotation=turned
                )
    axes.axline((0, 0), slope=1, color="grey", linewidth=1, zorder=0)
    axes.set_xscale("function", functions=(np.sqrt, np.square))  # most tasks share less than 2 nats
    axes.set_yscale("function", functions=(np.sqrt, np.square))
    axes.set(xlabel="true information, nats", ylabel="mean estimate, nats", xlim=(0, 19), ylim=(0, 19))
    ticks = (0, 0.2, 0.5, 1, 2, 4, 6, 8, 10, 14, 18)
    axes.set_xticks(ticks, map(str, ticks))
    axes.set_yticks(ticks, map(str, ticks))
    axes.legend(frameon=False, loc="upper left")
    axes.grid(alpha=0.3)
    save(figure, "tasks.png")


def save(figure: Figure, name: str) -> None:
    figure.savefig(DOCS / name, dpi=150)
    print(f"docs/{name}")


if __name__ == "__main__":
    main()
