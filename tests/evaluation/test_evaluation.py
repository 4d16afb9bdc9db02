import json
from dataclasses import replace
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from deep_infomax.data import Dataset, Source, load_dataset
from deep_infomax.encoders import Encoder, TappedEncoder, digits
from deep_infomax.evaluation import (
    METRICS,
    Metric,
    Outcome,
    Result,
    encode_dataset,
    evaluate,
    extract,
    merge_results,
    probes,
    read_results,
    suite,
)
from deep_infomax.evaluation.arrays import neighbour_images
from deep_infomax.evaluation.probes import knn
from deep_infomax.report import write_report
from deep_infomax.runtime.progress import progress_bars

RESULT = Result("linear", "default", "Y", 61.5, "%", 0.25, 500, (0, 1, 2), "test", "linear/1", 2.0, {"l2": [0.1] * 3})


@pytest.fixture
def encoder() -> Encoder:
    return digits().train()


@pytest.fixture
def dataset() -> Dataset:
    """Digits, fewer of them."""
    whole = load_dataset("digits")
    assert whole.test is not None
    return replace(whole, train=first(whole.train, 200), test=first(whole.test, 60), held_out=None)


@pytest.fixture(autouse=True)
def _short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_LEAST_STEPS", 100)


def first(source: Source, n: int) -> Source:
    return replace(source, inputs=source.inputs[:n], labels=None if source.labels is None else source.labels[:n])


def state(encoder: Encoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in encoder.state_dict().items()}


def test_features_are_those_of_encode(encoder: Encoder, dataset: Dataset) -> None:
    features = extract(encoder, dataset.train, encoder.layers, batch_size=37)
    assert list(features) == list(encoder.layers)
    for layer, values in features.items():
        assert values.dtype == torch.float32
        torch.testing.assert_close(values, encoder.encode(dataset.train.inputs, layer))


def test_extraction_freezes_the_encoder_and_restores_its_modes(encoder: Encoder, dataset: Dataset) -> None:
    frozen = next(part for part in encoder.modules() if isinstance(part, nn.BatchNorm2d)).eval()
    before, modes = state(encoder), [part.training for part in encoder.modules()]
    values = extract(encoder, dataset.train, ["Y"], batch_size=50)["Y"]
    assert not values.requires_grad
    assert [part.training for part in encoder.modules()] == modes
    assert encoder.training
    assert not frozen.training
    torch.testing.assert_close(state(encoder), before, atol=0, rtol=0)


