"""The contracts between the parts: under test every one of them checks the shapes it is made of."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args

import jaxtyping
import pytest
import torch

import deep_infomax
from deep_infomax.contracts import Encoded, Pictures


def has_shape(annotation: Any) -> bool:
    array = isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray)
    return array or any(has_shape(part) for part in get_args(annotation))


def named_tuples() -> Iterator[type]:
    """Every named tuple of the package that has a field with a shape."""
    for found in pkgutil.walk_packages(deep_infomax.__path__, "deep_infomax."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            own = [value for value in vars(module).values() if getattr(value, "__module__", "") == found.name]
            for value in own:
                named = isinstance(value, type) and issubclass(value, tuple)
                if named and any(has_shape(annotation) for annotation in value.__annotations__.values()):
                    yield value


def test_every_named_tuple_with_a_shape_checks_it() -> None:
    found = list(named_tuples())
    assert {"Batch", "Encoded", "Features", "Losses", "Pictures", "Scores"} <= {each.__name__ for each in found}
    for each in found:
        with pytest.raises(jaxtyping.TypeCheckError):
            each(*[object()] * len(each._fields))


def test_shapes_that_do_not_agree_are_found() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        Encoded(torch.zeros(4, 3), torch.zeros(4, 5))
    with pytest.raises(jaxtyping.TypeCheckError):
        Pictures(torch.zeros(4, 1, 8, 8), torch.zeros(4, 1, 8, 8), torch.zeros(4, 1, 8, 7))
