"""Image files of every depth, with every number of bands and frames: their values are those that were stored."""

import io
import re
import struct
from fractions import Fraction

import numpy as np
import pytest
import torch
from data_helpers import png, png_chunk, png_file
from PIL import Image

from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.data.description import lines, same_data
from deep_infomax.data.encoded import EncodedImage
from deep_infomax.data.pictures import opened, quiet
from deep_infomax.data.survey import Survey

RAMP = (np.add.outer(np.arange(5) * 40, np.arange(6) * 7)).astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], 255 - RAMP], axis=-1)
DEEP = RAMP.astype(np.uint16) * 257 - (RAMP > 0)  # which 8 bits cannot hold


def read(folder, **options):
    dataset = load_dataset(str(folder), DataOptions(**options))
    stored = np.asarray(dataset.train.inputs)
    taken = dataset.train.take(torch.arange(len(dataset.train)))
    np.testing.assert_allclose(taken.numpy(), stored.astype(np.float64), rtol=1e-7)
    return stored, dataset.description


def write(folder, *images, suffix="png", **options):
    folder.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(folder / f"{number}.{suffix}", **options)
    return folder


def tiff(folder, *arrays, **options):
    tifffile = pytest.importorskip("tifffile")
    folder.mkdir(exist_ok=True)
    for number, array in enumerate(arrays):
        tifffile.imwrite(folder / f"{number}.tif", array, **options)
    return folder


# Depth


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_stay_as_they_are(tmp_path, suffix):
    folder = tmp_path / "deep"
    if suffix == "pgm":  # which Pillow writes since version 11
        folder.mkdir()
        (folder / "0.pgm").write_bytes(b"P5 6 5 65535\n" + DEEP.astype(">u2").tobytes())
    else:
        write(folder, DEEP, suffix=suffix)
    stored, description = read(folder)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored[0, 0], DEEP)
    assert description["depth_rule"] == "uint16 as stored"


