"""The map of Y: what the page embeds, its tables, and that a browser draws it."""

import base64
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import in_a_browser
from PIL import Image

from deep_infomax.report.explorer import Exploration, Finding, as_csv, render, write_explorer
from deep_infomax.report.sprites import as_bytes, sheet, sprites
from deep_infomax.report.svg import CLASS_COLOURS
from deep_infomax.report.vector_map import Origin, VectorMap, colourings, grouped, placed

N = 12
PAIR = Finding("duplicates.csv", "Near-duplicates", "A rule.", [(0, 5)], {"distance": [0.1]}, ["0.1"], paired=True)
ONE = Finding("outliers.csv", "Outliers", "Another rule.", [(3,), (1,)], {"distance": [3.0, 2.0]}, ["3", "2"])


def origin(n: int = N, **changes: Any) -> Origin:
    values: dict[str, Any] = {
        "index": np.arange(n) + 100,
        "splits": ["train"] * (n - 2) + ["test"] * 2,
        "files": [f"folder-{i % 2}/{i}.png" for i in range(n)],
        "labels": np.arange(n) % 3,
        "classes": ("ant", "bee", "cat"),
    }
    return Origin(**(values | changes))


def exploration(
    n: int = N, pixels: np.ndarray | None = None, run: str = "runs/mine", data: str = "pictures", **changes: Any
) -> Exploration:
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {
        "shown": f"all {n} inputs",
        "vectors": rng.normal(size=(n, 4)).astype(np.float32),
        "miniatures": rng.integers(0, 256, (n, 3, 4, 6)).astype(np.float32) if pixels is None else pixels,
        "bytes_as_stored": True,
        "origin": origin(n),
        "neighbours": (np.arange(n)[:, None] + np.arange(1, 9)) % n,
        "clusters": np.arange(n) % 2,
    }
    return Exploration(run, data, VectorMap(**(values | changes)), [PAIR, ONE])


