"""Which names of files, folders and Hub splits stand for splits: train, test, validation, unlabelled.

A name stands for a split by its first or last word: ``train``, ``train2017``, ``trainset``, ``test_images``,
``trainA``. What else a folder is called must say nothing (``images``, a number, a letter), or be the same for all
splits beside it (``digits-train``, ``digits-test``), as ``test tube`` is a class.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "train": ("train", "training", "trainval"),
    "test": ("test", "testing", "holdout", "heldout"),
    "validation": ("validation", "valid", "validate", "val", "dev", "eval", "evaluation"),
    "unlabelled": ("unlabelled", "unlabeled", "unsupervised"),
}
_ROLE_OF: Final = {word: role for role, words in ROLES.items() for word in words}
_GLUED: Final = re.compile(
    rf"({'|'.join(sorted(_ROLE_OF, key=len, reverse=True))})(set|data|dir|split|images|imgs|img|a|b)"
)
_SAYS_NOTHING: Final = re.compile(
    r"\d+|of|[a-z]|v\d+|sets?|data|dataset|dir|folder|split|part|images?|imgs?|img|jpe?gs?|pngs?|pics?|photos?|pictures?|"
    r"full|all|new|old|final|clean|val|original|raw|public|private|crops?|cropped|resized|small|large|px|challenge"
)


def split_of(name: str) -> str | None:
    """Read the split off the first or last word of a name of a file, a folder or a Hub split.

    >>> split_of("train-00000-of-00001"), split_of("val2017"), split_of("unlabeled"), split_of("cats")
    ('train', 'validation', 'unlabelled', None)
    """
    return _parsed(name)[0]


def split_folders(names: Collection[str]) -> dict[str, str | None]:
    """Tell for each of the folders that lie beside one another which split it is, None for none.

    >>> split_folders(["trainA", "testA"]), split_folders(["test tube", "train station"])
    ({'trainA': 'train', 'testA': 'test'}, {'test tube': None, 'train station': None})
    """
    parsed = {name: _parsed(name) for name in names}
    found = {(role, _lower(rest)) for role, rest in parsed.values() if role is not None}
    alike = len({role for role, _ in found}) > 1 and len({rest for _, rest in found}) == 1
    return {
        name: role if alike or all(_SAYS_NOTHING.fullmatch(word) for word in _lower(rest)) else None
        for name, (role, rest) in parsed.items()
    }


def joined_names(names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Part the names of folders into classes and splits, where every class has the same splits; else nothing.

    >>> joined_names(["cat-train", "cat-test", "dog-train", "dog-test"])["dog-test"], joined_names(["bullet train"])
    (('dog', 'test'), {})
    """
    parsed = {name: _parsed(name) for name in names}
    splits: dict[tuple[str, ...], list[str]] = {}
    for role, rest in parsed.values():
        splits.setdefault(rest, []).append(role or "")
    roles = {tuple(sorted(found)) for found in splits.values()}
    numbered = all(word.isdigit() for rest in splits for word in rest)
    if numbered or len(splits) < 2 or len(roles) != 1 or len(set(*roles) - {""}) != len(*roles) or len(*roles) < 2:
        return {}
    return {name: (" ".join(rest), role or "") for name, (role, rest) in parsed.items()}


def _parsed(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The split that a name stands for, and its other words."""
    words = re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    for place in dict.fromkeys((0, len(words) - 1) if words else ()):
        rest, word = (*words[:place], *words[place + 1 :]), words[place].lower()
        if word in _ROLE_OF:
            return _ROLE_OF[word], rest
        if glued := _GLUED.fullmatch(word):
            return _ROLE_OF[glued[1]], (*rest, glued[2])
    return None, tuple(words)


def _lower(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)
