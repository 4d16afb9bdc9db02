"""The report: what it reads from run directories, and what the page says, taken from the parsed HTML."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import Page, report
from recorded_runs import CLASSES, DATASET, Run

from deep_infomax.bounds import BOUNDS
from deep_infomax.cli import compare
from deep_infomax.experiments.titles import titles
from deep_infomax.recipes import RECIPES
from deep_infomax.report import Titles, find_runs, methods, write_report
from deep_infomax.report.configuration import configuration
from deep_infomax.report.images import neighbour_rows, png
from deep_infomax.report.projection import principal_components, tsne
from deep_infomax.report.published import SUPERVISED, method_of, published_figure, trained_as_published
from deep_infomax.report.reading import read_run, read_runs
from deep_infomax.report.runs import Neighbours
from deep_infomax.report.training_figures import bound_pictures
from deep_infomax.runtime.names import Entry


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a whole run, with vectors enough for t-SNE."""
    return report(Run(tmp_path_factory.mktemp("whole") / "a").whole().representation(points=60))


def test_whole_run_tells_what_was_trained_and_found(page: Page) -> None:
    text = page.text()
    assert "dim train --recipe local-infonce --data cifar10 --epochs 12 --seed 0" in text
    assert "12 epochs in 6.2 min on cpu in bfloat16" in text
    for fact in (
        "n train 50,000",
        "batch size 64",
        "architecture convolutional",
        "torch 2.13.0+cpu",
        "filters 64 kernel 4",
    ):
        assert fact in page.text("configuration")
    assert "unfinished" not in text
    assert "of at most 5.55" in text
    assert "of 64 units" in text


def test_results_stand_beside_the_papers_figures(page: Page) -> None:
    rows = {row[0].split()[0]: row for row in page.tables[0]}
    assert rows["metric"][1:] == ["Y", "conv", "fc", "measured by"]
    figures = ["60.00 ± 0.23 paper 69.13", "68.00 ± 0.23 paper 75.21", "64.00 ± 0.23 paper 75.57"]
    assert rows["mlp"][1:] == [*figures, "mlp/1, test, 10,000 inputs, 3 probe seeds"]
    assert rows["linear"][2] == "70.00 ± 0.23"
    note = page.text("results")
    assert "row DIM(L) InfoNCE of Table 1, after 1,000 epochs, this run after 12." in note
    assert "or chosen where it leaves them open. The probe mlp is trained in a way of its own" in note
    assert SUPERVISED["cifar10"] in note


@pytest.mark.usefixtures("undrawn")
def test_the_papers_fc_stands_beside_fc_linear_where_that_was_measured(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "a").log()
    run.evaluation([run.result("mlp", layer, 70.0) for layer in ("Y", "fc", "fc-linear")])
    page = report(run)
    [_, row] = page.tables[0]
    assert row[1:4] == ["70.00 ± 0.23 paper 69.13", "70.00 ± 0.23", "70.00 ± 0.23 paper 75.57"]
    assert page.text("results").count("fc stands beside fc-linear, which it probably is: the layer before batch") == 1
    assert "Beside fc, the paper's figure" not in page.text("results")
    compare.print_means([run.path])
    assert "The paper's fc stands beside fc-linear" in " ".join(capfd.readouterr().err.split())


def test_the_papers_fc_beside_fc_is_said_to_be_probably_another(page: Page) -> None:
    note = "Beside fc, the paper's figure is probably of the layer before batch normalisation and ReLU"
    assert f"{note}, which --layers conv,fc-linear,Y measures." in page.text("results")
    assert "stands beside fc-linear" not in page.text("results")


@pytest.mark.usefixtures("undrawn")
def test_nothing_is_said_of_fc_without_a_figure_beside_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").log()
    run.evaluation([run.result("mlp", "Y", 60.0), run.result("linear", "fc", 60.0)])
    assert "69.13" in report(run).text("results")
    assert "batch normalisation" not in report(run).text("results")


@pytest.mark.parametrize(
    ("config", "data"),
    [({"objective": {"bound": "dv"}}, DATASET), ({}, DATASET | {"name": "digits"})],
    ids=["a bound the paper does not report", "probed on other data than trained on"],
)
@pytest.mark.usefixtures("undrawn")
def test_paper_is_left_out_where_it_does_not_match(
    tmp_path: Path, config: dict[str, Any], data: dict[str, Any]
) -> None:
    page = report(Run(tmp_path / "a", **config).log().evaluation(data=data))
    assert "paper" not in page.text("results").lower()


