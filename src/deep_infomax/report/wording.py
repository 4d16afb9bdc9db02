"""Values as people write them."""

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> str:
    """A value of a configuration as people write it.

    >>> plain(50000), plain(True), plain([3, 0.001]), plain({"kernel": 4, "pool": None})
    ('50,000', 'yes', '3, 0.001', 'kernel 4')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return " ".join(f"{spaced(name)} {plain(entry)}" for name, entry in stated(value).items())
    if isinstance(value, list | tuple):
        return ("; " if any(isinstance(entry, Mapping) for entry in value) else ", ").join(map(plain, value))
    return str(value)


def stated(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a configuration that have a value.

    >>> stated({"kernel": 4, "pool": None, "weight": 0.0, "names": []})
    {'kernel': 4, 'weight': 0.0}
    """
    return {name: value for name, value in values.items() if value not in (None, [], "")}


def spaced(name: str) -> str:
    """The name of a setting in words.

    >>> spaced("learning_rate")
    'learning rate'
    """
    return str(name).replace("_", " ")


def duration(seconds: float | None) -> str:
    """A time in the unit that suits it; nothing for None.

    >>> duration(42.4), duration(372), duration(9000), duration(None)
    ('42 s', '6.2 min', '2.5 h', '')
    """
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def epochs_text(epoch: float) -> str:
    """A number of epochs as people write it.

    >>> epochs_text(0.256), epochs_text(12.0), epochs_text(1000.0)
    ('0.256', '12', '1,000')
    """
    return f"{epoch:.3g}" if epoch < 100 else f"{epoch:,.0f}"
