"""Values far from zero stay apart: read in double precision, an offset subtracted, down to the encoder's features."""

import numpy as np
import pytest
import torch

from deep_infomax.data import Batches, DataOptions, Source, as_source, floats_of, load_dataset, offset_of, statistics
from deep_infomax.encoders import Encoder, VariationalEncoder, convolutional

NEAR = np.random.default_rng(0).random((40, 64))


def read(folder, array):
    np.save(folder / "x.npy", array)
    source = load_dataset(str(folder / "x.npy")).train
    return source, source.take(torch.arange(len(source)))


@pytest.mark.parametrize("kind", [np.float64, ">f8", np.longdouble])
@pytest.mark.parametrize("offset", [0, 1e3, 1e6, -1e9, 1e11])
def test_an_offset_costs_no_value(tmp_path, offset, kind):
    array = (NEAR + offset).astype(kind)
    source, inputs = read(tmp_path, array)
    assert len(inputs.unique()) == len(np.unique(array.astype(float)))
    subtracted = offset_of(source)
    mean, std = statistics(source, subtracted)
    assert (subtracted is None) == (offset == 0)
    assert std.item() == pytest.approx(NEAR.std(), rel=1e-3)
    assert mean.item() + (subtracted.item() if offset else 0) == pytest.approx(array.mean(), rel=1e-7)
    values = floats_of(source)(torch.arange(40))[:, 0].numpy() + (subtracted.item() - offset if offset else 0)
    np.testing.assert_allclose(values, NEAR, atol=1e-4)


@pytest.mark.parametrize("base", [0, 2**30, 2**40, 2**52])
@pytest.mark.parametrize("kind", [np.int64, np.uint64, ">i8"])
def test_whole_numbers_stay_apart(tmp_path, base, kind):
    array = np.arange(640).reshape(40, 16).astype(kind) + np.array(base, kind)
    _, inputs = read(tmp_path, array)
    assert np.array_equal(inputs[:, 0].numpy().astype(kind), array)


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.uint16, np.int16, np.float16, ">f2", np.float32, ">u2"])
def test_short_numbers_are_float32(tmp_path, kind):
    array = (NEAR * 100).astype(kind)
    _, inputs = read(tmp_path, array)
    assert inputs.dtype == torch.float32
    assert np.array_equal(inputs[:, 0].numpy(), array.astype(np.float32))


@pytest.mark.parametrize("array", [np.arange(640).reshape(40, 16) + 2**60, NEAR.astype(np.longdouble) + 1e16])
def test_values_closer_than_double_precision_are_refused(tmp_path, array):
    if np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("no longer type here")
    with pytest.raises(ValueError, match=r"differ by less than double precision resolves.*subtract an offset"):
        read(tmp_path, array)


def test_both_parts_and_what_is_held_out_are_read_alike(tmp_path):
    np.savez(tmp_path / "a.npz", x=NEAR + 1e6, y=np.arange(40) % 2)
    dataset = load_dataset(str(tmp_path / "a.npz"))
    assert (dataset.train.inputs.dtype, dataset.test.inputs.dtype) == (torch.float64, torch.float64)
    assert dataset.description["encoding"] == "float64"
    assert "subtracts an offset" in dataset.description["precision_rule"]
    np.savez(tmp_path / "b.npz", x=NEAR + 1e6, x_test=NEAR[:1, :] + 1e6)
    dataset = load_dataset(str(tmp_path / "b.npz"), DataOptions(crop=32))
    assert {source.take(torch.tensor([0])).dtype for source in (dataset.train, dataset.test)} == {torch.float64}
    np.save(tmp_path / "images.npy", NEAR.reshape(40, 8, 8) + 1e6)
    for options in (DataOptions(resize=16), DataOptions(random_crop=4)):
        train = load_dataset(str(tmp_path / "images.npy"), options).train
        assert len(train.take(torch.arange(40)).unique()) > 600


def test_batches_on_the_device_and_from_disk_are_double(tmp_path):
    source, inputs = read(tmp_path, NEAR + 1e9)
    for resident_bytes in (0, None):
        batch = Batches(source, 5, 0, "cpu", resident_bytes=resident_bytes).batch(0)
        assert torch.equal(batch.inputs, inputs[batch.index])
    assert source.nbytes == NEAR.nbytes
    assert as_source(NEAR[:, None] + 1e9).inputs.dtype == torch.float64
    assert as_source(NEAR[:, None]).inputs.dtype == torch.float32


def encoder_of(inputs):
    torch.manual_seed(0)
    encoder = convolutional(channels=1, spatial=(64,), dim=8)
    source = as_source(inputs)
    offset = offset_of(source)
    encoder.set_statistics(*statistics(source, offset), offset)
    return encoder.eval()


def test_features_do_not_depend_on_the_offset(tmp_path):
    near, far = NEAR[:, None], NEAR[:, None] + 1e9
    plain, shifted = encoder_of(near), encoder_of(far)
    assert plain.offset is None
    torch.testing.assert_close(shifted.encode(far), plain.encode(near), rtol=0, atol=1e-3)
    assert len(shifted.encode(far).unique(dim=0)) == 40
    assert (shifted.normalise(torch.from_numpy(far)).std() - 1).abs() < 1e-3
    whole = np.arange(640).reshape(10, 1, 64) + 2**40
    assert torch.equal(encoder_of(whole).encode(whole), encoder_of(whole.astype(float)).encode(whole))
    for encoder in (shifted, VariationalEncoder(shifted)):
        encoder.save_pretrained(tmp_path / "saved")
        loaded = Encoder.from_pretrained(tmp_path / "saved")
        assert torch.equal(loaded.offset, shifted.offset)
        assert torch.equal(loaded.encode(far), shifted.encode(far))


def test_an_encoder_without_offset_is_saved_and_computes_as_ever(tmp_path):
    encoder = encoder_of(NEAR[:, None])
    encoder.save_pretrained(tmp_path)
    assert "offset" not in (tmp_path / "encoder.json").read_text()
    assert "offset" not in encoder.state_dict()
    images = torch.arange(64, dtype=torch.uint8).expand(2, 1, 64)
    expected = (images.float() - encoder.mean.view(-1, 1)) / encoder.std.view(-1, 1)
    assert torch.equal(encoder.normalise(images), expected)


@pytest.mark.parametrize("offset", ["[1.0, 2.0]", '["a"]', "3"])
def test_a_damaged_offset_is_told(tmp_path, offset):
    encoder = encoder_of(NEAR[:, None] + 1e9)
    encoder.save_pretrained(tmp_path)
    path = tmp_path / "encoder.json"
    text = path.read_text()
    start = text.index('"offset": ') + len('"offset": ')
    path.write_text(text[:start] + offset + "}")
    with pytest.raises(ValueError, match=r"encoder\.json is damaged"):
        Encoder.from_pretrained(tmp_path)


def test_one_constant_is_said_only_where_it_is_true():
    def source(values):
        return Source(torch.as_tensor(values, dtype=torch.float64)[:, None, None], None, None, "s", "train")

    for value in (0.0, 0.1, 1e10):
        with pytest.raises(ValueError, match="all inputs of s train are one constant"):
            statistics(source([value] * 4))
    far = source(1e10 + NEAR[:, 0])
    assert statistics(far, offset_of(far))[1].item() == pytest.approx(NEAR[:, 0].std(), rel=1e-4)
    with pytest.raises(ValueError, match="differ by less than float32 resolves"):
        statistics(source([0.0, 1e-50]))
