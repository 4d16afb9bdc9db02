"""Images in tar and parquet files, read as a stream: the values, labels and splits of the ordinary readers."""

import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from data_helpers import content, image, labelled, parquet, picture, tar
from PIL import Image

from deep_infomax.data import Batches, DataOptions, fingerprint, load_dataset, shards, statistics, tars
from deep_infomax.data.stored import StoredFile

STREAM = DataOptions(stream=True)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_INFOMAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tarred(tmp_path):
    """A folder with two shards to train on and one to test on, of 30 inputs."""
    folder = tmp_path / "birds"
    for name, numbers in (("train-0", range(12)), ("train-1", range(12, 22)), ("test-0", range(22, 30))):
        tar(folder / f"{name}.tar", labelled(numbers))
    return folder


@pytest.fixture
def tabled(tmp_path):
    """A parquet file of three row groups, of 20 inputs, without a test part."""
    rows = {
        "image": [{"bytes": content(n), "path": f"{n}.png"} for n in range(20)],
        "label": [n % 2 for n in range(20)],
    }
    file = parquet(tmp_path / "set" / "all.parquet", rows)
    pq.write_table(pq.read_table(file), file, row_group_size=8)
    return file


def assert_same(streamed, plain):
    """Both have the same values, labels and files in the same order."""
    for part in ("train", "test", "unlabelled"):
        one, other = getattr(streamed, part), getattr(plain, part)
        assert (one is None) == (other is None)
        if one is None:
            continue
        rows = torch.arange(len(other))
        assert torch.equal(one.take(rows), other.take(rows))
        assert one.take(rows).dtype == other.take(rows).dtype
        assert (one.labels is None and other.labels is None) or torch.equal(one.labels, other.labels)
        assert (one.classes, one.split, one.shape) == (other.classes, other.split, other.shape)
        assert (one.files and one.files()) == (other.files and other.files())
    differing = {"stream_rule", "alpha_rule"}
    for one, other in ((streamed, plain), (plain, streamed)):
        assert {k: v for k, v in one.description.items() if k not in differing}.items() <= other.description.items()


# The same as without a stream


def test_tar_files_are_read_as_a_stream_and_without(tarred):
    streamed, plain = (load_dataset(str(tarred), DataOptions(stream=stream)) for stream in (True, False))
    assert_same(streamed, plain)
    assert len(streamed.train) == 22
    assert streamed.train.classes == ("0", "1", "2")
    for row in (0, 13, 21):
        assert np.array_equal(streamed.train.take(torch.tensor([row]))[0].permute(1, 2, 0), np.asarray(image(row)))
    assert streamed.train.files()[12] == "train-1.tar/0012.png"
    assert streamed.description["label_rule"] == "column cls"


def test_a_tar_file_has_the_values_of_a_folder_of_the_same_files(tmp_path):
    members = {f"{n:03}.jpg": content(n, kind="JPEG", size=(9 + n, 12)) for n in range(8)}
    tar(tmp_path / "a.tar", members)
    for name, data in members.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    for options in ({"resize": 8}, {"crop": 7}, {"resize": 9, "crop": 5}, {"channels": 1, "resize": 8}):
        streamed = load_dataset(str(tmp_path / "a.tar"), DataOptions(stream=True, **options))
        folder = load_dataset(str(tmp_path / "folder"), DataOptions(**options))
        assert torch.equal(streamed.train.take(torch.arange(8)), folder.train.take(torch.arange(8)))
        assert streamed.description["size_rule"] == folder.description["size_rule"]


def test_parquet_files_are_read_as_a_stream_and_without(tabled):
    for spec in (tabled, tabled.parent):
        streamed, plain = (load_dataset(str(spec), DataOptions(stream=stream)) for stream in (True, False))
        assert_same(streamed, plain)
        assert streamed.test is not None  # held out by class, of the same shards
        assert torch.equal(streamed.held_out, plain.held_out)


def test_columns_splits_and_names_of_classes_are_found_alike(tmp_path):
    features = {"image": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["ant", "bee"]}}
    for name, numbers in (("train-0", range(6)), ("train-1", range(6, 10)), ("validation", range(10, 14))):
        rows = {"image": [{"bytes": content(n), "path": None} for n in numbers], "kind": [n % 2 for n in numbers],
                "age": list(numbers)}  # fmt: skip
        parquet(tmp_path / "set" / f"{name}.parquet", rows, features)
    streamed, plain = (load_dataset(str(tmp_path / "set"), DataOptions(stream=stream)) for stream in (True, False))
    assert_same(streamed, plain)
    assert streamed.train.classes == ("ant", "bee")