@pytest.mark.parametrize(
    "change",
    [
        {"split_rule": "10000 of 50000 labelled inputs held out for testing"},
        {"shape": "1 x 32 x 32"},
        {"train_rule": "at most 500 training inputs, evenly spaced"},
    ],
    ids=["a test part of our own", "grey images", "some of the training inputs"],
)
@pytest.mark.usefixtures("undrawn")
def test_paper_is_left_out_where_the_data_are_not_the_papers(tmp_path: Path, change: dict[str, str]) -> None:
    page = report(Run(tmp_path / "a").log().evaluation(data=DATASET | change))
    assert "75.21" not in page.text("results")


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("objective", "gamma", 0.0), ("objective", "alpha", 1.0), ("objective", "others", 1), ("objective", "limit", 9),
        ("objective", "penalty", 0.05), ("objective", "prior", "gaussian"), ("objective", "local_scorer", "folded"),
        ("objective", "units", 512), ("training", "batch_size", 256), ("training", "learning_rate", 0.001),
        ("training", "schedule", "one-cycle"), ("training", "weight_decay", 0.8), ("data_options", "flip", True),
        ("training", "betas", [0.8, 0.999]), ("data_options", "scaling", "robust"),
        ("objective", "gradient_penalty_on", "prior"), ("objective", "gradient_penalty", 0.5),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("undrawn")
def test_paper_is_left_out_where_any_setting_is_another(tmp_path: Path, group: str, name: str, value: Any) -> None:
    run = Run(tmp_path / "a").log().evaluation()
    run.config[group][name] = value
    run.write_config()
    assert "paper" not in report(run).text("results").lower()


@pytest.mark.parametrize("encoder", [{"architecture": "strided-crops"}, {"dim": 512}], ids=["crops", "wider"])
@pytest.mark.usefixtures("undrawn")
def test_paper_is_left_out_where_the_encoder_is_another(tmp_path: Path, encoder: dict[str, Any]) -> None:
    run = Run(tmp_path / "a").log().evaluation()
    run.config["encoder"] |= encoder
    run.write_config()
    assert "75.21" not in report(run).text("results")


@pytest.mark.usefixtures("undrawn")
def test_random_crops_have_the_size_of_the_papers_inputs(tmp_path: Path) -> None:
    stl10 = DATASET | {"name": "stl10", "shape": "3 x 96 x 96"}
    run = Run(tmp_path / "a").log()
    run.config |= {"dataset": stl10, "data": "stl10"}
    results = [run.result("mlp", "Y", 60.0), run.result("semi_supervised", "conv", 70.0)]
    run.evaluation(results, stl10)
    for crop, flip, shown in ((None, True, False), (64, False, False), (64, True, True)):
        run.config["data_options"] |= {"random_crop": crop, "flip": flip}
        run.write_config()
        text = report(run).text("results")
        assert [figure in text for figure in ("67.08", "76.81")] == [shown] * 2


@pytest.mark.usefixtures("undrawn")
def test_validation_results_do_not_stand_beside_the_papers_test_results(tmp_path: Path) -> None:
    result = Run.result("mlp", "Y", 60.0, split="validation")
    assert "75.39" not in report(Run(tmp_path / "a").evaluation([result])).text()


def test_comparison_says_what_its_brackets_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path / "a").log().evaluation([Run.result("mlp", "Y", 60.0)])
    compare.print_means([run.path])
    said = capsys.readouterr()
    assert "60.00 (69.13)" in said.out
    assert "in brackets: the paper's figure" in said.err


