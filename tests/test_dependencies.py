"""What is installed: the lowest versions that `make lowest` tests are those that are declared."""

import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def versions(lines: list[str], operator: str) -> dict[str, list[str]]:
    """The versions that follow an operator, by package; the project's own extras are no packages."""
    found = map(Requirement, lines)
    return {
        canonicalize_name(requirement.name): [s.version for s in requirement.specifier if s.operator == operator]
        for requirement in found
        if requirement.name != PROJECT["name"]
    }


def test_the_lowest_versions_tested_are_those_declared() -> None:
    declared = versions([*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())], ">=")
    assert [name for name, lowest in declared.items() if len(lowest) != 1] == []
    lines = (ROOT / "constraints-lowest.txt").read_text().splitlines()
    tested = versions([line for line in lines if line and not line.startswith("#")], "==")
    assert {name: tested.get(name) for name in declared} == declared