def embedded(page: str) -> dict[str, Any]:
    [text] = re.findall(r'<script class="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    content: dict[str, Any] = json.loads(text)
    return content


def test_the_page_embeds_every_input_and_refers_to_no_other_file_but_its_tables() -> None:
    page = render(exploration(), "explore")
    found = embedded(page)
    assert {len(found[name]) for name in ("x", "y", "labels", "split", "index", "files", "neighbours")} == {N}
    assert min(found["x"] + found["y"]) >= 0
    assert max(found["x"] + found["y"]) <= 1
    assert found["classes"] == ["ant", "bee", "cat"]
    assert found["splits"] == ["train", "test"]
    assert [way["name"] for way in found["colourings"]] == ["class", "cluster", "folder", "split"]
    assert found["neighbours"][0] == [1, 2, 3, 4, 5, 6, 7, 8]
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert links == ["explore/outliers.csv", "explore/duplicates.csv"][::-1]
    assert not re.search(r"https?://", page)


def test_names_cannot_leave_the_page_data() -> None:
    hostile = "</script><script>alert(1)</script>"
    page = render(
        exploration(run=hostile, data=hostile, origin=origin(classes=(hostile, "b", "c"), files=[hostile] * N)), "x"
    )
    assert hostile not in page
    assert embedded(page)["classes"][0] == hostile


def test_unlabelled_inputs_are_coloured_by_cluster() -> None:
    bare = origin(labels=np.full(N, -1), classes=(), files=None, splits=["train"] * N)
    found = embedded(render(exploration(origin=bare), "explore"))
    assert [way["name"] for way in found["colourings"]] == ["cluster"]
    assert found["colourings"][0]["said"].startswith("2 clusters of Y by k-means")
    assert (found["classes"], found["files"]) == ([], None)


def test_groups_beyond_ten_colours_are_the_rest() -> None:
    words = [f"class {k}" for k in range(12) for _ in range(12 - k)]
    found = grouped("class", words)
    assert len(set(CLASS_COLOURS)) == len(CLASS_COLOURS) == 10
    assert found.groups == [f"class {k}" for k in range(10)]
    assert found.of.count(-1) == 3
    assert (found.rest, found.said) == ("others", "In colour are the 10 of 12 with most inputs.")


def test_partly_labelled_inputs_say_which_have_no_class() -> None:
    labels = np.where(np.arange(N) < 4, -1, 1)
    found = colourings(origin(labels=labels), np.zeros(N, np.int64))[0]
    assert (found.name, found.groups, found.rest) == ("class", ["bee"], "no class")


def test_every_image_is_found_in_its_place_of_the_sheet() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 3), dtype=np.uint8)
    found = sheet(images)
    content = base64.b64decode(found["uri"].removeprefix("data:image/png;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    for i, image in enumerate(images):
        y, x = i // found["columns"] * found["height"], i % found["columns"] * found["width"]
        assert (pixels[y : y + 3, x : x + 5] == image).all()


def test_a_page_of_4000_images_of_32_by_32_stays_below_8_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deep_infomax.report.vector_map.tsne", lambda vectors: None)
    noise = np.random.default_rng(0).integers(0, 256, (4000, 3, 32, 32)).astype(np.float32)  # compresses not at all
    assert len(render(exploration(4000, noise), "explore").encode()) < 8_000_000


def test_series_are_lines_whose_extremes_are_cut_off() -> None:
    values = np.random.default_rng(0).normal(size=(50, 2, 30)).astype(np.float32)
    values[3, 1, 4] = 1e6
    found = sprites(values, bytes_as_stored=False)
    lines = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8).reshape(50, 2, 30)
    assert (found["channels"], found["moments"]) == (2, 30)
    assert lines[3, 1, 4] == 255
    assert lines[:, 1].std() > 40


def test_constant_values_are_grey() -> None:
    assert set(as_bytes(np.ones((2, 3))).ravel().tolist()) == {128}


def test_tables_name_the_inputs_of_each_row() -> None:
    [head, row] = csv.reader(io.StringIO(as_csv(PAIR, origin())))
    assert head == ["index", "split", "file", "other_index", "other_split", "other_file", "distance"]
    assert row == ["100", "train", "folder-0/0.png", "105", "train", "folder-1/5.png", "0.1"]
    assert as_csv(ONE, origin(files=None)) == "index,split,distance\n103,train,3.0\n101,train,2.0\n"
    assert as_csv(PAIR._replace(rows=[]), origin(files=None)) == "index,split,other_index,other_split,distance\n"


def test_places_of_many_vectors_are_principal_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deep_infomax.report.vector_map._MOST_FOR_TSNE", 10)
    vectors = np.stack([np.linspace(0, 9, 60), np.zeros(60)], axis=1)
    points, way = placed(vectors)
    assert way.startswith("the two directions in which Y varies most, 100 %")
    assert np.abs(np.diff(points[:, 0])) == pytest.approx(1 / 59)
    assert points[:, 1] == pytest.approx(0.5)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is for the tables of .*mine\.html and holds notes\.txt"):
        write_explorer(exploration(), tmp_path / "mine.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_page_and_its_tables_are_written_again(tmp_path: Path) -> None:
    for _ in range(2):
        written = write_explorer(exploration(), tmp_path / "map.html")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "map.html", "map/duplicates.csv", "map/outliers.csv"
    ]  # fmt: skip


ACT = """<script>
addEventListener("load", () => setTimeout(() => {
  document.querySelector('.thumb[data-point="3"]').click();
  document.querySelectorAll(".near button")[1].click();
}, 100));
</script>"""


@pytest.mark.parametrize("kind", ["images", "series"])
def test_a_browser_draws_the_page_and_a_click_shows_neighbours(kind: str, tmp_path: Path) -> None:
    values = None if kind == "images" else np.random.default_rng(0).normal(size=(N, 2, 30)).astype(np.float32)
    page = tmp_path / "map.html"
    page.write_text(render(exploration(pixels=values), "map") + ACT)
    shown = in_a_browser(page)
    legend = re.findall(r"</i>([^<]*)</button>", shown)
    assert legend == ["ant (4)", "bee (4)", "cat (4)"]
    pinned = shown.partition('class="pinned">')[2]  # without `hidden`
    # The second neighbour of input 3 is input 5, whose first is input 6.
    assert "<b>class cat</b><div>train 105</div><div>folder-1/5.png</div>" in pinned
    assert 'aria-label="Show ant, train 106, folder-0/6.png"' in pinned
