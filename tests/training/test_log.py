"""What a training's log and its lines call the bound they read."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
from rich.console import Console

from deep_infomax.bounds import INFO_NCE
from deep_infomax.encoders import convolutional
from deep_infomax.objectives import DeepInfoMax, MutualInformation
from deep_infomax.scorers import EncodeAndDot
from deep_infomax.training import TrainingConfig, fit
from deep_infomax.training.log import TrainingProgress


def test_a_line_says_that_the_bound_is_of_training_pairs() -> None:
    told = StringIO()
    progress = TrainingProgress(10, 0, Console(file=told, width=200))
    terms = {"loss": 3.0, "local_bound": 4.56, "local_ceiling": 4.85}
    progress.report({"epoch": 1.0, "images_per_second": 9.0, "seconds": 1e6, "terms": terms}, 60.0)
    assert "local_bound on training pairs 4.560" in told.getvalue()
    assert "4.85" not in told.getvalue()


def test_the_log_says_what_its_terms_are_read_on_and_keeps_their_names(tmp_path: Path) -> None:
    encoder = convolutional(channels=1, spatial=(16,), dim=4)
    scorer = EncodeAndDot(encoder.local_shape[0], encoder.vector_size, units=4)
    objective = DeepInfoMax(local_term=MutualInformation(scorer, INFO_NCE), beta=1.0)
    series = np.random.default_rng(0).normal(size=(16, 1, 16)).astype(np.float32)
    fit(encoder, objective, series, TrainingConfig(epochs=1, batch_size=8, device="cpu"), out=tmp_path, progress=False)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    [line] = [line for line in lines if line["kind"] == "train"]
    assert line["read_on"] == "training pairs"
    assert {"local_bound", "local_ceiling"} < line["terms"].keys()
