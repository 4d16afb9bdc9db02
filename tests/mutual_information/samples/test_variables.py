"""Words, categories, masks and missing values: read by their levels, or refused in one sentence."""

import math
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from deep_infomax.mutual_information import estimate_mi, pairwise
from deep_infomax.mutual_information.critics.columns import fit_reader
from deep_infomax.mutual_information.critics.critics import PairCritic
from deep_infomax.mutual_information.samples.inputs import as_columns, is_discrete
from deep_infomax.mutual_information.samples.variables import read_variable

N = 60
CODES = np.resize([2, 0, 1, 1], N)
WORDS = np.array(["ant", "bee", "cat"])[CODES]
FRAME = pd.DataFrame({"word": WORDS, "size": np.linspace(0, 1, N), "age": CODES + 20})


@pytest.mark.parametrize(
    "values",
    [
        WORDS,
        WORDS.tolist(),
        WORDS.astype(object),
        WORDS.astype("S"),
        *([WORDS.astype(np.dtypes.StringDType())] if hasattr(np.dtypes, "StringDType") else []),
        pd.Series(WORDS),
        pd.Series(WORDS, dtype=object),
        pd.Series(WORDS, dtype="string"),
        pd.Series(WORDS, dtype="category"),
        pd.Categorical(WORDS),
        pd.DataFrame({"word": WORDS}),
        pd.Series(WORDS, dtype=pd.ArrowDtype(__import__("pyarrow").string())),
    ],
)
def test_words_of_any_kind_are_the_numbers_of_their_levels(values):
    read = read_variable(values, "x")
    assert read.levels == {0: ("ant", "bee", "cat")}
    np.testing.assert_array_equal(read.columns[:, 0], CODES)
    assert as_columns(values, "x").discrete.all()


@pytest.mark.parametrize(
    "values",
    [
        CODES.astype(object),
        [Decimal(int(code)) for code in CODES],
        pd.Series(CODES, dtype="Int64"),
        pd.Series(CODES, dtype="UInt8"),
        pd.Series(CODES, dtype="Float64"),
        pd.array(CODES, dtype="Int32"),
        pd.Series(CODES, dtype="int64[pyarrow]"),
        pd.Series(pd.arrays.SparseArray(CODES)),
        np.ma.masked_array(CODES, mask=np.zeros(N)),
        np.ma.masked_array(CODES),
        pd.Index(CODES),
    ],
)
def test_numbers_of_any_kind_are_themselves(values):
    read = read_variable(values, "x")
    assert not read.levels
    np.testing.assert_array_equal(read.numbers, CODES)


def test_booleans_are_zero_and_one():
    for values in (CODES == 1, pd.Series(CODES == 1), pd.Series(CODES == 1, dtype="boolean"), (CODES == 1).tolist()):
        np.testing.assert_array_equal(as_columns(values, "x").values[:, 0], CODES == 1)
        assert as_columns(values, "x").discrete.all()


def test_the_order_of_categories_is_kept():
    sizes = pd.Categorical(np.array(["small", "large"])[CODES % 2], categories=["small", "large"], ordered=True)
    np.testing.assert_array_equal(read_variable(sizes, "x").numbers, CODES % 2)


def test_a_table_of_words_and_numbers_is_read_by_column():
    for values in (FRAME, FRAME.to_numpy()):
        columns = as_columns(values, "x")
        np.testing.assert_array_equal(columns.values[:, 0], CODES)
        np.testing.assert_array_equal(columns.values[:, 1], FRAME["size"])
        assert columns.discrete.tolist() == [True, False, True]


def test_new_samples_have_the_levels_of_the_old():
    columns = as_columns(FRAME, "x")
    new = pd.DataFrame({"word": ["cat", "dog"], "size": [0.5, 0.5], "age": [20, 21]})
    assert columns.of(new, "x")[:, 0].tolist() == [2, 3]  # a dog is none of the levels
    with pytest.raises(ValueError, match="column 'word' of `x` holds numbers, and held words in the estimate"):
        columns.of(new.assign(word=1), "x")
    with pytest.raises(ValueError, match="column 'size' of `x` holds words, and held numbers in the estimate"):
        columns.of(new.assign(size="big"), "x")


