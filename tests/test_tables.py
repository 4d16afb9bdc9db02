"""The tables of names: every entry says what it is, and is what its name stands for wherever a name can be given."""

import math
import re
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from deep_infomax.cli import main
from deep_infomax.contracts import Batch
from deep_infomax.data import READERS, DataOptions, Source
from deep_infomax.data.sources import read
from deep_infomax.encoders import ENCODERS
from deep_infomax.evaluation import METRICS
from deep_infomax.experiments.titles import titles
from deep_infomax.mutual_information import DEPENDENCIES, ESTIMATORS, estimate_mi, named, neural_dependency
from deep_infomax.mutual_information.critics.fitting import Fitting
from deep_infomax.mutual_information.dependency import estimate as dependency
from deep_infomax.recipes import CHOICES, RECIPES, Config, ObjectiveConfig, build_encoder, build_objective
from deep_infomax.runtime.names import Titled

TABLES: dict[str, Mapping[str, Titled]] = {
    **CHOICES,
    "metrics": METRICS,
    "data": READERS,
    "estimators": ESTIMATORS,
    "dependencies": DEPENDENCIES,
}
ENTRIES = [pytest.param(table[name], id=f"{where}-{name}") for where, table in TABLES.items() for name in table]
NAMED = [pytest.param(setting, name, id=f"{setting}-{name}") for setting, table in CHOICES.items() for name in table]
READ = {
    "objective.global_scorer": {"alpha": 1.0},
    "objective.prior": {"gamma": 1.0},
    "objective.matching": {"gamma": 1.0, "prior": "gaussian"},
}
"""What makes a method read a setting."""


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_has_a_title_and_a_meaning_of_one_sentence(entry: Titled) -> None:
    assert entry.title == entry.title.strip() != ""
    assert re.fullmatch(r"[A-Z](?!.*[.!?] ).*\.", entry.meaning)
    assert len(entry.meaning.split()) <= 25


@pytest.mark.parametrize("where", TABLES)
def test_titles_of_one_table_differ(where: str) -> None:
    titles = [entry.title for entry in TABLES[where].values()]
    assert len(set(titles)) == len(titles)


def configured(setting: str, name: str) -> Config:
    group, option = setting.split(".")
    config = Config(objective=ObjectiveConfig(units=8, global_units=8))
    if setting == "objective.method":
        config = replace(config, objective=ObjectiveConfig(method=name))
    return replace(config, **{group: replace(getattr(config, group), **{option: name} | READ.get(setting, {}))})


@pytest.mark.parametrize(("setting", "name"), NAMED)
def test_a_name_is_a_configuration_that_trains(setting: str, name: str) -> None:
    config = configured(setting, name)
    network = ENCODERS.get(config.encoder.architecture)
    side = (network and network.side) or 8
    inputs = torch.rand(4, 1, side, side)
    encoder = build_encoder(config, 1, (side, side))
    source = Source(inputs, torch.tensor([0, 1, 0, 1]), ("a", "b"), "four", "train")
    objective = build_objective(config.objective, encoder, source)
    losses = objective(Batch(inputs, torch.arange(4), source.labels), encoder)
    assert losses.encoder.isfinite()
    losses.encoder.backward()
    assert any(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize(("setting", "name"), NAMED)
def test_the_command_takes_a_name(setting: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        f"--{setting}={name}",
        *(f"--objective.{option}={value}" for option, value in READ.get(setting, {}).items()),
    ]
    assert main(["train", "--recipe", "random", "--objective.method=deep-infomax", *flags, "--data", "nowhere"]) == 2
    assert "no data set, file or folder is called 'nowhere'" in capsys.readouterr().err  # all else was understood


@cache
def help_of(command: str) -> str:
    """The help of a command, without any space, as lines may be broken within names."""
    with redirect_stdout(StringIO()) as printed:
        main([command, "--help"])
    return re.sub(r"\s", "", printed.getvalue())


@pytest.mark.parametrize(
    ("command", "table"),
    [
        *(pytest.param("train", table, id=setting) for setting, table in CHOICES.items()),
        ("train", RECIPES), ("evaluate", METRICS), ("compare", METRICS), ("estimate", ESTIMATORS),
        ("dependency", DEPENDENCIES),
    ],
)  # fmt: skip
def test_the_help_shows_all_names(command: str, table: Mapping[str, Titled]) -> None:
    assert ",".join(table) in help_of(command)


@pytest.mark.parametrize("setting", CHOICES)
def test_an_unknown_name_is_refused_with_those_known(setting: str) -> None:
    *_, last = CHOICES[setting]
    known = ", ".join(CHOICES[setting])
    for wrong, said in (("9", "known are"), (f"{last}x", f"did you mean {last}? Known are")):
        with pytest.raises(ValueError, match=re.escape(f"`{setting}`: {wrong} is unknown; {said} {known}")):
            configured(setting, wrong)


def test_reports_are_told_the_title_of_every_bound_and_metric() -> None:
    assert set(titles().bounds) == set(CHOICES["objective.bound"])
    assert set(titles().priors) == set(CHOICES["objective.prior"])
    assert set(titles().metrics) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_a_versioned_protocol_of_its_name(name: str) -> None:
    assert re.fullmatch(rf"{name}/\d+", METRICS[name].protocol)


@pytest.mark.parametrize("kind", READERS)
def test_a_reader_gets_what_is_typed_for_its_kind(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = READERS[kind]
    path = tmp_path / f"here{next(iter(reader.suffixes), '')}"
    if reader.folder or not reader.suffixes:
        path.mkdir()
    else:
        path.touch()
    prefixes = [reader.prefix] if isinstance(reader.prefix, str) else [*(reader.prefix or ())]
    spec = next(iter(reader.names), None) or next((f"{prefix}owner/name" for prefix in prefixes), str(path))

    def stand_in(name: str) -> Callable[..., NoReturn]:
        def raise_its_name(*given: object) -> NoReturn:
            raise LookupError(name)

        return raise_its_name

    for name, other in READERS.items():
        monkeypatch.setitem(READERS, name, replace(other, read=stand_in(name)))
    with pytest.raises(LookupError, match=f"^{re.escape(kind)}$"):
        read(spec, DataOptions())
    for number, suffix in enumerate(reader.within):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / f"file{suffix}").touch()
        with pytest.raises(LookupError, match=f"^{re.escape(kind)}$"):
            read(str(folder), DataOptions())


SMALL = Fitting(steps=2)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_estimates(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "MINE_STEPS", 20)
    samples = torch.randn(2, 60, 1)
    found = estimate_mi(*samples, name, folds=2, fitting=SMALL, progress=False)
    assert found.estimator == name
    assert math.isfinite(found.mi)


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_a_way_to_a_dependency_finds_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependency, "EPOCHS", 1)
    found = neural_dependency(torch.randn(60, 2), name, folds=2, fitting=SMALL, progress=False)
    assert math.isfinite(found.total_correlation)
