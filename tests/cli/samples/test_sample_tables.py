"""Tables of samples as pandas, R, NumPy and spreadsheets write them: read by the right value, or refused."""

import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from deep_infomax.cli.samples import Reading, check_numbering, check_readings, read_samples

N = 60
RNG = np.random.default_rng(5)
ONE = RNG.normal(size=(N, 1))
TWO = RNG.normal(size=(N, 2))
WHOLE = RNG.integers(0, 9, (N, 2))
PLAIN = pd.DataFrame(TWO)
NAMED = pd.DataFrame(TWO, columns=["a", "b"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(content: str | bytes | Callable[[Path], object], name: str = "t.csv") -> Path:
    path = Path(name)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(values: np.ndarray, pattern: str, header: str = "", end: str = "\n") -> str:
    rows = [pattern.format(*map(repr, row), number=i + 1) for i, row in enumerate(values.tolist())]
    return end.join([*([header] if header else []), *rows, ""])


AGAIN = NAMED.rename_axis("Unnamed: 0").reset_index().to_csv()
"""An index that was read as a column, and written beside a new one."""
GERMAN = pd.DataFrame(TWO, columns=["größe", "b"]).to_csv(index=False, sep=";", decimal=",")

READ: dict[str, tuple[Any, np.ndarray]] = {
    "one column, as pandas writes it": (pd.DataFrame(ONE).to_csv(), ONE),
    "one column without an index": (pd.DataFrame(ONE).to_csv(index=False), ONE),
    "one column and nothing else": (pd.DataFrame(ONE).to_csv(index=False, header=False), ONE),
    "columns, as pandas writes them": (PLAIN.to_csv(), TWO),
    "columns without an index": (PLAIN.to_csv(index=False), TWO),
    "columns and nothing else": (PLAIN.to_csv(index=False, header=False), TWO),
    "an index and no header": (PLAIN.to_csv(header=False), TWO),
    "names": (NAMED.to_csv(), TWO),
    "names without an index": (NAMED.to_csv(index=False), TWO),
    "rows in another order": (NAMED.iloc[::-1].to_csv(), TWO[::-1]),
    "an index of dates": (NAMED.set_index(pd.date_range("2020", periods=N)).to_csv(), TWO),
    "an index twice": (AGAIN, TWO),
    "an index called index": (NAMED.reset_index().to_csv(index=False), TWO),
    "whole numbers": (pd.DataFrame(WHOLE).to_csv(), WHOLE),
    "pixels": (
        pd.DataFrame(np.arange(20 * N).reshape(N, 20) % 7).to_csv(index=False),
        np.arange(20 * N).reshape(N, 20) % 7,
    ),
    "labels that begin with 1": ("1\n2\n1\n" * 20, np.array([[1], [2], [1]] * 20)),
    "semicolons": (PLAIN.to_csv(sep=";"), TWO),
    "semicolons and decimal commas": (NAMED.to_csv(sep=";", decimal=","), TWO),
    "decimal commas and nothing else": (NAMED.to_csv(sep=";", decimal=",", index=False, header=False), TWO),
    "tabs and decimal commas": (NAMED.to_csv(sep="\t", decimal=","), TWO),
    "decimal commas in quotation marks": (NAMED.to_csv(index=False, decimal=","), TWO),
    "one column of decimal commas": (NAMED[["a"]].to_csv(index=False, decimal=",", sep=";"), TWO[:, :1]),
    "decimal commas without a name": (NAMED[["a"]].to_csv(index=False, decimal=",", sep=";", header=False), TWO[:, :1]),
    "two columns of whole numbers": (lines(WHOLE + 10, "{},{}"), WHOLE + 10),
    "bars": (NAMED.to_csv(sep="|"), TWO),
    "a byte order mark": (GERMAN.encode("utf-8-sig"), TWO),
    "UTF-16": (GERMAN.encode("utf-16"), TWO),
    "UTF-16 without a mark": (GERMAN.encode("utf-16-be"), TWO),
    "UTF-32": (GERMAN.encode("utf-32"), TWO),
    "Windows-1252": (GERMAN.encode("cp1252"), TWO),
    "a spreadsheet's first line": ("sep=;\n" + GERMAN, TWO),
    "lines of Windows": (NAMED.to_csv(index=False, lineterminator="\r\n"), TWO),
    "lines of old Macs": (NAMED.to_csv(index=False, lineterminator="\r"), TWO),
    "spaces after commas and empty lines": (lines(TWO, "{}, {}\n", "a, b"), TWO),
    "a separator at the end": (lines(TWO, "{},{},", "a,b"), TWO),
    "a separator at the end of the header as well": (lines(TWO, "{},{},", "a,b,"), TWO),
    "a separator at the end and no header": (lines(TWO, "{},{},"), TWO),
    "all in quotation marks": (lines(TWO, '"{}","{}"', '"a","b"'), TWO),
    "R": (lines(TWO, '"{number}",{},{}', '"","a","b"'), TWO),
    "R with names of rows": (lines(TWO, '"row {number}",{},{}', '"","a","b"'), TWO),
    "R without a name above rows": (lines(TWO, '"{number}" {} {}', '"a" "b"'), TWO),
    "NumPy": (lambda path: np.savetxt(path, TWO), TWO),
    "NumPy with names": (lambda path: np.savetxt(path, TWO, header="a b", footer="the end"), TWO),
    "NumPy with a note": (lambda path: np.savetxt(path, TWO, delimiter=",", header="made\nin 1999"), TWO),
    "plus signs": (lines(np.abs(TWO), "+{},{}"), np.abs(TWO)),
    "true and false": (pd.DataFrame({"a": TWO[:, 0], "b": TWO[:, 1] > 0}).to_csv(), np.c_[TWO[:, 0], TWO[:, 1] > 0]),
}


@pytest.mark.parametrize("kind", READ)
def test_a_table_holds_the_samples_that_were_written(kind: str) -> None:
    content, expected = READ[kind]
    np.testing.assert_array_equal(read_samples(write(content), "x").values, expected)


@pytest.mark.parametrize("writer", ["parquet", "feather"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16, bool])
def test_a_file_of_arrow_holds_the_samples_that_were_written(writer: str, dtype: type) -> None:
    values = (10 * TWO).astype(dtype)
    frame = pd.DataFrame(values, columns=["a", "b"])
    path = write(lambda path: getattr(frame, f"to_{writer}")(path), f"t.{writer}")
    np.testing.assert_array_equal(read_samples(path, "x").values, values)


def test_an_index_in_a_parquet_file_is_no_sample() -> None:
    for index in (NAMED.index[::-1], pd.Index(range(3, 3 + N), name="id"), pd.date_range("2020", periods=N)):
        path = write(NAMED.set_index(index).to_parquet, "t.parquet")
        np.testing.assert_array_equal(read_samples(path, "x").values, TWO)
    path = write(NAMED.reset_index(names="__index_level_0__").to_parquet, "t.parquet")
    np.testing.assert_array_equal(read_samples(path, "x").values, TWO)


WORDS = np.array(["ant", "bee"])[np.arange(N) % 2]
AGES = np.array(["<18", "18-65", "65+", "true"])[np.arange(N) % 4]
CATEGORIES = pd.DataFrame({"w": WORDS, "a": TWO[:, 0], "age": AGES})


@pytest.mark.parametrize(
    ("name", "content"),
    {
        "t.csv": CATEGORIES.to_csv(),
        "t.tsv": CATEGORIES.to_csv(sep="\t", index=False),
        "t.txt": CATEGORIES.to_csv(sep=" ", index=False),
        "t.dat": CATEGORIES.to_csv(sep=";", decimal=",", index=False),
        "t.parquet": CATEGORIES.to_parquet,
        "t.feather": CATEGORIES.astype({"w": "category"}).to_feather,
    }.items(),
)
def test_words_are_categories(name: str, content: Any) -> None:
    found = read_samples(write(content, name), "x")
    np.testing.assert_array_equal(found.values, CATEGORIES.to_numpy(object))
    assert "column w holds 2 categories (ant, bee)" in found.description["said"]
    assert "column age holds 4 categories (18-65, 65+, <18, true)" in found.description["said"]


def test_the_first_line_of_words_is_a_sample_where_it_comes_again() -> None:
    assert len(read_samples(write("\n".join(WORDS)), "x").values) == N
    assert len(read_samples(write("animal\n" + "\n".join(WORDS)), "x").values) == N
    beside = "\n".join(f"{word},{number}" for word, number in zip(WORDS, TWO[:, 0], strict=True))
    assert len(read_samples(write(beside), "x").values) == N


def test_folders_around_a_parquet_file_are_no_columns() -> None:
    Path("year=2020").mkdir()
    path = write(NAMED.to_parquet, "year=2020/t.parquet")
    np.testing.assert_array_equal(read_samples(path, "x").values, TWO)


IDS = RNG.permutation(10 * N)[:N]
GROUPED = "a;b\n" + "1,234;5,678\n" * N
REFUSED: dict[str, tuple[Any, str]] = {
    "a column that counts": (
        NAMED.reset_index(names="t").to_csv(index=False),
        "column 't' of `x` counts the rows; name",
    ),
    "numbers of rows": (NAMED.assign(user_id=IDS).to_csv(index=False), "column 'user_id' of `x` holds another whole"),
    "numbers of rows and no header": (
        np.savetxt(buffer := io.StringIO(), np.c_[IDS, TWO], delimiter=",", fmt="%g") or buffer.getvalue(),
        "column '0' of `x` holds another whole number in every row",
    ),
    "times without a name": (NAMED.set_index(NAMED.index / 8).to_csv(), "column without a name of `x` has no name"),
    "a word far down": (
        NAMED.astype(str).replace(str(TWO[40, 1]), "?!").to_csv(),
        "column 'b' of `x` holds '?!' in line 42",
    ),
    "dates": (NAMED.assign(d=pd.Timestamp("2020")).to_csv(), "column 'd' of `x` holds '2020-01-01' in line 2"),
    "no value": (NAMED.where(NAMED["a"] != TWO[7, 0]).to_csv(), "column 'a' of `x` holds '' in line 9 (1 such rows"),
    "NA": (NAMED.where(NAMED["a"] != TWO[7, 0]).to_csv(na_rep="NA"), "column 'a' of `x` holds 'NA' in line 9 (1 such"),
    "an infinity": (lines(np.full((N, 1), np.inf), "{}", "a"), "column 'a' of `x` holds 'inf' in line 2 (60 such rows"),
    "a gap in one column": ("a\n1.5\n\n2.5\n", "line 3 of `x` is empty; leave such rows out of every variable"),
    "a short line": ("a,b\n1,2\n\n3\n" + "1,2\n" * N, "line 4 of `x` has 1 column, the first line 2; give all as many"),
    "a long line": ("1.5,2\n3,4,5\n" + "1,2\n" * N, "line 2 of `x` has 3 columns, the first line 2; give all as many"),
    "labels that begin with 0": ("0\n1\n2\n" * N, "the first line of `x` (0) may name the columns or be a sample; say"),
    "wavelengths": (pd.DataFrame(TWO, columns=[400, 410]).to_csv(), "the first line of `x` (, 400, 410) may name the"),
    "a word beside a decimal": (
        "\n".join(f"u{i},0.5" for i in range(N)),
        "the first line of `x` (u0, 0.5) may name the columns or be a",
    ),
    "names of rows": (
        NAMED.assign(w=[f"no {i}" for i in range(N)]).to_csv(),
        "column 'w' of `x` holds another word in almost every row, as a name of the row does; name what to read with",
    ),
    "a missing word": (
        NAMED.assign(w=["?", *["v", "w"] * 29, "w"]).to_csv(),
        "column 'w' of `x` holds '?' in line 2 (1",
    ),
    "words among numbers": (
        NAMED.assign(w=[1, *["v", "w"] * 29, 2]).to_csv(),
        "column 'w' of `x` holds 'v' in line 3; wr",
    ),
    "money": (
        NAMED.assign(w=["$5.00", "$7.50"] * 30).to_csv(),
        "column 'w' of `x` holds '$5.00' in line 2; write a num",
    ),
    "shares": (
        NAMED.assign(w=["5 %", "12 %"] * 30).to_csv(),
        "column 'w' of `x` holds '5 %' in line 2; write a number",
    ),
    "times": (
        NAMED.assign(w=["12:30", "13:45"] * 30).to_csv(),
        "column 'w' of `x` holds '12:30' in line 2; write a num",
    ),
    "commas of two kinds": (
        "1,5\n2,3\n" * N,
        "`x` may hold one column of decimals with commas or two of whole numbers",
    ),
    "thousands": (GROUPED, "`x` holds '1,234', which may be a decimal or thousands; give `decimal` comma, or write"),
    "thousands and decimals": ("a;b\n" + "1.234,5;0,5\n" * N, "column 'a' of `x` holds '1.234,5' in line 2; write a"),
    "an open quotation mark": ('a,b\n1,"2\n' + "1,2\n" * 40000, "column 'b' of `x` holds '21,21,"),
    "no text": (bytes(range(256)) * 9, "`x` is no text; give a table of numbers"),
    "nothing": ("", "`x` is empty; give a table of numbers"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_trusted_is_refused_by_its_column_or_line(kind: str) -> None:
    content, said = REFUSED[kind]
    with pytest.raises(ValueError, match="`x`") as raised:
        read_samples(write(content), "x")
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["u", None], "column 'c' of `x` holds None in row 1 (1 such rows"),
        ([[1.0], [2.0]], "column 'c' of `x` holds [1.0] in row 0"),
        ([date(2020, 1, 1)] * 2, "column 'c' of `x` holds datetime.date(2020, 1, 1) in row 0"),
        (pd.array([1, None], dtype="Int64"), "column 'c' of `x` holds None in row 1 (1 such rows"),
        ([0.5, np.nan], "column 'c' of `x` holds None in row 1 (1 such rows"),
    ],
)
def test_columns_of_other_values_are_refused_by_name(values: Any, said: str) -> None:
    with pytest.raises(ValueError, match="`x`") as raised:
        read_samples(write(pd.DataFrame({"c": values}).to_parquet, "t.parquet"), "x")
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.npy", "t.npz"])
@pytest.mark.parametrize("kept", [0, 4, 20, 300, -9])
def test_torn_files_are_refused(name: str, kept: int) -> None:
    writers = {"t.npy": lambda path: np.save(path, TWO), "t.npz": lambda path: np.savez(path, TWO)}
    path = write(writers.get(name, getattr(NAMED, f"to_{name[2:]}", None)), name)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="`x` is no complete"):
        read_samples(path, "x")