@pytest.mark.parametrize("kind", ["int16", "int32", "float32", "uint32", "int8", "float64", "float16"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_files_of_every_type_stay_as_they_are(tmp_path, kind, byteorder):
    values = (RAMP.astype(np.float64) / 2 - 20 if kind.startswith("float") else RAMP.astype(np.int64) - 100).astype(
        kind
    )
    stored, description = read(tiff(tmp_path / "deep", values, byteorder=byteorder))
    assert stored.dtype == ("float32" if kind == "float16" else kind)
    np.testing.assert_array_equal(stored[0, 0], values)
    assert description["depth_rule"] == f"{stored.dtype} as stored"


@pytest.mark.parametrize(
    "options",
    [
        {"bigtiff": True},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": "zstd"},
        {"tile": (16, 16)},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib"},
        {"photometric": "minisblack", "planarconfig": "contig"},
    ],
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tiff_files_of_every_arrangement(tmp_path, options, kind):
    values = COLOURS.astype(kind) * np.array(np.iinfo(kind).max // 255, kind)
    ordered = values.transpose(2, 0, 1) if options.get("planarconfig") == "separate" else values
    stored, _ = read(tiff(tmp_path / "set", ordered, **{"photometric": "rgb", **options}), channels=3)
    assert stored.dtype == kind
    np.testing.assert_array_equal(stored[0], values.transpose(2, 0, 1))


def test_white_at_zero_is_turned_round_at_every_depth(tmp_path):
    for kind in (np.uint8, np.uint16):
        folder = tiff(tmp_path / np.dtype(kind).name, RAMP.astype(kind), photometric="miniswhite")
        np.testing.assert_array_equal(read(folder)[0][0, 0], np.iinfo(kind).max - RAMP.astype(kind))


def test_numbers_of_a_portable_map_are_not_stretched(tmp_path):
    twelve = np.arange(12, dtype=np.uint16).reshape(2, 6) * 300
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "a.pgm").write_bytes(b"P5\n6 2\n4095\n" + twelve.astype(">u2").tobytes())
    (tmp_path / "maps" / "b.pgm").write_bytes(b"P2\n6 2\n4095\n" + " ".join(map(str, twelve.ravel())).encode())
    np.testing.assert_array_equal(read(tmp_path / "maps")[0][:, 0], np.stack([twelve] * 2))
    (tmp_path / "colours").mkdir()
    (tmp_path / "colours" / "a.ppm").write_bytes(b"P6\n2 2\n4095\n" + twelve.astype(">u2").tobytes())
    np.testing.assert_array_equal(read(tmp_path / "colours")[0][0], twelve.reshape(2, 2, 3).transpose(2, 0, 1))


@pytest.mark.parametrize("bands", [2, 3, 4])
def test_png_files_of_sixteen_bits_a_channel(tmp_path, bands):
    values = np.stack([DEEP, DEEP[::-1], DEEP // 2, np.full_like(DEEP, 65535)], axis=-1)
    values = values[..., [0, 3]] if bands == 2 else values[..., :bands]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_bytes(png(values))
    stored, description = read(tmp_path / "deep")
    colours = values[..., : 1 if bands == 2 else 3]
    np.testing.assert_array_equal(stored[0], colours.transpose(2, 0, 1))
    assert "alpha_rule" not in description  # nothing is transparent


@pytest.mark.parametrize("codec", ["jpeg2k", "avif"])
def test_deep_images_of_other_formats_whatever_their_name(tmp_path, codec):
    codecs = pytest.importorskip("imagecodecs")
    if codec == "avif" and ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow knows no AVIF")
    values = np.stack([np.kron(DEEP // 64, np.ones((4, 4), np.uint16))] * 3, axis=-1)
    options = {"level": 0} if codec == "jpeg2k" else {"level": 100, "bitspersample": 10}
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_bytes(getattr(codecs, f"{codec}_encode")(values, **options))
    stored, _ = read(tmp_path / "deep")
    assert (stored.dtype, stored.shape) == (np.uint16, (1, 3, 20, 24))
    np.testing.assert_allclose(stored[0].transpose(1, 2, 0), values, atol=0 if codec == "jpeg2k" else 12)


def test_an_extra_that_is_missing_is_named(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_bytes(png(np.stack([DEEP] * 3, axis=-1)))
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    with pytest.raises(ValueError, match=r'a.png holds more than 8 bits.*pip install "deep-infomax\[images\]"$'):
        load_dataset(str(tmp_path / "deep"), DataOptions(skip_damaged=True))


def test_values_far_from_zero_keep_their_differences(tmp_path):
    values = RAMP.astype(np.int32) + 2**30
    folder = write(tmp_path / "counts", values, suffix="tif")
    for _ in range(2):  # decoded, and from the cache
        dataset = load_dataset(str(folder))
        np.testing.assert_array_equal(dataset.train.take(torch.tensor([0]))[0, 0].numpy(), values)
    assert dataset.description["precision_rule"].startswith("float64")


def test_depths_are_not_mixed(tmp_path):
    with pytest.raises(ValueError, match=r"several depths, uint8 \(2, as .*0.png\), uint16 \(1, as .*2.png\)"):
        load_dataset(str(write(tmp_path / "mixed", RAMP, COLOURS, DEEP)))


def test_one_bit_is_black_and_white_among_bytes(tmp_path):
    stored, description = read(write(tmp_path / "bits", RAMP > 100, RAMP))
    np.testing.assert_array_equal(stored[:, 0], np.stack([(RAMP > 100) * np.uint8(255), RAMP]))
    assert description["depth_rule"] == "uint8 as stored"


def test_deep_images_are_resized_in_float32_by_area(tmp_path):
    values = np.arange(64, dtype=np.int32).reshape(8, 8) * 1000 - 20_000
    stored, description = read(write(tmp_path / "deep", values, suffix="tif"), resize=8, crop=4)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored[0, 0], values[2:6, 2:6])
    halved = read(tmp_path / "deep", resize=4)[0][0, 0, 1:3, 1:3]
    weights = np.array([1, 3, 3, 1]) / 8  # a triangle over two steps of the coarse grid
    rows = np.stack([np.r_[np.zeros(2 * i + 1), weights, np.zeros(3 - 2 * i)] for i in (0, 1)])
    np.testing.assert_allclose(halved, rows @ values @ rows.T, rtol=1e-6)
    assert description["depth_rule"] == "int32 as stored, resized in float32"


# What viewers do


def test_orientation_is_honoured(tmp_path):
    seen = Image.fromarray(COLOURS)
    stored_as = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    for suffix in ("png", "tif", "webp"):
        folder = tmp_path / suffix
        folder.mkdir()
        for tag, turn in stored_as.items():
            exif = Image.Exif()
            exif[0x0112] = tag
            image = seen if turn is None else seen.transpose(turn)
            image.save(folder / f"{tag}.{suffix}", exif=exif, **({"lossless": True} if suffix == "webp" else {}))
        stored, description = read(folder)
        for image in stored:
            np.testing.assert_array_equal(image, COLOURS.transpose(2, 0, 1))
        assert description["orientation_rule"] == "7 of 8 images turned upright by their tag"


def test_orientation_after_the_pixels_and_of_deep_images(tmp_path):
    content = png(np.stack([DEEP] * 3, axis=-1))
    exif = Image.Exif()
    exif[0x0112] = 6
    chunk = png_chunk(b"eXIf", exif.tobytes()[6:])
    for name, pixels in (("deep", content), ("flat", png(COLOURS))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(pixels[:-12] + chunk + pixels[-12:])
        stored, _ = read(tmp_path / name)
        values = np.stack([DEEP] * 3, axis=-1) if name == "deep" else COLOURS
        np.testing.assert_array_equal(stored[0], np.rot90(values, -1).transpose(2, 0, 1))


def over_white(colour: int, alpha: int, white: int) -> int:
    """What a viewer with a white page shows, in exact arithmetic."""
    return round(Fraction(alpha, white) * int(colour) + (1 - Fraction(alpha, white)) * white)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composed_over_white(tmp_path, mode):
    values = np.concatenate([COLOURS, RAMP.T.reshape(5, 6, 1)], axis=-1)
    values = values if mode == "RGBA" else values[..., [0, 3]]
    stored, description = read(write(tmp_path / "glass", Image.fromarray(values, mode)))
    colours = values.shape[-1] - 1
    expected = [[[over_white(c, pixel[-1], 255) for c in pixel[:-1]] for pixel in row] for row in values.astype(int)]
    np.testing.assert_array_equal(stored[0], np.array(expected).transpose(2, 0, 1))
    assert stored.shape[1] == colours
    assert description["alpha_rule"] == "1 of 1 images transparent, laid over white"


def test_deep_alpha_is_composed_over_the_white_of_its_depth(tmp_path):
    values = np.stack([DEEP, DEEP[::-1], DEEP, DEEP.T.reshape(5, 6)], axis=-1)
    (tmp_path / "glass").mkdir()
    (tmp_path / "glass" / "a.png").write_bytes(png(values))
    expected = [[[over_white(c, int(pixel[-1]), 65535) for c in pixel[:-1]] for pixel in row] for row in values]
    np.testing.assert_array_equal(read(tmp_path / "glass")[0][0], np.array(expected).transpose(2, 0, 1))


def test_hidden_colours_and_their_grey_do_not_enter(tmp_path):
    hidden = np.concatenate([COLOURS, np.zeros((5, 6, 1), np.uint8)], axis=-1)
    folder = write(tmp_path / "hidden", hidden)
    assert read(folder)[0].min() == 255
    assert read(folder, channels=1)[0].min() == 255
    np.testing.assert_array_equal(read(folder, channels=4)[0][0], hidden.transpose(2, 0, 1))


def test_transparent_palettes_and_colours_become_white(tmp_path):
    palette = Image.fromarray(RAMP // 64, "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    colours = np.array([[255, 255, 255], [40, 50, 60], [70, 80, 90], [100, 110, 120]], np.uint8)
    for suffix in ("png", "gif"):
        folder = write(tmp_path / suffix, palette, suffix=suffix, transparency=0)
        np.testing.assert_array_equal(read(folder)[0][0], colours[RAMP // 64].transpose(2, 0, 1))
    for name, values in (("grey", RAMP), ("deep", DEEP)):
        folder = write(tmp_path / name, values, transparency=int(values[2, 3]))
        expected = np.where(values == values[2, 3], np.iinfo(values.dtype).max, values)
        np.testing.assert_array_equal(read(folder)[0][0, 0], expected)


def test_a_transparent_grey_of_few_bits(tmp_path):
    (tmp_path / "few").mkdir()
    key = png_chunk(b"tRNS", struct.pack(">H", 3))
    (tmp_path / "few" / "a.png").write_bytes(png_file(4, 1, 4, 0, b"\0\x01\x23", key))  # 0, 1, 2 and 3 of 15
    assert read(tmp_path / "few")[0].ravel().tolist() == [0, 17, 34, 255]


def test_the_preview_of_a_photograph_is_no_frame(tmp_path):
    preview = Image.fromarray(np.zeros((2, 2, 3), np.uint8))
    folder = write(tmp_path / "phone", COLOURS, suffix="mpo", save_all=True, append_images=[preview], quality=95)
    stored, description = read(folder)
    with Image.open(folder / "0.mpo") as image:
        np.testing.assert_array_equal(stored[0].transpose(1, 2, 0), np.asarray(image))
    assert "frames_rule" not in description


def test_inks_become_colours_unless_they_are_asked_for(tmp_path):
    inks = np.concatenate([COLOURS, RAMP.T.reshape(5, 6, 1)], axis=-1)
    folder = write(tmp_path / "inks", Image.fromarray(inks, "CMYK"), suffix="tif")
    paper = (255 - inks.astype(int)) / 255
    np.testing.assert_allclose(read(folder)[0][0], (paper[..., :3] * paper[..., 3:] * 255).transpose(2, 0, 1), atol=1)
    stored, description = read(folder, channels=4)
    np.testing.assert_array_equal(stored[0], inks.transpose(2, 0, 1))
    assert description["channels_rule"] == "4 bands as stored"


def test_lab_becomes_the_colours_of_srgb(tmp_path):
    lab = np.array([[[255, 0, 0], [128, 0, 0], [138, 81, 70], [0, 0, 0]]], np.uint8)  # L of 255; a and b with a sign
    (tmp_path / "lab").mkdir()
    Image.fromarray(lab, "LAB").save(tmp_path / "lab" / "a.tif")
    white, grey, red, black = read(tmp_path / "lab")[0][0, :, 0].T.tolist()
    np.testing.assert_allclose([white, black], [[255] * 3, [0] * 3], atol=1)
    assert np.ptp(grey) <= 2
    assert abs(grey[0] - 119) <= 2  # the grey of L = 50 in sRGB
    assert np.abs(np.subtract(red, [254, 0, 0])).max() <= 12  # of L = 54, a = 81, b = 70


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_grey_of_colours_is_their_luminance(tmp_path, kind):
    (tmp_path / "colours").mkdir()
    (tmp_path / "colours" / "a.png").write_bytes(png(COLOURS.astype(kind) * (np.iinfo(kind).max // 255)))
    luminance = COLOURS @ np.array([0.299, 0.587, 0.114]) * (np.iinfo(kind).max // 255)
    np.testing.assert_allclose(read(tmp_path / "colours", channels=1)[0][0, 0], luminance, atol=0.51)


# Bands and frames


def test_bands_that_are_no_colours_are_asked_for(tmp_path):
    bands = np.stack([RAMP + i for i in range(5)], axis=-1)
    folder = tiff(tmp_path / "bands", bands, bands[::-1], photometric="minisblack", planarconfig="contig")
    with pytest.raises(ValueError, match=r"0.tif has 5 bands that are no colours; set `data_options.channels` to 5"):
        load_dataset(str(folder))
    with pytest.raises(ValueError, match=r"`data_options.channels` is 3, but the image .*0.tif has 5 bands"):
        load_dataset(str(folder), DataOptions(channels=3))
    stored, description = read(folder, channels=5)
    np.testing.assert_array_equal(stored[0], bands.transpose(2, 0, 1))
    assert description["channels_rule"] == "5 bands as stored"


def test_pillow_says_nothing_of_bands_that_are_read(tmp_path, caplog):
    bands = np.stack([RAMP + i for i in range(13)], axis=-1)
    read(tiff(tmp_path / "bands", bands, photometric="minisblack", planarconfig="contig"), channels=13)
    assert caplog.records == []


def test_infrared_beside_colours_is_no_alpha(tmp_path):
    values = np.concatenate([COLOURS, RAMP[..., None]], axis=-1)
    folder = tiff(tmp_path / "air", values, photometric="rgb", extrasamples=["unspecified"])
    with pytest.raises(ValueError, match=r"0.tif has 4 bands that are no colours"):
        load_dataset(str(folder))
    np.testing.assert_array_equal(read(folder, channels=4)[0][0], values.transpose(2, 0, 1))


FRAMES = [np.full((5, 6), value, np.uint8) for value in (0, 100, 200)]


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_frames_are_refused_until_it_is_said_what_they_are(tmp_path, suffix):
    first, *others = [Image.fromarray(frame) for frame in FRAMES]
    options = {"lossless": True} if suffix == "webp" else {}
    folder = write(tmp_path / "film", first, first, suffix=suffix, save_all=True, append_images=others, **options)
    with pytest.raises(ValueError, match=r"2 images have several frames, as .*0\.\w+ has 3; set `data_options.frames`"):
        load_dataset(str(folder))
    assert read(folder, frames="first", channels=1)[0].max() == 0
    channels, description = read(folder, frames="channels", channels=1)
    np.testing.assert_array_equal(channels[1], np.stack(FRAMES))
    assert description["frames_rule"] == "3 frames as channels"
    depth, _ = read(folder, frames="depth", channels=1)
    np.testing.assert_array_equal(depth[1, 0], np.stack(FRAMES))
    assert read(folder, frames="depth", channels=1, resize=4, crop=2)[0].shape == (2, 1, 3, 2, 2)


def test_numbers_of_frames_that_differ_are_refused(tmp_path):
    first, *others = [Image.fromarray(frame) for frame in FRAMES]
    folder = write(tmp_path / "film", first, suffix="tif", save_all=True, append_images=others)
    first.save(folder / "still.png")
    with pytest.raises(ValueError, match=r"0.tif has 3 frames, .*still.png 1"):
        load_dataset(str(folder), DataOptions(frames="channels"))
    assert len(read(folder, frames="first")[0]) == 2


def test_frames_of_several_sizes_or_depths_are_refused(tmp_path):
    small = Image.fromarray(RAMP[:3])
    folder = write(tmp_path / "sizes", RAMP, suffix="tif", save_all=True, append_images=[small])
    with pytest.raises(ValueError, match=r"0.tif has a frame of another size"):
        load_dataset(str(folder), DataOptions(frames="channels"))
    deep = Image.fromarray(DEEP)
    folder = write(tmp_path / "depths", RAMP, suffix="tif", save_all=True, append_images=[deep])
    with pytest.raises(ValueError, match=r"0.tif has pages of different kinds"):
        load_dataset(str(folder), DataOptions(frames="channels"))


def test_smaller_copies_of_a_page_are_no_frames(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    for name, values in (("flat", RAMP), ("deep", np.stack([DEEP] * 3, axis=-1))):
        (tmp_path / name).mkdir()
        with tifffile.TiffWriter(tmp_path / name / "a.tif") as file:
            file.write(values)
            file.write(values[::2, ::2], subfiletype=1)
        np.testing.assert_array_equal(read(tmp_path / name)[0][0].transpose(1, 2, 0).squeeze(), values)


# What is damaged, or pretends to be large


def test_damaged_images_are_left_out_with_their_labels_when_asked(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        folder = write(tmp_path / label, *rng.integers(0, 256, (20, 9, 9), dtype=np.uint8))
        for number in (3, 4) if label == "a" else (19,):
            (folder / f"{number}.png").write_bytes((folder / f"{number}.png").read_bytes()[: 20 * number % 80])
    with pytest.raises(ValueError, match=r"a/4.png: .*`data_options.skip_damaged` to true"):
        load_dataset(str(tmp_path))
    dataset = load_dataset(str(tmp_path), DataOptions(skip_damaged=True))
    assert dataset.description["damaged_rule"] == "3 of 40 images damaged and left out: a/3.png, a/4.png, b/19.png"
    assert (dataset.train.labels.bincount() + dataset.test.labels.bincount()).tolist() == [18, 19]
    kept = [path for path in sorted(tmp_path.rglob("*.png")) if path.stat().st_size > 80]
    (parts,) = [dataset.stored["train"]]
    rows = {int(row): source.take(torch.tensor([i]))[0, 0] for source, index in parts for i, row in enumerate(index)}
    for row, path in enumerate(kept):
        np.testing.assert_array_equal(rows[row], np.asarray(Image.open(path)))


def test_a_run_on_images_that_were_read_as_bytes_does_not_go_on_with_others(tmp_path):
    grey = read(write(tmp_path / "grey", RAMP))[1]
    before = {name: value for name, value in grey.items() if name != "depth_rule"}  # as 0.1 described them
    assert same_data(before, grey)
    for name, image in (("deep", DEEP), ("glass", Image.fromarray(np.stack([RAMP, RAMP], -1), "LA"))):
        found = read(write(tmp_path / name, image))[1]
        before = {name: found[name] for name in before if name in found}
        assert not same_data(before, found)
        assert same_data(found, found)


def test_many_damaged_images_are_kept_in_the_run_and_told_in_short(tmp_path):
    folder = write(tmp_path / "many", RAMP)
    for number in range(100):
        (folder / f"damaged-{number:03}.png").write_bytes(b"")
    description = read(folder, skip_damaged=True)[1]
    assert description["damaged_rule"].endswith("many/damaged-099.png")
    (told,) = [line for line in lines(description) if "damaged" in line]
    assert len(told) < 600
    assert "100 of 101 images damaged" in told


def test_data_of_damaged_images_alone_are_refused(tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"all 1 images are damaged, as all/a.png; give others"):
        load_dataset(str(tmp_path / "all"), DataOptions(skip_damaged=True))


def test_sound_images_are_read_alike_when_damaged_ones_would_be_left_out(tmp_path):
    folder = write(tmp_path / "sound", RAMP, RAMP.T.copy().reshape(5, 6))
    stored, description = read(folder)
    again, others = read(folder, skip_damaged=True)
    np.testing.assert_array_equal(stored, again)
    assert description == others


def test_an_image_beyond_the_limit_gets_one_sentence_and_large_ones_no_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    folder = write(tmp_path / "large", RAMP, RAMP)  # 30 pixels: Pillow would warn
    assert len(read(folder)[0]) == 2
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"0.png: it has more than 20 pixels, which are taken for an attack"):
        load_dataset(str(folder), DataOptions(resize=4))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    film = write(tmp_path / "film", RAMP, suffix="tif", save_all=True, append_images=[Image.fromarray(RAMP)] * 2)
    with pytest.raises(ValueError, match=r"0.tif: it has 5 x 6 pixels in 3 frames"):
        load_dataset(str(film), DataOptions(frames="channels"))


def test_pages_in_a_circle_are_refused_at_once(tmp_path):
    folder = tiff(tmp_path / "circle", np.stack([np.stack([DEEP] * 3, axis=-1)] * 2), photometric="rgb", metadata=None)
    content = bytearray((folder / "0.tif").read_bytes())
    start = struct.unpack_from("<I", content, 4)[0]
    tags = struct.unpack_from("<H", content, start)[0]
    second = struct.unpack_from("<I", content, start + 2 + 12 * tags)[0]
    tags = struct.unpack_from("<H", content, second)[0]
    assert struct.unpack_from("<I", content, second + 2 + 12 * tags) == (0,)
    struct.pack_into("<I", content, second + 2 + 12 * tags, start)
    (folder / "0.tif").write_bytes(content)
    with pytest.raises(ValueError, match=r"0.tif: its pages follow one another in a circle"):
        load_dataset(str(folder))


def refusal(image):
    try:
        with quiet():
            Survey().add(image)
            with opened(image) as picture:
                picture.frame(0, stored=False)
    except ValueError as error:
        return str(error)


def test_images_with_random_damage_are_read_or_refused_in_one_sentence():
    rng = np.random.default_rng(0)
    files = [png(COLOURS), png(np.stack([DEEP] * 3, axis=-1))]
    for suffix in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "TGA", "PPM"):
        file = io.BytesIO()
        Image.fromarray(COLOURS).save(file, suffix)
        files.append(file.getvalue())
    refused = 0
    for _ in range(300):
        content = bytearray(files[rng.integers(len(files))])
        places = rng.integers(len(content), size=3)
        content[places[0]], content[places[1] % 60] = rng.integers(256, size=2)
        content = content[: places[2]] if rng.random() < 0.3 else content
        image = EncodedImage("it", bytes(content))
        sentence = refusal(image)
        assert sentence is None or re.fullmatch("(the image it |cannot decode the image it: ).*", sentence)
        refused += sentence is not None
    assert 50 < refused < 300