def test_page_refers_to_nothing_outside_itself(page: Page) -> None:
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    for _, attributes in page.elements:
        for name in ("href", "src", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "@import" not in page.source
    assert "url(http" not in page.source
    assert len(page.source.encode()) < 1e6


def test_identifiers_are_unique_and_references_resolve(page: Page) -> None:
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    references = {a["xlink:href"] for _, a in page.elements if a.get("xlink:href", "").startswith("#")}
    assert references
    assert {reference[1:] for reference in references} <= set(identifiers)


def test_every_image_and_figure_is_described(page: Page) -> None:
    images = page.attributes("img")
    assert len(images) == 72
    assert images[0]["alt"] == "query: airplane"
    assert all(image["alt"] for image in images)
    assert any(
        alt.startswith("Local bound on training pairs, InfoNCE over the epochs: local bound on training pairs from")
        for alt in page.figures()
    )
    assert len(page.attributes("figcaption")) == len(page.figures())


@pytest.mark.parametrize("missing", ["metrics.jsonl", "evaluation.json", "representation.npz", "all"])
@pytest.mark.usefixtures("undrawn")
def test_missing_parts_are_stated_in_words(tmp_path: Path, missing: str) -> None:
    run = Run(tmp_path / "a").whole()
    for file in [file for file in run.path.rglob("*.*") if file.is_file() and file.name != "config.yaml"]:
        if missing in (file.name, "all"):
            file.unlink()
    page = report(run)
    sentences = {
        "metrics.jsonl": "metrics.jsonl holds no training step",
        "evaluation.json": "Not evaluated yet",
        "representation.npz": "No vectors to show yet: dim evaluate",
    }
    for file, sentence in sentences.items():
        assert (sentence in page.text()) == (missing in (file, "all"))


def test_run_without_any_setting_still_gives_a_page(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("{}")
    page = Page(write_report([tmp_path]))
    assert "unnamed recipe on unnamed data" in page.text()


@pytest.mark.usefixtures("undrawn")
def test_killed_run_shows_what_it_logged(tmp_path: Path) -> None:
    run = Run(tmp_path / "a b").log(finished=False)
    whole = (run.path / "metrics.jsonl").read_bytes()
    (run.path / "metrics.jsonl").write_bytes(whole[:-50])
    page = report(run)
    assert f"of 12; unless it is still running, continue it with: dim train --resume '{run.path}'" in page.text()
    assert "damaged" not in page.text()
    assert len(read_run(run.path, "a").log.train["epoch"]) == 120


def test_log_cut_anywhere_keeps_the_whole_lines_before_the_cut(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").log(records=3)
    whole = (run.path / "metrics.jsonl").read_bytes()
    for cut in range(0, len(whole), 37):
        (run.path / "metrics.jsonl").write_bytes(whole[:cut])
        read = read_run(run.path, "a")
        assert len(read.log.train.get("epoch", ())) == sum(b'"train"' in line for line in whole[:cut].split(b"\n")[:-1])
        assert read.notes == ()


@pytest.mark.usefixtures("undrawn")
def test_damaged_files_are_left_out_with_a_note(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").whole()
    lines = (run.path / "metrics.jsonl").read_bytes().split(b"\n")
    lines[3] = lines[3][:40]
    (run.path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    (run.path / "evaluation.json").write_text('{"schema": 1, "results"')
    (run.path / "arrays" / "representation.npz").write_bytes(b"PK\x03\x04 cut")
    np.savez(run.path / "arrays" / "neighbours.npz", queries=np.zeros((1, 2, 2, 1), np.uint8))
    text = report(run).text()
    for note in (
        "metrics.jsonl: 1 damaged line left out.",
        "evaluation.json is damaged (no JSON (Expecting ':' delimiter in line 1, column 24)) and left out; move it "
        "away and evaluate the run again.",
        "arrays/representation.npz is damaged (File is not a zip file) and left out; evaluate the run again.",
        "arrays/neighbours.npz is damaged (it holds no array neighbours) and left out",
    ):
        assert note in text


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("representation", {"Y": np.zeros((40, 64), np.complex64)}, "the array Y holds complex64"),
        ("representation", {"Y": np.zeros((40, 64), int)}, "the array Y holds int64"),
        ("representation", {"Y": np.zeros((39, 64))}, "the array labels has the shape (40,), not (p)"),
        ("representation", {"Y": np.zeros(40)}, "the array Y has the shape (40,), not (p, d)"),
        ("representation", {"classes": np.arange(10)}, "the array classes holds int64"),
        ("neighbours", {"queries": np.zeros((8, 32, 32, 3))}, "the array queries holds float64"),
        ("neighbours", {"queries": np.zeros((8, 32, 32, 1), np.uint8)}, "the array neighbours has the shape"),
        ("neighbours", {"query_labels": np.zeros(8)}, "the array query_labels holds float64"),
        ("neighbours", {"distance": np.zeros((8, 9))}, "the array distance has the shape (8, 9), not (q, r)"),
    ],
)
def test_arrays_of_another_kind_are_left_out(
    tmp_path: Path, name: str, changes: dict[str, np.ndarray], said: str
) -> None:
    run = Run(tmp_path / "a").whole()
    path = run.path / "arrays" / f"{name}.npz"
    with np.load(path) as archive:
        np.savez(path, **dict(archive) | changes)
    [note] = read_run(run.path, "a").notes
    assert note.startswith(f"arrays/{name}.npz is damaged ({said}")
    assert note.endswith(" and left out; evaluate the run again.")


def test_a_small_archive_that_unpacks_to_much_is_left_out(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").representation()
    path = run.path / "arrays" / "representation.npz"
    for size in (2**10, 2**62):  # one that there is, one that only the header promises
        header = io.BytesIO()
        described = {"descr": "<f4", "fortran_order": False, "shape": (size, 2**9)}
        np.lib.format.write_array_header_1_0(header, described)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("Y.npy", "w") as file:
                file.write(header.getvalue())
                for _ in range(600 if size == 2**10 else 1):
                    file.write(bytes(2**20))
            with archive.open("labels.npy", "w") as file:
                np.lib.format.write_array(file, np.arange(40))
        [note] = read_run(run.path, "a").notes
        assert "its arrays have more than 536,870,912 bytes" in note or "is not as large as its shape" in note


def test_pipes_links_and_folders_in_a_run_are_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").whole()
    for make, said in ((os.mkfifo, "it is a pipe"), (os.mkdir, "it is a folder"), (link_to_zeros, "it is a link")):
        for name in ("metrics.jsonl", "evaluation.json", "encoder.json", "arrays/representation.npz"):
            path = run.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            make(path)
        assert [said in note for note in read_run(run.path, "a").notes] == [True] * 4


def link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def test_a_log_of_any_names_and_numbers_is_drawn_as_far_as_it_can_be(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").log(records=3)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "epoch": 5, "terms": {"loss": 1e999, "local_bound": NaN}}\n')
        file.write(f'{{"kind": "train", "epoch": 6, "terms": {{"loss": {10**300}, "local_bound": 1e300}}}}\n')
        file.write('{"kind": "train", "epoch": 7, "terms": 3}\n[]\n' + "[" * 5000 + "\n")
        file.writelines(json.dumps({"kind": "train", "epoch": 8, "terms": {f"a{i}": i}}) + "\n" for i in range(200))
    found = read_run(run.path, "a")
    assert found.notes == ("metrics.jsonl: 2 damaged lines left out.",)
    assert np.isnan(found.log.terms["loss"][3:]).all()
    assert np.isfinite(found.log.terms["loss"][:3]).all()
    assert len(found.log.terms) == 50
    report(run)  # draws it without a warning


def test_more_results_than_any_evaluation_has_are_shown_in_part(tmp_path: Path) -> None:
    results = [Run.result(f"metric{i}", "Y", 1.0) for i in range(2500)]
    read = read_run(Run(tmp_path / "a").evaluation(results).path, "a")
    assert read.notes == ("evaluation.json holds 2,500 results, of which the first 2,000 are shown.",)
    assert len(read.results) == 2000


def test_result_that_is_not_understood_is_left_out_with_a_note(tmp_path: Path) -> None:
    page = report(Run(tmp_path / "a").evaluation([{"metric": "mlp"}, Run.result("knn", "Y", 50.0)]))
    assert "holds a result that is not understood" in page.text()
    assert [row[0].split()[0] for row in page.tables[0]] == ["metric", "knn"]


def test_user_strings_are_escaped_everywhere(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>&$\\frac{'
    run = Run(tmp_path / "<b>x & y").whole()
    run.config |= {"recipe": evil, "command": evil, "dataset": DATASET | {"name": evil}}
    run.write_config()
    run.evaluation([Run.result(evil, evil, 1.0, protocol=evil)])
    run.vectors(np.eye(10), np.arange(10), [evil] * 10)
    page = report(run, Run(tmp_path / "b").log(), out=tmp_path / "page.html")
    assert not page.attributes("script")
    assert not page.attributes("b")
    assert page.text().count(evil) > 5


@pytest.mark.usefixtures("undrawn")
def test_comparison_has_a_row_for_each_run_and_marks_the_floor(tmp_path: Path) -> None:
    floor = {"method": "untrained", "beta": 0.0, "gamma": 0.0}
    runs = [
        Run(tmp_path / "random", "random", objective=floor, accuracy=90.0).evaluation(),
        Run(tmp_path / "told", "supervised", objective={"method": "supervised"}, accuracy=95.0).evaluation(),
        Run(tmp_path / "infonce").log().evaluation(),
        Run(tmp_path / "jsd", "local-jsd", objective={"bound": "jsd"}, accuracy=61.0).evaluation(),
    ]
    page = report(*runs, out=tmp_path / "page.html")
    header, layers, *rows = page.tables[0]
    assert header[3].split()[:6] == ["linear", "(%)", "linear/1,", "test,", "10,000", "inputs"]
    assert layers == ["Y", "conv", "fc"] * 3
    assert [row[0].split()[0] for row in rows] == ["told", "infonce", "jsd", "random"]
    assert "supervised ceiling" in rows[0][0]
    assert "random floor" in rows[3][0]
    assert ["unfinished" in row[0] for row in rows] == [True, False, True, True]
    assert rows[2][6] == "59.00 ± 0.23 paper 66.96"
    heads = [head for head in page.heads if head and "·" in head]
    assert heads[:3] == ["linear · Y", "linear · conv", "linear · fc"]
    assert [attributes["class"] for attributes in page.attributes("tr") if "class" in attributes] == ["floor"] * 2
    assert page.marked("best") == [rows[1][column].split()[0] for column in range(3, 12)]


@pytest.mark.usefixtures("undrawn")
def test_one_method_beside_a_floor_is_no_best(tmp_path: Path) -> None:
    floor = Run(tmp_path / "random", "random", objective={"method": "untrained"}, accuracy=90.0).evaluation()
    assert not report(floor, Run(tmp_path / "a").evaluation(), out=tmp_path / "page.html").marked("best")


@pytest.mark.usefixtures("undrawn")
def test_spreads_say_what_they_are_over_and_are_left_out_where_nothing_varies(tmp_path: Path) -> None:
    runs = [Run(tmp_path / name, seed=seed).log() for seed, name in enumerate("ab")]
    for run in runs:
        run.evaluation(
            [run.result("mlp", "Y", 60.0 + run.seed), run.result("neighbours", "Y", 40.0 + run.seed, spread=0.0)]
        )
    page = report(*runs, out=tmp_path / "page.html")
    assert "over trainings" in page.text("comparison")
    assert "over probe seeds of one training" in page.text("comparison")
    assert "over probe seeds of this one training" in report(runs[0]).text("results")
    assert "± 0.00" not in page.text()
    assert page.tables[0][2][3].split()[0] == "60.50"


@pytest.mark.parametrize(("n", "value", "said"), [(40, "62 ± < 1", "7.9 points"), (500, "62.5 ± 0.2", "2.2 points")])
@pytest.mark.usefixtures("undrawn")
def test_accuracies_of_few_inputs_have_few_digits(tmp_path: Path, n: int, value: str, said: str) -> None:
    page = report(Run(tmp_path / "a").evaluation([Run.result("mlp", "Y", 62.49, n=n)]))
    assert page.tables[0][1][1].removesuffix(" paper 69.13") == value
    assert f"An accuracy on {n} inputs has a standard error of up to {said}" in page.text("results")


@pytest.mark.usefixtures("undrawn")
def test_the_bound_on_training_pairs_and_that_on_test_inputs_are_told_apart(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").log()
    run.evaluation([run.result(
        "bound", "Y", 4.16, unit="nats", variant="local infonce", n=384, details=[{"ceiling": 4.852}] * 3, spread=0.01,
    )])  # fmt: skip
    text = report(run).text()
    assert "local infonce bound on test inputs 4.16 nats of at most 4.85" in text
    assert "local bound on training pairs, at the end" in text
    assert "bound (local infonce)" in text


def test_what_passes_the_noise_is_told_beside_the_bounds(tmp_path: Path) -> None:
    run = Run(tmp_path / "a", objective={"noise": 0.5}).log()
    log = run.path / "metrics.jsonl"
    log.write_text(log.read_text().replace('"terms": {', '"terms": {"noise_ceiling": 51.502, '))
    page = report(run)
    assert "information that passes the noise 51.5 nats at most" in page.text()
    assert not any("noise" in alt for alt in page.figures())  # it is no loss and no bound


def test_what_a_metric_says_of_its_figure_stands_below_the_table(tmp_path: Path) -> None:
    details = [{"warnings": ["the fit ended after 50 steps, up to 9 % above its minimum"]}] * 2
    run = Run(tmp_path / "a").evaluation([Run.result("linear", "conv", 60.0, details=details)])
    assert report(run).text("results").count("linear/1 on conv: the fit ended after 50 steps") == 1


@pytest.mark.usefixtures("undrawn")
def test_bounds_and_metrics_are_called_what_the_caller_says_or_by_their_names(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").log().evaluation()
    told = Titles(bounds={"infonce": Entry("Noise", "Says much.")}, metrics={"linear": Entry("Lines", "Says little.")})
    called, unnamed = report(run, titles=told), report(run, titles=Titles())
    assert any(alt.startswith("Local bound on training pairs, Noise over") for alt in called.figures())
    assert any(alt.startswith("Local bound on training pairs, infonce over") for alt in unnamed.figures())
    assert "Says much. Near its ceiling" in called.text()
    assert "linear (%) Lines" in called.text()
    assert "Lines" not in unnamed.text()


@pytest.mark.usefixtures("undrawn")
def test_bounds_of_different_kinds_are_not_drawn_together(tmp_path: Path) -> None:
    runs = [
        Run(tmp_path / "a").log(),
        Run(tmp_path / "b", seed=1).log(),
        Run(tmp_path / "c", objective={"bound": "jsd"}).log(),
    ]
    pictures = bound_pictures(read_runs([run.path for run in runs]), BOUNDS)
    assert [picture.title for picture in pictures] == [
        "Local bound on training pairs, InfoNCE",
        "Local bound on training pairs, Jensen-Shannon",
    ]
    infonce, jsd = [{key.label: key for key in picture.legend} for picture in pictures]
    assert list(infonce) == ["a", "b", "ceiling"]
    assert list(jsd) == ["c", "ceiling"]
    assert len({infonce["a"].color, infonce["b"].color, jsd["c"].color}) == 3


def test_only_runs_that_differ_in_their_seed_alone_are_averaged(tmp_path: Path) -> None:
    other = {"method": "vae", "beta": 4.0}
    runs = [
        Run(tmp_path / "a", seed=0, accuracy=60.0).evaluation(),
        Run(tmp_path / "b", seed=1, accuracy=62.0).evaluation(),
        Run(tmp_path / "c", seed=0, objective=other, accuracy=40.0).evaluation(),
        Run(tmp_path / "d", seed=0, accuracy=50.0).evaluation(data=DATASET | {"split_rule": "a tenth held out"}),
    ]
    rows = methods(read_runs([run.path for run in runs]))
    measure = next(iter(rows[0].cells))[0]
    assert [(row.seeds, row.cells[measure, "Y"].value) for row in rows] == [
        ("0, 1", "61.00"),
        ("0", "40.00"),
        ("0", "50.00"),
    ]
    assert rows[0].cells[measure, "Y"].spread == "± 1.41"
    assert not rows[1].cells[measure, "Y"].spread  # that of its probes is no spread of trainings
    assert "beta 4" in rows[1].name
    assert "split rule a tenth held out" in rows[2].name
    assert "seed" not in " ".join(row.name for row in rows)


def test_best_is_not_marked_across_data_sets(tmp_path: Path) -> None:
    other = DATASET | {"name": "stl10"}
    runs = [Run(tmp_path / "a").evaluation(), Run(tmp_path / "b").evaluation(data=other)]
    page = report(*runs, out=tmp_path / "page.html")
    assert not [attributes for attributes in page.attributes("span") if attributes.get("class") == "best"]


def test_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    page = report(Run(tmp_path / "x" / "run"), Run(tmp_path / "y" / "run"), out=tmp_path / "page.html")
    assert "x/run" in page.text()
    assert "y/run" in page.text()


@pytest.mark.parametrize(
    ("prior", "gamma", "title"),
    [
        ("uniform", 1.0, "Histogram of sigmoid(Y) against the uniform prior"),
        ("gaussian", 1.0, "Histogram of Y against the standard normal prior"),
        ("ball", 1.0, "Histogram of the norms of Y, mean 0.5"),
        ("sphere", 1.0, "Histogram of the norms of Y, mean 0.5"),
        ("uniform", 0.0, "Histogram of Y from"),
    ],
)
def test_histogram_is_drawn_against_the_prior_of_the_configuration(
    tmp_path: Path, prior: str, gamma: float, title: str
) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 5))
    vectors *= 0.5 / np.linalg.norm(vectors, axis=1, keepdims=True)
    run = Run(tmp_path / "a", objective={"prior": prior, "gamma": gamma}).vectors(vectors, np.arange(40) % 10)
    assert any(alt.startswith(title) for alt in report(run).figures())


def test_the_means_of_a_variational_autoencoder_are_drawn_without_a_prior(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 5))
    run = Run(tmp_path / "a", objective={"method": "vae", "gamma": 1.0}).vectors(vectors, np.arange(40) % 10)
    assert any(alt.startswith("Histogram of Y from") for alt in report(run).figures())


@pytest.mark.parametrize(
    ("vectors", "shown"),
    [
        (np.zeros((60, 4)), ["Histogram of Y from"]),
        (np.full((60, 4), np.nan), []),
        (np.zeros((0, 4)), []),
        (np.arange(3.0)[:, None], ["Principal components of Y: 3 points", "Histogram of Y from 0 to 2"]),
        (np.arange(60.0)[:, None], ["Principal components of Y: 60 points", "Histogram of Y"]),
        (np.r_[np.eye(4), [[np.inf] * 4]], ["Principal components of Y: 4 points", "Histogram of Y from 0 to 1"]),
    ],
    ids=["collapsed", "not finite", "none", "three of one unit", "one unit", "one not finite"],
)
def test_degenerate_vectors_give_what_can_be_drawn(tmp_path: Path, vectors: np.ndarray, shown: list[str]) -> None:
    run = Run(tmp_path / "a", objective={"gamma": 0.0}).vectors(vectors, np.full(len(vectors), -1), ())
    alts = report(run).figures()
    assert len(alts) == len(shown)
    assert all(alt.startswith(start) for alt, start in zip(alts, shown, strict=True))


def test_values_that_are_not_finite_leave_gaps(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").log(records=4)
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    for record in lines[1:]:
        if "terms" in record:
            record["terms"]["loss"] = float("nan")
    for record in lines[2:]:
        if "terms" in record:
            record["terms"]["local_bound"] = float("inf")
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines))
    log = read_run(run.path, "a").log
    assert np.isfinite(log.terms["loss"]).tolist() == [True, False, False, False]
    assert any("local bound" in alt for alt in report(run).figures())


def test_images_of_grey_and_large_inputs_fit(tmp_path: Path) -> None:
    page = report(Run(tmp_path / "a").neighbours(channels=1))
    assert len(page.attributes("img")) == 72
    assert len(png(np.zeros((500, 300, 3), np.uint8))) < 1000


def test_neighbours_say_in_which_layer_they_are_near(tmp_path: Path) -> None:
    run = Run(tmp_path / "a").neighbours()
    (run.path / "arrays" / "neighbours.npz").rename(run.path / "arrays" / "neighbours-l1-conv.npz")
    assert "nearest to them in conv by cosine distance" in report(run).text("neighbours")


def test_neighbours_keep_to_their_budget_but_show_two() -> None:
    q, r = 8, 8
    neighbours = Neighbours(
        np.zeros((q, 32, 32, 3), np.uint8), np.zeros((q, r, 32, 32, 3), np.uint8),
        np.zeros(q, np.int64), np.ones((q, r), np.int64), np.zeros((q, r), np.float32), "cosine", "Y",
    )  # fmt: skip
    assert [len(neighbour_rows(neighbours, CLASSES, budget)) for budget in (0, 40_000, 10**9)] == [2, 4, 8]
    row = neighbour_rows(neighbours, CLASSES, 0)[0]
    assert [image.other_class for image in row] == [False] + [True] * 8


def test_find_runs_takes_runs_and_folders_of_runs_once(tmp_path: Path) -> None:
    paths = [Run(tmp_path / name).path for name in ("b", "a", "deep/c")]
    assert find_runs([tmp_path / "b", tmp_path]) == [tmp_path / "b", tmp_path / "a", tmp_path / "deep" / "c"]
    assert find_runs(paths) == paths


def test_page_of_a_folder_lies_in_that_folder(tmp_path: Path) -> None:
    Run(tmp_path / "a")
    assert write_report([tmp_path]) == tmp_path / "report.html"
    assert write_report([tmp_path / "a"], tmp_path / "new" / "x.html") == tmp_path / "new" / "x.html"
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "is no folder; give the folder of a run, or one that holds such folders"),
        (lambda path: path.mkdir(), "holds no run"),
        (lambda path: path.write_text(""), "is no folder"),
        (
            lambda path: (
                shutil.copytree(Run(path.parent / "b").path, path) and (path / "config.yaml").write_text("a: [")
            ),
            "is damaged",
        ),
        (
            lambda path: (
                shutil.copytree(Run(path.parent / "b").path, path) and (path / "config.yaml").write_text("- a")
            ),
            "is damaged: expected a mapping, got a list",
        ),
    ],
    ids=["nothing there", "empty folder", "a file", "damaged configuration", "a list for a configuration"],
)
def test_what_is_no_run_is_refused_with_a_remedy(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "a")
    with pytest.raises(ValueError, match=message) as error:
        write_report([tmp_path / "a"])
    assert str(tmp_path / "a") in str(error.value)


def test_a_folder_cannot_be_the_page(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder; name a file in it"):
        write_report([Run(tmp_path / "a").path], tmp_path)


def test_principal_components_are_those_of_the_covariance() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 4)) * [3.0, 2.0, 1.0, 0.5]
    points, shares = principal_components(vectors)
    values, directions = np.linalg.eigh(np.cov(vectors.T))
    expected = (vectors - vectors.mean(axis=0)) @ directions[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-9)
    assert shares == pytest.approx(values[::-1][:2] / values.sum())


def test_tsne_keeps_clusters_together_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 26)
    vectors = (20.0 * labels[:, None] + rng.normal(size=(52, 5))).astype(np.float32)
    points = tsne(vectors)
    assert points is not None
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    nearest = (distance + np.diag(np.full(52, np.inf))).argmin(axis=1)
    assert (labels[nearest] == labels).all()
    np.testing.assert_array_equal(points, tsne(vectors))
    assert tsne(vectors[:49]) is None


