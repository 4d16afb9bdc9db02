"""Settings in mappings, as a YAML file or Python gives them, read into a typed configuration."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final, get_type_hints

from deep_infomax.recipes import RECIPES, Config
from deep_infomax.runtime.values import read_setting, shown, suggestion, unknown

GROUPS: Final = tuple(field.name for field in fields(Config))
"""The groups of a configuration."""


def recipe_named(name: object) -> Config:
    """The configuration of a recipe.

    Raises:
        ValueError: No recipe has this name.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


def configure(base: Config, changes: Mapping[str, Any]) -> Config:
    """A configuration with other values, ``{"training": {"epochs": 5}}``.

    Args:
        base: What holds for all that is not changed.
        changes: Groups of the configuration, each a mapping from names to values of the setting's type. Text stands
            for what it spells, such as a number.

    Raises:
        ValueError: A group or a setting is unknown, or a value is of the wrong type or impossible.

    >>> configure(Config(), {"training": {"epochs": "5"}}).training.epochs
    5.0
    """
    return replace(base, **{group: replace(getattr(base, group), **values) for group, values in typed(changes).items()})


def typed(changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of settings, by group and name, as values of their types.

    Raises:
        ValueError: A group or a setting is unknown, or a value is of the wrong type.

    >>> typed({"training": {"epochs": "5"}})
    {'training': {'epochs': 5.0}}
    """
    return {group: _typed(group, values) for group, values in changes.items()}


def _typed(group: str, values: Any) -> dict[str, Any]:
    if home := [home for home in GROUPS if group not in GROUPS and hasattr(getattr(Config(), home), group)]:
        raise ValueError(f"`{group}` is a setting of `{home[0]}`; give {home[0]}={{{group!r}: ...}}")
    if group not in GROUPS:
        raise ValueError(f"there are no settings called {group}; {suggestion(group, GROUPS)}")
    if not isinstance(values, Mapping):
        raise ValueError(f"`{group}` is {shown(values)}, not a mapping of settings; list some, or leave `{group}` out")
    kinds = get_type_hints(type(getattr(Config(), group)), include_extras=True)
    for name in values:
        if name not in kinds:
            raise ValueError(f"`{group}` has no setting {name}; {suggestion(name, kinds)}")
    return {name: read_setting(f"{group}.{name}", kinds[name], value) for name, value in values.items()}
