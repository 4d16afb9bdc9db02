import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from deep_infomax.runtime.archives import FLOATS, INTEGERS, UNREADABLE, Layout, read_arrays, require_honest

LAYOUTS = {"x": Layout(FLOATS, "n 2"), "y": Layout(INTEGERS, "n", needed=False)}


def member(shape: tuple[int, ...], content: bytes) -> bytes:
    """An array that says it has a shape."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue() + content


def archive(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    arrays = {
        "x": np.asfortranarray(np.arange(6.0).reshape(3, 2)),
        "y": np.arange(3, dtype=">i4"),
        "later": np.zeros(9),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz", LAYOUTS, "write it again")
    assert list(found) == ["x", "y"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == arrays[name].dtype
    np.savez(tmp_path / "a.npz", x=np.zeros((0, 2), np.float16))
    assert read_arrays(tmp_path / "a.npz", LAYOUTS, "write it again")["x"].shape == (0, 2)


@pytest.mark.parametrize("shape", [(2**62, 2), (2**40, 2**40), (3, 2), (0, 2)])
def test_an_array_that_is_not_as_large_as_it_says_takes_no_memory(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", {"x": member(shape, bytes(16))})
    with pytest.raises(ValueError, match=r"a\.npz is damaged: the array x is not as large as its shape .*; write it"):
        read_arrays(path, LAYOUTS, "write it again")
    with path.open("rb") as file, pytest.raises(UNREADABLE):
        require_honest(file, ["x"], 2**30)


def test_more_than_there_is_room_for_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", {"x": member((2**18, 2), bytes(2**21))})
    with path.open("rb") as file:
        require_honest(file, ["x"], 2**22)
        require_honest(file, ["y"], 0)
        with pytest.raises(ValueError, match="its arrays have more than 1,048,576 bytes"):
            require_honest(file, ["x"], 2**20)
