"""The map inside the report: what the page embeds, and that a browser draws it as `dim explore` does."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import Page, in_a_browser, report
from recorded_runs import CLASSES, Run

from deep_infomax.report.configuration import configuration, whole
from deep_infomax.report.reading import read_run
from deep_infomax.report.run_map import map_of

N = 40


@pytest.fixture(autouse=True)
def _undrawn(undrawn: None) -> None:
    """No test here looks at a figure."""


def mapped(path: Path, seed: int = 0, n: int = N, total: int | None = None) -> Run:
    """A run whose vectors come with coloured images, the same for each seed."""
    pixels = np.random.default_rng(9).integers(0, 256, (n, 3, 6, 6), dtype=np.uint8)
    return Run(path, seed=seed).log().evaluation().representation(n).inputs(pixels, total)


def embedded(page: Page) -> list[dict[str, Any]]:
    """The data of every map of a page."""
    found = re.findall(r'<script class="data" type="application/json">(.*?)</script>', page.source, re.DOTALL)
    return [json.loads(text) for text in found]


def test_the_map_shows_each_input_with_its_neighbours(tmp_path: Path) -> None:
    run = mapped(tmp_path / "a")
    [found] = embedded(report(run))
    with np.load(run.path / "arrays" / "representation.npz") as archive:
        y, labels = archive["Y"].astype(np.float64), archive["labels"]
    scaled = (y - y.mean(axis=0)) / y.std(axis=0)
    distance = np.linalg.norm(scaled[:, None] - scaled, axis=2) + np.diag(np.full(N, np.inf))
    assert found["neighbours"] == np.argsort(distance, axis=1)[:, :8].tolist()
    assert found["index"] == list(range(100, 100 + N))
    names = [found["classes"][label] for label in found["labels"]]
    assert names == [CLASSES[i] for i in labels]


def test_the_page_says_how_many_inputs_are_on_the_map(tmp_path: Path) -> None:
    assert (
        "On the map: 40 of 10,000 test inputs, evenly spaced (0.4 %)."
        in report(mapped(tmp_path / "a", total=10_000)).text()
    )
    assert "On the map: all 40 test inputs." in report(mapped(tmp_path / "b")).text()


def test_runs_of_the_same_inputs_share_their_thumbnails(tmp_path: Path) -> None:
    page = report(mapped(tmp_path / "a"), mapped(tmp_path / "b", seed=1), out=tmp_path / "page.html")
    first, second = embedded(page)
    assert first["x"] != second["x"]
    assert first["thumbnails"] == second["thumbnails"]
    identifiers = [attributes["id"] for attributes in page.attributes("script") if "id" in attributes]
    assert identifiers == [first["thumbnails"]]


def test_the_page_is_one_file_the_same_each_time(tmp_path: Path) -> None:
    run = mapped(tmp_path / "a")
    page, again = report(run), report(run)
    assert page.source == again.source
    assert all("src" not in attributes for attributes in page.attributes("script"))
    assert not re.search(r"https?://(?!www\.w3\.org/)", page.source)


def test_a_page_of_2000_images_in_colour_stays_below_4_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deep_infomax.report.vector_map.tsne", lambda vectors: None)
    monkeypatch.setattr("deep_infomax.report.run_map.clusters", lambda vectors: np.zeros(len(vectors), np.int64))
    noise = np.random.default_rng(0).integers(0, 256, (2000, 3, 32, 32), dtype=np.uint8)  # compresses not at all
    page = report(Run(tmp_path / "a").representation(2000, 8).inputs(noise))
    assert 2e6 < len(page.source.encode()) < 4e6


def test_names_cannot_leave_the_map(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    run = mapped(tmp_path / "a")
    run.inputs(np.zeros((N, 3, 6, 6), np.uint8), splits=np.array([evil] * N), files=np.array([evil] * N))
    page = report(run)
    assert evil not in page.source
    assert embedded(page)[0]["files"] == [evil] * N


def test_vectors_without_inputs_ask_for_another_evaluation(tmp_path: Path) -> None:
    page = report(Run(tmp_path / "a").representation())
    assert not embedded(page)
    assert "No map yet: dim evaluate" in page.text("representation")
    assert not page.attributes("script")


@pytest.mark.parametrize(
    "changes",
    [
        {"images": np.zeros((N, 3, 500, 500), np.uint8)},
        {"images": np.zeros((N, 9, 6, 6), np.uint8)},
        {"images": np.zeros((N, 3, 0, 6), np.uint8)},
    ],
    ids=["large", "of nine channels", "empty"],
)
def test_what_is_no_miniature_is_not_shown(tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    run = mapped(tmp_path / "a")
    run.inputs(changes["images"])
    assert not embedded(report(run))


def test_a_label_of_any_size_takes_no_more_room(tmp_path: Path) -> None:
    run = mapped(tmp_path / "a").inputs(np.zeros((N, 1, 6, 6), np.uint8), labels=np.full(N, 2**62))
    [found] = embedded(report(run))
    assert found["classes"] == [str(2**62)]


def test_series_are_lines_and_infinities_are_drawn_at_the_edge(tmp_path: Path) -> None:
    lines = np.random.default_rng(0).normal(size=(N, 2, 30)).astype(np.float32)
    lines[0, 0, 0] = np.inf
    run = Run(tmp_path / "a").representation(N).inputs(lines)
    thumbnails = re.findall(r'<script id="thumbnails-[0-9a-f]{8}"[^>]*>(.*?)</script>', report(run).source, re.DOTALL)
    assert [json.loads(text)["kind"] for text in thumbnails] == ["lines"]


def test_fewer_than_two_different_vectors_have_no_map(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").vectors(np.ones((N, 4)), np.zeros(N, int)).inputs(np.zeros((N, 1, 6, 6), np.uint8))
    representation = read_run(run.path, "a").representation
    assert representation is not None
    assert map_of(representation, 100) is None
    assert "so Y tells nothing apart" in report(run).text("representation")


def test_settings_without_effect_are_under_the_fold(tmp_path: Path) -> None:
    run = Run(tmp_path / "a", objective={"alpha": 0.0, "global_scorer": "concat", "global_units": 99, "gamma": 0.0})
    page = report(run.log())
    facts, settings = page.text("configuration").split("All settings")
    assert "local scorer encode-and-dot" in facts
    assert "units 2048" in facts
    for setting in ("global scorer", "global units", "alpha", "gamma", "prior", "limit", "flip", "dim none"):
        assert setting not in facts
    for line in ("global_scorer: concat", "global_units: 99", "gamma: 0.0", "flip: false"):
        assert line in settings


def test_settings_of_an_unknown_method_are_all_shown(tmp_path: Path) -> None:
    run = read_run(Run(tmp_path / "a", objective={"method": "of a later version", "alpha": 0.0}).path, "a")
    facts = {fact.name: fact.value for part in configuration(run, {}) for fact in part.entries}
    assert facts["alpha"] == "0"
    assert facts["prior"] == "uniform"
    assert "method: of a later version" in whole(run)


def test_what_has_nothing_to_draw_has_no_figure(tmp_path: Path) -> None:
    once = Run(tmp_path / "a").log(records=1)
    assert not report(once).figures()
    assert "metrics.jsonl holds one logged step" in report(once).text("learning")
    page = report(Run(tmp_path / "b").log())
    captions = " ".join(re.findall(r'<div class="title">([^<]*)</div>', page.source))
    assert "Effective rank" in captions
    assert "Dead units" not in captions  # there are none, as the overview says
    assert "dead units 0 of 64" in page.text()


ACT = """<script>
addEventListener("load", () => setTimeout(() => {
  const map = document.querySelector(".map"), tip = document.querySelector(".tip");
  const data = JSON.parse(document.querySelector(".data").textContent);
  const box = map.getBoundingClientRect(), scale = 0.88 * Math.min(box.width, box.height);
  const at = (i) => ({
    pointerId: 1, bubbles: true, pointerType: "mouse",
    clientX: box.left + data.x[i] * scale + (box.width - scale) / 2,
    clientY: box.top + data.y[i] * scale + (box.height - scale) / 2,
  });
  map.setPointerCapture = () => {};
  map.dispatchEvent(new PointerEvent("pointermove", at(3)));
  document.body.dataset.hovered = tip.hidden ? "" : tip.textContent;
  map.dispatchEvent(new PointerEvent("pointerdown", at(3)));
  map.dispatchEvent(new PointerEvent("pointerup", at(3)));
  document.body.dataset.pinned = document.querySelector(".self p").textContent;
  document.body.dataset.near = [...document.querySelectorAll(".near button")].map((button) => button.title).join("; ");
}, 100));
</script>"""


def test_a_browser_shows_what_is_pointed_at_and_its_neighbours(tmp_path: Path) -> None:
    page = report(mapped(tmp_path / "a"))
    [found] = embedded(page)
    opened = tmp_path / "opened.html"
    opened.write_text(page.source + ACT)
    body = re.search(r"<body[^>]*>", in_a_browser(opened))
    assert body is not None
    told = [f"{found['classes'][found['labels'][i]]}, test {i + 100}" for i in (3, *found["neighbours"][3])]
    name, place = told[0].split(", ")
    assert f'data-hovered="class {name}{place}"' in body[0]
    assert f'data-pinned="class {name}{place}"' in body[0]
    assert f'data-near="{"; ".join(told[1:])}"' in body[0]


FRAME = """<!doctype html><body><iframe src="inner.html" width="400" height="800"></iframe><script>
addEventListener("message", (event) => { document.body.dataset.widths = event.data; });
</script></body>"""
TOLD = """<script>addEventListener("load", () => setTimeout(() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const { scrollWidth, clientWidth } = document.documentElement;
  parent.postMessage(`${innerWidth} ${scrollWidth - clientWidth}`, "*");
}, 100));</script>"""


def test_nothing_is_wider_than_a_screen_of_400_pixels(tmp_path: Path) -> None:
    runs = [mapped(tmp_path / name, seed=seed).neighbours() for seed, name in enumerate(("a", "b"))]
    page = report(*runs, out=tmp_path / "page.html")
    (tmp_path / "inner.html").write_text(page.source + TOLD)
    (tmp_path / "outer.html").write_text(FRAME)
    assert 'data-widths="400 0"' in in_a_browser(tmp_path / "outer.html")