def test_columns_are_picked_by_name() -> None:
    table = NAMED.assign(w="word", id=IDS)
    for name, writer in {"t.csv": table.to_csv, "t.parquet": table.to_parquet}.items():
        path = write(writer, name)
        np.testing.assert_array_equal(read_samples(path, "x", Reading(["b", "a"])).values, TWO[:, ::-1])
        np.testing.assert_array_equal(read_samples(path, "x", Reading(["id"])).values[:, 0], IDS)
        with pytest.raises(ValueError, match=r"`x` has no column c; known are .*a, b, w, id"):
            read_samples(path, "x", Reading(["c"]))
        with pytest.raises(ValueError, match=r"`columns` names one column of `x` twice"):
            read_samples(path, "x", Reading(["a", "a"]))
    np.testing.assert_array_equal(read_samples(Path("t.csv"), "x", Reading(["Unnamed: 0"])).values[:, 0], np.arange(N))
    np.testing.assert_array_equal(read_samples(write(lines(TWO, "{},{}")), "x", Reading(["1"])).values, TWO[:, 1:])


def test_what_can_be_either_is_said_by_a_flag() -> None:
    path = write("0\n1\n2\n" * N)
    assert read_samples(path, "x", Reading(header=False)).values[:2].tolist() == [[0], [1]]
    assert read_samples(path, "x", Reading(header=True)).values[:2].tolist() == [[1], [2]]
    path = write("1,5\n2,3\n" * N)
    assert read_samples(path, "x", Reading(decimal="comma")).values[:2].tolist() == [[1.5], [2.3]]
    assert read_samples(path, "x", Reading(decimal="point")).values[:2].tolist() == [[1, 5], [2, 3]]
    assert read_samples(write(GROUPED), "x", Reading(decimal="comma")).values[0].tolist() == [1.234, 5.678]