DIM = {
    "method": "deep-infomax", "prior": "uniform", "local_scorer": "encode-and-dot", "units": 2048,
    "global_scorer": "concat",
}  # fmt: skip


@pytest.mark.parametrize(
    ("objective", "method"),
    [
        (DIM | {"alpha": 0.0, "beta": 1.0, "gamma": 0.1, "bound": "infonce"}, "DIM(L) InfoNCE"),
        (DIM | {"alpha": 0.0, "beta": 1.0, "gamma": 0.1, "bound": "jsd"}, "DIM(L) JSD"),
        (DIM | {"alpha": 0.0, "beta": 1.0, "gamma": 0.1, "bound": "dv"}, None),
        (DIM | {"alpha": 0.0, "beta": 1.0, "gamma": 0.1, "bound": "infonce", "others": 1}, None),
        (DIM | {"alpha": 0.0, "beta": 1.0, "gamma": 0.1, "bound": "infonce", "noise": 0.5}, None),
        (DIM | {"alpha": 0.0, "beta": 1.0, "gamma": 0.1, "bound": "infonce", "matching": "sigreg"}, None),
        (DIM | {"alpha": 1.0, "beta": 0.0, "gamma": 1.0, "bound": "jsd"}, "DIM(G)"),
        (DIM | {"alpha": 1.0, "beta": 0.0, "gamma": 0.1, "bound": "jsd"}, None),
        (DIM | {"alpha": 0.5, "beta": 0.1, "gamma": 0.1, "bound": "jsd"}, "DIM(L+G)"),
        (DIM | {"alpha": 1.0, "beta": 1.0, "gamma": 0.1, "bound": "jsd"}, None),
        ({"method": "bigan", "prior": "gaussian"}, "BiGAN"),
        ({"method": "bigan", "prior": "uniform"}, None),
        ({"method": "vae", "beta": 1.0}, "VAE"),
        ({"method": "vae", "beta": 4.0}, None),
        ({"method": "aae", "prior": "uniform", "gamma": 0.1}, "AAE"),
        ({"method": "nat"}, "NAT"),
        ({}, None),
    ],
)
def test_method_of_an_objective(objective: dict[str, Any], method: str | None) -> None:
    assert method_of(objective) == method


