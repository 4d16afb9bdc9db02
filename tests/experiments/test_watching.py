"""Nearest neighbours watched during a training: by an independent count, and without a trace in the weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from deep_infomax import Callback, Encoder, TrainingConfig, load_dataset, train
from deep_infomax.encoders import digits
from deep_infomax.experiments.watching import WatchedNeighbours
from deep_infomax.objectives import Untrained
from deep_infomax.training import fit

SMALL = {
    "objective": {"units": 8},
    "training": {"device": "cpu", "log_every": 5},
    "data_options": {"train_inputs": 400},
}


def health_of(run: Path) -> list[dict]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == "health"]


def test_the_figure_is_that_of_scikit_learn() -> None:
    source, encoder = load_dataset("digits").train, digits()
    watched = WatchedNeighbours(source)
    vectors = encoder.encode(source.inputs).double().numpy()
    known, read = watched.known.numpy(), watched.read.numpy()
    assert sorted([*known, *read]) == list(range(len(source)))
    vectors = (vectors - vectors[known].mean(0)) / vectors[known].std(0)
    labels = source.labels.numpy()
    reference = KNeighborsClassifier(20, metric="cosine", algorithm="brute").fit(vectors[known], labels[known])
    percent = 100 * reference.score(vectors[read], labels[read])
    assert watched.on_look(encoder)["knn"] == pytest.approx(percent, abs=1.0)  # ties may fall otherwise


def test_no_more_than_5000_inputs_are_looked_at() -> None:
    source = load_dataset("digits").train
    rows = torch.arange(6000) % len(source)
    many = replace(source, inputs=source.inputs[rows], labels=source.labels[rows])
    assert len(WatchedNeighbours(many).source) == 5000


def test_a_training_with_a_probe_logs_and_draws_it_and_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    watched = train("local-infonce", "digits", epochs=4, out="watched", probe="digits", **SMALL)
    alone = train("local-infonce", "digits", epochs=4, out="alone", **SMALL)
    found = [line["knn"] for line in health_of(Path("watched"))]
    assert len(found) == len(health_of(Path("alone"))) > 0
    assert all(0 <= value <= 100 for value in found)
    assert "knn" not in health_of(Path("alone"))[0]
    inputs = load_dataset("digits").test.inputs
    assert torch.equal(watched.encoder.encode(inputs), alone.encoder.encode(inputs))
    assert "Nearest neighbours by Y" in watched.report().read_text()


class Says(Callback):
    def __init__(self, figures: dict) -> None:
        self.figures = figures

    def on_look(self, encoder: Encoder) -> dict:
        return self.figures


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"mine": float("nan")}, "`mine` of Says.on_look is nan, no finite number; give another"),
        ({"mine": "high"}, "`mine` of Says.on_look is 'high', no finite number"),
        ({"epoch": 1.0}, "`epoch` of Says.on_look takes a name of the log's own"),
    ],
)
def test_figures_of_ones_own_are_numbers_with_names_of_their_own(figures: dict, sentence: str) -> None:
    data = torch.arange(512.0).reshape(8, 1, 8, 8)
    with pytest.raises(ValueError, match=sentence):
        fit(
            digits(), Untrained(), data, TrainingConfig(epochs=1, batch_size=4, device="cpu"), callbacks=[Says(figures)]
        )
