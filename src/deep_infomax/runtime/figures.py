"""How measured figures are written: with as many digits as were measured, and what is known of their errors."""

import math
from collections.abc import Iterable


def decimals(unit: str, n: int | None) -> int:
    """Decimals of a figure measured on ``n`` inputs; a percentage has none that less than a tenth of an input makes.

    >>> decimals("%", 40), decimals("%", 500), decimals("%", 10_000), decimals("nats", 40), decimals("", 40)
    (0, 1, 2, 2, 3)
    """
    if unit == "%" and n is not None:
        return min(2, max(0, len(str(n)) - 2))
    return 2 if unit else 3


def spread_text(spread: float | None, places: int) -> str:
    """A standard deviation behind its figure; nothing where there is none.

    >>> spread_text(0.234, 2), spread_text(0.001, 2), spread_text(0.0, 2), spread_text(None, 2)
    ('± 0.23', '± < 0.01', '± 0.00', '')
    """
    if spread is None:
        return ""
    least = 10.0**-places
    return f"± < {least:g}" if 0 < spread < least / 2 else f"± {spread:.{places}f}"


def sampling_error(counts: Iterable[int | None]) -> str:
    """What no spread over seeds holds: how far accuracies of so few inputs lie from those of all such inputs.

    >>> sampling_error([500, 500])
    'An accuracy on 500 inputs has a standard error of up to 2.2 points, whatever the seeds.'
    >>> sampling_error([40, 10_000])
    'An accuracy on 40 to 10,000 inputs has a standard error of up to 7.9 to 0.5 points, whatever the seeds.'
    """
    known = sorted({n for n in counts if n})
    if not known:
        return ""
    ends = dict.fromkeys((known[0], known[-1]))
    inputs, points = " to ".join(f"{n:,}" for n in ends), " to ".join(f"{50 / math.sqrt(n):.1f}" for n in ends)
    return f"An accuracy on {inputs} inputs has a standard error of up to {points} points, whatever the seeds."
