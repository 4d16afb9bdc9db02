"""Splits and labels from the names of folders, as a reader would take them."""

import pytest

from deep_infomax.data.arrangement import arrange
from deep_infomax.data.splits import split_folders


def arranged(*folders, labels=None, each=2):
    """The splits and labels of so many images in each of the folders."""
    paths = [(*folder.split("/"), f"{number}.png") for folder in folders for number in range(each)]
    found = arrange([tuple(name for name in path if name) for path in paths], labels)
    return {split: [found.labels[i] for i in rows[::each]] for split, rows in found.splits.items()}, found.rule


@pytest.mark.parametrize(
    ("train", "test", "role"),
    [
        ("train2017", "val2017", "validation"),
        ("trainset", "testset", "test"),
        ("trainingSet", "TESTSET", "test"),
        ("train_images", "test_images", "test"),
        ("trainA", "testA", "test"),
        ("Training", "Validation", "validation"),
        ("train-val", "test", "test"),
        ("trainval", "test", "test"),
        ("TRAIN", "Eval", "validation"),
        ("digits_train", "digits_test", "test"),
        ("img-train", "img-dev", "validation"),
        ("01_train", "02_test", "test"),
        ("train_v2", "holdout", "test"),
    ],
)
def test_two_folders_are_splits_by_any_readers_judgement(train, test, role):
    expected = {"train": ["x", "y"], role: ["x", "y"]}
    folders = [f"{split}/{label}" for split in (train, test) for label in "xy"]
    assert arranged(*folders)[0] == expected
    assert arranged(*(f"archive/set 1/{folder}" for folder in folders))[0] == expected
    assert arranged(*(f"{label}/{split}" for split in (train, test) for label in "xy"))[0] == expected


@pytest.mark.parametrize(
    "names",
    [
        ("train station", "test tube", "valley"),
        ("test tube", "dev board"),
        ("trains", "cars"),
        ("valid tickets", "forged tickets"),
        ("bullet train", "pregnancy test"),
        ("developer", "tester"),
    ],
)
def test_classes_that_sound_like_splits(names):
    assert set(split_folders(names).values()) == {None}
    assert arranged(*names) == ({"train": list(names)}, "names of folders")


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["train/train/a", "train/train/b", "test/test/a", "test/test/b"], {"train": ["a", "b"], "test": ["a", "b"]}),
        (
            ["seg_train/seg_train/a", "seg_train/seg_train/b", "seg_test/seg_test/a", "seg_test/seg_test/b"],
            {"train": ["a", "b"], "test": ["a", "b"]},
        ),
        (["train/images/a", "train/images/b", "val/images/a"], {"train": ["a", "b"], "validation": ["a"]}),
        (["train/cat", "train/dog", "test/dog"], {"train": ["cat", "dog"], "test": ["dog"]}),
        (["train/a", "train/b", "test"], {"train": ["a", "b"], "test": [None]}),
        (["train/a", "train/b", "unlabelled/c"], {"train": ["a", "b"], "unlabelled": [None]}),
        (["images/train", "images/val"], {"train": [None], "validation": [None]}),
        (["archive/data/a", "archive/data/b"], {"train": ["a", "b"]}),
        (["test/a", "test/b"], {"test": ["a", "b"]}),
        (["a/x", "a/y", "b/x"], {"train": ["a", "a", "b"]}),
        (["Cat-train", "dog-train", "Cat-val", "dog-val"], {"train": ["Cat", "dog"], "validation": ["Cat", "dog"]}),
        (["trainA", "trainB", "testA", "testB"], {"train": ["A", "B"], "test": ["A", "B"]}),
        (["", ""], {"train": [None, None]}),
        (["day", "night"], {"train": ["day", "night"]}),
        (["1", "2", "3"], {"train": ["1", "2", "3"]}),
        (["may", "rose", "lily"], {"train": ["may", "rose", "lily"]}),
    ],
)
def test_other_levels(folders, expected):
    assert arranged(*folders)[0] == expected


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("2019", "2020"), "dates"),
        (("2019/05", "2020/06"), "dates"),
        (("01", "02", "12"), "dates"),
        (("January", "february"), "dates"),
        (("2019-05-01", "2019-06-30"), "dates"),
        (("03 March 2020", "04 April 2020"), "dates"),
        (("20190501", "20190630"), "dates"),
        (("Monday", "Tue"), "dates"),
        (("20200101_1200", "20200102_1830"), "dates"),
        (("y2019", "y2020"), "dates"),
        (("part1", "part2"), "numbered parts"),
        (("batch_001", "batch_002"), "numbered parts"),
        (("day 1", "day 2"), "numbered parts"),
        (("100APPLE", "101APPLE"), "numbered parts"),
    ],
)
def test_dates_and_parts_are_no_classes_unless_the_user_says_so(names, reason):
    splits, rule = arranged(*names)
    assert splits == {"train": [None] * len(names)}
    assert reason in rule
    assert "label_column folders" in rule
    assert arranged(*names, labels="folders")[0] == {"train": [name.split("/")[0] for name in names]}
    assert arranged("a", "b", labels="none") == ({"train": [None, None]}, "none wanted")


def test_a_folder_for_every_image_labels_none():
    assert arranged("p1", "p2", "p3", each=1) == (
        {"train": [None] * 3},
        "none: every file lies in a folder of its own",
    )


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        (("test", "cat"), "cat/0.png lies beside the folder test, a split"),
        (("train/a", "train/b", "extra/a"), "extra/a/0.png lies beside the folder train"),
        (("a/train", "a/test", "b"), "b/0.png lies beside the folder a/train"),
        (("train/a", "train_images/a"), "the folders train and train_images name one split"),
        (("cat", ""), r"2 files \(0.png, ...\) lie beside class folders \(cat, ...\)"),
        (("d/train/a", "d/test/b", "e/train/a", "e/test/b"), r"both above the splits \(d, e\) and below them \(a, b\)"),
        (("images", "masks"), "the folder masks beside images is no class"),
        (("JPEGImages", "SegmentationClass"), "the folder SegmentationClass beside JPEGImages is no class"),
        (("train/imgs", "train/labels", "val/imgs", "val/labels"), "the folder labels beside imgs is no class"),
    ],
)
def test_folders_that_contradict_one_another(folders, sentence):
    with pytest.raises(ValueError, match=sentence):
        arranged(*folders)
