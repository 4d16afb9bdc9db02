import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from deep_infomax import Callback, DataOptions, Encoder, Run, TrainingConfig, fit, load_dataset, train
from deep_infomax.cli import main
from deep_infomax.data import from_arrays
from deep_infomax.encoders import convolutional
from deep_infomax.experiments.data import in_memory
from deep_infomax.experiments.train import fitting
from deep_infomax.objectives import Untrained
from deep_infomax.training import InterruptedTrainingError

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(64, 2, 32)).astype(np.float32)
LABELS = RNG.integers(0, 2, 64)
SMALL: dict[str, Any] = {"epochs": 2, "training": {"batch_size": 16, "device": "cpu"}, "objective": {"units": 8}}
FLAGS = "--epochs 2 --training.batch_size 16 --training.device cpu --objective.units 8"
KNN: dict[str, Any] = {"metrics": ["knn"], "layers": ["Y"], "seeds": 1}


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def files() -> None:
    np.save("series.npy", SERIES[:, None])
    np.savez("labelled.npz", x=SERIES[:, None], y=LABELS)


def dim(command: str) -> int:
    return main(command.split())


def said_by(command: str, capfd: pytest.CaptureFixture[str]) -> str:
    """The sentence of a command that fails."""
    capfd.readouterr()
    assert dim(command) == 2
    return capfd.readouterr().err.splitlines()[-1]


def weights(run: Path) -> bytes:
    return (run / "encoder.safetensors").read_bytes()


@pytest.mark.usefixtures("files")
def test_a_call_and_the_command_write_the_same_run() -> None:
    run = train(data="labelled.npz", seed=3, out="called", progress=False, **SMALL)
    assert dim(f"train --data labelled.npz --seed 3 --out commanded {FLAGS}") == 0
    assert weights(run.path) == weights(Path("commanded"))
    called, commanded = (yaml.safe_load(Path(name, "config.yaml").read_text()) for name in ("called", "commanded"))
    assert list(called) == list(commanded)
    assert called.pop("command").startswith("deep_infomax.train('local-infonce', 'labelled.npz', seed=3, out='called'")
    assert commanded.pop("command") == f"dim train --data labelled.npz --seed 3 --out commanded {FLAGS}"
    assert called == commanded


@pytest.mark.usefixtures("files")
def test_a_run_of_the_command_is_one_for_python_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert dim(f"train --data labelled.npz --out mine {FLAGS}") == 0
    run = Run("mine")
    assert repr(run) == "Run('mine')"
    assert run.config.training == TrainingConfig(epochs=2.0, batch_size=16, device="cpu")
    assert run.encoder.encode(SERIES[:3, None]).shape == (3, 64)
    [mine] = run.evaluate(**KNN)
    capsys.readouterr()
    assert dim("evaluate mine --metrics knn --layers Y --seeds 1 --json") == 0
    [again] = json.loads(capsys.readouterr().out)["results"]
    assert again["value"] == mine.value
    assert run.report() == Path("mine/report.html")
    assert run.report(out="page.html").exists()
    before = weights(run.path)
    assert run.resume(progress=False).path == run.path
    assert weights(run.path) == before


