"""Missing values: announced or refused, counted, left out of every statistic, and filled where networks read."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from deep_infomax.data import (
    DataOptions,
    Source,
    floats_of,
    from_arrays,
    from_data,
    load_dataset,
    offset_of,
    statistics,
)
from deep_infomax.data.missing import NODATA, RULE, filling
from deep_infomax.encoders import Encoder, VariationalEncoder, convolutional, strided_crops
from deep_infomax.runtime.missing import is_missing
from deep_infomax.runtime.scaling import NORMAL_QUARTILES

RNG = np.random.default_rng(0)
X = RNG.gamma(2, 3, size=(60, 3, 16)).astype(np.float32)
GAPS = RNG.random(X.shape) < [[[0.1], [0.3], [0.5]]]
Y = np.arange(60) % 2
WITH_GAPS = np.where(GAPS, np.nan, X).astype(np.float32)
MARKED = np.where(GAPS, -9999, X).astype(np.float32)


def source(inputs: Any, missing: Any) -> Source:
    return Source(torch.as_tensor(inputs), None, None, "gaps", "train", missing=missing)


def encoder_of(data: Source, scaling: Any = "standard", encoder: Encoder | None = None) -> Encoder:
    encoder = encoder or convolutional(3, (16,), 4)
    offset = None if scaling == "log1p" else offset_of(data)
    encoder.set_statistics(*statistics(data, offset, scaling), offset, scaling, data.missing)
    return encoder.eval()


# Reading


@pytest.mark.parametrize(("inputs", "missing"), [(WITH_GAPS, "nan"), (WITH_GAPS, float("nan")), (MARKED, -9999)])
def test_what_is_missing_is_counted_and_said(inputs: np.ndarray, missing: Any) -> None:
    dataset = from_arrays(inputs, Y, options=DataOptions(missing=missing, layout="cl"))
    shares = ", ".join(f"{100 * share:.1f} %" for share in GAPS.mean((0, 2)))
    assert dataset.description[RULE] == (
        f"{GAPS.sum():,} of 2,880 values ({100 * GAPS.mean():.1f} %) in 60 of 60 inputs, by channel {shares}; "
        "filled with the centre of their channel, and masked"
    )
    assert dataset.test is not None
    assert dataset.train.missing == dataset.test.missing == ("nan" if inputs is WITH_GAPS else -9999)


def test_where_nothing_is_missing_nothing_changes() -> None:
    plain = from_arrays(X, Y, options=DataOptions(layout="cl"))
    announced = from_arrays(X, Y, options=DataOptions(layout="cl", missing=-1))
    assert announced.description == plain.description | {RULE: "no value is missing"}
    assert announced.train.missing is None
    for one, other in zip(statistics(plain.train), statistics(announced.train), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("missing", ["nan", -9999])
def test_infinity_is_never_missing(missing: Any) -> None:
    with pytest.raises(ValueError, match=r"input 0 has numbers .*; infinite ones are not taken for missing; replace"):
        from_arrays(np.where(GAPS, np.inf, X), options=DataOptions(missing=missing, layout="cl"))


def test_a_number_that_float32_lacks_can_be_announced() -> None:
    lowest = float(np.finfo(np.float64).min)
    dataset = from_arrays(np.where(GAPS, lowest, X.astype(float)), options=DataOptions(missing=lowest, layout="cl"))
    assert dataset.train.missing == lowest
    assert torch.equal(is_missing(dataset.train.inputs, lowest), torch.from_numpy(GAPS))


def test_inputs_without_any_value_are_refused() -> None:
    empty = WITH_GAPS.copy()
    empty[[5, 9, 11, 12]] = np.nan
    sentence = r"4 of 60 inputs of array train have no value at all \(input 5, input 9, input 11, \.\.\.\); remove them"
    with pytest.raises(ValueError, match=sentence):
        from_arrays(empty, options=DataOptions(missing="nan", layout="cl"))


def test_resizing_would_spread_gaps() -> None:
    with pytest.raises(ValueError, match=r"`data_options\.resize` would mix missing values with others"):
        DataOptions(resize=8, missing=-1)


def test_masked_arrays_have_missing_values_once_these_are_announced() -> None:
    masked = np.ma.masked_array(np.arange(60 * 8).reshape(60, 8), mask=np.arange(480).reshape(60, 8) % 7 == 0)
    dataset = from_data(masked, options=DataOptions(missing="nan"))
    assert torch.equal(is_missing(dataset.train.inputs, "nan")[:, 0], torch.from_numpy(masked.mask))
    with pytest.raises(ValueError, match=r"some values are masked, .* or set `data_options\.missing` to nan"):
        from_data(masked)


def series_file(path: Path) -> None:
    (path / "gaps.ts").write_text("@classLabel true a b\n@data\n1,2,?:4,5,6:a\n7,8,9:?,?,1:b\n1,2,3:4,5,7:a\n")


def table(path: Path) -> None:
    rows = ["1,a,1.5,2", "2,a,,3", "3,a,4,5", "4,a,1,", "5,b,1,2", "6,b,3,4", "7,b,5,6", "8,b,7,9"]
    (path / "gaps.csv").write_text("time,who,u,v\n" + "\n".join(rows) + "\n")


def images(path: Path) -> None:
    (path / "gaps").mkdir()
    for number in range(3):
        values = RNG.random((4, 5)).astype(np.float32)
        values[0, number] = np.nan
        Image.fromarray(values).save(path / "gaps" / f"{number}.tif")


@pytest.mark.parametrize(
    ("write", "name", "options", "gaps"),
    [
        (series_file, "gaps.ts", {"label_column": "none"}, 3),
        (table, "gaps.csv", {"series_column": "who", "value_columns": "u,v"}, 2),
        (images, "gaps", {}, 3),
        (lambda path: np.save(path / "gaps.npy", WITH_GAPS), "gaps.npy", {"layout": "cl"}, int(GAPS.sum())),
    ],
    ids=["ts", "csv", "tiff", "npy"],
)
def test_every_reader_takes_and_refuses_gaps(
    write: Any, name: str, options: dict[str, Any], gaps: int, tmp_path: Path
) -> None:
    write(tmp_path)
    with pytest.raises(ValueError, match=r"set `data_options\.missing` to nan"):
        load_dataset(str(tmp_path / name), DataOptions(**options))
    dataset = load_dataset(str(tmp_path / name), DataOptions(**options, missing="nan"))
    assert str(dataset.description[RULE]).startswith(f"{gaps:,} of ")
    assert int(is_missing(dataset.train.take(torch.arange(len(dataset.train))), "nan").sum()) == gaps
    with pytest.raises(ValueError, match=r"set `data_options\.missing` to nan"):  # also once it is cached
        load_dataset(str(tmp_path / name), DataOptions(**options))


# The tag of GeoTIFF files


def geotiff(path: Path, values: np.ndarray, nodata: str) -> None:
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, values, photometric="minisblack", extratags=[(42113, "s", 0, nodata, True)])


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_the_number_that_files_declare_is_read_only_when_asked_for(kind: Any, tmp_path: Path) -> None:
    for number in range(4):
        geotiff(tmp_path / "tiles" / f"{number}.tif", np.arange(20, dtype=kind).reshape(4, 5) + number, "7")
    plain = load_dataset(str(tmp_path / "tiles"))
    assert plain.description[NODATA] == (
        "7, read as a number; `data_options.missing` nodata reads it as a missing value"
    )
    assert plain.train.missing is None
    asked = load_dataset(str(tmp_path / "tiles"), DataOptions(missing="nodata"))
    assert asked.train.missing == 7
    assert str(asked.description[RULE]).startswith("4 of 80 values (5.0 %) in 4 of 4 inputs; ")
    assert asked.train.kind == (np.uint8 if kind is np.uint8 else np.float32)


def test_bands_have_one_declared_number(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    bands = RNG.integers(1, 9, (6, 5, 5)).astype(np.uint16)
    bands[2, 1, 1] = 0
    (tmp_path / "bands").mkdir()
    for name in ("a.tif", "b.tif"):
        tags = [(42113, "s", 0, "0", True)]
        tifffile.imwrite(
            tmp_path / "bands" / name, bands, photometric="minisblack", planarconfig="separate", extratags=tags
        )
    dataset = load_dataset(str(tmp_path / "bands"), DataOptions(missing="nodata", channels=6))
    assert "by channel 0.0 %, 0.0 %, 4.0 %, 0.0 %, 0.0 %, 0.0 %;" in str(dataset.description[RULE])


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [((), "declare no number for no data; give the number itself"), (("1", "2"), r"several numbers .* \(1, 2\)")],
)
def test_a_declared_number_that_is_none_or_several_is_refused(
    declared: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / "plain.tif")
    for number in declared:
        geotiff(tmp_path / f"{number}.tif", np.ones((4, 5), np.uint8), number)
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(tmp_path), DataOptions(missing="nodata"))


# Statistics


@pytest.mark.parametrize(("inputs", "missing"), [(WITH_GAPS, "nan"), (MARKED, -9999.0)])
def test_statistics_are_those_of_the_values_that_are_there(
    inputs: np.ndarray, missing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("deep_infomax.data.statistics"), "CHUNK", 7)
    there = [X[:, channel][~GAPS[:, channel]].astype(np.float64) for channel in range(3)]
    expected = {
        "standard": [(values.mean(), values.std()) for values in there],
        "log1p": [(np.log1p(values).mean(), np.log1p(values).std()) for values in there],
        "robust": [
            (np.median(values), np.subtract(*np.quantile(values, [0.75, 0.25])) / NORMAL_QUARTILES) for values in there
        ],
    }
    for scaling, figures in expected.items():
        found = torch.stack(statistics(source(inputs, missing), scaling=scaling), dim=1)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, figures, rtol=1e-5, err_msg=scaling)


def test_bytes_keep_their_type_and_their_gaps() -> None:
    values = torch.randint(0, 250, (50, 1, 9)).byte()
    values[:, 0, 4] = 255
    mean, std = statistics(source(values, 255.0))
    there = values[:, 0, [0, 1, 2, 3, 5, 6, 7, 8]].double()
    assert (mean.item(), std.item()) == (
        pytest.approx(there.mean().item()),
        pytest.approx(there.std(correction=0).item()),
    )


def test_an_offset_is_that_of_the_values_that_are_there() -> None:
    far = X[:, :1].astype(np.float64) / 1e3 + 1e9
    far[GAPS[:, :1]] = np.nan
    offset = offset_of(source(far, "nan"))
    assert offset is not None
    assert offset.item() == pytest.approx(np.nanmean(far), abs=1)
    seen = encoder_of(source(far, "nan"), encoder=convolutional(1, (16,), 2)).normalise(torch.from_numpy(far))
    assert seen.isfinite().all()
    assert (seen[torch.from_numpy(GAPS[:, :1])] == 0).all()


def test_a_channel_without_any_value_is_refused() -> None:
    inputs = WITH_GAPS.copy()
    inputs[:, 1] = np.nan
    with pytest.raises(ValueError, match="channel 1 of gaps train has no value at all; leave it out"):
        statistics(source(inputs, "nan"))


def test_what_reads_without_an_encoder_reads_means() -> None:
    read = filling(source(MARKED, -9999.0))(torch.from_numpy(MARKED))
    means = np.array([X[:, channel][~GAPS[:, channel]].mean() for channel in range(3)])
    np.testing.assert_allclose(read, np.where(GAPS, means[:, None], X), rtol=1e-5)
    assert torch.equal(floats_of(source(MARKED, -9999.0))(torch.arange(60)), read)
    plain = torch.from_numpy(X)
    assert filling(source(X, None))(plain) is plain


# Encoders


@pytest.mark.parametrize("scaling", ["standard", "robust", "log1p"])
@pytest.mark.parametrize(("inputs", "missing"), [(WITH_GAPS, "nan"), (MARKED, -9999.0)])
def test_an_encoder_fills_the_centre_of_the_channel(inputs: np.ndarray, missing: Any, scaling: Any) -> None:
    encoder = encoder_of(source(inputs, missing), scaling)
    seen = encoder.normalise(torch.from_numpy(inputs))
    gone = torch.from_numpy(GAPS)
    assert (seen[gone] == 0).all()
    whole = encoder_of(source(inputs, missing), scaling)
    whole.missing = None
    assert torch.equal(seen[~gone], whole.normalise(torch.from_numpy(X))[~gone])
    assert encoder.encode(inputs).isfinite().all()


def test_locations_are_masked_where_most_of_their_cell_is_missing() -> None:
    encoder = convolutional(1, (8, 8), 4)
    encoder.set_statistics([0.0], [1.0], missing="nan")
    height, width = encoder.local_shape[1:]
    inputs = torch.zeros(2, 1, 8, 8)
    inputs[0, :, :4] = torch.nan
    features = encoder.eval()(inputs)
    assert features.missing is not None
    assert features.missing.shape == (2, height, width)
    expected = torch.zeros(2, height, width, dtype=torch.bool)
    expected[0, : height // 2] = True
    assert torch.equal(features.missing, expected)
    encoder.missing = None
    assert encoder(torch.zeros(2, 1, 8, 8)).missing is None


def test_a_crop_is_masked_where_most_of_it_is_missing() -> None:
    encoder = strided_crops(1, (16,), 4)
    encoder.set_statistics([0.0], [1.0], missing=-1)
    size, (stride,) = encoder.network.spatial[0], encoder.stride
    inputs = torch.zeros(1, 1, 16)
    inputs[..., :9] = -1
    found = encoder.missing_locations(inputs)[0].tolist()
    starts = range(0, 16 - size + 1, stride)
    assert found == [min(max(9 - start, 0), size) / size > 0.5 for start in starts]
    assert len({*found}) == 2


def test_an_encoder_keeps_what_stands_for_missing_values(tmp_path: Path) -> None:
    for missing in ("nan", -9999.0):
        encoder = encoder_of(source(WITH_GAPS if missing == "nan" else MARKED, missing), "robust")
        encoder.save_pretrained(tmp_path / str(missing))
        again = Encoder.from_pretrained(tmp_path / str(missing))
        assert again.missing == missing
        inputs = torch.from_numpy(WITH_GAPS if missing == "nan" else MARKED)
        assert torch.equal(again.encode(inputs), encoder.encode(inputs))
    variational = VariationalEncoder(encoder)
    assert variational.missing == variational.encoder.missing == -9999.0


def test_an_encoder_that_knows_of_no_gaps_refuses_them() -> None:
    encoder = encoder_of(source(X, None))
    with pytest.raises(ValueError, match=r"values of a test are missing \(nan\), .* on data without any; train"):
        encoder.check_missing("nan", "a test")
    encoder.check_missing(None, "a test")
