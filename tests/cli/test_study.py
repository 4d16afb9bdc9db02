import json
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import yaml
from PIL import Image

from deep_infomax.cli import main
from deep_infomax.report import StudyPoint, beta_figure, weights_figure


@pytest.fixture
def data(tmp_path: Path) -> str:
    generator = np.random.default_rng(0)
    labels = np.arange(80) % 2
    series = generator.normal(size=(80, 1, 16)) + labels[:, None, None] * np.sin(np.arange(16))
    np.savez(tmp_path / "series.npz", x=series.astype(np.float32), y=labels)
    return str(tmp_path / "series.npz")


def study(kind: str, data: str, out: Path, *more: str) -> int:
    flags = ["--metrics", "knn", "--epochs", "1", "--batch_size", "16", "--out", str(out)]
    return main(["study", kind, "--data", data, *flags, *more])


@pytest.mark.usefixtures("undrawn")
def test_negatives_are_varied_and_drawn(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "study"
    assert study("negatives", data, out, "--bounds", "jsd,dv", "--others", "1,all", "--seeds", "2") == 0
    written = json.loads((out / "study.json").read_text())
    assert [point["setting"] for point in written["points"]] == [
        {"bound": bound, "others": others} for bound in ("jsd", "dv") for others in (1, 15)
    ]
    table = capsys.readouterr().out.split("means over 2 seed(s)")[-1]
    for point in written["points"]:
        name = f"{point['setting']['bound']}-{'all' if point['setting']['others'] == 15 else 1}"
        results = [json.loads((out / f"{name}-{seed}" / "evaluation.json").read_text())["results"] for seed in (0, 1)]
        assert point["values"] == {"knn/1": [found[0]["value"] for found in results]}
        assert f"{fmean(point['values']['knn/1']):.2f} ± " in table
    with Image.open(out / "negatives.png") as figure:
        assert figure.size == (750, 540)
    assert (out / "report.html").exists()


@pytest.mark.usefixtures("undrawn")
def test_weights_are_varied_over_a_grid_and_a_line(data: str, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert study("weights", data, out, "--alphas", "0,0.5", "--betas", "0,0.1", "--gammas", "0,0.1") == 0
    settings = [tuple(point["setting"].values()) for point in json.loads((out / "study.json").read_text())["points"]]
    assert settings == [(0.0, 0.1, 0.1), (0.5, 0.0, 0.1), (0.5, 0.1, 0.1), (0.5, 0.1, 0.0)]
    assert (out / "weights.png").exists()


@pytest.mark.usefixtures("undrawn")
def test_the_divergence_of_a_vae_is_weighted(data: str, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert study("beta", data, out, "--betas", "0,2", "--data_options.train_inputs", "32") == 0
    points = json.loads((out / "study.json").read_text())["points"]
    assert [point["setting"] for point in points] == [{"beta": 0.0}, {"beta": 2.0}]
    configs = [yaml.safe_load((out / f"beta{beta}-0" / "config.yaml").read_text()) for beta in (0, 2)]
    assert [config["objective"]["beta"] for config in configs] == [0.0, 2.0]
    assert [config["data_options"]["train_inputs"] for config in configs] == [32, 32]
    assert (out / "beta.png").exists()
    page = (out / "report.html").read_text()
    assert "beta-vae (beta" not in page  # every run has settings of its own, so none are averaged


def test_a_grid_without_points_leaves_the_line() -> None:
    points = [StudyPoint({"alpha": 0.5, "beta": 0.1, "gamma": gamma}, {"mlp/1": [gamma]}) for gamma in (0.0, 1.0)]
    drawing = weights_figure(points, "data", (0.5, 0.1, 0.1), [0.0], [0.0])
    assert drawing.axes[1].lines[0].get_ydata().tolist() == [0.0, 1.0]
    drawing.canvas.draw()


def test_a_line_shows_means_at_their_weights() -> None:
    points = [StudyPoint({"beta": beta}, {"ndm/1": [beta, beta + 1]}) for beta in (0.0, 2.0)]
    [axes] = beta_figure(points, "data").axes
    assert axes.lines[0].get_xydata().tolist() == [[0.0, 0.5], [2.0, 2.5]]


def test_a_heat_map_shows_every_value_at_its_weights() -> None:
    points = [
        StudyPoint({"alpha": alpha, "beta": beta, "gamma": 0.1}, {"mlp/1": [10 * alpha + beta]})
        for alpha, beta in ((0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
    ]
    grid, line = weights_figure(points, "data", (1.0, 1.0, 0.1), [0.0, 1.0], [0.0, 1.0]).axes[:2]
    values = grid.images[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(values, np.nan), [[np.nan, 1.0], [10.0, 11.0]])
    assert {text.get_text() for text in grid.texts} == {"1.000", "10.00", "11.00"}
    assert line.lines[0].get_ydata().tolist() == [11.0]


@pytest.mark.parametrize(
    ("kind", "flags", "sentence"),
    [
        ("negatives", ["--others", "1,16"], "--others asks for 16, and a batch of 16 has 15"),
        ("negatives", ["--others", "few"], "--others is few"),
        (
            "negatives",
            ["--bounds", "nce"],
            "--bounds: nce is unknown; did you mean infonce? Known are infonce, jsd, dv",
        ),
        ("negatives", ["--seeds", "0", "--others", "1"], "--seeds is 0; give 1 or more"),
        ("weights", ["--alphas", "0,-1"], "--alphas holds -1; give numbers of at least 0"),
        ("weights", ["--gammas", "nothing"], "--gammas is nothing; give a list with commas between"),
        ("weights", ["--metrics", "accuracy"], "--metrics: accuracy is unknown"),
        ("beta", ["--betas", "-1"], "--betas holds -1; give numbers of at least 0"),
    ],
)
def test_wrong_input_gets_one_sentence(
    kind: str, flags: list[str], sentence: str, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(kind, data, tmp_path / "new", *flags) == 2
    [said] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("dim: ")]
    assert sentence in said
    assert not (tmp_path / "new").exists()
