"""A lock is one process's, names it, and ends with it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deep_infomax.runtime import locks
from deep_infomax.runtime.locks import LockedError, locked, training_lock

HOLD = """
import sys, time
from pathlib import Path
from deep_infomax.runtime.locks import training_lock
with training_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def held_by_another_thread(file: Path, *, shared: bool = False) -> Iterator[None]:
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(file, "held", shared=shared):
            taken.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_lock_names_its_process_and_ends_with_it_however_that_ends(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"run is being trained by process {process.pid}; wait until it ends"):
            training_lock(run).__enter__()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (run / ".lock").exists()
    with training_lock(run):
        assert (run / ".lock").read_text().startswith(f"{os.getpid()} ")
    assert list(run.iterdir()) == []


def test_a_thread_may_enter_its_own_lock_again_and_another_may_not(tmp_path: Path) -> None:
    with training_lock(tmp_path):
        with training_lock(tmp_path / "." / ".." / tmp_path.name):
            pass
        assert (tmp_path / ".lock").exists()
    with (
        held_by_another_thread(tmp_path / ".lock"),
        pytest.raises(LockedError, match=f"by process {os.getpid()}; wait"),
        training_lock(tmp_path),
    ):
        pass
    assert not (tmp_path / ".lock").exists()


def test_a_shared_lock_keeps_out_only_who_wants_it_alone(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with held_by_another_thread(file, shared=True):
        with locked(file, "read", shared=True):
            pass
        assert file.exists()
        with pytest.raises(LockedError, match="read by"), locked(file, "read"):
            pass
    assert not file.exists()


def test_patience_waits_for_the_end_of_another(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    order = []

    def wait() -> None:
        with locked(file, "held", patience=60):
            order.append("second")

    with locked(file, "held"):
        thread = threading.Thread(target=wait)
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_whose_file_was_removed_is_none(tmp_path: Path) -> None:
    with training_lock(tmp_path):
        (tmp_path / ".lock").unlink()
        with held_by_another_thread(tmp_path / ".lock"):
            assert (tmp_path / ".lock").exists()


def test_a_link_in_place_of_a_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="is a link to"):
        training_lock(tmp_path).__enter__()
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("content", ["", "12", "one host", "1 \x1b[31m\n", "1 a\n2 b\n"])
def test_a_lock_that_says_nothing_plain_is_another_process(content: str, tmp_path: Path) -> None:
    with held_by_another_thread(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text(content)
        with pytest.raises(LockedError, match="by another process; wait"):
            training_lock(tmp_path).__enter__()


def test_a_process_of_another_machine_is_named_with_it(tmp_path: Path) -> None:
    with held_by_another_thread(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text("12 node-3.cluster\n")
        with pytest.raises(LockedError, match=r"by process 12 on node-3\.cluster; wait"):
            training_lock(tmp_path).__enter__()


def test_where_nothing_can_be_locked_a_note_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "try_lock", lambda *_, **__: None)
    for _ in range(2):
        with training_lock(tmp_path):
            pass
    assert capfd.readouterr().err.count("is on a file system without locks") == 1
