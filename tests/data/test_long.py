"""Tables in long form: exact series, whichever order the rows have, and the sentence each mistake gets."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from data_helpers import picture

from deep_infomax.data import DataOptions, load_dataset

ROWS = [("p", 2, 0.5, 10, "ill"), ("q", 1, 5.0, 50, "well"), ("p", 1, 1.5, 20, "ill"), ("q", 2, 6.0, 60, "well"),
        ("p", 3, 2.5, 30, "ill"), ("q", 0, 7.0, 70, "well"), ("r", 0, 1.0, 1, "ill"), ("r", 1, 2.0, 2, "ill"),
        ("r", 2, 3.0, 3, "ill")]  # fmt: skip
NAMES = ["patient", "time", "pulse", "steps", "label"]
BY_PATIENT = DataOptions(series_column="patient")


def rows_of(source):
    return source.take(torch.arange(len(source))).tolist()


def written(path, rows=ROWS, names=NAMES, delimiter=",", point="."):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)}), path)
    else:
        lines = [names, *([str(word).replace(".", point) for word in row] for row in rows)]
        path.write_text("\n".join(delimiter.join(line) for line in lines))
    return path


def repeated(times):
    return [(f"{row[0]}{number}", *row[1:]) for number in range(times) for row in ROWS]


@pytest.mark.parametrize(("suffix", "delimiter", "point"), [
    (".csv", ",", "."), (".csv", ";", ","), (".csv", ";", "."), (".tsv", "\t", "."), (".parquet", "", ""),
])  # fmt: skip
def test_series_are_parted_and_sorted(tmp_path, suffix, delimiter, point):
    file = written(tmp_path / f"ward{suffix}", delimiter=delimiter, point=point)
    dataset = load_dataset(str(file), DataOptions(series_column="patient", label_column="none"))
    assert rows_of(dataset.train) == [
        [[1.5, 0.5, 2.5], [20, 10, 30]],
        [[7, 5, 6], [70, 50, 60]],
        [[1, 2, 3], [1, 2, 3]],
    ]
    assert dataset.description["series_rule"] == "one for each value of column patient, sorted by column time"
    assert dataset.description["values_rule"] == "columns pulse, steps"
    assert dataset.description["not_read"] == "label"
    assert dataset.description["label_rule"] == "none wanted"


def test_columns_as_the_user_says(tmp_path):
    file = written(tmp_path / "ward.csv")
    options = DataOptions(
        series_column="patient", value_columns="steps, time", time_column="pulse", label_column="none"
    )
    assert rows_of(load_dataset(str(file), options).train)[0] == [[10, 20, 30], [2, 1, 3]]
    file = written(tmp_path / "plain.csv", [(row[0], row[2]) for row in ROWS], ["series", "value"])
    dataset = load_dataset(str(file), DataOptions(series_column="series"))
    assert rows_of(dataset.train)[0] == [[0.5, 1.5, 2.5]]
    assert dataset.description["series_rule"].endswith("in the order of the rows")


def test_labels_and_splits(tmp_path):
    written(tmp_path / "set" / "train.csv", repeated(2))
    written(tmp_path / "set" / "test.csv")
    dataset = load_dataset(str(tmp_path / "set"), BY_PATIENT)
    assert dataset.train.classes == ("ill", "well")
    assert (dataset.train.labels.tolist(), dataset.test.labels.tolist()) == ([0, 1, 0] * 2, [0, 1, 0])
    assert dataset.description["label_rule"] == "column label"
    assert dataset.description["split_rule"] == "test.csv as given"
    alone = load_dataset(str(tmp_path / "set" / "train.csv"), BY_PATIENT)
    assert (len(alone.train), len(alone.test)) == (5, 1)


def test_the_y_of_three_axes_is_a_value_and_one_that_names_a_class_a_label(tmp_path):
    rows = [(series, time, time + 1, 10 * time, -time) for series in "pqr" for time in range(3)]
    file = written(tmp_path / "axes.csv", rows, ["series", "time", "x", "y", "z"])
    dataset = load_dataset(str(file), DataOptions(series_column="series"))
    assert rows_of(dataset.train) == [[[1, 2, 3], [0, 10, 20], [0, -1, -2]]] * 3
    assert dataset.description["values_rule"] == "columns x, y, z"
    assert dataset.train.labels is None
    rows = [
        (f"{state}{number}", time, time, state == "p") for number in range(5) for state in "pq" for time in range(3)
    ]
    file = written(tmp_path / "states.csv", [(*row[:3], int(row[3])) for row in rows], ["series", "time", "x", "y"])
    dataset = load_dataset(str(file), DataOptions(series_column="series"))
    assert (dataset.description["values_rule"], dataset.description["label_rule"]) == ("columns x", "column y")


def test_lengths_that_differ(tmp_path):
    file = written(tmp_path / "ward.csv", ROWS[:-1])
    with pytest.raises(ValueError, match=r"from 2 \(the series 'r'\) to 3 \(the series 'p'\)"):
        load_dataset(str(file), BY_PATIENT)
    assert load_dataset(str(file), DataOptions(series_column="patient", label_column="none", size=3)).train.shape == (
        2,
        3,
    )


def changed(row, place, value):
    rows = [list(row) for row in ROWS]
    rows[row][place] = value
    return rows


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        (
            ROWS,
            {"series_column": "person"},
            "there is no column 'person'; `data_options.series_column` can be one of ['pat",
        ),
        (ROWS, {"time_column": "hour"}, "there is no column 'hour'; `data_options.time_column` can be"),
        (ROWS, {"label_column": "ill"}, "there is no column 'ill'; `data_options.label_column` can be"),
        (ROWS, {"value_columns": "pulse,x"}, "there is no column 'x'; `data_options.value_columns` can be"),
        (ROWS, {"value_columns": "label"}, "column 'label' holds no numbers (string); choose others"),
        (changed(0, 2, None), {}, "column pulse of ward.{} has 1 missing values; set `data_options.missing` to nan"),
        (changed(0, 1, 3), {}, "the series 'p' of ward.{} has 3 twice in time; let each moment have one row"),
        (changed(0, 1, None), {}, "1 rows of ward.{} have no time; fill it, or remove them"),
        (changed(0, 0, None), {}, "1 rows of ward.{} name no series in patient; name it, or remove them"),
        (changed(0, 4, "well"), {}, "the series 'p' has several labels in label ('ill', 'well'); give each series one"),
        ([], {}, "nothing"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, suffix, rows, options, sentence):
    rows = [[("" if value is None else value) if suffix == ".csv" else value for value in row] for row in rows]
    file = written(tmp_path / f"ward{suffix}", rows)
    expected = re.escape(sentence.format(suffix[1:]))
    if not rows:
        expected = "no column holds values|ward.csv cannot be read"
    with pytest.raises(ValueError, match=expected) as caught:
        load_dataset(str(file), DataOptions(**({"series_column": "patient"} | options)))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_such_tables(tmp_path):
    file = written(tmp_path / "ward.csv")
    with pytest.raises(ValueError, match=r"ward.csv: say which column names the series .*'patient', 'time'"):
        load_dataset(str(file))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "wide.csv").write_bytes("a;b\n1;2\n".encode("utf-16"))
    (tmp_path / "uneven.csv").write_text("a,b\n1,2\n1,2,3\n")
    for name in ("empty", "wide", "uneven"):
        with pytest.raises(ValueError, match=rf"{name}.csv cannot be read \(.*\); write it again, a CSV file in UTF-8"):
            load_dataset(str(tmp_path / f"{name}.csv"), DataOptions(series_column="a"))
    (tmp_path / "words.csv").write_text("a,b\nx,y\n")
    with pytest.raises(ValueError, match=r"no column holds values; `data_options.value_columns` can name some of"):
        load_dataset(str(tmp_path / "words.csv"), DataOptions(series_column="a"))
    written(tmp_path / "set" / "a.csv")
    written(tmp_path / "set" / "b.csv")
    with pytest.raises(ValueError, match=r"a.csv and b.csv in .* are both of the train part; put them into one file"):
        load_dataset(str(tmp_path / "set"), BY_PATIENT)
    picture(tmp_path / "images" / "0.png")
    with pytest.raises(ValueError, match=r"images holds no .csv or .parquet file, and nothing to train on"):
        load_dataset(str(tmp_path / "images"), BY_PATIENT)


def test_numbers_of_every_type_are_values(tmp_path):
    columns = {"s": [1, 1, 2, 2], "flag": [True, False, True, True], "small": np.array([1, 2, 3, 4], np.int8)}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    dataset = load_dataset(str(tmp_path / "t.parquet"), DataOptions(series_column="s"))
    assert rows_of(dataset.train) == [[[1, 0], [1, 2]], [[1, 1], [3, 4]]]
