"""The probes svm/3 and knn/1 of a run's encoder beside scikit-learn's, on the same standardised features.

    python benchmarks/probes.py RUN [--data SPEC] [--train_inputs 10000]

Scikit-learn's support vector machine for several classes (Crammer and Singer) gets the strength that svm/3 chose,
C = 1 / (l2 n). Its hinge has corners, which ours rounds a little.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from deep_infomax.data import DataOptions, load_dataset, require_labels
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import extract, knn, svm
from deep_infomax.evaluation.probes import standardised
from deep_infomax.experiments.run_directory import read_settings
from deep_infomax.training import keep_freed_memory


def main() -> None:
    """Print a line for each layer and probe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", help="labelled data (default: the run's own)")
    parser.add_argument("--train_inputs", type=int, default=10_000)
    given = parser.parse_args()
    keep_freed_memory()
    encoder = Encoder.from_pretrained(given.run)
    dataset = load_dataset(given.data or read_settings(given.run).data, DataOptions(train_inputs=given.train_inputs))
    if dataset.test is None:
        parser.error(f"{dataset.name} has no test part; name other data with --data")
    labels, test_labels = (require_labels(part)[0] for part in (dataset.train, dataset.test))
    print("layer | probe | ours % | scikit-learn's % | ours s | scikit-learn's s")
    train, test = (extract(encoder, part, encoder.layers) for part in (dataset.train, dataset.test))
    for layer in encoder.layers:
        x, test_x = standardised(train[layer], test[layer])
        [own], seconds = timed(lambda: svm(train[layer], labels, test[layer], test_labels))  # noqa: B023
        strength = 1 / (own.chosen["l2"] * len(x))
        machine = LinearSVC(multi_class="crammer_singer", C=strength, max_iter=100_000, random_state=0)
        compare(layer, f"svm/3, C {strength:g}", own.value, seconds, machine, x, labels, test_x, test_labels)
        [own], seconds = timed(lambda: knn(train[layer], labels, test[layer], test_labels))  # noqa: B023
        nearest = KNeighborsClassifier(int(own.chosen["k"]), metric="cosine", algorithm="brute")
        compare(layer, "knn/1", own.value, seconds, nearest, x, labels, test_x, test_labels)


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function gives, and the seconds it takes."""
    began = time.perf_counter()
    return function(), time.perf_counter() - began


def compare(
    layer: str,
    probe: str,
    value: float,
    seconds: float,
    classifier: LinearSVC | KNeighborsClassifier,
    x: torch.Tensor,
    labels: torch.Tensor,
    test_x: torch.Tensor,
    test_labels: torch.Tensor,
) -> None:
    """Fit scikit-learn's classifier and print both."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        accuracy, other_seconds = timed(
            lambda: (
                100 * np.mean(classifier.fit(x.numpy(), labels.numpy()).predict(test_x.numpy()) == test_labels.numpy())
            )
        )
    note = " (not converged)" if any(w.category is ConvergenceWarning for w in caught) else ""
    print(f"{layer} | {probe} | {value:.2f} | {accuracy:.2f}{note} | {seconds:.1f} | {other_seconds:.1f}", flush=True)


if __name__ == "__main__":
    main()
