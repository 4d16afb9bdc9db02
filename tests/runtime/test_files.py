"""Files are whole or not there, whoever writes, is killed or fails; nothing is written where a link leads."""

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from deep_infomax.runtime.files import (
    check_output,
    open_appended,
    remove_partial,
    save_arrays,
    save_figure,
    write_text,
    written_by_name,
    written_whole,
)
from deep_infomax.runtime.regular import own_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt(), MemoryError()])
def test_an_error_leaves_the_old_file_and_nothing_else(error: BaseException, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")

    def fail() -> None:
        with written_whole(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with written_whole(path) as one, written_whole(path) as other:
        one.write(b"1" * 9000)
        other.write(b"2" * 70)
        assert len(names(tmp_path)) == 2
    assert path.read_bytes() == b"1" * 9000
    assert names(tmp_path) == ["a.json"]


def test_what_a_killed_writer_left_goes_with_the_next_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    path = tmp_path / "a [1].json"
    (tmp_path / ".a [1].json.0123456789abcdef.partial").write_text("half")
    (tmp_path / ".a [2].json.0123456789abcdef.partial").write_text("of another file")
    with written_whole(path) as living:
        write_text(path, "second")
        assert len(names(tmp_path)) == 3
        living.write(b"first")
    assert names(tmp_path) == [".a [2].json.0123456789abcdef.partial", "a [1].json"]
    assert path.read_text() == "first"


def test_a_name_of_any_length_that_a_file_may_have(tmp_path: Path) -> None:
    path = tmp_path / ("\N{GREEK SMALL LETTER ALPHA}" * 127)
    write_text(path, "long")
    assert names(tmp_path) == [path.name]


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text(path, "new"),
    "arrays": lambda path: save_arrays(path, x=np.zeros(2)),
    "appended": lambda path: open_appended(path).close(),
    "checked": check_output,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_refused_and_not_followed(writer: str, dangling: bool, tmp_path: Path) -> None:
    inside, outside = tmp_path / "run", tmp_path / "outside"
    inside.mkdir()
    if not dangling:
        outside.write_text("precious")
    (inside / "file").symlink_to(outside)
    with pytest.raises(ValueError, match=r"is a link to .*outside, which is not followed"):
        WRITERS[writer](inside / "file")
    assert names(inside) == ["file"]
    assert outside.read_text() == "precious" if not dangling else not outside.exists()


@pytest.mark.parametrize("writer", WRITERS)
def test_a_pipe_and_a_folder_are_refused_at_once(writer: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="pipe is a device, a pipe or a socket; name a regular file"):
        WRITERS[writer](tmp_path / "pipe")
    with pytest.raises(ValueError, match="folder is a folder; name a file"):
        WRITERS[writer](tmp_path / "folder")
    assert names(tmp_path) == ["folder", "pipe"]


def test_a_second_name_of_a_file_keeps_its_content(tmp_path: Path) -> None:
    for name in ("whole", "log"):
        (tmp_path / name).write_text("precious")
        os.link(tmp_path / name, tmp_path / f"{name}-outside")
    write_text(tmp_path / "whole", "new")
    with pytest.raises(ValueError, match=r"log has a second name \(a hard link\)"):
        open_appended(tmp_path / "log")
    assert (tmp_path / "whole-outside").read_text() == (tmp_path / "log-outside").read_text() == "precious"


def test_a_folder_that_is_a_link_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "arrays").symlink_to("outside")
    with pytest.raises(ValueError, match="arrays is a link to outside, which is not followed"):
        save_arrays(tmp_path / "arrays" / "a.npz", x=np.zeros(2))
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match="taken is a file where a folder belongs"):
        own_folder(tmp_path / "taken")
    assert names(tmp_path / "outside") == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may become larger than 4 kB, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_file_that_finds_no_room_is_named_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")
    with pytest.raises(OSError, match="File too large") as found:
        write_text(path, "new" * 4096)
    assert found.value.filename == str(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.json"]


def test_a_library_writes_into_a_folder_that_nobody_else_has(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with written_by_name(path) as partial:
        assert partial.name == "a.bin"
        partial.write_bytes(b"new")
        (tmp_path / ".left.partial").mkdir()
        (tmp_path / ".left.partial" / "half").write_bytes(b"half")
        (tmp_path / "link.partial").symlink_to(tmp_path)
    assert path.read_bytes() == b"new"
    remove_partial(tmp_path)
    assert names(tmp_path) == ["a.bin"]


def test_a_figure_has_the_format_of_its_ending(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    save_figure(tmp_path / "a.PNG", Figure(figsize=(1, 1)), dpi=20)
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")


def test_writers_of_many_threads_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    texts = [str(number) * 5000 for number in range(8)]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert names(tmp_path) == ["a.json"]