def test_images_of_16_bits_with_alpha_and_turned_ones_are_read_alike(tmp_path):
    deep = [Image.fromarray(np.random.default_rng(n).integers(0, 2**16, (5, 5), np.uint16)) for n in range(4)]
    members, folder = {}, tmp_path / "folder"
    for n, picture_ in enumerate(deep):
        file = io.BytesIO()
        picture_.save(file, "PNG")
        members[f"{n}.png"] = file.getvalue()
    tar(tmp_path / "deep.tar", members)
    assert_same(*(load_dataset(str(tmp_path / "deep.tar"), DataOptions(stream=stream)) for stream in (True, False)))
    clear = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 5, 4), np.uint8))
    file = io.BytesIO()
    clear.save(file, "PNG")
    tar(folder / "clear.tar", {"0.png": file.getvalue(), "1.png": content(1, (5, 5))})
    streamed, plain = (load_dataset(str(folder), DataOptions(stream=stream)) for stream in (True, False))
    assert_same(streamed, plain)
    assert streamed.description["alpha_rule"] == "1 of 2 images have transparency, laid over white"


def test_grey_and_colour_images_become_colour(tmp_path):
    tar(tmp_path / "mixed.tar", {"0.png": content(0, colours=1), "1.png": content(1)})
    streamed = load_dataset(str(tmp_path / "mixed.tar"), STREAM)
    assert streamed.train.shape == (3, 6, 6)
    assert torch.equal(streamed.train.take(torch.tensor([0]))[0, 0], streamed.train.take(torch.tensor([0]))[0, 2])


