"""Readers of one's own: how they are registered, and which one a path belongs to."""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from data_helpers import picture

from deep_infomax.data import READERS, Dataset, Reader, Source, load_dataset, register_reader


@pytest.fixture(autouse=True)
def _built_in_again() -> Iterator[None]:
    before = dict(READERS)
    yield
    READERS.clear()
    READERS.update(before)


def numbers(spec, path, options):
    files = sorted(path.glob("[!.]*")) if path.is_dir() else [path]
    rows = torch.from_numpy(np.stack([np.loadtxt(file, dtype=np.float32) for file in files]))
    return Dataset(spec, Source(rows[:, None], None, None, spec, "train"), None, None, {})


TABLE = Reader("Numbers", "A number in each line.", numbers, suffixes=(".table",), within=(".table",))


def test_a_registered_reader_reads_files_and_folders(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.TABLE").write_text(f"{number}\n5\n")
    with pytest.raises(ValueError, match="a file of no known kind"):
        load_dataset(str(tmp_path / "1.TABLE"))
    register_reader("FILE.table", TABLE)
    assert load_dataset(str(tmp_path / "1.TABLE")).train.inputs.tolist() == [[[1, 5]]]
    dataset = load_dataset(str(tmp_path))
    assert dataset.train.inputs.tolist() == [[[0, 5]], [[1, 5]], [[2, 5]]]
    assert dataset.description == {"spec": str(tmp_path), "name": str(tmp_path), "n_train": 3}


def test_the_last_reader_registered_goes_first(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 5)))
    zeros = Source(torch.zeros(7, 1, 4), None, None, "own", "train")
    own = replace(TABLE, read=lambda *given: Dataset("own", zeros, None, None, {}))
    register_reader("own arrays", replace(own, suffixes=(".npy",), within=()))
    register_reader("own name", replace(own, names=("ours",), suffixes=(), within=()))
    register_reader("own place", replace(own, prefix="bucket:", suffixes=(), within=()))
    for spec in (str(tmp_path / "x.npy"), "ours", "bucket:x/y"):
        assert len(load_dataset(spec).train) == 7
    with pytest.raises(ValueError, match="did you mean ours"):
        load_dataset("our")


def test_a_folder_is_known_by_the_files_in_it(tmp_path):
    register_reader("FILE.table", TABLE)
    picture(tmp_path / "a" / "0.png")
    (tmp_path / "b").mkdir()
    for number in range(2):
        (tmp_path / "b" / f"{number}.table").write_text("1\n2\n")
        (tmp_path / "b" / f".{number}.png").touch()  # hidden
    assert len(load_dataset(str(tmp_path / "b")).train) == 2
    assert load_dataset(str(tmp_path / "a")).train.shape == (3, 4, 4)
    sentence = "holds files of several kinds, 2 as b/0.table and 1 as a/0.png; put each kind into its own folder"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(str(tmp_path))


def test_a_kind_known_by_content_alone(tmp_path):
    begins = replace(TABLE, suffixes=(), within=(), begins=lambda file: file.read_bytes().startswith(b"7"))
    register_reader("numbers", begins)
    (tmp_path / "1.2.3").write_text("7\n1\n")
    assert load_dataset(str(tmp_path)).train.inputs.tolist() == [[[7, 1]]]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"suffixes": (), "within": ()}, "has no names, prefix, suffixes or within, so nothing is found by it; give"),
        ({"suffixes": ("table",)}, "`suffixes` has the ending 'table'; write it small, with the dot"),
        ({"within": (".TAB",)}, "`within` has the ending '.TAB'; write it small, with the dot"),
        ({"suffixes": ".table"}, "`suffixes` is the text '.table'; give a tuple: ('.table',)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_reader_that_finds_nothing_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        register_reader("FILE.table", replace(TABLE, **changes))


def test_a_part_of_a_file_without_parts(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"x.npy has no parts that can be named after it; leave :y out"):
        load_dataset(f"{tmp_path}/x.npy:y")
