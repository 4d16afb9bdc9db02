"""DICOM series: exact values in the order of space, and the sentence each mistake gets."""

import re
import sys

import numpy as np
import pytest
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from deep_infomax.data import DataOptions, load_dataset

AXIAL = [1, 0, 0, 0, 1, 0]


def slice_file(path, values, place=None, series="1.2.3", number=None, direction=AXIAL, **tags):
    """A file with one slice, or several frames, or colours at the end of the shape."""
    values = np.asarray(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.SeriesInstanceUID = series
    data.SamplesPerPixel = 3 if tags.get("PhotometricInterpretation") == "RGB" else 1
    data.PhotometricInterpretation = "MONOCHROME2"
    sizes = values.shape[:-1] if data.SamplesPerPixel == 3 else values.shape
    data.Rows, data.Columns = sizes[-2:]
    if len(sizes) > 2:
        data.NumberOfFrames = sizes[0]
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = values.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelSpacing = [0.5, 0.25]
    if place is not None:
        data.ImageOrientationPatient, data.ImagePositionPatient = direction, [-10, -20, place]
    if number is not None:
        data.InstanceNumber = number
    for name, value in tags.items():
        setattr(data, name, value)
    data.PixelData = values.tobytes()
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    data.save_as(path, enforce_file_format=True)
    return path


def plane(number, kind=np.int16):
    return (np.arange(6).reshape(2, 3) + 10 * number).astype(kind)


def rows_of(source):
    return source.take(torch.arange(len(source)))


def test_slices_are_sorted_by_place_and_scaled(tmp_path):
    for name, place in enumerate((2.5, 0.0, 5.0)):
        slice_file(
            tmp_path / f"{name}.dcm", plane(name), place, number=9 - name, RescaleSlope=2, RescaleIntercept=-1024
        )
    for _ in range(2):  # read, then out of the cache
        dataset = load_dataset(str(tmp_path))
        assert (len(dataset.train), dataset.train.shape) == (1, (1, 3, 2, 3))
        expected = np.stack([plane(1), plane(0), plane(2)]).astype(np.float32) * 2 - 1024
        assert torch.equal(rows_of(dataset.train)[0, 0], torch.from_numpy(expected))
    assert dataset.description["spacing_rule"] == "2.5 x 0.5 x 0.25 mm"
    assert dataset.description["slices_rule"] == "sorted by place along the normal"
    assert dataset.description["scale_rule"] == "by the slope and intercept of each file"


def test_slices_along_an_oblique_normal(tmp_path):
    sagittal = [0, 1, 0, 0, 0, -1]  # its normal is (-1, 0, 0)
    for name, x in enumerate((1.0, 3.0, 2.0)):
        slice_file(tmp_path / f"{name}.dcm", plane(name), 0, direction=sagittal, ImagePositionPatient=[x, 0, 0])
    found = rows_of(load_dataset(str(tmp_path)).train)
    assert torch.equal(found[0, 0], torch.from_numpy(np.stack([plane(1), plane(2), plane(0)])).float())


def test_slices_without_places_are_sorted_by_number(tmp_path):
    for name, number in enumerate((3, 1, 20)):
        slice_file(tmp_path / f"{name}.dcm", plane(name), number=number)
    dataset = load_dataset(str(tmp_path))
    assert rows_of(dataset.train)[0, 0, :, 0, 0].tolist() == [10, 0, 20]
    assert dataset.description["slices_rule"] == "sorted by InstanceNumber"


def test_folders_are_series_splits_and_classes(tmp_path):
    for number, place in enumerate(("train/ill/p1", "train/well/p2", "train/well/p3", "test/ill/p4", "test/well/p5")):
        for position in (1, 0):
            # without an ending, as scanners write them
            file = tmp_path / "set" / place / f"IM{position}"
            slice_file(file, plane(number + position), position, series=f"1.{number}")
    (tmp_path / "set" / "readme").write_text("by hand")
    dataset = load_dataset(str(tmp_path / "set"))
    assert (dataset.train.classes, dataset.train.labels.tolist()) == (("ill", "well"), [0, 1, 1])
    assert rows_of(dataset.train)[:, 0, :, 0, 0].tolist() == [[0, 10], [10, 20], [20, 30]]
    assert rows_of(dataset.test)[:, 0, :, 0, 0].tolist() == [[30, 40], [40, 50]]


def test_several_series_in_one_folder_are_several_inputs(tmp_path):
    for number in range(6):
        for position in range(2):
            folder = tmp_path / "set" / "ab"[number % 2]
            slice_file(folder / f"{number}-{position}.dcm", plane(number), position, series=f"1.{number}")
    dataset = load_dataset(str(tmp_path / "set"))
    assert (len(dataset.train), len(dataset.test), dataset.train.classes) == (5, 1, ("a", "b"))
    whole = load_dataset(str(tmp_path / "set"), DataOptions(label_column="none")).train
    assert rows_of(whole)[:, 0, 0, 0, 0].tolist() == [0, 20, 40, 10, 30, 50]
    assert load_dataset(str(tmp_path / "set" / "a")).train.labels is None


def test_folders_of_patients_are_no_classes(tmp_path):
    for number, place in enumerate(("p1", "p2", "p2", "p3")):
        for position in range(2):
            slice_file(tmp_path / place / f"{number}-{position}.dcm", plane(number), position, series=f"1.{number}")
    dataset = load_dataset(str(tmp_path))
    assert (len(dataset.train), dataset.train.labels) == (4, None)


def test_single_slices_are_images(tmp_path):
    for number in range(3):
        slice_file(tmp_path / f"{number}.dcm", plane(number, np.uint8), series=f"1.{number}")
    dataset = load_dataset(str(tmp_path))
    assert (dataset.train.shape, rows_of(dataset.train).dtype) == ((1, 2, 3), torch.uint8)
    assert rows_of(dataset.train)[:, 0].tolist() == [plane(number).tolist() for number in range(3)]
    assert dataset.description["spacing_rule"] == "0.5 x 0.25 mm"


def test_frames_colours_and_white_as_zero(tmp_path):
    frames = np.stack([plane(0), plane(1), plane(2), plane(3)])
    found = rows_of(load_dataset(str(slice_file(tmp_path / "frames.dcm", frames))).train)
    assert torch.equal(found[0, 0], torch.from_numpy(frames).float())
    colours = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    file = slice_file(tmp_path / "colours.dcm", colours, PhotometricInterpretation="RGB")
    assert torch.equal(rows_of(load_dataset(str(file)).train)[0], torch.from_numpy(colours).movedim(-1, 0))
    for kind, bits, top in ((np.uint8, 8, 255), (np.uint16, 12, 4095), (np.int16, 16, -1)):
        tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": bits, "HighBit": bits - 1}
        file = slice_file(tmp_path / f"white-{bits}.dcm", plane(1, kind), **tags)
        dataset = load_dataset(str(file))
        assert rows_of(dataset.train)[0, 0].tolist() == (top - plane(1, np.int32)).tolist()
        assert dataset.description["inverted_rule"] == "1 of 1 files count from white and were turned round"


def test_uneven_gaps_are_told(tmp_path):
    for number, place in enumerate((0, 1, 2, 4)):
        slice_file(tmp_path / f"{number}.dcm", plane(number), place)
    assert load_dataset(str(tmp_path)).description["gaps_rule"] == "1 of 1 series have uneven gaps between slices"


def two(first, second):
    def make(folder):
        slice_file(folder / "a.dcm", plane(0), **first)
        slice_file(folder / "b.dcm", second.pop("values", plane(1)), **second)

    return make


def cut_short(folder):
    file = slice_file(folder / "a.dcm", np.zeros((40, 40), np.int16), 0)
    file.write_bytes(file.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: (folder / "a.dcm").write_bytes(b"no header"), "a.dcm: it is no DICOM file that can be read"),
        (lambda folder: (folder / "a.dcm").write_bytes(b""), "a.dcm: it is no DICOM file that can be read; replace it"),
        (two({"place": 0}, {"place": 0}), "a.dcm and .*b.dcm of one series have the same place along the normal; put"),
        (two({"number": 1}, {"number": 1}), "have the same InstanceNumber; put each stack of slices"),
        (two({}, {}), "have neither positions nor numbers"),
        (two({"place": 0}, {"place": 1, "values": np.zeros((5, 3), np.int16)}), "has the size 2 x 3, .*b.dcm .* 5 x 3"),
        (
            two({"place": 0}, {"place": 1, "direction": [0, 1, 0, 0, 0, 1]}),
            "lie in different directions; put each stack",
        ),
        (
            two({}, {"PhotometricInterpretation": "PALETTE COLOR"}),
            "b.dcm: it has pixels of the kind PALETTE COLOR with",
        ),
        (cut_short, "the pixels of a.dcm are damaged or cut short; replace it by a complete copy"),
    ],
)
def test_series_that_cannot_be_used(tmp_path, make, sentence):
    (tmp_path / "set").mkdir()
    make(tmp_path / "set")
    with pytest.raises(ValueError, match=sentence) as caught:
        load_dataset(str(tmp_path / "set"))
    assert "\n" not in str(caught.value)


def test_pixels_that_need_another_decoder(tmp_path):
    import pydicom

    file = slice_file(tmp_path / "a.dcm", plane(0, np.uint8), 0)
    data = pydicom.dcmread(file)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    data["PixelData"].is_undefined_length = True
    data.save_as(file)
    with pytest.raises(
        ValueError, match=r"pixels of a.dcm are compressed \(JPEG Baseline.*\) and cannot be decoded; save"
    ):
        load_dataset(str(file))


def test_a_file_without_pixels(tmp_path):
    import pydicom

    file = slice_file(tmp_path / "a.dcm", plane(0), 0)
    data = pydicom.dcmread(file)
    del data.PixelData, data.Rows
    data.save_as(file)
    with pytest.raises(ValueError, match=r"a.dcm: it has no pixels \(no Rows and Columns\)"):
        load_dataset(str(file))


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    slice_file(tmp_path / "a.dcm", plane(0), 0)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    sentence = 'DICOM files are read by pydicom, which is not installed; pip install "deep-infomax[volumes]"'
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_dataset(str(tmp_path / "a.dcm"))
