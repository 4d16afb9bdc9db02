"""Volumes in NIfTI files: exact values whichever way they lie, and the sentence each mistake gets."""

import re
import sys

import nibabel
import numpy as np
import pytest
import torch
from data_helpers import picture

from deep_infomax.data import DataOptions, load_dataset


def volume(path, values, affine=None, slope=None, spacing=(1, 1, 1)):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([*spacing, 1.0]) if affine is None else affine
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    if slope:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)
    return path


VALUES = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)  # x, y, z


def rows_of(source):
    return source.take(torch.arange(len(source)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII"])
@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "float32", "float64", "int32"])
def test_one_volume(tmp_path, suffix, kind):
    file = volume(tmp_path / f"brain{suffix}", VALUES.astype(kind), spacing=(1, 2, 3.5))
    dataset = load_dataset(str(file))
    assert (dataset.name, dataset.train.shape) == ("brain", (1, 4, 3, 2))
    expected = torch.from_numpy(VALUES.transpose(2, 1, 0).astype(kind if kind == "uint8" else "float32"))
    assert torch.equal(rows_of(dataset.train)[0, 0], expected)
    assert dataset.description["spacing_rule"] == "3.5 x 2 x 1 mm"
    assert dataset.description["orientation_rule"] == "right, anterior, superior; 0 of 1 turned"
    assert dataset.description["axes"] == "cdhw (channels, depth, height, width)"


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "ILA"])
def test_volumes_that_lie_otherwise_are_turned(tmp_path, codes):
    turns = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(codes)
    )
    straight = nibabel.Nifti1Image(VALUES, np.diag([1.0, 2, 3, 1]))
    turned = straight.as_reoriented(turns)
    assert "".join(nibabel.aff2axcodes(turned.affine)) == codes
    dataset = load_dataset(str(volume(tmp_path / "brain.nii", np.asarray(turned.dataobj), turned.affine)))
    assert torch.equal(rows_of(dataset.train)[0, 0], torch.from_numpy(VALUES.T.copy()).float())
    assert dataset.description["spacing_rule"] == "3 x 2 x 1 mm"
    assert f"{int(codes != 'RAS')} of 1 turned" in dataset.description["orientation_rule"]


def test_a_file_that_does_not_say_how_it_lies_is_left_as_stored(tmp_path):
    image = nibabel.Nifti1Image(VALUES, None)
    nibabel.save(image, tmp_path / "brain.nii")
    dataset = load_dataset(str(tmp_path / "brain.nii"))
    assert torch.equal(rows_of(dataset.train)[0, 0], torch.from_numpy(VALUES.T.copy()).float())
    assert "1 that do not say how they lie left as stored" in dataset.description["orientation_rule"]


def test_values_are_scaled_by_their_header(tmp_path):
    volume(tmp_path / "scaled.nii", VALUES, slope=(0.5, -3))
    assert nibabel.load(tmp_path / "scaled.nii").dataobj.slope == 0.5
    found = rows_of(load_dataset(str(tmp_path / "scaled.nii")).train)
    assert torch.equal(found[0, 0], torch.from_numpy(VALUES.T * 0.5 - 3).float())


def test_a_fourth_axis_becomes_channels(tmp_path):
    values = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    found = rows_of(load_dataset(str(volume(tmp_path / "a.nii", values))).train)
    assert torch.equal(found[0], torch.from_numpy(values.T.copy()))
    vectors = values.reshape(2, 3, 4, 1, 5)
    assert torch.equal(rows_of(load_dataset(str(volume(tmp_path / "b.nii", vectors))).train)[0], found[0])
    alone = values[..., :1]
    assert load_dataset(str(volume(tmp_path / "c.nii", alone))).train.shape == (1, 4, 3, 2)


def test_folders_are_splits_and_classes(tmp_path):
    for number, place in enumerate(("train/ill/0", "train/well/0", "train/well/1", "test/well/0", "test/ill/0")):
        volume(tmp_path / "set" / f"{place}.nii.gz", np.full((2, 2, 2), number, np.uint8))
    for _ in range(2):  # read, then out of the cache
        dataset = load_dataset(str(tmp_path / "set"))
        assert (dataset.train.classes, dataset.train.labels.tolist()) == (("ill", "well"), [0, 1, 1])
        assert rows_of(dataset.train)[:, 0, 0, 0, 0].tolist() == [0, 1, 2]
        assert rows_of(dataset.test)[:, 0, 0, 0, 0].tolist() == [4, 3]
        assert dataset.test.labels.tolist() == [0, 1]


def test_sizes_and_spacings_that_differ(tmp_path):
    volume(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8))
    (tmp_path / "c.nrrd").touch()
    volume(tmp_path / "b.nii", np.ones((4, 5, 3), np.uint8), spacing=(1, 1, 2))
    with pytest.raises(
        ValueError, match=r"2 different sizes, from 3 x 5 x 4 \(.*b.nii\) to 4 x 4 x 4 \(.*a.nii\); crop"
    ):
        load_dataset(str(tmp_path))
    dataset = load_dataset(str(tmp_path), DataOptions(size=4))
    assert dataset.train.shape == (1, 4, 4, 4)
    assert dataset.description["left_out"] == "1 files that may be volumes: 1 ending in .nrrd"
    assert dataset.description["spacing_rule"] == "2 spacings, not resampled: 1 x 1 x 1 mm (1), 2 x 1 x 1 mm (1)"
    assert "(1 of 2 inputs cropped, 1 padded" in dataset.description["size_rule"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "b.nii: it is no NIfTI file that can be read; replace it"),
        (lambda path: path.write_bytes(b"no header" * 99), "b.nii: it is no NIfTI file that can be read"),
        (lambda path: volume(path, np.zeros((2, 3, 4), np.complex64)), "b.nii: it holds values of the type complex64"),
        (lambda path: volume(path, np.zeros((2, 3), np.uint8)), "b.nii: it has the shape 2 x 3; give volumes of three"),
        (lambda path: volume(path, np.zeros((2, 3, 4, 2, 2), np.uint8)), "b.nii: it has the shape 2 x 3 x 4 x 2 x 2"),
        (lambda path: volume(path, np.full((2, 3, 4), np.nan)), "b.nii: it has numbers that are NaN or infinite"),
        (lambda path: volume(path, np.zeros((2, 3, 4, 2), np.uint8)), "a.nii has 1 channels, .*b.nii has 2; give"),
        (lambda path: picture(path.with_suffix(".png")), "files of several kinds, 1 as a.nii and 1 as b.png; put each"),
    ],
)
def test_volumes_that_cannot_be_used(tmp_path, make, sentence):
    volume(tmp_path / "set" / "a.nii", VALUES)
    make(tmp_path / "set" / "b.nii")
    with pytest.raises(ValueError, match=sentence) as caught:
        load_dataset(str(tmp_path / "set"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_volume_cut_short(tmp_path, suffix):
    file = volume(tmp_path / f"a{suffix}", np.random.default_rng(0).normal(size=(9, 9, 9)))
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="it is no NIfTI file that can be read; replace it by a complete copy"):
        load_dataset(str(file))


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    volume(tmp_path / "a.nii", VALUES)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    sentence = 'NIfTI files are read by nibabel, which is not installed; pip install "deep-infomax[volumes]"'
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(str(tmp_path / "a.nii"))
