"""SIGINT and SIGTERM end `dim` with one line and 130, while it loads, while it works, and while it answers."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deep_infomax.cli import main, program

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """SIGINT as a terminal's programs have it; a shell's background ones begin with it ignored, which `dim` keeps."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes of processes that ended at once."""
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", end)
    return codes


def signalled(number: int, before: Callable[..., object]) -> Callable[..., object]:
    """A function that a signal comes in."""

    def call(*arguments: object, **named: object) -> object:
        os.kill(os.getpid(), number)
        return before(*arguments, **named)

    return call


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("function", ["find", "parse", "import_module"])
def test_a_signal_while_libraries_load_ends_at_once(
    number: int, function: str, ended: list[int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    monkeypatch.setattr(program, function, signalled(number, getattr(program, function)))
    with pytest.raises(SystemExit):
        main(["report", "nothing"])
    assert ended == [130]
    assert capfd.readouterr() == ("", "dim: interrupted\n")
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_it_works_is_one_line(
    number: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from deep_infomax.cli import commands

    monkeypatch.setattr(commands, "report", signalled(number, commands.report))
    assert main(["report", "nothing"]) == 130
    assert capfd.readouterr() == ("", "dim: interrupted\n")


def test_of_several_processes_the_first_speaks(
    ended: list[int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(program, "parse", signalled(signal.SIGINT, program.parse))
    with pytest.raises(SystemExit):
        main(["report", "nothing"])
    assert ended == [130]
    assert capfd.readouterr() == ("", "")


def test_what_a_library_makes_of_an_interrupt_is_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from deep_infomax.cli import commands

    def half_loaded(**_: object) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr(commands, "report", half_loaded)
    assert main(["report", "nothing"]) == 130
    assert capfd.readouterr().err == "dim: interrupted\n"


def test_another_signal_while_one_is_answered_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from deep_infomax.cli import commands

    monkeypatch.setattr(commands, "report", signalled(signal.SIGINT, commands.report))
    monkeypatch.setattr(program, "explained", signalled(signal.SIGINT, program.explained))
    assert main(["report", "nothing"]) == 130
    assert "Traceback" not in capfd.readouterr().err


def test_what_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        from deep_infomax.cli import commands

        monkeypatch.setattr(commands, "report", signalled(signal.SIGINT, commands.report))
        assert main(["report", str(Path("nothing"))]) == 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_forked_process_ends_as_by_the_signal(ended: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from deep_infomax.cli.interrupts import Interrupts

    interrupts = Interrupts()
    interrupts.work_begins()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(SystemExit):
        interrupts(signal.SIGTERM, None)
    assert ended == [143]
