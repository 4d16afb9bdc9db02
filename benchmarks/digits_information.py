"""What the pixels of scikit-learn's digits tell of the class, beside what a classifier proves and an encoding tells.

    python benchmarks/digits_information.py [--seeds 3] [--y Y.npy]

A classifier q(c | x) that never saw a digit proves ``I >= H(c) + E log q(c | x)`` in nats (Barber and Agakov, 2003). It
is a logistic regression in ten folds. ``Y.npy`` holds what an encoder makes of the digits, in their order:

    dim train --recipe local-infonce --data digits --epochs 60 --out runs/digits
    dim encode runs/digits digits --out Y.npy

An encoding tells no more than the pixels. The check holds where both intervals allow it.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from scipy.special import entr
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deep_infomax.mutual_information import Estimate, ProcessingCheck, estimate_mi


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="estimates with so many seeds")
    parser.add_argument("--y", type=Path, help="file of encodings")
    arguments = parser.parse_args()
    pixels, labels = load_digits(return_X_y=True)
    encodings = None if arguments.y is None else np.load(arguments.y)
    bound, error = proven(pixels, labels)
    print(f"{len(labels):,} digits, H(c) = {entropy(labels):.4f} nats")
    print(f"logistic regression proves I(pixels; c) >= {bound:.4f} ± {error:.4f}")
    for seed in range(arguments.seeds):
        whole = estimate_mi(pixels, labels, seed=seed, progress=False)
        show("pixels", seed, whole)
        if encodings is not None:
            processed = estimate_mi(encodings, labels, seed=seed, progress=False)
            show("Y", seed, processed)
            print(ProcessingCheck(whole, processed))


def proven(x: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The classifier's bound and its standard error."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    shares = cross_val_predict(model, x, labels, cv=folds, method="predict_proba")
    logs = np.log(shares[np.arange(len(labels)), labels])
    return entropy(labels) + float(logs.mean()), float(logs.std() / math.sqrt(len(logs)))


def entropy(labels: np.ndarray) -> float:
    return float(entr(np.bincount(labels) / len(labels)).sum())


def show(what: str, seed: int, estimate: Estimate) -> None:
    interval = "withheld" if estimate.interval is None else "{:.4f} to {:.4f}".format(*estimate.interval)
    print(f"\n{what}, seed {seed}: {estimate.mi:.4f} nats, interval {interval}, ", end="")
    print(f"at least {estimate.lower_bound:.4f}, {estimate.seconds:.1f} s")
    for warning in estimate.warnings:
        print(f"! {warning}")


if __name__ == "__main__":
    main()
