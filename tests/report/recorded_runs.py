"""Run directories as a training and an evaluation leave them, written in a moment."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DATASET = {
    "spec": "cifar10", "name": "cifar10", "n_train": 50000, "n_test": 10000, "classes": 10, "shape": "3 x 32 x 32",
    "encoding": "PNG", "size_rule": "as stored", "split_rule": "test split as published",
}  # fmt: skip


class Run:
    """Writes a run directory as a training and an evaluation of CIFAR-10 would leave it, in a moment."""

    def __init__(
        self,
        path: Path,
        recipe: str = "local-infonce",
        seed: int = 0,
        objective: Mapping[str, Any] | None = None,
        epochs: int = 12,
        accuracy: float = 62.0,
    ) -> None:
        self.path, self.seed, self.epochs, self.accuracy = path, seed, epochs, accuracy
        self.rng = np.random.default_rng(seed)
        self.objective = {
            "method": "deep-infomax", "bound": "infonce", "alpha": 0.0, "beta": 1.0, "gamma": 0.1, "prior": "uniform",
            "local_scorer": "encode-and-dot", "units": 2048, "limit": None,
        } | dict(objective or {})  # fmt: skip
        (path / "arrays").mkdir(parents=True)
        self.config: dict[str, Any] = {
            "recipe": recipe,
            "command": f"dim train --recipe {recipe} --data cifar10 --epochs {epochs} --seed {seed}",
            "seed": seed,
            "data": "cifar10",
            "probe": None,
            "encoder": {"architecture": "auto", "dim": None},
            "objective": self.objective,
            "training": {"epochs": float(epochs), "batch_size": 64, "learning_rate": 0.0001, "schedule": "constant"},
            "data_options": {"resize": None, "crop": None, "flip": False},
            "dataset": DATASET,
            "environment": {
                "version": "0.1.0",
                "torch": "2.13.0+cpu",
                "device": "cpu",
                "precision": "bfloat16",
                "threads": 2,
            },
        }
        self.write_config()

    def write_config(self) -> None:
        (self.path / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))

    def log(self, records: int = 120, finished: bool = True) -> "Run":
        """A bound that rises towards its ceiling, seen through noise."""
        epochs = np.linspace(0, self.epochs, records + 1)[1:]
        rise = 1 - np.exp(-3 * epochs / self.epochs)
        ceiling = float(np.log(256)) if self.objective["bound"] == "infonce" else 2 * float(np.log(2))
        with (self.path / "metrics.jsonl").open("w") as file:
            for i, epoch in enumerate(epochs.tolist()):
                step = (i + 1) * 20
                bound = 0.8 * ceiling * rise[i] + 0.03 * self.rng.normal()
                terms = {
                    "loss": 10.2 - bound, "local_loss": 10.1 - bound, "local_bound": bound, "local_ceiling": ceiling,
                    "prior_encoder": 0.7 + 0.02 * self.rng.normal(), "prior_adversary": 1.38,
                    "prior_accuracy": 0.5 + 0.3 / (1 + i),
                }  # fmt: skip
                record = {
                    "kind": "train", "step": step, "epoch": epoch, "images_per_second": 1200 + 40 * self.rng.normal(),
                    "learning_rate": 1e-3 * float(np.sin(np.pi * epoch / self.epochs)), "seconds": 3.1 * (i + 1),
                    "terms": terms,
                }  # fmt: skip
                file.write(json.dumps(record) + "\n")
                if i % 10 == 9:
                    health = {"vector_rank": 20 + 30 * rise[i], "dead_units": 0, "vector_std": 1.0}
                    file.write(json.dumps({"kind": "health", "step": step, "epoch": epoch} | health) + "\n")
            if finished:
                file.write(json.dumps({"kind": "end", "step": step, "epoch": epoch, "seconds": 3.1 * records}) + "\n")
        arguments = {
            "channels": 3,
            "spatial": [32, 32],
            "convolutions": [{"filters": 64, "kernel": 4, "pool": None}],
            "dim": 64,
        }
        (self.path / "encoder.json").write_text(
            json.dumps({"schema": 1, "architecture": "convolutional", "arguments": arguments})
        )
        return self

    def evaluation(
        self, results: Sequence[Mapping[str, Any]] | None = None, data: Mapping[str, Any] = DATASET
    ) -> "Run":
        if results is None:
            results = [
                self.result(metric, layer, self.accuracy + offset - 2.0 * i)
                for i, metric in enumerate(("linear", "mlp", "knn"))
                for layer, offset in (("conv", 8.0), ("fc", 4.0), ("Y", 0.0))
            ]
        document = {"schema": 1, "data": data, "results": results}
        (self.path / "evaluation.json").write_text(json.dumps(document))
        return self

    @staticmethod
    def result(metric: str, layer: str, value: float, **changes: Any) -> dict[str, Any]:
        return {
            "metric": metric, "variant": "default", "layer": layer, "value": value, "unit": "%", "spread": 0.23,
            "n": 10000, "seeds": [0, 1, 2], "split": "test", "protocol": f"{metric}/1", "seconds": 12.3,
        } | changes  # fmt: skip

    def representation(self, points: int = 40, d: int = 64) -> "Run":
        """Vectors in one cluster a class."""
        labels = self.rng.integers(0, 10, points)
        centres = 1.5 * np.random.default_rng(7).normal(size=(10, d))
        vectors = centres[labels] + self.rng.normal(size=(points, d))
        self.vectors(vectors, labels)
        return self

    def vectors(self, vectors: np.ndarray, labels: np.ndarray, classes: Sequence[str] = CLASSES) -> "Run":
        arrays = {"Y": vectors.astype(np.float32), "labels": labels}
        np.savez(self.path / "arrays" / "representation.npz", classes=np.array(classes, dtype=str), **arrays)
        return self

    def inputs(self, miniatures: np.ndarray, total: int | None = None, **arrays: np.ndarray) -> "Run":
        """What the map shows of each of the vectors that are written."""
        path, n = self.path / "arrays" / "representation.npz", len(miniatures)
        with np.load(path) as archive:
            kept = dict(archive)
        kept |= {
            "images" if miniatures.ndim == 4 else "lines": miniatures, "index": np.arange(n) + 100,
            "splits": np.array(["test"] * n), "total": np.array(total or n),
        }  # fmt: skip
        np.savez(path, **kept | arrays)
        return self

    def neighbours(self, q: int = 8, r: int = 8, channels: int = 3) -> "Run":
        """Smooth images, most of them of their query's class."""
        query_labels = np.arange(q) % 10
        labels = np.where(self.rng.random((q, r)) < 0.7, query_labels[:, None], self.rng.integers(0, 10, (q, r)))
        coarse = self.rng.integers(0, 256, (q, r + 1, 4, 4, channels), dtype=np.uint8)
        images = coarse.repeat(8, axis=2).repeat(8, axis=3)
        np.savez(
            self.path / "arrays" / "neighbours.npz",
            queries=images[:, 0], neighbours=images[:, 1:], query_labels=query_labels, neighbour_labels=labels,
            distance=np.sort(self.rng.random((q, r)).astype(np.float32)), metric="cosine",
        )  # fmt: skip
        return self

    def whole(self) -> "Run":
        return self.log().evaluation().representation().neighbours()
