"""What was read and how: compared with the records of a run, and told before a training."""

from collections.abc import Mapping
from typing import Final

from deep_infomax.runtime.terminal import printable

REMARKS: Final = ("left_out", "not_read")
"""Entries of a description that speak of what is not part of the data."""
_TITLES: Final = {
    "shape": "each input", "channels_rule": "channels", "size_rule": "size", "label_rule": "labels",
    "test_labels": "labels to test on", "split_rule": "test part", "left_out": "left out", "not_read": "not read",
    "damaged_rule": "damaged", "precision_rule": "precision", "crop_rule": "crops", "train_rule": "training part",
    "pretraining_rule": "trained on",
    "nodata": "declared no data",
}  # fmt: skip
_READ_ANEW: Final = ("depth_rule", "orientation_rule", "alpha_rule", "frames_rule")
"""Entries without which images were read as bytes, whatever they held; those of "uint8 as stored" are the same now."""
_LONGEST: Final = 500
"""Characters of an entry that are told; the run's configuration keeps it whole."""
_IDENTIFY: Final = ("spec", "name", "inputs", "held_out_inputs", "classes", "n_train", "n_test", "n_unlabelled")


def same_data(recorded: Mapping[str, str | int], found: Mapping[str, str | int]) -> bool:
    """Tell whether a description found now is of the data that one recorded earlier is of.

    What is said now in addition, as by later versions, makes no difference, nor do remarks. It does where images are
    read otherwise than they were before it was said: with their depth, upright, or over white.

    >>> same_data({"n_train": 8}, {"n_train": 8, "axes": "hw"}), same_data({"n_train": 8}, {"n_train": 9})
    (True, False)
    """
    known = {name: value for name, value in recorded.items() if name not in REMARKS}
    anew = {name for name in _READ_ANEW if found.get(name, "uint8 as stored") != "uint8 as stored"}
    return (
        all(found.get(name) == value for name, value in known.items())
        and bool(known) == bool(found)
        and anew <= known.keys()
    )


def lines(description: Mapping[str, str | int]) -> list[str]:
    """What a description says, for people, the numbers of inputs first.

    >>> lines({"name": "cats", "n_train": 1600, "n_test": 400, "classes": 2, "size_rule": "kept"})
    ['cats: 1,600 inputs to train on, 400 to test on, 2 classes', '  size: kept']
    """
    counts = [f"{description['n_train']:,} inputs to train on"]
    held_out = " held out" if "held out" in str(description.get("split_rule")) else ""
    counts += [f"{description['n_test']:,}{held_out} to test on"] if "n_test" in description else []
    counts += [f"{description['n_unlabelled']:,} without labels"] if "n_unlabelled" in description else []
    counts += [f"{description['classes']} classes" if "classes" in description else "no labels"]
    rules = {name: _shortened(str(value)) for name, value in description.items() if name not in _IDENTIFY}
    if held_out:
        rules["split_rule"] += " (`data_options.label_column` none trains on these, too)"
    said = [
        f"{description['name']}: {', '.join(counts)}",
        *(f"  {_TITLES.get(name, name.removesuffix('_rule'))}: {value}" for name, value in rules.items()),
    ]
    return [printable(line) for line in said]


def _shortened(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]} ... (config.yaml names all)"
