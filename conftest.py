"""What every test and doctest runs under: shapes checked, a fixed seed, an empty cache, no network."""

import os
import sys
import typing
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

# Read once, when the Hugging Face libraries are first imported; processes that tests start inherit them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):  # each computes with its share of the processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ["OMP_NUM_THREADS"] = str(max(1, cores // workers))

import jaxtyping
import numpy as np
import pytest
from beartype import BeartypeConf, beartype
from document_blocks import documents
from jaxtyping import jaxtyped

pytest_collect_file = documents.pytest()  # the blocks of README and guides

# jaxtyping's import hook (see pyproject.toml) checks functions and dataclasses, but passes over named tuples.
_make_named_tuple = typing.NamedTupleMeta.__new__


def _make_checked_named_tuple(meta: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    """A named tuple, which checks what it is made of where it is the package's own and has a field with a shape."""
    made = _make_named_tuple(meta, name, bases, namespace)
    if namespace["__module__"].startswith("deep_infomax.") and any(map(_has_shape, made.__annotations__.values())):
        checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
        made.__new__ = staticmethod(jaxtyped(typechecker=checked)(made.__new__))
    return made


def _has_shape(annotation: Any) -> bool:
    array = isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray)
    return array or any(map(_has_shape, typing.get_args(annotation)))


assert "deep_infomax.contracts" not in sys.modules, "the named tuples of modules imported before this are not checked"
typing.NamedTupleMeta.__new__ = _make_checked_named_tuple


# Modules whose tests take long. They begin first, then documents: begun last, one of them would outlast all the others.
LONG = (
    "test_compare", "test_dependency", "test_processes", "test_cli", "test_information", "test_slurm", "test_estimate",
    "test_compilation", "test_training", "test_report", "test_site",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG) + (item.path.suffix != ".md")))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import torch  # not above, as the process that only hands out the tests loads this file, too

    torch.manual_seed(0)
    np.random.seed(0)  # what scikit-learn draws from unless told otherwise


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Apart from the folders of the tests, all of which are looked through for a free number for each new one."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(autouse=True)
def _empty_cache(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEP_INFOMAX_CACHE", mkdtemp(dir=caches))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of a page are made and painted on, but not turned into markup, which takes longer than all else."""
    from matplotlib.figure import Figure

    def savefig(figure: Figure, buffer: Any, **options: Any) -> None:
        if options.get("format") == "svg":
            buffer.write('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
        else:
            drawn(figure, buffer, **options)

    drawn = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", savefig)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types and shapes unchecked, as users run: what reaches the public border has to find a sentence there."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def generator() -> "torch.Generator":
    import torch

    return torch.Generator().manual_seed(0)
