"""The commands about several variables: what is given, transfer, pairs and ranks of columns, numbers of samples."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deep_infomax.cli import main
from deep_infomax.mutual_information import conditional_mi, pairwise, rank_features, transfer_entropy


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    z = np.random.default_rng(0).normal(size=(400, 3))
    z[:, 1] += z[:, 0]
    return pd.DataFrame(z, columns=["age", "pulse", "noise"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    frame.to_csv("table.csv", index=False)
    return tmp_path


@pytest.fixture
def dim(capfd: pytest.CaptureFixture[str]) -> Callable[[str], dict]:
    """The object that a command prints."""

    def run(command: str) -> dict:
        assert main([*command.split(), "--json"]) == 0
        return json.loads(capfd.readouterr().out)

    return run


PAIR = "table.csv table.csv --x_columns age --y_columns pulse --estimator gaussian"


def test_what_is_given(dim, frame: pd.DataFrame) -> None:
    found = dim(f"estimate {PAIR} --given table.csv --given_columns noise --folds 3")
    expected = conditional_mi(frame["age"], frame["pulse"], frame["noise"], "gaussian", folds=3, progress=False)
    assert found["mi"] == pytest.approx(expected.mi)
    assert found["names"] == {"x": ["age"], "y": ["pulse"], "z": ["noise"]}
    assert found["samples"]["given"]["columns"] == ["noise"]
    assert dim(f"estimate {PAIR} --given table.csv --given_columns noise --interaction")["quantity"].endswith("I(x; y)")


def test_transfer(dim, frame: pd.DataFrame) -> None:
    found = dim(f"transfer {PAIR} --lags 2 --own_lags 1,3 --unit bits")
    options = {"own_lags": [1, 3], "progress": False, "unit": "bits"}
    expected = transfer_entropy(frame["age"], frame["pulse"], "gaussian", lags=2, **options)
    assert found["mi"] == pytest.approx(expected.mi)
    assert found["unit"] == "bits"


def test_pairs_of_columns(dim, frame: pd.DataFrame) -> None:
    found = dim("pairwise table.csv --plot matrix.png")
    assert found["names"] == list(frame.columns)
    assert found["mi"][0][1] == pytest.approx(pairwise(frame, progress=False).mi[0, 1])
    assert Path("matrix.png").exists()
    assert dim("pairwise table.csv --columns age,noise")["names"] == ["age", "noise"]


def test_a_rank_of_columns(dim, frame: pd.DataFrame) -> None:
    found = dim("rank table.csv --target pulse")
    assert (found["target"], found["names"]) == ("pulse", ["age", "noise"])
    assert found["order"] == [0, 1]
    expected = rank_features(frame[["age", "noise"]], frame["pulse"], progress=False)
    assert found["mi"] == pytest.approx(expected.mi)
    assert dim("rank table.csv --target pulse --columns noise")["names"] == ["noise"]


def test_a_check_of_the_number_of_samples(dim, capfd: pytest.CaptureFixture[str]) -> None:
    found = dim(f"estimate {PAIR} --folds 2 --check_sample_size --check_processing")
    sized = found["sample_size"]
    assert [len(sized[part]) for part in ("halves", "quarters")] == [2, 4]
    assert [one["n"] for one in sized["quarters"]] == [100] * 4
    assert sized["whole"]["mi"] == found["mi"]
    assert found["processing"]["holds"]
    assert main(f"estimate {PAIR} --folds 2 --check_sample_size".split()) == 0
    assert "at n/4 = 100" in capfd.readouterr().out.splitlines()[-1]


def test_names_of_a_table_are_those_of_the_result(dim) -> None:
    assert dim(f"estimate {PAIR}")["x_names"] == ["age"]