@pytest.mark.parametrize(
    ("objective", "shown"),
    [
        ({"gamma": 0.1}, True),
        ({"gamma": 0.1, "matching": "adversary"}, True),
        ({"gamma": 0.1, "matching": "sigreg", "prior": "gaussian"}, False),
        ({"gamma": 0.0, "matching": "adversary"}, False),
        ({"method": "bigan"}, True),
    ],
)
def test_settings_of_an_adversary_are_shown_where_there_is_one(
    tmp_path: Path, objective: dict[str, Any], shown: bool
) -> None:
    run = Run(tmp_path / "a", objective=objective | {"gradient_penalty": 1.0})
    run.config["training"]["adversary_learning_rate"] = 1e-4
    run.write_config()
    parts = {
        part.title: {fact.name for fact in part.entries}
        for part in configuration(read_run(run.path, "a"), titles().reads)
    }
    assert ("gradient penalty" in parts["Objective"]) == shown
    assert ("adversary learning rate" in parts["Training"]) == shown


@pytest.mark.parametrize("recipe", [name for name in RECIPES if "-paper" in name and name[:6] != "random"])
def test_recipes_of_the_papers_form_have_its_settings(recipe: str) -> None:
    config = asdict(RECIPES[recipe])
    rows = {
        "local-infonce": "DIM(L) InfoNCE",
        "local-jsd": "DIM(L) JSD",
        "global-jsd": "DIM(G)",
        "local-global": "DIM(L+G)",
    }
    assert method_of(config["objective"]) == rows.get(recipe.partition("-paper")[0])
    assert trained_as_published("cifar10", config["training"], config["data_options"], {})
    earlier = {name: value for name, value in config["training"].items() if name != "average"}
    assert trained_as_published("cifar10", earlier, config["data_options"], {})
    assert not trained_as_published("cifar10", earlier | {"average": 0.999}, config["data_options"], {})


