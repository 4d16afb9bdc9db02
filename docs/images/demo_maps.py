"""Draws docs/images/demo-maps.png from two runs: Y of unseen digits, before and after training.

python docs/images/demo_maps.py runs/demo-random runs/first
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from deep_infomax import Encoder, load_dataset
from deep_infomax.report.projection import tsne

TITLES = ("before training", "after 10 epochs without labels")
OUT = Path(__file__).with_name("demo-maps.png")


def main(runs: list[str]) -> None:
    test = load_dataset("digits").test
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    colors = plt.colormaps["tab10"](np.arange(10))
    for axes, run, title in zip(panels, runs, TITLES, strict=True):
        x, y = tsne(Encoder.from_pretrained(run).encode(test.inputs).numpy()).T
        for digit, color in enumerate(colors):
            chosen = test.labels.numpy() == digit
            axes.scatter(x[chosen], y[chosen], s=14, color=color, alpha=0.35, linewidths=0)
            for place in np.flatnonzero(chosen)[:12]:
                axes.text(x[place], y[place], str(digit), color=color, size=9, weight="bold", ha="center", va="center")
        axes.set(title=title, xticks=[], yticks=[])
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