def test_what_was_decided_is_described() -> None:
    found = read_samples(write(pd.DataFrame(ONE).to_csv(sep=";", decimal=",").encode("utf-16")), "x")
    assert str(found) == (
        "t.csv: 60 samples of column 0; in UTF-16; semicolons between columns; decimals with a comma; the first line "
        "names the columns; left out the first column, which counts the rows"
    )
    assert found.description["columns"] == ["0"]
    assert found.description["shape"] == [1]


def test_tables_in_another_order_are_no_pairs() -> None:
    x = read_samples(write(NAMED.to_csv(), "x.csv"), "x")
    for index in (NAMED.index, NAMED.index + 1, pd.Index([*NAMED.index], name="id")):
        check_numbering(x, read_samples(write(NAMED.set_index(index).to_parquet, "y.parquet"), "y"))
    for writer, name in ((NAMED.iloc[::-1].to_parquet, "y.parquet"), (NAMED.iloc[::-1].to_csv, "y.csv")):
        with pytest.raises(ValueError, match=r"`x` and `y` number their rows differently \(1 and 58 in row 1\)"):
            check_numbering(x, read_samples(write(writer, name), "y"))
    check_numbering(x, read_samples(Path("y.csv"), "y", Reading(["a"])))


def test_what_is_said_of_tables_is_refused_where_there_is_none() -> None:
    array, text, arrow = Path("x.npy"), Path("y.csv"), Path("y.parquet")
    check_readings({"x": (array, Reading(["a"])), "y": (arrow, Reading(["a"]))})
    for reading, other, setting in (
        (Reading(["a"]), array, "columns"),
        (Reading(header=True), arrow, "header"),
        (Reading(decimal="comma"), arrow, "decimal"),
    ):
        check_readings({"x": (array, reading), "y": (text, reading)})
        with pytest.raises(ValueError, match=f"`{setting}` says how tables are read"):
            check_readings({"x": (array, reading), "y": (other, reading)})


PIECES = [*',;|"#\t\n\r -.0', "nan", "1e999", "1,5", "\0", "\ufeff", "sep=;\n", "0x1F", "1_0", "\x1b["]


TEXTS = sorted(kind for kind, (content, _) in READ.items() if isinstance(content, str | bytes))
DAMAGE = st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(["", *PIECES]))


@hypothesis.given(
    kind=st.sampled_from(TEXTS),
    damage=st.lists(DAMAGE, min_size=1, max_size=4),
    reading=st.sampled_from([Reading(), Reading(["a"]), Reading(header=True), Reading(decimal="comma")]),
)
@hypothesis.settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_a_damaged_text_is_numbers_or_one_sentence(
    kind: str, damage: list[tuple[float, int, str]], reading: Reading
) -> None:
    content = READ[kind][0]
    text = content.encode() if isinstance(content, str) else content
    for where, length, piece in damage:
        start = int(where * len(text))
        text = text[:start] + piece.encode() + text[start + length :]
    said, values = "", np.zeros(0)
    try:
        values = read_samples(write(text), "x", reading).values
    except ValueError as error:
        said = str(error)
    assert all(isinstance(value, str) or np.isfinite(value) for value in values.ravel())
    assert not said or ("`x`" in said and len(said) < 600)
