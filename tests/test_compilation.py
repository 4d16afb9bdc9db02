"""Compiled training: the losses of eager training, and eager training where nothing can be compiled."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from deep_infomax.data import load_dataset
from deep_infomax.recipes import RECIPES, build_encoder, build_objective
from deep_infomax.training import fit


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::FutureWarning:torch", "ignore::DeprecationWarning")
def test_compiled_training_has_the_losses_of_eager_training() -> None:
    recipe = RECIPES["local-infonce-paper"]  # its prior has a gradient penalty, which cannot be compiled
    config = replace(recipe, objective=replace(recipe.objective, units=32))
    losses = []
    counters.clear()
    for compiled in (False, True):
        torch.manual_seed(0)
        encoder = build_encoder(config, 1, (8, 8))
        objective = build_objective(config.objective, encoder)
        training = replace(config.training, epochs=0.5, log_every=1, precision="float32", device="cpu")
        data = load_dataset("digits").train
        result = fit(encoder, objective, data, replace(training, compile=compiled), progress=False)
        losses.append(result.terms)
        assert (counters["frames"]["ok"] > 0) == compiled
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_without_a_compiler_training_is_eager_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deep_infomax.cli", "train", "--data", "digits", "--epochs", "0.1"]
    surroundings = os.environ | {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, "--training.compile", "true", "--training.device", "cpu", "--out", tmp_path / "run"],
        env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nothing is compiled: torch.compile finds no working compiler here" in done.stderr
    assert (tmp_path / "run" / "encoder.safetensors").is_file()