def test_labels_of_json_and_text_are_read(tmp_path):
    members = {}
    for n in range(6):
        members[f"a/{n}.input.png"] = content(n)
        members[f"a/{n}.json"] = json.dumps({"class": "cat" if n % 2 else "dog", "width": 6 + n // 2}).encode()
        members[f"a/{n}.txt"] = b"a caption"
    streamed = load_dataset(str(tar(tmp_path / "x.tar", members)), STREAM)
    assert streamed.train.classes == ("cat", "dog")
    assert streamed.description["label_rule"] == "column class; not read: txt"
    other = load_dataset(str(tmp_path / "x.tar"), DataOptions(stream=True, label_column="width"))
    assert other.train.classes == ("6", "7", "8")
    none = load_dataset(str(tmp_path / "x.tar"), DataOptions(stream=True, label_column="none"))
    assert none.train.labels is None


def test_damaged_images_are_left_out_alike(tmp_path):
    members = labelled(range(12))
    members["0003.png"] = members["0003.png"][:60]
    del members["0007.png"]
    tar(tmp_path / "torn.tar", members)
    with pytest.raises(ValueError, match=r"torn.tar: cannot decode the image torn.tar/0007: there is no image; remove"):
        load_dataset(str(tmp_path / "torn.tar"), STREAM)
    streamed, plain = (
        load_dataset(str(tmp_path / "torn.tar"), DataOptions(stream=stream, skip_damaged=True))
        for stream in (True, False)
    )
    assert_same(streamed, plain)
    assert streamed.description["damaged_rule"] == (
        "2 of 12 images damaged and left out: torn.tar/0003.png, torn.tar/0007"
    )


def test_an_image_damaged_behind_its_header_ends_a_training_with_its_name(tmp_path):
    members = labelled(range(8))
    members["0003.png"] = members["0003.png"][:60]
    source = load_dataset(str(tar(tmp_path / "torn.tar", members)), DataOptions(stream=True, label_column="none")).train
    with pytest.raises(ValueError, match=r"cannot decode the image torn.tar/0003.png"):
        Batches(source, 8, 0, "cpu", resident_bytes=0).batch(0)


def test_options_that_choose_and_crop_inputs_hold_for_a_stream(tarred):
    for options in ({"train_inputs": 9}, {"held_out": 6}, {"random_crop": 4}, {"label_column": "none"}):
        streamed, plain = (load_dataset(str(tarred), DataOptions(stream=stream, **options)) for stream in (True, False))
        assert_same(streamed, plain)
        for one, other in zip(statistics(streamed.pretraining), statistics(plain.pretraining), strict=True):
            assert torch.equal(one, other)
        assert fingerprint(streamed.pretraining) == fingerprint(plain.pretraining)


def test_shards_have_few_bytes_and_whole_keys(tarred, monkeypatch):
    plain = load_dataset(str(tarred))
    monkeypatch.setattr(tars, "SHARD_BYTES", 3 * (len(content(0)) + 1))
    streamed = load_dataset(str(tarred), STREAM)
    assert_same(streamed, plain)
    assert streamed.train.inputs.sizes.tolist() == [3, 3, 3, 3, 3, 3, 3, 1]
    assert streamed.description["stream_rule"].startswith("11 shards in 3 files of 0.1 MB, decoded as they are needed")


def test_an_epoch_reads_every_byte_of_an_image_once(tarred, monkeypatch):
    monkeypatch.setattr(tars, "SHARD_BYTES", 3 * (len(content(0)) + 1))
    monkeypatch.setattr(shards, "GROUP_BYTES", 7 * 6 * 6 * 3)
    source = load_dataset(str(tarred), STREAM).train
    read, reading = [], StoredFile.read

    def counted(file, start, stop):
        read.append((file.name, start, stop))
        return reading(file, start, stop)

    monkeypatch.setattr(StoredFile, "read", counted)
    batches = Batches(source, 2, 0, "cpu", resident_bytes=0)
    seen = [batches.batch(step) for step in range(11)]
    batches._groups._maker.shutdown(wait=True)
    epoch, after = read[: len(source.inputs.sizes)], read[len(source.inputs.sizes) :]
    assert len({*epoch}) == len(epoch) == 8
    assert len({*after}) == len(after)  # of the next epoch
    plain = load_dataset(str(tarred)).train
    for batch in seen:
        assert torch.equal(batch.inputs, plain.take(batch.index))


def test_nothing_is_decoded_to_the_disk_and_the_index_is_kept(tarred, monkeypatch, own_cache):
    first = load_dataset(str(tarred), STREAM)
    assert sum(file.stat().st_size for file in own_cache.iterdir()) < 3 * 2000
    monkeypatch.setattr(tars.TarShards, "contents", None)
    again = load_dataset(str(tarred), STREAM)
    assert again.description == first.description
    for file in own_cache.iterdir():
        file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(TypeError):  # it is made anew
        load_dataset(str(tarred), STREAM)


def test_a_pass_that_was_interrupted_goes_on_with_the_next_file(tarred, monkeypatch):
    contents, passed = tars.TarShards.contents, []

    def interrupted(self, look):
        passed.append(self.file.name)
        if len(passed) == 2:
            raise KeyboardInterrupt
        return contents(self, look)

    monkeypatch.setattr(tars.TarShards, "contents", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_dataset(str(tarred), STREAM)
    load_dataset(str(tarred), STREAM)
    assert passed == ["test-0.tar", "train-0.tar", "train-0.tar", "train-1.tar"]


def test_a_cache_that_cannot_be_written_is_said(tarred, own_cache):
    own_cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"cannot be written \(.*\), so files are indexed again next time"):
        assert len(load_dataset(str(tarred), STREAM).train) == 22


# Wrong input


def gzipped(folder):
    tar(folder / "a.tar", labelled(range(4)), "w:gz")


def truncated(folder):
    path = tar(folder / "a.tar", labelled(range(4)))
    path.write_bytes(path.read_bytes()[:1800])


def torn(folder):
    path = tar(folder / "a.tar", labelled(range(4)))
    torn = bytearray(path.read_bytes())
    torn[1024:1100] = bytes(range(76))
    path.write_bytes(bytes(torn))


def some_unlabelled(folder):
    members = labelled(range(6))
    del members["0002.cls"], members["0003.cls"]
    tar(folder / "a.tar", members)


WRONG = {
    "packed": (gzipped, "a.tar is compressed, and no part of it can be read alone; unpack it with gunzip"),
    "truncated": (truncated, r"a.tar is no whole tar file \(.*\); replace it by a complete copy"),
    "torn": (torn, r"a.tar is no whole tar file \(.*\); replace it by a complete copy"),
    "no tar file": (lambda folder: picture(folder / "a.png").rename(folder / "a.tar"), "a.tar is no whole tar file"),
    "nothing": (lambda folder: (folder / "a.tar").touch(), r"a.tar is no whole tar file \(empty file\)"),
    "no members": (lambda folder: tar(folder / "a.tar", {}), "set: there are no images; give a data set that has some"),
    "no images": (
        lambda folder: tar(folder / "a.tar", {"a.txt": b"words"}),
        "set: there are no images; give a data set that has some",
    ),
    "a key without an image": (
        lambda folder: tar(folder / "a.tar", {"1.png": content(1), "2.cls": b"1"}),
        "cannot decode the image a.tar/2: there is no image; remove or replace it, or set `data_options.skip_damaged`",
    ),
    "several images": (
        lambda folder: tar(folder / "a.tar", {"1.png": content(1), "1.mask.png": content(2)}),
        "the key 1 in a.tar has several images, 1.png and 1.mask.png; keep one",
    ),
    "a key in two places": (
        lambda folder: tar(folder / "a.tar", {"1.png": content(1), "2.png": content(2), "1.cls": b"1"}),
        "the members of the key 1 in a.tar do not lie together; write the file anew, those of one key after another",
    ),
    "labels for some": (some_unlabelled, r"some labels are missing \(2 inputs have none\); label every input, or set"),
    "JSON that is none": (
        lambda folder: tar(folder / "a.tar", {"1.png": content(1), "1.json": b"{"}),
        "a.tar/1.json is no JSON: .*; correct it",
    ),
    "sizes that differ": (
        lambda folder: tar(folder / "a.tar", {"1.png": content(1), "2.png": content(2, (7, 7))}),
        "set: the images have 2 different sizes, most often .* such as 64 with `data_options.resize`",
    ),
    "splits unknown": (
        lambda folder: [tar(folder / f"{name}.tar", {"1.png": content(1)}) for name in ("train-0", "more")],
        "cannot tell the split of more.tar; let every file name begin with train, test, valid or unlabelled",
    ),
    "images beside": (
        lambda folder: [tar(folder / "a.tar", labelled(range(2))), picture(folder / "b.png")],
        "holds files of several kinds, 1 as .* and 1 as .*; put each kind into its own folder",
    ),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("make", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_tar_files_are_refused_in_a_sentence(tmp_path, make, sentence, stream):
    (tmp_path / "set").mkdir()
    make(tmp_path / "set")
    with pytest.raises(ValueError, match=sentence):
        load_dataset(str(tmp_path / "set"), DataOptions(stream=stream))


def test_a_packed_file_of_its_own_is_refused_in_a_sentence(tmp_path):
    tar(tmp_path / "a.tar.gz", labelled(range(4)), "w:gz")
    with pytest.raises(
        ValueError, match=r"a.tar.gz is compressed, and no part of it can be read alone; unpack it to a"
    ):
        load_dataset(str(tmp_path / "a.tar.gz"), STREAM)
    with pytest.raises(ValueError, match=r"a.tar.gz is compressed, and .*; unpack it with gunzip"):
        load_dataset(str(tmp_path), STREAM)


def test_an_empty_shard_beside_others_is_passed_over(tarred):
    tar(tarred / "train-2.tar", {})
    assert_same(*(load_dataset(str(tarred), DataOptions(stream=stream)) for stream in (True, False)))


def test_a_label_column_that_is_not_there_is_refused(tarred):
    with pytest.raises(ValueError, match=r"has no member KEY.kind, and no such entry in KEY.json; correct `data_opt"):
        load_dataset(str(tarred), DataOptions(stream=True, label_column="kind"))


def test_damaged_parquet_files_are_refused(tabled):
    tabled.write_bytes(tabled.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"cannot read all.parquet \(.*\); replace it by a complete copy"):
        load_dataset(str(tabled), STREAM)


def test_what_is_no_stream_says_so(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 4, 4), np.uint8))
    picture(tmp_path / "folder" / "a.png")
    for spec, sentence in (
        ("digits", "`data_options.stream` reads images in tar files, parquet files and data sets of the Hub; digits"),
        (str(tmp_path / "x.npy"), "x.npy is read otherwise, so set it to false"),
        (str(tmp_path / "folder"), r"set it to false \(image files are streamed once they are put into tar files\)"),
    ):
        with pytest.raises(ValueError, match=sentence):
            load_dataset(spec, STREAM)


@pytest.mark.parametrize("option", [{"missing": "nan"}, {"series_column": "name"}])
def test_options_that_do_not_go_with_a_stream(option):
    with pytest.raises(ValueError, match=r"`data_options\.stream`"):
        DataOptions(stream=True, **option)
