"""A series on a cluster: submitit's local executor stands for it, and Slurm's commands as scripts where it matters."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import fake_slurm
import numpy as np
import pytest
import submitit
from forked import Forked, wait_for
from submitit.core.submission import process_job
from submitit.local import local

from deep_infomax.cli import main
from deep_infomax.experiments.comparison import compare
from deep_infomax.experiments.slurm import Slurm, SlurmOptions, read_submitted


@pytest.fixture
def data(tmp_path: Path) -> str:
    labels = np.arange(160) % 2
    series = np.random.default_rng(0).normal(size=(160, 1, 32)) + labels[:, None, None] * np.sin(np.arange(32))
    np.savez(tmp_path / "series.npz", x=series.astype(np.float32), y=labels)
    return str(tmp_path / "series.npz")


def job_of_submitit(folder: Path) -> None:
    os.environ["SUBMITIT_LOCAL_JOB_ID"] = str(os.getpid())
    process_job(folder)


def test_a_job_for_each_training_ends_as_in_this_process(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def begun(folder: Path, **_: object) -> Forked:
        """As submitit begins a job of this machine, without a process that watches its time."""
        return Forked(job_of_submitit, folder, out=tmp_path / "said", environment={"SUBMITIT_EXECUTOR": "local"})

    monkeypatch.setattr(local, "start_controller", begun)
    monkeypatch.setattr(Slurm, "poll_seconds", 0.02)
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


def impatient(words: list[str]) -> int:
    """The command, which neither waits long between two looks nor for files that a network brings late."""
    Slurm.poll_seconds = 0.05
    submitit.Job._results_timeout_s = 0
    return main(words)


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
    words = ["compare", *shlex.split(flags), *cluster]
    steps, log = tmp_path / "nat-0" / "metrics.jsonl", tmp_path / "nat-0.log"
    jobs = []

    def begin_what_srun_was_asked(number: int) -> None:
        wait_for((state / "1.asked").exists, command)
        asked = json.loads((state / "1.asked").read_text())
        (state / "1.asked").unlink()
        environment = asked["environment"]
        said = tmp_path / f"job{number}"
        jobs.append(Forked(fake_slurm.carry_out, state, asked["words"], out=said, environment=environment))

    command = first = Forked(impatient, words, out=tmp_path / "first.out", err=tmp_path / "first.err")
    try:
        begin_what_srun_was_asked(1)
        wait_for(lambda: steps.exists() and steps.stat().st_size > 0, first)
        first.send_signal(signal.SIGINT)
        said = first.end()
        assert first.returncode == 130
        assert "what is in the cluster goes on; to stop it: scancel 1" in said
        assert said.splitlines()[-1] == "dim: interrupted; give the same command again to continue with all"
        asked = (state / "1.sh").read_text()
        for line in ("--partition=long", "--time=60", "--mem=4GB", "--job-name=dim-nat-0"):
            assert f"#SBATCH {line}\n" in asked
        assert main(["compare", *shlex.split(flags)]) == 2
        assert "nat-0 was given to a cluster, whose job may still run" in capsys.readouterr().err

        command = again = Forked(impatient, words, out=tmp_path / "again.out", err=tmp_path / "again.err")
        wait_for(lambda: again.said().count("\n") > 1, again)
        begun, found = again.said().splitlines()[:2]
        assert begun == "1 of 1: nat-0"
        assert found.startswith("nat-0 is job 1 already, which goes on (RUNNING)")
        os.kill(fake_slurm.pid("1"), signal.SIGUSR2)  # as Slurm does when the time is almost up
        wait_for(lambda: "interrupted after step" in log.read_text(), again)
        written = steps.stat().st_size
        begin_what_srun_was_asked(2)
        wait_for(lambda: steps.stat().st_size > written, again)
        os.kill(fake_slurm.pid("1"), signal.SIGTERM)  # as scancel does, which gives it time to write a checkpoint
        wait_for(lambda: log.read_text().count("interrupted after step") == 2, again)
        subprocess.run(["scancel", "1"], check=True)
        said = again.end()
        assert again.returncode == 130
        told = "dim: nat-0: job 1 was cancelled; give the same command again to continue with all"
        assert said.splitlines()[-1] == told
        assert [path.name for path in state.glob("*.sh")] == ["1.sh"]
    finally:
        for process in (first, command, *jobs):
            process.kill()


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