def test_data_in_memory_make_a_run_that_asks_for_a_probe(files: None, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(data=torch.from_numpy(SERIES[:, None]), progress=False, **SMALL)
    assert run.path == Path("runs/local-infonce-array-0")
    written = yaml.safe_load((run.path / "config.yaml").read_text())
    assert written["data"] == written["dataset"]["spec"] == "(in memory)"
    assert written["dataset"]["n_train"] == 64
    assert len(written["dataset"]["inputs"]) == 12
    assert "name labelled data with" in said_by(f"evaluate {run.path}", capfd)
    assert "--probe" in said_by(f"evaluate {run.path}", capfd)
    assert f"give them again from Python, Run('{run.path}').resume(data=...)" in said_by(
        f"train --resume {run.path}", capfd
    )
    assert dim(f"evaluate {run.path} --probe labelled.npz --metrics knn --layers Y --seeds 1") == 0
    assert dim(f"encode {run.path} series.npy --out Y.npy") == 0
    assert dim(f"report {run.path}") == 0
    np.testing.assert_allclose(np.load("Y.npy"), run.encoder.encode(SERIES[:, None]), atol=1e-5)


def test_data_in_memory_are_remembered_or_given_again(capfd: pytest.CaptureFixture[str]) -> None:
    data = from_arrays(SERIES, LABELS, name="bells", options=DataOptions(layout="channels_first"))
    run = train(data=data, progress=False, **SMALL)
    assert run.path.name == "local-infonce-bells-0"
    assert Encoder.from_pretrained(run.path).channels == 2
    before, [mine] = weights(run.path), run.evaluate(**KNN)
    run.resume(progress=False)
    opened = Run(run.path)
    with pytest.raises(ValueError, match="trained on data in memory, which it does not keep"):
        opened.evaluate(**KNN)
    assert opened.evaluate(**KNN, data=data)[0].value == mine.value
    assert Run(run.path, data=data).resume(progress=False).evaluate(**KNN)[0].value == mine.value
    assert weights(run.path) == before
    other = from_arrays(SERIES + 1, LABELS, name="bells", options=DataOptions(layout="channels_first"))
    with pytest.raises(ValueError, match=r"is not the data that .* was trained on"):
        opened.resume(other)
    with pytest.raises(ValueError, match=r"is not the data that .* was trained on"):
        opened.evaluate(**KNN, data=other)
    opened.evaluate(**KNN, probe=other)
    kept = json.loads((run.path / "evaluation.json").read_text())
    assert kept["data"]["inputs"] != yaml.safe_load((run.path / "config.yaml").read_text())["dataset"]["inputs"]


def test_options_of_reading_say_nothing_to_what_has_been_read() -> None:
    digits = load_dataset("digits")
    assert len(in_memory(digits, DataOptions(train_inputs=40)).train) == 40
    with pytest.raises(ValueError, match=r"^`data_options.resize` says nothing to a Dataset"):
        in_memory(digits, DataOptions(resize=4))


@pytest.mark.usefixtures("files")
def test_a_name_that_is_taken_is_numbered_unless_it_was_asked_for() -> None:
    Path("runs/random-series-1").mkdir(parents=True)
    (Path("runs") / "random-series-1" / "notes.txt").touch()  # in nobody's way
    changes = {"training": SMALL["training"], "epochs": 0.5, "progress": False}
    names = [train("random", "series.npy", seed=1, **changes).path.name for _ in range(3)]
    assert names == ["random-series-1", "random-series-1-2", "random-series-1-3"]
    with pytest.raises(ValueError, match=r"already holds a run; continue it with `Run\('runs/random-series-1'\)"):
        train("random", "series.npy", out="runs/random-series-1", **changes)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"recipe": "local-infonec"}, "`recipe`: local-infonec is unknown; did you mean local-infonce?"),
        ({"trainign": {"epochs": 1}}, "there are no settings called trainign; did you mean training?"),
        ({"batch_size": 64}, "`batch_size` is a setting of `training`; give training={'batch_size': ...}"),
        ({"training": {"batchsize": 64}}, "`training` has no setting batchsize; did you mean batch_size?"),
        ({"training": 5, "epochs": 1}, "`training` is 5, not a mapping of settings"),
        ({"training": {"epochs": "many"}}, "`training.epochs` is many; give a finite number"),
        ({"seed": -1}, "`seed` is -1; give 0 or a positive number below 2^63"),
        (
            {"data": [1, 2]},
            "`data` is a list of int; give an array or a tensor, a list of such",
        ),
        ({"data": "digits", "probe": "nowhere"}, "no data set, file or folder is called 'nowhere'"),
    ],
)
def test_what_train_cannot_use_gets_a_sentence(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        train(**arguments, progress=False)
    assert str(caught.value).startswith(sentence)
    assert not list(Path().glob("runs/*/*"))


class Interrupt(Callback):
    def on_epoch(self, epoch: float, encoder: Encoder) -> None:
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("files")
def test_an_interrupt_says_in_python_how_to_go_on() -> None:
    with pytest.raises(InterruptedTrainingError, match=r"of 8; continue with: `Run\('cut'\)\.resume\(\)`$"):
        train(data="series.npy", out="cut", callbacks=[Interrupt()], progress=False, **SMALL)
    with pytest.raises(ValueError, match=r"no trained encoder yet; finish it with `Run\('cut'\)\.resume\(\)`"):
        Run("cut").encoder  # noqa: B018
    Run("cut").resume(progress=False)
    whole = train(data="series.npy", out="whole", progress=False, **SMALL)
    assert weights(Path("cut")) == weights(whole.path)


class StopAtOnce(Callback):
    def on_epoch(self, epoch: float, encoder: Encoder) -> bool:
        return True


def test_a_run_that_a_callback_stopped_is_finished(files: None, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(data="labelled.npz", out="short", callbacks=[StopAtOnce()], **SMALL)
    assert "trained 3 steps in 0.0 minutes, where a callback stopped it" in capfd.readouterr().err
    assert len(run.evaluate(**KNN)) == 1
    before = weights(run.path)
    assert dim("train --resume short") == 0
    assert weights(run.path) == before
    assert "where a callback stopped it." in run.report().read_text()


def test_what_fit_writes_can_be_encoded_measured_and_reported(files: None, capfd: pytest.CaptureFixture[str]) -> None:
    encoder = convolutional(channels=1, spatial=(2, 32), dim=8)
    fit(encoder, Untrained(), SERIES[:, None], TrainingConfig(epochs=1, batch_size=16), out="own", progress=False)
    assert not Path("own/config.yaml").exists()
    assert dim("encode own series.npy --out Y.npy") == 0
    assert dim("evaluate own --probe labelled.npz --metrics knn --layers Y --seeds 1") == 0
    assert dim("report own") == 0
    assert "own" in Path("own/report.html").read_text()
    assert "does not record data; name labelled data as" in said_by("evaluate own", capfd)
    assert "which keeps no config.yaml; continue it with its" in said_by("train --resume own", capfd)
    run = Run("own")
    assert torch.equal(run.encoder.output.weight.cpu(), encoder.output.weight.cpu())
    assert run.evaluate(**KNN, probe="labelled.npz")[0].protocol == "knn/1"
    with pytest.raises(ValueError, match="which keeps no config"):
        run.config  # noqa: B018


def test_run_says_that_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"^nothing is no run directory: it has no config\.yaml"):
        Run("nothing")


def test_few_inputs_make_one_small_batch_and_are_said_to(capfd: pytest.CaptureFixture[str]) -> None:
    series = DataOptions(layout="cl")
    few = from_arrays(SERIES[:20], LABELS[:20], SERIES[20:60], LABELS[20:60], options=series)
    run = train("local-infonce", few, epochs=3, out="few", objective={"units": 8}, training={"device": "cpu"})
    said = capfd.readouterr().err
    assert "a batch holds 20 inputs, as there are fewer than 128" in said
    assert "3 epochs of 20 inputs are 3 steps, in which little is learnt; left out, `training.epochs` is" in said
    assert "trained 3 steps" in said
    [result] = run.evaluate(probe=few, metrics=["bound"], layers=["Y"], seeds=1)
    assert result.details[0]["batch_size"] == 20
    assert result.n == 40
    resumed = train("local-infonce", few, epochs=3, out="again", objective={"units": 8}, training={"device": "cpu"})
    assert torch.equal(resumed.encoder.encode(SERIES), run.encoder.encode(SERIES))


def test_few_inputs_are_trained_on_for_enough_steps_unless_told_otherwise(capfd: pytest.CaptureFixture[str]) -> None:
    few = from_arrays(SERIES[:20], options=DataOptions(layout="cl"))
    run = train("local-infonce", few, out="few", objective={"units": 8}, training={"device": "cpu"})
    said = capfd.readouterr().err
    assert "200 epochs instead of 20 make 200 steps of 20 inputs" in said
    assert "trained 200 steps" in said
    assert run.config.training.epochs is None
    assert json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])["epoch"] == 200


