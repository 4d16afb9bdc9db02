"""The site builds without a warning, holds every public name, and needs no other host."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from sphinx.util.inventory import InventoryFile

import deep_infomax

DOCS = Path(__file__).parents[2] / "docs"
# `python -m sphinx`, whose many nodes are looked through for garbage more seldom.
BUILD = """
import gc, sys
from sphinx.cmd.build import main

gc.set_threshold(500_000, 50, 50)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-c", BUILD, "--fail-on-warning", "--keep-going", "--quiet", str(DOCS), str(out)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def exported_names() -> Iterator[str]:
    for module in iter_modules(deep_infomax.__path__, "deep_infomax."):
        yield from (f"{module.name}.{name}" for name in getattr(import_module(module.name), "__all__", []))


def test_every_exported_name_is_in_the_reference(site: Path) -> None:
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="").data
    documented = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    assert [name for name in exported_names() if name not in documented] == []


def test_the_names_of_the_package_itself_lead_to_their_description(site: Path) -> None:
    page = (site / "reference" / "api" / "index.html").read_text()
    found = set(re.findall(r'href="[a-z_]+\.html#deep_infomax\.[a-z_.]+\.(\w+)"', page))
    assert set(deep_infomax.__all__) - {"__version__"} <= found


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    loaded = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)="(https?:)?//""")
    assert [page.name for page in site.rglob("*.html") if loaded.search(page.read_text())] == []