def put(row, value, values=WORDS):
    return [*values[:row].tolist(), value, *values[row + 1 :].tolist()]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            np.ma.masked_equal(CODES, 2),
            "`x` holds a masked value in row 0 (15 such values in all); leave such rows out",
        ),
        (np.ma.masked_array(np.eye(N), np.eye(N)[::-1]), "`x` holds a masked value in row 0 (60 such values in all)"),
        (np.array(put(7, None), object), "`x` holds no value in row 7 (1 such values in all); leave such rows out of"),
        (np.array(put(7, math.nan), object), "`x` holds no value in row 7 (1 such values in all)"),
        (put(7, math.nan), "`x` holds no value in row 7 (1 such values in all)"),
        (put(7, 5), "`x` holds a word in row 0 and a number in row 7; give numbers alone or words alone"),
        (pd.Series(pd.period_range("2020", periods=N)), "`x` holds dates or times; give numbers"),
        (put(7, " "), "`x` holds no value in row 7 (1 such values in all)"),
        (pd.Series(put(7, None)), "`x` holds no value in row 7 (1 such values in all)"),
        (pd.Series(put(7, None), dtype="category"), "`x` holds no value in row 7 (1 such values in all)"),
        (pd.Series(put(7, None, CODES), dtype="Int64"), "`x` holds no value in row 7 (1 such values in all)"),
        (pd.Series(put(7, None, CODES == 1), dtype="boolean"), "`x` holds no value in row 7 (1 such values in all)"),
        (FRAME.replace("cat", pd.NA), "column 'word' of `x` holds no value in row 0 (15 such values in all)"),
        (FRAME.replace(0.0, math.inf), "column 'size' of `x` holds inf in row 0 (1 such values in all); leave such"),
        (np.array([None] * N), "`x` holds no value in row 0 (60 such values in all)"),
        (
            np.array(put(7, 5), object),
            "`x` holds a word in row 0 and a number in row 7; give numbers alone or words alo",
        ),
        (np.array([{}] * N), "`x` holds a dict in row 0; give an array of real numbers or words"),
        (np.array([1j] * N, object), "`x` holds a complex in row 0; give an array of real numbers or words"),
        (pd.Series(pd.date_range("2020", periods=N)), "`x` holds dates or times; give numbers, such as the seconds"),
        (pd.date_range("2020", periods=N, tz="UTC"), "`x` holds dates or times; give numbers"),
        (np.arange(N).astype("timedelta64[s]"), "`x` holds dates or times; give numbers"),
        (np.array([date(2020, 1, 1)] * N), "`x` holds dates or times; give numbers"),
        (FRAME.assign(day=pd.Timestamp("2020")), "column 'day' of `x` holds dates or times; give numbers"),
        ([f"row {row}" for row in range(N)], "`x` holds 60 different words among 60, as names of rows are; give words"),
        (2**60 + CODES, "`x` holds whole numbers beyond 2^53, which lose digits; subtract the smallest first, or give"),
        (pd.DataFrame({"a": CODES, "b": 2**60 + CODES}), "column 'b' of `x` holds whole numbers beyond 2^53"),
        ([[1.0, 2.0]] * N + [[1.0]], "`x` has samples of different lengths; give as many numbers in each"),
        (WORDS[:20], "`x` has 20 samples along its first axis; give at least 30"),
        (pd.DataFrame({"a": WORDS[:20]}), "`x` has 20 samples along its first axis; give at least 30"),
        (pd.DataFrame(index=range(N)), "`x` has the shape (60, 0), so its samples are empty; give at least one"),
    ],
)
def test_what_is_neither_number_nor_word_is_refused_in_a_sentence(values, sentence):
    with pytest.raises(ValueError, match="`x`") as raised:
        read_variable(values, "x")
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "discrete"),
    [
        (RNG.integers(200, size=1000), True),
        (RNG.integers(1000, size=10_000), True),
        (RNG.integers(1000, size=1000), False),  # codes of one or two samples each
        (RNG.integers(18, 90, size=500), True),  # ages
        (RNG.poisson(5, size=100), True),
        (RNG.integers(1950, 2020, size=1000), True),
        (RNG.integers(4096, size=3000), False),  # a sensor of twelve bits
        (np.arange(1000), False),
        (RNG.permutation(1000), False),
        (RNG.random(1000) < 0.1, True),
        (RNG.choice([0.1, 0.25, 0.7], size=100), True),
        (np.where(RNG.random(1000) < 0.5, 0, RNG.random(1000)), False),  # zeros amid other values
        (RNG.normal(size=1000).round(1), True),
        (RNG.normal(size=1000).round(3), False),
        (RNG.normal(size=1000), False),
        (np.resize([0, 1, 2], 30), True),
    ],
)
def test_columns_whose_values_recur_are_discrete(values, discrete):
    assert is_discrete(values.astype(float)) == discrete


def test_what_is_discrete_can_be_said():
    x = np.stack([RNG.integers(5, size=100), RNG.random(100)], axis=1)
    named = pd.DataFrame(x, columns=["a", "b"])
    for said, expected in {
        "auto": [True, False], True: [True, True], False: [False, False], (1,): [False, True], (): [False, False],
        ("b",): [False, True], (0, "b"): [True, True], (False, True): [False, True], "a": [True, False],
    }.items():  # fmt: skip
        assert as_columns(named, "x", said).discrete.tolist() == expected
    assert as_columns(x, "x", np.array([False, True])).discrete.tolist() == [False, True]
    assert as_columns(FRAME, "x", ["age"]).discrete.tolist() == [True, False, True]  # the words besides
    constant = as_columns(np.insert(x, 0, 7.0, axis=1), "x", [2])
    assert constant.discrete.tolist() == [False, True]


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (False, "`discrete_x` is False, and column 'word' of `x` holds words; write them as numbers, or leave it out"),
        (3, '`discrete_x` is 3; give True, False, "auto", or a list of columns'),
        (None, '`discrete_x` is None; give True, False, "auto", or a list of columns'),
        ([3], "`discrete_x` names the column 3; give numbers from 0 to 2, or names"),
        ([-1], "`discrete_x` names the column -1; give numbers from 0 to 2, or names"),
        ([0.5], "`discrete_x` names the column 0.5; give numbers from 0 to 2, or names"),
        (["agee"], "`discrete_x` names the column agee, which `x` does not have; did you mean age?"),
        ("yes", "`discrete_x` names the column yes, which `x` does not have; known are word, size, age"),
        ([True], "`discrete_x` says of 1 columns whether they are; `x` has 3"),
    ],
)
def test_what_cannot_be_said_is_refused(said, sentence):
    with pytest.raises(ValueError, match="discrete_x") as raised:
        as_columns(FRAME, "x", said)
    assert str(raised.value).startswith(sentence)