@pytest.mark.parametrize(("n", "processes", "expected"), [(36, 1, 36), (36, 8, 32), (500, 3, 128), (2, 3, 3)])
def test_a_batch_is_no_larger_than_the_data(n: int, processes: int, expected: int) -> None:
    assert fitting(TrainingConfig(batch_size=128), n, processes).batch_size == expected


@pytest.mark.parametrize("scaling", ["robust", "log1p", "symmetric"])
def test_a_scaling_is_kept_with_the_run_and_all_that_is_made_of_it(
    scaling: str, capfd: pytest.CaptureFixture[str]
) -> None:
    counts = RNG.poisson(5, size=(64, 1, 2, 32)).astype(np.float32) ** 3
    np.savez("counts.npz", x=counts, y=LABELS)
    assert dim(f"train --data counts.npz --out mine --data_options.scaling {scaling} {FLAGS}") == 0
    assert f"scaling: {scaling}: " in capfd.readouterr().err
    run = Run("mine")
    assert (run.config.data_options.scaling, run.encoder.scaling) == (scaling, scaling)
    values = torch.from_numpy(counts)
    plain = fit_like(run.encoder, values, scaling)
    torch.testing.assert_close(run.encoder.normalise(values), plain)
    assert dim("encode mine counts.npz --out y.npy") == 0
    np.testing.assert_allclose(np.load("y.npy"), run.encoder.encode(counts), rtol=1e-4, atol=1e-5)
    assert dim("export mine --format torch --out mine.pt2") == 0
    found = torch.export.load("mine.pt2").module()(values)["Y"]
    torch.testing.assert_close(found, run.encoder.encode(values), rtol=1e-4, atol=1e-4)
    assert run.evaluate(metrics=["knn"], seeds=1)


