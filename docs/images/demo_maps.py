"""Draws docs/images/demo-maps.png from the demo's run: unseen digits by principal components, and by Y.

python docs/images/demo_maps.py runs/demo
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from deep_infomax import Encoder, load_dataset
from deep_infomax.evaluation.floors import principal_components
from deep_infomax.report.projection import tsne

TITLES = ("64 principal components", "64 numbers learnt without labels")
OUT = Path(__file__).with_name("demo-maps.png")


def main(run: str) -> None:
    dataset = load_dataset("placed-digits")
    train, test = (part.inputs.flatten(1).float() for part in (dataset.train, dataset.test))
    _, components = principal_components(train, test, 64)
    vectors = Encoder.from_pretrained(run).encode(dataset.test.inputs)
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    colors = plt.colormaps["tab10"](np.arange(10))
    for axes, shown, title in zip(panels, (components, vectors), TITLES, strict=True):
        x, y = tsne(shown.numpy()).T
        for digit, color in enumerate(colors):
            chosen = dataset.test.labels.numpy() == digit
            axes.scatter(x[chosen], y[chosen], s=14, color=color, alpha=0.35, linewidths=0)
            for place in np.flatnonzero(chosen)[:12]:
                axes.text(x[place], y[place], str(digit), color=color, size=9, weight="bold", ha="center", va="center")
        axes.set(title=title, xticks=[], yticks=[])
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1])
