"""Names of a package that load on first use."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def on_first_use(
    package: str, modules: Mapping[str, Sequence[str]], names: dict[str, Any]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package whose names come from its modules.

    Args:
        package: Its name.
        modules: The names that each of its modules gives.
        names: The globals of the package, which keep what was loaded.
    """
    module_of = {name: module for module, given in modules.items() for name in given}

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        names[name] = getattr(import_module(f"{package}.{module_of[name]}"), name)
        return names[name]

    return load, lambda: list(names["__all__"])