def fit_like(encoder: Encoder, values: torch.Tensor, scaling: str) -> torch.Tensor:
    """The values as a slow reference scales them, by the statistics of the training part."""
    train = load_dataset("counts.npz").train.take(torch.arange(len(load_dataset("counts.npz").train))).double()
    found = values.double().log1p() if scaling == "log1p" else values.double()
    for channel in range(values.shape[1]):
        own = train[:, channel]
        if scaling == "log1p":
            centre, spread = own.log1p().mean(), own.log1p().std(correction=0)
        elif scaling == "symmetric":
            centre, spread = (own.min() + own.max()) / 2, (own.max() - own.min()) / 2
        else:
            low, centre, high = np.quantile(own.numpy(), [0.25, 0.5, 0.75])
            spread = (high - low) / 1.3489795
        found[:, channel] = (found[:, channel] - centre) / spread
    return (found.clamp(-10, 10) if scaling == "robust" else found).float()


def test_a_run_without_the_option_is_one_of_standard_scaling() -> None:
    np.savez("labelled.npz", x=SERIES[:, None], y=LABELS)
    run = train(data="labelled.npz", out="old", progress=False, **SMALL)
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    del config["data_options"]["scaling"]
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    assert "scaling" not in json.loads((run.path / "encoder.json").read_text())
    assert Run("old").config.data_options.scaling == Run("old").encoder.scaling == "standard"
    assert Run("old").evaluate(**KNN)


def test_what_is_no_count_is_refused_before_the_training(capfd: pytest.CaptureFixture[str]) -> None:
    np.save("series.npy", SERIES)
    said = said_by(f"train --data series.npy --data_options.layout cl --data_options.scaling log1p {FLAGS}", capfd)
    assert "channel 0 of series train has negative values" in said
    assert said.endswith("; set --data_options.scaling to robust or standard")