def test_memory_mapped_inputs_give_the_same_features(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", dataset.train.inputs.numpy())
    mapped = replace(dataset.train, inputs=np.load(tmp_path / "x.npy", mmap_mode="r"))
    expected = extract(encoder, dataset.train, ["Y"])["Y"]
    assert torch.equal(extract(encoder, mapped, ["Y"])["Y"], expected)


def test_features_are_float32_whatever_the_caller_computes_in(encoder: Encoder, dataset: Dataset) -> None:
    exact = extract(encoder, dataset.train, ["Y"])["Y"]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(extract(encoder, dataset.train, ["Y"])["Y"], exact)


def test_features_that_are_not_finite_are_refused(encoder: Encoder, dataset: Dataset) -> None:
    inputs = dataset.train.inputs.float()
    inputs[130, 0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match=r"not finite at layer 'Y' for digits train, inputs 100 to 199"):
        extract(encoder, replace(dataset.train, inputs=inputs), ["Y"], batch_size=100)


def test_of_large_inputs_fewer_are_encoded_at_a_time() -> None:
    images = torch.zeros(9, 1, 2048, 2048, dtype=torch.uint8)
    module = nn.Sequential(nn.AvgPool2d(256), nn.Flatten(), nn.Linear(64, 4))
    encoder = TappedEncoder(module, local="0", vector="2", channels=1, spatial=(2048, 2048))
    told: list[int] = []
    extract(
        encoder, Source(images, None, None, "large", "train"), ["Y"], progress=lambda _, done, __: told.append(done)
    )
    assert told == [4, 8, 9]


def test_progress_ends_with_all_inputs(encoder: Encoder, dataset: Dataset) -> None:
    told: list[tuple[str, int, int]] = []
    extract(encoder, dataset.train, ["Y"], batch_size=150, progress=lambda *news: told.append(news))
    assert told == [("encoding digits train", 150, 200), ("encoding digits train", 200, 200)]


def test_encoded_file_holds_the_features(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "fc.npy"
    encode_dataset(encoder, dataset, path, "fc", batch_size=64)
    written = np.load(path, mmap_mode="r")
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, extract(encoder, dataset.train, ["fc"], batch_size=64)["fc"].numpy())
    assert list(tmp_path.iterdir()) == [path]
    encode_dataset(encoder, dataset, path, split="test")
    np.testing.assert_array_equal(np.load(path), extract(encoder, dataset.test, ["Y"])["Y"].numpy())


def test_encoding_is_that_of_extract_whatever_the_autocast_outside(encoder: Encoder, dataset: Dataset) -> None:
    expected = extract(encoder, dataset.train, encoder.layers, batch_size=64)
    with torch.autocast("cpu", torch.bfloat16):
        for layer in encoder.layers:
            assert torch.equal(encoder.encode(dataset.train.inputs, layer, batch_size=64), expected[layer])


def test_a_protocol_may_have_a_number_of_seeds_of_its_own(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    [result] = evaluate(encoder, dataset, metrics=["svm-paper"], layers=["Y"], seeds=1, out=tmp_path)
    assert (result.protocol, result.seeds, len(result.values)) == ("svm-paper/1", (0, 1, 2, 3, 4), 5)
    assert result.value == pytest.approx(sum(result.values) / 5)
    assert [len(details["warnings"]) for details in result.details] == [1] * 5
    assert read_results(tmp_path / "evaluation.json") == [result]


def test_the_slow_protocols_of_the_paper_have_no_floors() -> None:
    assert {name for name, metric in METRICS.items() if metric.floors} == {"linear", "svm", "mlp", "knn", "few-labels"}


def test_the_linear_output_of_fc_is_measured_where_it_is_named(encoder: Encoder, dataset: Dataset) -> None:
    results = evaluate(encoder, dataset, metrics=["knn"], layers=["fc", "fc-linear"], seeds=1)
    assert [(result.layer, result.units) for result in results] == [("fc", 256), ("fc-linear", 256)]
    labels, test_labels = dataset.train.labels, dataset.test.labels
    for result in results:
        x, test_x = (extract(encoder, part, [result.layer])[result.layer] for part in (dataset.train, dataset.test))
        assert result.value == knn(x, labels, test_x, test_labels)[0].value
    by_default = evaluate(encoder, dataset, metrics=["knn"], seeds=1, floors=False)
    assert [result.layer for result in by_default] == ["conv", "fc", "Y"]


def test_what_was_held_out_is_encoded_in_its_place(encoder: Encoder, tmp_path: Path) -> None:
    encode_dataset(encoder, load_dataset("digits"), tmp_path / "y.npy")
    stored = torch.from_numpy(load_digits().images)[:, None].mul(255 / 16).round().to(torch.uint8)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), encoder.encode(stored).numpy(), rtol=1e-5, atol=1e-5)


