"""Time series of sktime and aeon: exact values and classes, pairs of files, and the sentence each mistake gets."""

import re

import pytest
import torch

from deep_infomax.data import DataOptions, load_dataset

HEADER = """\
# made by hand
@problemName Hand
@timeStamps false
@univariate false
@dimensions 2
@equalLength true
@seriesLength 3
@classLabel true up down
@data
"""
TRAIN = HEADER + "1,2,3:4,5,6:up\n7,8,9.5:-1,0,1e1:down\n\n# between\n0,0,0:1,1,1:up\n"
TEST = HEADER.lower() + "3,2,1:6,5,4:down\n1,1,1:2,2,2:up\n"


def written(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.ts").write_text(text)
    return folder


def values(source):
    return source.take(torch.arange(len(source))).tolist()


@pytest.mark.parametrize("named", ["", "Hand_TRAIN.ts", "Hand_TEST.ts"])
def test_a_pair_is_one_data_set(tmp_path, named):
    dataset = load_dataset(str(written(tmp_path / "set", Hand_TRAIN=TRAIN, Hand_TEST=TEST) / named))
    assert dataset.name == "Hand"
    assert values(dataset.train) == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9.5], [-1, 0, 10]], [[0] * 3, [1] * 3]]
    assert values(dataset.test) == [[[3, 2, 1], [6, 5, 4]], [[1] * 3, [2] * 3]]
    assert dataset.train.classes == ("down", "up")
    assert (dataset.train.labels.tolist(), dataset.test.labels.tolist()) == ([1, 0, 1], [0, 1])
    assert dataset.description["split_rule"] == "Hand_TEST.ts as given"
    assert dataset.description["label_rule"] == "the last entry of each line"
    assert dataset.description["axes"] == "cl (channels, length)"


def test_a_file_alone_holds_a_part_out_unless_labels_are_not_wanted(tmp_path):
    rows = "".join(f"{number},0,0:0,0,0:{'up' if number % 2 else 'down'}\n" for number in range(10))
    file = written(tmp_path, mine=HEADER + rows) / "mine.ts"
    dataset = load_dataset(str(file))
    assert (len(dataset.train), len(dataset.test)) == (8, 2)
    dataset = load_dataset(str(file), DataOptions(label_column="none"))
    assert (len(dataset.train), dataset.train.labels, dataset.test) == (10, None, None)
    assert dataset.description["label_rule"] == "none wanted"


def test_without_classes(tmp_path):
    file = written(tmp_path, plain="@classLabel false\n@data\n1,2,3\n4,5,6\n") / "plain.ts"
    dataset = load_dataset(str(file))
    assert (values(dataset.train), dataset.train.labels) == ([[[1, 2, 3]], [[4, 5, 6]]], None)


def test_numbers_to_predict_are_no_classes(tmp_path):
    file = written(tmp_path, price="@targetLabel true\n@data\n1,2:0.5\n3,4:0.7\n") / "price.ts"
    dataset = load_dataset(str(file))
    assert (values(dataset.train), dataset.train.labels) == ([[[1, 2]], [[3, 4]]], None)
    assert dataset.description["not_read"] == "the numbers to predict at the end of each line (@targetLabel)"


def test_unequal_lengths(tmp_path):
    text = "@equalLength false\n@classLabel true a b\n@data\n1,2:a\n3,4,5,6,7:b\n8,9,1:a\n"
    folder = written(tmp_path, Uneven_TRAIN=text, Uneven_TEST=text)
    sentence = "from 2 (input 0 of Uneven_TRAIN.ts) to 5 (input 1 of Uneven_TRAIN.ts); crop or pad all to one with"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(str(folder))
    dataset = load_dataset(str(folder), DataOptions(size=3))
    assert values(dataset.train) == [[[1, 2, 2]], [[4, 5, 6]], [[8, 9, 1]]]
    assert dataset.description["size_rule"].startswith("cropped or padded to 3 about the centre (2 of 6 inputs cropped")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "there is no line @data before the values"),
        ("1,2,3\n", "there is no line @data before the values"),
        ("@data\n", "there are no series after @data; add some"),
        ("@data\n1,?,3,?\n", "line 2 has 2 missing values (?); set `data_options.missing` to nan"),
        ("@data\n1,NaN\n", "line 2 has 1 missing values"),
        ("@data\n1,x,3\n", "line 2 has 'x' among its values; give numbers"),
        ("@data\n1,,3\n", "line 2 has '' among its values; give numbers"),
        ("@data\n1,2,3:1,2\n", "line 2 has dimensions of the lengths 3, 2; give those of one input one length"),
        ("@data\n1,2:1,2\n1,2\n", "line 3 has 1 dimensions, and those before it 2; correct it"),
        (
            "@classLabel true a b\n@data\n1,2:c\n",
            "line 3 ends in 'c', which is none of the classes in the header (a, b)",
        ),
        ("@timestamps true\n@data\n(0,1)\n", "its values have time stamps, which are not read; resample"),
        ("@colour red\n@data\n1,2\n", "line 1 has the tag @colour, which the format does not know; remove it"),
        ("@data\n1,inf\n2,1\n", "input 0 has numbers that are NaN or infinite"),
    ],
)
def test_files_that_break_the_format(tmp_path, text, sentence):
    file = written(tmp_path, mine=text) / "mine.ts"
    with pytest.raises(ValueError, match=rf"mine\.ts: .*{re.escape(sentence)}") as caught:
        load_dataset(str(file))
    assert "\n" not in str(caught.value)


def test_other_files(tmp_path):
    (tmp_path / "film.ts").write_bytes(b"G\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"film.ts is no text in UTF-8; write it again"):
        load_dataset(str(tmp_path / "film.ts"))
    folder = written(tmp_path / "two", A_TRAIN=TRAIN, B_TRAIN=TRAIN)
    with pytest.raises(ValueError, match=r"holds several data sets, A_TRAIN.ts, B_TRAIN.ts; give one of the files"):
        load_dataset(str(folder))
    assert len(load_dataset(str(folder / "A_TRAIN.ts"), DataOptions(label_column="none")).train) == 3
