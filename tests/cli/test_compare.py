import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from forked import Forked, wait_for

from deep_infomax.cli import main
from deep_infomax.experiments import task, train
from deep_infomax.experiments.run_directory import Settings

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def data(tmp_path: Path) -> str:
    generator = np.random.default_rng(0)
    labels = np.arange(160) % 2
    series = generator.normal(size=(160, 1, 32)) + labels[:, None, None] * np.sin(np.arange(32))
    np.savez(tmp_path / "series.npz", x=series.astype(np.float32), y=labels)
    return str(tmp_path / "series.npz")


def compare(data: str, out: Path, *more: str, recipes: str = "nat,random", seeds: int = 2) -> int:
    flags = ["--metrics", "knn", "--layers", "fc,Y", "--epochs", "1", "--batch_size", "32"]
    where = ["--seeds", str(seeds), "--out", str(out)]
    return main(["compare", "--recipes", recipes, "--data", data, *flags, *where, *more])


def test_methods_are_trained_evaluated_and_shown_side_by_side(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compared"
    assert compare(data, out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["nat-0", "nat-1", "random-0", "random-1", "report.html"]
    said = capsys.readouterr()
    assert "in brackets" not in said.err
    table = said.out.split("knn/1 on test, in %, 32 inputs")[-1]
    found = {
        run: {r["layer"]: r["value"] for r in json.loads((out / run / "evaluation.json").read_text())["results"]}
        for run in ("nat-0", "nat-1", "random-0", "random-1")
    }
    for recipe in ("nat", "random"):
        for layer in ("fc", "Y"):
            values = [found[f"{recipe}-{seed}"][layer] for seed in (0, 1)]
            assert f"{np.mean(values):.0f} ± {np.std(values, ddof=1):.0f}" in table
    assert "Mean ± standard deviation over trainings with several seeds." in table
    assert "dim train --recipe nat --data" in (out / "nat-1" / "config.yaml").read_text()
    page = (out / "report.html").read_text()
    assert "over trainings, the encoders trained with several seeds" in page
    assert page.count("<small>seeds 0, 1</small>") == 2


def test_recipes_that_read_the_data_in_ways_of_their_own_are_compared(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compared"
    flags = {"recipes": "random,global-jsd-paper-2019", "seeds": 1}
    assert compare(data, out, **flags) == 0
    scaled, plain = (
        json.loads((out / f"{name}-0" / "evaluation.json").read_text())["data"]
        for name in ("global-jsd-paper-2019", "random")
    )
    assert scaled.pop("scaling_rule").startswith("symmetric: ")
    assert scaled == plain
    assert 'class="best"' not in (out / "report.html").read_text()  # one method beside a floor
    monkeypatch.setattr(task, "evaluate", None)
    assert compare(data, out, **flags) == 0
    assert "global-jsd-paper-2019" in capsys.readouterr().out


def test_what_is_there_is_kept_and_what_is_missing_is_done(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "compared"
    assert compare(data, out, seeds=1) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    asked = []
    evaluate = task.evaluate
    monkeypatch.setattr(
        task, "evaluate", lambda run, **given: (asked.append(given["metrics"]), evaluate(run, **given))[1]
    )
    assert compare(data, out, "--metrics", "knn,neighbours", recipes="nat,random,local-jsd", seeds=1) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert asked == [["neighbours"], ["neighbours"], ["knn", "neighbours"]]


def test_an_interrupted_comparison_goes_on_where_it_stopped(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, whole = tmp_path / "compared", train._train

    def interrupted(run: Path, *arguments, **options) -> None:
        if run.name == "random-0":
            monkeypatch.setattr(train, "fit", stopping)
        whole(run, *arguments, **options)

    fit = train.fit

    def stopping(*arguments, **options):
        transform = options["transform"]
        options["transform"] = lambda inputs: (os.kill(os.getpid(), signal.SIGINT), transform or inputs)[1]
        return fit(*arguments, **options)

    monkeypatch.setattr(train, "_train", interrupted)
    assert compare(data, out, seeds=1) == 130
    assert "give the same command again" in capsys.readouterr().err
    monkeypatch.undo()
    assert compare(data, out, seeds=1) == 0
    assert (out / "random-0" / "evaluation.json").exists()


def results(run: Path) -> dict[tuple[str, str], float]:
    found = json.loads((run / "evaluation.json").read_text())["results"]
    return {(result["protocol"], result["layer"]): result["value"] for result in found}


def assert_names_what_failed(said: str, run: str, done: str) -> None:
    [said] = [line for line in said.splitlines() if line.startswith("dim: ")]
    assert said.startswith(f"dim: {run}: ")
    assert "holds metrics.jsonl, which a training would overwrite" in said
    assert said.endswith(f"; {done}")


def test_trainings_at_a_time_end_as_those_one_by_one(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, several = tmp_path / "one", tmp_path / "several"
    assert compare(data, one, recipes="local-jsd,nat", seeds=1) == 0
    (several / "random-0").mkdir(parents=True)
    (several / "random-0" / "metrics.jsonl").write_text("kept\n")
    capsys.readouterr()
    assert compare(data, several, "--jobs", "2", recipes="local-jsd,random,nat", seeds=1) == 2
    said = capsys.readouterr().err
    assert "3 of 3 done: " in said
    assert_names_what_failed(said, "random-0", f"2 of 3 are done, see them with: dim report {several}")
    for run in ("local-jsd-0", "nat-0"):
        assert results(several / run) == pytest.approx(results(one / run), abs=7)  # two inputs of 32
        assert results(several / run).keys() == {("knn/1", "fc"), ("knn/1", "Y")}
        first, second = (yaml.safe_load((folder / run / "config.yaml").read_text()) for folder in (one, several))
        assert {key for key, value in first.items() if second[key] != value} <= {"command", "environment"}
        assert second["environment"]["precision"] == first["environment"]["precision"]
        assert second["environment"]["threads"] == max(1, first["environment"]["threads"] // 2)
        assert second["command"] == first["command"].replace(str(one), str(several))
        assert "trained" in (several / f"{run}.log").read_text()
    before = {path: path.stat().st_mtime_ns for path in several.rglob("*.safetensors")}
    assert compare(data, several, "--jobs", "2", recipes="local-jsd,nat", seeds=1) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def stopped_at_a_checkpoint(run: Path) -> bool:
    said = run.with_name(f"{run.name}.log").read_text()
    return any((run / "checkpoints").glob("*.safetensors")) and "interrupted after step" in said


def under_nohup(words: list[str]) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return main(words)


def test_a_failure_and_what_nohup_ignores_stop_no_other_and_an_interrupt_all_at_a_checkpoint(
    data: str, tmp_path: Path
) -> None:
    flags = "--recipes nat,local-jsd,vae,random --metrics knn --layers Y --batch_size 32 --epochs 100000 --jobs 2"
    words = ["compare", *shlex.split(flags), "--data", data, "--out", str(tmp_path)]
    command = Forked(under_nohup, words, out=tmp_path / "out", err=tmp_path / "err")

    def under_way(run: str) -> bool:
        log = tmp_path / run / "metrics.jsonl"
        return log.exists() and log.stat().st_size > 0

    try:
        wait_for(lambda: under_way("nat-0") and under_way("local-jsd-0"), command)
        assert not (tmp_path / "vae-0").exists()
        command.send_signal(signal.SIGHUP)
        children = psutil.Process(command.pid).children()
        [training] = [child for child in children if str(tmp_path / "nat-0") in child.cmdline()]
        training.kill()
        wait_for(lambda: under_way("vae-0"), command)
        assert not stopped_at_a_checkpoint(tmp_path / "local-jsd-0")
        command.send_signal(signal.SIGTERM)
        said = command.end()
    finally:
        command.kill()
    assert command.returncode == 130
    assert f"1 of 4 failed: nat-0: ended with exit code -9, see {tmp_path / 'nat-0.log'}" in said
    assert "give the same command again to continue with all" in said
    assert stopped_at_a_checkpoint(tmp_path / "local-jsd-0")
    assert stopped_at_a_checkpoint(tmp_path / "vae-0")
    assert not (tmp_path / "random-0").exists()


def test_what_fails_is_named_when_the_others_are_done(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "compared"
    (out / "nat-0").mkdir(parents=True)
    (out / "nat-0" / "metrics.jsonl").write_text("kept\n")
    assert compare(data, out, "--jobs", "1", recipes="nat,random", seeds=1) == 2
    assert (out / "random-0" / "evaluation.json").exists()
    assert_names_what_failed(capsys.readouterr().err, "nat-0", f"1 of 2 are done, see them with: dim report {out}")


def test_an_error_of_the_program_is_shown_and_the_others_go_on(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = train.begin, tmp_path / "compared"

    def broken(run: Path, settings: Settings) -> None:
        if settings.recipe == "nat":
            raise RuntimeError("broken")
        whole(run, settings)

    monkeypatch.setattr(train, "begin", broken)
    assert compare(data, out, "--jobs", "1", seeds=1) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("dim: nat-0: broken; 1 of 2 are done")
    assert (out / "random-0" / "evaluation.json").exists()


def test_figures_of_other_data_and_unfinished_ones_are_measured_again(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "compared"
    assert compare(data, out, "--metrics", "neighbours", recipes="random", seeds=1) == 0
    path = out / "random-0" / "evaluation.json"
    asked = []
    evaluate = task.evaluate
    monkeypatch.setattr(
        task, "evaluate", lambda run, **given: (asked.append(given["metrics"]), evaluate(run, **given))[1]
    )
    assert compare(data, out, "--metrics", "neighbours", recipes="random", seeds=1) == 0
    assert asked == []
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"results": [r for r in whole["results"] if r["variant"] != "l2"]}))
    assert compare(data, out, "--metrics", "neighbours", recipes="random", seeds=1) == 0
    assert asked == [["neighbours"]]
    path.write_text(json.dumps(whole | {"data": {"name": "another"}}))
    assert compare(data, out, "--metrics", "neighbours", recipes="random", seeds=1) == 0
    assert asked == [["neighbours"], ["neighbours"]]
    assert json.loads(path.read_text())["data"]["name"] == "series"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--recipes", "nat,vea"], "--recipes: vea is unknown; did you mean vae? Known are local-infonce"),
        (["--seeds", "0"], "--seeds is 0; give 1 or more"),
        (["--jobs", "0"], "--jobs is 0; give 1 or more"),
        (["--metrics", "knn,accuracy"], "--metrics: accuracy is unknown; known are linear"),
        (["--metrics", "ms_ssim"], "ms_ssim compares images and volumes"),
        (["--layers", "top"], "--layers: top is unknown; known are conv, fc-linear, fc, Y"),
        (["--epochs", "-1"], "training.epochs is -1"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
        (["--launcher", "sge"], "--launcher: sge is unknown; known are local, slurm"),
        (["--slurm.partition", "long"], "slurm asks a cluster for something, and --launcher is local"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_input_gets_one_sentence(
    flags: list[str], sentence: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"--recipes": "nat", "--data": data, "--out": str(tmp_path / "new")} | dict([flags])
    assert main(["compare", *(part for pair in arguments.items() for part in pair)]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dim: ")]
    assert len(said) == 1
    assert sentence in said[0]
    assert not (tmp_path / "new").exists()


def test_a_number_of_epochs_that_is_left_open_is_no_other_setting(data: str, tmp_path: Path) -> None:
    again = ["compare", "--recipes", "nat", "--data", data, "--metrics", "knn", "--layers", "Y", "--seeds", "1"]
    again += ["--batch_size", "16", "--out", str(tmp_path / "compared")]
    assert main(again) == 0
    written = (tmp_path / "compared/nat-0/encoder.safetensors").stat().st_mtime_ns
    assert main(again) == 0
    assert (tmp_path / "compared/nat-0/encoder.safetensors").stat().st_mtime_ns == written


def test_runs_of_other_settings_are_not_mixed(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "compared"
    assert compare(data, out, recipes="random", seeds=1) == 0
    assert compare(data, out, "--epochs", "2", recipes="random", seeds=1) == 2
    assert (
        "random-0 was trained with other settings (training); choose another --out or move it away"
        in capsys.readouterr().err
    )
    record = out / "random-0" / "config.yaml"
    settings = yaml.safe_load(record.read_text())
    del settings["training"]["checkpoints"]  # as a version without this setting would have written it
    record.write_text(yaml.safe_dump(settings))
    assert compare(data, out, recipes="random", seeds=1) == 0


def test_a_comparison_may_train_on_some_of_the_inputs_and_encodes_all(data: str, tmp_path: Path) -> None:
    out = tmp_path / "compared"
    assert compare(data, out, "--data_options.train_inputs", "64", recipes="random", seeds=1) == 0
    [result, _] = json.loads((out / "random-0" / "evaluation.json").read_text())["results"]
    assert result["n"] == 32
    assert main(["encode", str(out / "random-0"), data, "--out", str(tmp_path / "Y.npy")]) == 0
    assert len(np.load(tmp_path / "Y.npy")) == 160
    log = (out / "random-0" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["step"] == 2


def test_many_runs_have_a_row_each_and_few_a_column_each(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(data, tmp_path, recipes="random", seeds=1) == 0
    capsys.readouterr()
    runs = [str(tmp_path / f"random-{seed}") for seed in range(5)]
    for number, run in enumerate(runs[1:], 1):
        shutil.copytree(runs[0], run)
        measured = Path(run, "evaluation.json")
        found = json.loads(measured.read_text())
        for result in found["results"]:
            result["value"] = 10.0 * number + (result["layer"] == "Y")
        measured.write_text(json.dumps(found))
    for shown, headings in (
        (runs, ["protocol", "run", "fc", "Y"]),
        (runs[:4], ["protocol", "layer", "random-0", "random-1", "random-2", "random-3"]),
    ):
        assert main(["report", *shown, "--out", str(tmp_path / "page.html")]) == 0
        _, heading, _, *rows, _, said = capsys.readouterr().out.splitlines()
        assert said.strip() == "An accuracy on 32 inputs has a standard error of up to 8.8 points, whatever the seeds."
        assert heading.replace("┃", " ").split() == headings
        found = [re.findall(r"[\d.]+ %|\S+", row.replace("│", " ")) for row in rows]
        expected = [results(Path(run)) for run in shown]
        percent = [[f"{values['knn/1', layer]:.0f} %" for layer in ("fc", "Y")] for values in expected]
        assert [row[2:] for row in found] == (
            percent if len(shown) > 4 else [list(row) for row in zip(*percent, strict=True)]
        )