@pytest.mark.parametrize("recipe", [name for name in RECIPES if "-paper" not in name])
def test_no_other_recipe_gets_a_figure_of_the_paper(recipe: str) -> None:
    config = asdict(RECIPES[recipe])
    trained = trained_as_published("cifar10", config["training"], config["data_options"], {})
    assert not trained or method_of(config["objective"]) is None


def test_published_figures_by_data_set_method_metric_and_layer() -> None:
    figures = {
        ("cifar10", "DIM(L) JSD", "mlp", "conv"): "73.25",
        ("CIFAR-100", "DIM(G)", "mlp", "Y"): "19.98",
        ("tiny-imagenet", "DIM(L) InfoNCE", "mlp", "fc"): "38.09",
        ("tiny-imagenet", "AAE", "mlp", "conv"): "18.04",
        ("tiny-imagenet", "NAT", "mlp", "Y"): "1.20",
        ("tiny-imagenet", "DIM(G)", "mlp", "fc"): "6.34",
        ("stl10", "DIM(L) InfoNCE", "mlp", "Y"): "67.08",
        ("stl10", "VAE", "mlp", "conv"): "58.27",
        ("stl10", "NAT", "semi_supervised", "conv"): "70.75",
        ("stl10", "DIM(G)", "semi_supervised", "conv"): "51.36",
        ("cifar10", "DIM(L) InfoNCE", "svm", "Y"): "49.62",
        ("cifar10", "NAT", "svm", "conv"): "48.62",
        ("cifar10", "NAT", "svm-paper", "fc"): "42.63?",
        ("cifar10", "DIM(L) JSD", "mlp-paper", "fc"): "73.62",
        ("cifar10", "NAT", "svm", "fc"): "42.63?",
        ("cifar10", "NAT", "svm", "Y"): "39.59?",
        ("cifar10", "VAE", "svm", "Y"): "39.59",
        ("cifar10", None, "mlp", "Y"): None,
        ("cifar10", "VAE", "ms_ssim", "Y"): "0.72",
        ("cifar10", "DIM(L) JSD", "ms_ssim", "conv"): None,
        ("cifar10", "DIM(L) JSD", "mine", "Y"): None,
        ("digits", "DIM(L) JSD", "mlp", "Y"): None,
    }
    found = {key: published_figure(*key) for key in figures}
    assert {key: figure and figure.text for key, figure in found.items()} == figures


def test_report_never_loads_torch(tmp_path: Path) -> None:
    Run(tmp_path / "a").log(records=3).evaluation().vectors(np.eye(4), np.arange(4))
    code = (
        "import sys; from pathlib import Path; from deep_infomax.report import write_report;"
        "write_report([Path(sys.argv[1])]); sys.exit(int('torch' in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=True)
