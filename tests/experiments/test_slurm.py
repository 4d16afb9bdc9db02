"""A series on a cluster: submitit's local executor stands for it, and Slurm's commands as scripts where it matters."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import fake_slurm
import numpy as np
import pytest
import submitit

from deep_infomax.cli import main
from deep_infomax.experiments.comparison import compare
from deep_infomax.experiments.slurm import Slurm, SlurmOptions, read_submitted


@pytest.fixture
def data(tmp_path: Path) -> str:
    labels = np.arange(160) % 2
    series = np.random.default_rng(0).normal(size=(160, 1, 32)) + labels[:, None, None] * np.sin(np.arange(32))
    np.savez(tmp_path / "series.npz", x=series.astype(np.float32), y=labels)
    return str(tmp_path / "series.npz")


def test_a_job_for_each_training_ends_as_in_this_process(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    executor = submitit.LocalExecutor(tmp_path / "slurm")
    executor.update_parameters(timeout_min=60)
    common = {"epochs": 1, "training": {"batch_size": 32, "device": "cpu"}, "metrics": ["knn"], "layers": ["Y"]}
    (tmp_path / "jobs" / "nat-0").mkdir(parents=True)
    (tmp_path / "jobs" / "nat-0" / "metrics.jsonl").write_text("kept\n")
    with pytest.raises(ValueError, match=r"^nat-0: .*nat-0 holds metrics\.jsonl.*; 1 of 2 are done, see them with"):
        compare(["random", "nat"], data, out=tmp_path / "jobs", launcher=Slurm(executor), **common)
    [here] = compare(["random"], data, out=tmp_path / "here", **common).measurements
    [there] = compare(["random"], data, out=tmp_path / "jobs", **common).measurements
    assert there.run == tmp_path / "jobs" / "random-0"
    assert [result.value for result in there.results] == [result.value for result in here.results]
    assert "\ndone\n" in (tmp_path / "jobs" / "random-0.log").read_text()
    assert not list((tmp_path / "jobs").glob("*.job.json"))
    assert "1 of 2: random-0\nrandom-0 is job" in capsys.readouterr().err


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


def test_jobs_outlive_the_command_and_their_time(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (state := tmp_path / "state").mkdir()
    fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(state))
    monkeypatch.setattr(fake_slurm, "STATE", state)
    flags = f"--recipes nat --metrics knn --layers Y --batch_size 32 --epochs 100000 --out {tmp_path} --data {data}"
    cluster = ["--launcher", "slurm", "--slurm.partition", "long", "--slurm.time", "60", "--slurm.mem", "4GB"]
    command = [sys.executable, "-m", "deep_infomax.cli", "compare", *shlex.split(flags), *cluster]
    steps, log = tmp_path / "nat-0" / "metrics.jsonl", tmp_path / "nat-0.log"

    first = again = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: steps.exists() and steps.stat().st_size > 0, first)
        first.send_signal(signal.SIGINT)
        said = first.communicate()[1]
        assert first.returncode == 130
        assert "what is in the cluster goes on; to stop it: scancel 1" in said
        assert said.splitlines()[-1] == "dim: interrupted; give the same command again to continue with all"
        asked = (state / "1.sh").read_text()
        for line in ("--partition=long", "--time=60", "--mem=4GB", "--job-name=dim-nat-0"):
            assert f"#SBATCH {line}\n" in asked
        assert main(["compare", *shlex.split(flags)]) == 2
        assert "nat-0 was given to a cluster, whose job may still run" in capsys.readouterr().err

        again = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert again.stderr is not None
        assert again.stderr.readline() == "1 of 1: nat-0\n"
        assert again.stderr.readline().startswith("nat-0 is job 1 already, which goes on (RUNNING)")
        os.kill(fake_slurm.pid("1"), signal.SIGUSR2)  # as Slurm does when the time is almost up
        wait_for(lambda: "interrupted after step" in log.read_text(), again)
        written = steps.stat().st_size
        wait_for(lambda: steps.stat().st_size > written, again)
        subprocess.run(["scancel", "1"], check=True)
        said = again.communicate()[1]
        assert again.returncode == 130
        told = "dim: nat-0: job 1 was cancelled; give the same command again to continue with all"
        assert said.splitlines()[-1] == told
        assert [path.name for path in state.glob("*.sh")] == ["1.sh"]
    finally:
        for process in (first, again):
            process.kill()
        for path in state.glob("*.pid"):
            with suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)


def test_without_submitit_one_sentence_says_how_to_get_it(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main(["compare", "--recipes", "nat", "--data", data, "--launcher", "slurm", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        'dim: Slurm is reached through submitit; install it: pip install "deep-infomax[slurm]"'
    ]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"time": 1}, "time` is 1; give minutes"),
        ({"gpus_per_node": 4}, "gpus_per_node` is 4; a training"),
    ],
)
def test_what_no_training_could_use_is_refused(asked: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SlurmOptions(**asked)


@pytest.mark.parametrize(
    "content", ['{"job": "../elsewhere"}', '{"job": 5}', '{"job": "5\\n"}', "{}", "", '{"job": "5", "job": "6"}']
)
def test_a_file_of_a_job_names_a_number_and_no_path(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.job.json"
    path.write_text('{"job": "4711_0", "later": 1}')
    assert read_submitted(path) == "4711_0"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"a\.job\.json is damaged: .*; remove it once its job has ended"):
        read_submitted(path)
