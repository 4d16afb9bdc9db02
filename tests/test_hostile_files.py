"""Every reader gets damaged and hostile files: what comes of one is a value, or an error of one sentence."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz_readers import READERS, Reader, listing, make_sound, spoil
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a sound file of every kind."""
    folder = tmp_path_factory.mktemp("hostile") / "sound"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEP_INFOMAX_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        make_sound(folder)
        yield folder


@pytest.mark.parametrize("name", READERS)
def test_sound_files_are_read(name: str, sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert READERS[name].read(sound) not in (None, 2)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")  # other libraries warn of damage before they refuse it
@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_a_hostile_file_gives_a_value_or_one_sentence(
    name: str, sound: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, rng = READERS[name], random.Random(seed)
    [path] = sound.glob(reader.file)
    kept = path.read_bytes(), path.stat()
    spoil(sound, reader, rng)
    before = outside(sound)
    said = refusal(reader, sound)
    assert said is None or (said and "\n" not in said)
    assert len([line for line in capsys.readouterr().err.splitlines() if line.startswith("dim: ")]) <= 1
    assert outside(sound) == before
    remove(path)
    path.write_bytes(kept[0])
    os.utime(path, ns=(kept[1].st_atime_ns, kept[1].st_mtime_ns))  # by which the cache knows it


def refusal(reader: Reader, folder: Path) -> str | None:
    try:
        reader.read(folder)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def outside(folder: Path) -> set[str]:
    """What lies beside the run and the cache, where a reader may write."""
    return {path for path, *_ in listing(folder.parent) if "/run/" not in path and "/cache/" not in path}


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif os.path.lexists(path):
        path.unlink()
