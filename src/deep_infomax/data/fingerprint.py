"""A fingerprint of data, by which a resumed training knows that it goes on with the inputs it began with."""

import hashlib

import torch

from deep_infomax.data.dataset import Source

SAMPLE = 1024
"""Inputs that are read at most, evenly spaced."""
SAMPLE_BYTES = 16_000_000
"""Bytes that are read at most, where that leaves two inputs."""

CHUNK = 64
"""Inputs that are read at a time, as reading from a shard has a cost of its own."""


def fingerprint(source: Source) -> str:
    """Return a hash of the number, shape and type of the inputs, and of the values of evenly spaced ones.

    It is the same for inputs in memory and on disk, and reads little of either: a change of single inputs among many
    can escape it.

    >>> ramp, flat = torch.arange(12.0).reshape(3, 1, 4), torch.zeros(3, 1, 4)
    >>> first, again, other = (fingerprint(Source(x, None, None, "x", "train")) for x in (ramp, ramp.clone(), flat))
    >>> first == again, first == other
    (True, False)
    """
    count = min(len(source), SAMPLE, max(2, SAMPLE_BYTES * len(source) // max(1, source.nbytes)))
    found = source.candidates(count)
    index = found[torch.linspace(0, len(found) - 1, count, dtype=torch.float64).round().long()]
    digest = hashlib.sha256(f"{len(source)} {source.shape}".encode())
    for rows in index.split(CHUNK):
        for values in source.take(rows).cpu():
            digest.update(str(values.dtype).encode())
            digest.update(values.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
