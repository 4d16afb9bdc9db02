"""The public surface: everything public is documented, the version is one, the report stays free of PyTorch."""

import inspect
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from jaxtyping import TypeCheckError

import deep_infomax
from deep_infomax.contracts import Scores
from deep_infomax.negatives import all_pairs

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "deep_infomax"


def module_names() -> list[str]:
    paths = (path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py"))
    parts = (path.parts[:-1] if path.name == "__init__" else path.parts for path in sorted(paths))
    return [".".join(part) for part in parts if not part[-1].startswith("_")]


def public_objects(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The module itself, its public functions and classes, and what those classes define in public."""
    yield module.__name__, module
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            yield from ((f"{module.__name__}.{name}.{member}", found) for member, found in public_members(value))


def public_members(cls: type) -> Iterator[tuple[str, object]]:
    for name, value in vars(cls).items():
        is_member = inspect.isfunction(value) or isinstance(value, staticmethod | classmethod | property)
        if is_member and not name.startswith("_"):
            yield name, value


def is_documented(found: object) -> bool:
    """Whether a docstring was written; dataclasses and named tuples without one get their signature instead."""
    text = getattr(found, "__doc__", None) or ""
    generated = inspect.isclass(found) and text.startswith(f"{found.__name__}(")
    return bool(text.strip()) and not generated


def test_everything_public_is_documented():
    modules = map(import_module, module_names())
    documented = {where: is_documented(found) for module in modules for where, found in public_objects(module)}
    assert len(documented) > 200  # the walk sees them
    assert [where for where, is_so in documented.items() if not is_so] == []


def test_exported_names_exist_and_stand_once():
    modules = map(import_module, module_names())
    exported = [(module, name) for module in modules for name in getattr(module, "__all__", [])]
    assert len(exported) > 50
    assert [f"{module.__name__}.{name}" for module, name in exported if not hasattr(module, name)] == []
    assert [f"{module.__name__}.{name}" for (module, name), times in Counter(exported).items() if times > 1] == []


def test_lazy_names_are_the_exported_ones():
    lazy = {name for names in deep_infomax._MODULES.values() for name in names}
    assert {*lazy, "__version__"} == set(deep_infomax.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'deep_infomin'"):
        deep_infomax.deep_infomin  # noqa: B018


def test_exemptions_from_typing_are_named_in_pyproject_alone():
    assert [path for path in PACKAGE.rglob("*.py") if "type: ignore" in path.read_text()] == []


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert deep_infomax.__version__ == metadata.version("deep-infomax") == str(citation["version"])


@pytest.mark.parametrize("module", ["deep_infomax", "deep_infomax.report"])
def test_imports_without_pytorch(module):
    script = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_wrong_shapes_raise_in_functions():
    with pytest.raises(TypeCheckError):
        all_pairs(torch.zeros(2, 3))


@pytest.mark.parametrize("marginal", [torch.zeros(2, 1, 4), torch.zeros(3, 1, 5), torch.zeros(2, 1, 5).long()])
def test_wrong_shapes_raise_in_contracts(marginal):
    with pytest.raises(TypeCheckError):
        Scores(joint=torch.zeros(2, 5), marginal=marginal)