def test_names_need_columns_with_names():
    with pytest.raises(ValueError, match="which `x` does not have; its columns have no names, give their numbers"):
        as_columns(np.random.default_rng(0).random((50, 2)), "x", ["age"])


def said_of(values, said="auto"):
    return " ".join(as_columns(values, "x", said).warnings)


def test_categories_in_doubt_are_named():
    recurring = said_of(np.arange(2000) % 200)
    assert "column 0 has 200 different ones among 2,000); they are read as categories and by their order" in recurring
    codes = np.random.default_rng(1).integers(1000, size=1000)
    assert "different whole numbers among 1,000 samples; if they are codes" in said_of(codes)
    assert "of which 36% are alone in theirs; what rare ones tell is missed" in said_of(codes, True)
    assert as_columns(codes, "x", True).crowded
    assert not as_columns(codes, "x").crowded
    for ordinary in (np.arange(1000) % 9, np.random.default_rng(2).normal(size=1000), np.arange(1000)):
        assert "alone" not in said_of(ordinary).replace("order alone", "")
        assert "codes" not in said_of(ordinary)


def test_no_more_is_known_than_the_entropy():
    p = np.array([0.97, 0.01, 0.01, 0.01])
    skewed = np.repeat(np.arange(4), (p * 1000).astype(int))
    entropy = -(p * np.log(p)).sum()
    assert entropy < as_columns(skewed, "x").capacity < entropy + 0.12 < math.log(4)
    assert as_columns(np.arange(900) % 3, "x").capacity == pytest.approx(math.log(3))
    assert as_columns(np.eye(10)[np.arange(900) % 10], "x").capacity == pytest.approx(math.log(10))  # one-hot
    assert as_columns(np.random.default_rng(0).normal(size=900), "x").capacity == math.inf


def test_codes_of_many_values_are_those_of_the_common_ones():
    columns = np.repeat(np.arange(600.0), np.where(np.arange(600) < 550, 4, 2))[:, None]
    assert fit_reader(columns, ranks=True, discrete=np.array([True])).levels[0].tolist() == list(range(512))
    assert len(fit_reader(columns[:400], ranks=True, discrete=np.array([True])).levels[0]) == 100
    assert fit_reader(np.repeat(columns, 17, axis=1), ranks=True, discrete=np.ones(17, bool)).levels == {}
    assert fit_reader(columns, ranks=True, discrete=np.array([False])).levels == {}


def test_words_are_columns_of_pairs():
    rng = np.random.default_rng(0)
    word, other = rng.integers(3, size=(2, 400))
    frame = pd.DataFrame({"word": WORDS[[1, 2, 0]][word], "size": word + 0.1 * rng.normal(size=400), "other": other})
    found = pairwise(frame, progress=False)
    assert found.mi[0, 1] == pytest.approx(math.log(3), abs=0.05)
    assert found.mi[0, 2] == pytest.approx(0, abs=0.05)


def test_a_category_that_was_said_to_be_one_is_no_copied_number():
    rng = np.random.default_rng(0)
    levels = rng.normal(size=25)[rng.integers(25, size=600)]
    assert "copies" in " ".join(estimate_mi(levels, rng.normal(size=600), "gaussian", progress=False).warnings)
    said = estimate_mi(levels, rng.normal(size=600), "gaussian", progress=False, discrete_x=True)
    assert "copies" not in " ".join(said.warnings)


def test_words_have_no_order_for_a_normal_model():
    rng = np.random.default_rng(0)
    found = estimate_mi(WORDS, rng.normal(size=N), "gaussian", progress=False)
    assert "normal model reads words by the numbers of their order, which says little; use auto" in found.warnings


def test_a_critic_of_ones_own_reads_numbers():
    y = np.random.default_rng(0).normal(size=N)
    with pytest.raises(ValueError, match="`x` holds words; give an array of real numbers"):
        estimate_mi(WORDS, y, critic=PairCritic)
    with pytest.raises(ValueError, match="a critic reads samples as they are; leave `discrete_x` and `discrete_y` out"):
        estimate_mi(y, y, critic=PairCritic, discrete_x=True)


def test_new_words_are_scored():
    rng = np.random.default_rng(0)
    found = estimate_mi(np.resize(WORDS, 300), rng.normal(size=300), "gaussian", progress=False)
    assert np.isfinite(found.pointwise(["ant", "dog"], [0.0, 1.0])).all()
