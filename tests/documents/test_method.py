"""The pages of the method agree with the program: names exist, and the worked example is what the functions give."""

import importlib
import re
from pathlib import Path

import page_figures
import pytest
import torch

from deep_infomax import bounds
from deep_infomax.contracts import Scores
from deep_infomax.recipes import RECIPES

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "method.md", *sorted((DOCS / "method").glob("*.md"))]
ROOMS = "baselines|bounds|contracts|encoders|evaluation|negatives|objectives|recipes|scorers|training"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_of_the_library_on_a_page_exist(page: Path) -> None:
    found = set(re.findall(rf"`(?:deep_infomax\.)?((?:{ROOMS})(?:\.\w+)+)", page.read_text()))
    missing = [name for name in sorted(found) if not exists(f"deep_infomax.{name}")]
    assert missing == []


def exists(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return hasattr(importlib.import_module(module), attribute)
    return True


def test_the_worked_example_of_the_bounds_is_what_they_give() -> None:
    scores = Scores(torch.tensor([[1.0, 2.0], [2.5, 0.5]]), torch.tensor([[[0.5, -1.0]], [[0.0, 1.5]]]))
    values = {
        "Donsker-Varadhan": bounds.donsker_varadhan,
        "NWJ": bounds.nwj,
        "Jensen-Shannon": bounds.jensen_shannon,
        "InfoNCE, the loss": bounds.info_nce,
        "InfoNCE, the report": bounds.info_nce_bound,
        "reverse KL": bounds.reverse_kl,
        "squared Hellinger": bounds.squared_hellinger,
        "Pearson's chi-squared": bounds.pearson_chi_squared,
    }
    rows = dict(page_figures.table(DOCS / "method" / "bounds.md", "| bound | value in nats |"))
    assert {name: float(value) for name, value in rows.items()} == {
        name: pytest.approx(bound(scores).item(), abs=1e-6) for name, bound in values.items()
    }


def test_the_weights_of_the_objective_are_those_of_the_recipes() -> None:
    rows = page_figures.table(DOCS / "method" / "objective.md", r"| method | recipe | $\alpha$ | $\beta$ | $\gamma$ |")
    stated = {name: tuple(map(float, row[2:])) for row in rows for name in re.findall(r"[\w-]+", row[1])}
    used = {name: RECIPES[name].objective for name in stated}
    assert stated == {name: (one.alpha, one.beta, one.gamma) for name, one in used.items()}
    assert {name for name, config in RECIPES.items() if config.objective.method == "deep-infomax"} == set(stated)


def test_the_tables_that_figures_are_drawn_from_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, int]] = []
    monkeypatch.setattr(page_figures, "save", lambda figure, name: drawn.append((name, points(figure))))
    page_figures.main()
    page_figures.plt.close("all")
    assert drawn == [("comparison.png", 3 * 12), ("step.png", 15), ("tasks.png", 126)]


def points(figure: page_figures.Figure) -> int:
    """How many markers and bars a figure has."""
    markers = [len(line.get_xdata()) for axes in figure.axes for line in axes.lines if line.get_marker() != "None"]
    return sum(markers) + sum(len(bars) for axes in figure.axes for bars in axes.containers)