def test_a_failed_encoding_leaves_what_was_there(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "y.npy"
    path.write_bytes(b"earlier")

    def fail(task: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_dataset(encoder, dataset, path, batch_size=64, progress=fail)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_encoding_refuses_what_cannot_be(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="digits has no split 'unlabelled'; it has train, test"):
        encode_dataset(encoder, dataset, tmp_path / "y.npy", split="unlabelled")
    with pytest.raises(ValueError, match=f"unknown layer 'Z'; this encoder has {', '.join(encoder.layer_sizes)}"):
        encode_dataset(encoder, dataset, tmp_path / "y.npy", "Z")
    colour = replace(dataset, train=replace(dataset.train, inputs=torch.zeros(200, 3, 8, 8)))
    with pytest.raises(ValueError, match="do not fit"):
        encode_dataset(encoder, colour, tmp_path / "y.npy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("folder", "is a folder; name a file"),
        ("none/y.npy", "there is no folder .*none; create it"),
        ("y" * 300, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_encoding(
    encoder: Encoder, dataset: Dataset, tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "folder").mkdir()
    told: list[object] = []
    with pytest.raises(ValueError, match=sentence):
        encode_dataset(encoder, dataset, tmp_path / name, progress=lambda *news: told.append(news))
    assert not told
    assert list(tmp_path.rglob("*")) == [tmp_path / "folder"]


def test_evaluation_of_digits(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    results = evaluate(encoder, dataset, metrics=["linear", "knn", "mlp"], layers=["Y"], seeds=2, out=tmp_path)
    assert [(r.metric, r.layer, r.protocol) for r in results] == [
        (m, "Y", METRICS[m].protocol) for m in ("linear", "knn", "mlp")
    ]
    for result in results:
        assert (result.n, result.seeds, result.split, result.unit, result.variant) == (
            60,
            (0, 1),
            "test",
            "%",
            "default",
        )
        assert result.value > 40  # ten classes: chance is 10
        assert result.seconds > 0
    assert [len(r.chosen.get(name, ())) for r, name in zip(results, ("l2", "k", ""), strict=True)] == [2, 2, 0]
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["schema"] == 1
    assert content["data"] == dataset.description
    assert content["results"][0]["seeds"] == [0, 1]
    assert read_results(tmp_path / "evaluation.json") == results


def test_value_and_spread_are_over_the_seeds(
    encoder: Encoder, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [50.0, 53.0, 59.0]
    known = Metric("known/1", "%", lambda train, test, seeds, progress: [Outcome(values[s], {"k": s}) for s in seeds])
    monkeypatch.setitem(METRICS, "known", known)
    [result] = evaluate(encoder, dataset, metrics=["known"], layers=["Y"], seeds=3)
    assert (result.value, result.spread) == (54, pytest.approx(stdev(values)))
    assert result.values == tuple(values)
    assert result.chosen == {"k": [0, 1, 2]}
    [result] = evaluate(encoder, dataset, metrics=["known"], layers=["Y"], seeds=1)
    assert (result.value, result.spread) == (50, None)


@pytest.mark.parametrize("metric", ["linear", "svm", "knn"])
def test_a_seed_of_a_small_evaluation_is_worth_the_same_alone(encoder: Encoder, dataset: Dataset, metric: str) -> None:
    small = replace(dataset, train=first(dataset.train, 60), test=first(dataset.test, 40))
    alone, several = (evaluate(encoder, small, metrics=[metric], layers=["Y"], seeds=seeds)[0] for seeds in (1, 2))
    assert several.values[:1] == alone.values == (alone.value,)


def test_an_interrupted_evaluation_keeps_what_it_has(
    encoder: Encoder, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(train: object, test: object, seeds: object, progress: object) -> list[Outcome]:
        raise KeyboardInterrupt

    monkeypatch.setitem(METRICS, "interrupting", Metric("interrupting/1", "%", interrupt))
    with pytest.raises(KeyboardInterrupt):
        evaluate(encoder, dataset, metrics=["knn", "interrupting"], layers=["Y", "fc"], seeds=1, out=tmp_path)
    [kept] = read_results(tmp_path / "evaluation.json")
    assert (kept.metric, kept.layer) == ("knn", "Y")


def test_arrays_for_the_report(encoder: Encoder, dataset: Dataset, tmp_path: Path) -> None:
    evaluate(encoder, dataset, metrics=["knn"], layers=["fc"], seeds=1, out=tmp_path)
    assert dataset.test is not None
    y, test_y = (encoder.encode(part.inputs) for part in (dataset.train, dataset.test))
    representation = np.load(tmp_path / "arrays" / "representation.npz", allow_pickle=False)
    np.testing.assert_allclose(representation["Y"], test_y[representation["index"]], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(representation["labels"], dataset.test.labels)
    assert tuple(representation["classes"]) == dataset.train.classes
    np.testing.assert_array_equal(representation["images"], dataset.test.inputs)
    assert representation["images"].dtype == np.uint8
    shown = np.load(tmp_path / "arrays" / "neighbours.npz", allow_pickle=False)
    assert shown["queries"].shape == (10, 8, 8, 1)
    assert shown["neighbours"].shape == (10, 8, 8, 8, 1)
    assert shown["queries"].dtype == shown["neighbours"].dtype == np.uint8
    for q in range(10):
        position = 6 * q  # every sixth of 60
        np.testing.assert_array_equal(shown["queries"][q, :, :, 0], dataset.test.inputs[position, 0])
        distance = 1 - nn.functional.cosine_similarity(test_y[position][None], y)
        nearest = distance.argsort()[:8]
        np.testing.assert_allclose(shown["distance"][q], distance[nearest], atol=1e-5)
        np.testing.assert_array_equal(shown["neighbours"][q, :, :, :, 0], dataset.train.inputs[nearest, 0])
        np.testing.assert_array_equal(shown["neighbour_labels"][q], dataset.train.labels[nearest])


def test_neighbours_by_other_distances_are_kept_where_they_are_asked_for(
    encoder: Encoder, dataset: Dataset, tmp_path: Path
) -> None:
    results = evaluate(encoder, dataset, metrics=["neighbours"], seeds=2, out=tmp_path)
    assert [(r.layer, r.variant, r.protocol, r.spread) for r in results] == [
        ("Y", variant, "neighbours/1", None) for variant in ("default", "l1", "l2")
    ]
    assert {r.n for r in results} == {len(dataset.test.inputs)}
    assert dataset.test is not None
    y, test_y = (encoder.encode(part.inputs) for part in (dataset.train, dataset.test))
    for name, power in (("l1", 1), ("l2", 2)):
        shown = np.load(tmp_path / "arrays" / f"neighbours-{name}-Y.npz", allow_pickle=False)
        for q in range(10):
            nearest = (test_y[6 * q] - y).abs().pow(power).sum(1).argsort()[:8]
            np.testing.assert_array_equal(shown["neighbour_labels"][q], dataset.train.labels[nearest])
    assert not (tmp_path / "arrays" / "neighbours-Y.npz").exists()
    (tmp_path / "config.yaml").write_text("recipe: random\ndata: digits\n")
    page = write_report([tmp_path]).read_text()
    assert [f"by {name} distance" in page for name in ("cosine", "L1", "L2")] == [True] * 3
    other = replace(dataset, description={"name": "another"})
    evaluate(encoder, other, metrics=["knn"], layers=["Y"], seeds=1, out=tmp_path)
    assert sorted(path.name for path in (tmp_path / "arrays").iterdir()) == ["neighbours.npz", "representation.npz"]


def test_representation_is_spread_over_a_large_test_part(tmp_path: Path) -> None:
    files = [f"{row}.wav" for row in range(5000)]
    source = Source(torch.zeros(5000, 1, 4), None, None, "series", "test", files=lambda: files)
    suite.save_representation(tmp_path, source, torch.arange(5000) + 7, torch.arange(5000.0)[:, None])
    saved = np.load(tmp_path / "representation.npz", allow_pickle=False)
    assert saved["Y"].shape == (2000, 1)
    assert saved["lines"].shape == (2000, 1, 4)
    np.testing.assert_array_equal(saved["index"], saved["Y"][:, 0] + 7)
    assert saved["files"].tolist() == [f"{place - 7}.wav" for place in saved["index"]]
    assert (saved["total"], set(saved["splits"])) == (5000, {"test"})
    np.testing.assert_array_equal(np.unique(np.diff(saved["index"])), [2, 3])
    assert set(saved["labels"]) == {-1}


def test_series_have_no_neighbour_images(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(3 * 8, 4))
    series = TappedEncoder(network, local="0", vector="2", channels=2, spatial=(10,))
    labels = torch.arange(40) % 2
    x = torch.randn(40, 2, 10) + labels[:, None, None] * 3
    train, test = (Source(x, labels, ("low", "high"), "series", split) for split in ("train", "test"))
    [result] = evaluate(series, Dataset("series", train, test, None, {}), ["knn"], ["Y"], seeds=1, out=tmp_path)
    assert result.value > 90
    assert [path.name for path in (tmp_path / "arrays").iterdir()] == ["representation.npz"]


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_images_of_other_depths_have_no_neighbour_images(kind: type) -> None:
    source = Source(np.ones((4, 1, 8, 8), kind), None, None, "scans", "train")
    assert neighbour_images(source, torch.eye(4), source, torch.eye(4)) == {}


def test_a_rerun_replaces_its_own_results_only(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    other = [replace(RESULT, layer="fc"), replace(RESULT, protocol="linear/2"), replace(RESULT, variant="other")]
    merge_results(path, {"name": "digits"}, [RESULT, *other])
    rerun = replace(RESULT, value=62.0)
    merge_results(path, {"name": "digits"}, [rerun])
    assert read_results(path) == [rerun, *other]
    assert list(tmp_path.iterdir()) == [path]


def test_results_on_other_data_begin_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    merge_results(path, {"name": "digits"}, [RESULT])
    merge_results(path, {"name": "cifar10"}, [replace(RESULT, layer="fc")])
    assert [result.layer for result in read_results(path)] == ["fc"]
    assert read_results(path, {"name": "cifar10"}) == read_results(path)
    assert read_results(path, {"name": "digits"}) == []
    merge_results(path, {"name": "digits"}, [replace(RESULT, layer="conv")])
    assert read_results(tmp_path / "evaluation.previous-1.json") == [RESULT]
    assert read_results(tmp_path / "evaluation.previous-2.json") == [replace(RESULT, layer="fc")]


def test_one_seed_has_no_spread_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    merge_results(path, {}, [replace(RESULT, seeds=(0,), spread=None)])
    assert json.loads(path.read_text())["results"][0]["spread"] is None
    assert read_results(path)[0].spread is None


def with_result(**changes: object) -> str:
    return json.dumps({"schema": 1, "data": {}, "results": [RESULT.to_json() | changes]})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no JSON (Expecting value in line 1, column 1)"),
        ("[]", "expected a mapping, got a list"),
        ("{}", "it lacks schema"),
        ('{"schema": 1}', "it lacks data"),
        ('{"schema": 1, "data": {}, "results": [{}]}', "it lacks metric at results[0]"),
        (with_result(value="61.5"), "expected a number, got text at results[0].value"),
        (with_result(value=float("nan")), "a number is nan, not finite"),
        (with_result(value=True), "expected a number, got true or false at results[0].value"),
        (with_result(n=-1), "expected a whole number >= 0 at results[0].n"),
        (with_result(n=1e30), "expected a whole number, got a number at results[0].n"),
        (with_result(spread=-0.1), "expected a number >= 0.0 at results[0].spread"),
        (with_result(seeds=3), "expected a list, got a whole number at results[0].seeds"),
        (with_result(details=[1]), "expected a mapping, got a whole number at results[0].details[0]"),
    ],
)
def test_a_damaged_file_is_not_overwritten(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"; move it away and evaluate again$") as error:
        merge_results(path, {}, [RESULT])
    assert str(error.value).startswith(f"{path} is damaged: {said}")
    assert path.read_text() == content


def test_fields_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(with_result(later=[1]).replace("{", '{"also": null, ', 1))
    assert read_results(path) == [RESULT]


def test_more_results_than_any_evaluation_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"schema": 1, "data": {}, "results": [RESULT.to_json()] * 2_001}))
    with pytest.raises(ValueError, match=r"expected a list of length <= 2000 at results; move it away"):
        read_results(path)


def test_a_later_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text('{"schema": 2, "data": {}, "results": []}')
    with pytest.raises(ValueError, match="schema 2, this version reads 1"):
        read_results(path)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"metrics": ["svn"]}, "`metrics`: svn is unknown; did you mean svm. Known are linear, svm, mlp"),
        ({}, {"layers": ["Z"]}, "`layers`: Z is unknown; known are conv, fc-linear, fc, Y, floors"),
        ({}, {"seeds": 0}, "`seeds` is 0; give 1 or more"),
        ({"test": None}, {}, "no test part to measure on; .*`probe`"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    changes: dict[str, None], options: dict[str, list[str] | int], message: str, encoder: Encoder, dataset: Dataset
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(encoder, replace(dataset, **changes), **options)


def test_missing_labels_and_wrong_sizes_are_refused(encoder: Encoder, dataset: Dataset) -> None:
    unlabelled = replace(dataset.train, labels=None, classes=None)
    with pytest.raises(ValueError, match=r"has no labels.*`probe`"):
        evaluate(encoder, replace(dataset, train=unlabelled))
    with pytest.raises(ValueError, match=r"has no labels.*`probe`"):
        evaluate(encoder, replace(dataset, test=unlabelled))
    large = replace(dataset.train, inputs=torch.zeros(200, 1, 9, 9, dtype=torch.uint8))
    with pytest.raises(ValueError, match="do not fit"):
        evaluate(encoder, replace(dataset, test=large))


def test_a_damaged_file_stops_the_evaluation_before_anything_slow(
    encoder: Encoder, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evaluation.json").write_text("{")
    monkeypatch.setattr(suite, "extract", None)
    with pytest.raises(ValueError, match="damaged"):
        evaluate(encoder, dataset, out=tmp_path)


def test_progress_outside_a_terminal_is_one_line_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as progress:
        for done in (500, 1200):
            progress("encoding digits train", done, 1200)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "encoding digits train: 1,200 done\n"
