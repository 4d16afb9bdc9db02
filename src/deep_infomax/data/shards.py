"""Inputs that lie in shards and are decoded as they are wanted, and the order in which an epoch reads them.

An epoch permutes the shards, puts neighbours into groups of at most `GROUP_BYTES` decoded, and permutes the inputs of
each group. So a step reads inputs of one group, at a border of two. The order is a function of (seed, epoch) and of the
shards alone: it is the same on every machine, whatever its memory, and for every number of processes.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Int, Num
from torch import Tensor

GROUP_BYTES: Final = 2**30
"""Bytes that the inputs of a group take once decoded, at most; a larger shard is a group of its own."""
FEW: Final = 8
"""Shards that a sample is taken from, at least."""

Piece = tuple[int, Int[np.ndarray, " _"]]
"""The number of a shard, and rows of it, ascending."""
Read = Callable[[Sequence[Piece]], Num[np.ndarray, "n channels *spatial"]]
"""Decodes rows of shards, one after another."""
K = TypeVar("K")
V = TypeVar("V")


class Order(NamedTuple):
    """The order in which an epoch reads the inputs of a source."""

    permutation: Int[Tensor, " n"]
    ends: tuple[int, ...]
    """Where each group of shards ends in it; inputs without shards are one group."""


class ShardedInputs:
    """Inputs in shards, indexed like an array by whole numbers and slices; what is indexed is decoded, and not kept.

    Args:
        sizes: Inputs of each shard.
        read: Decodes rows of shards. It is called by several threads.
        shape: Of one input: channels, then the spatial sizes.
        dtype: Of the decoded values.

    >>> def read(pieces):
    ...     return np.concatenate([10 * number + rows for number, rows in pieces]).reshape(-1, 1, 1)
    >>> inputs = ShardedInputs([3, 2], read, (1, 1), np.dtype(np.int64))
    >>> inputs.shape, inputs[np.array([4, 0])].ravel().tolist(), inputs[2:4].ravel().tolist()
    ((5, 1, 1), [11, 0], [2, 10])
    """

    def __init__(self, sizes: Sequence[int], read: Read, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.sizes, self.dtype = np.asarray(sizes, np.int64), dtype
        self.shape = (int(self.sizes.sum()), *shape)
        self.ndim = len(self.shape)
        self._starts = np.concatenate([[0], self.sizes.cumsum()])
        self.read = read

    def __len__(self) -> int:
        """Return the number of inputs."""
        return self.shape[0]

    def __getitem__(self, index: slice | Int[np.ndarray, " k"]) -> Num[np.ndarray, "k channels *spatial"]:
        """Decode the inputs at these positions, each once.

        Raises:
            OSError: A shard cannot be read.
            ValueError: An image cannot be decoded.
        """
        rows = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index)
        wanted, places = np.unique(rows, return_inverse=True)
        values = self.read(self._pieces(wanted))
        return values if np.array_equal(wanted, rows) else values[places]

    def subset(self, index: Int[np.ndarray, " k"]) -> "ShardedInputs":
        """Return the inputs at ascending positions, still in their shards; nothing is read."""
        kept = self._pieces(index)

        def read(pieces: Sequence[Piece]) -> Num[np.ndarray, "n channels *spatial"]:
            return self.read([(kept[number][0], kept[number][1][rows]) for number, rows in pieces])

        return ShardedInputs([len(rows) for _, rows in kept], read, self.shape[1:], self.dtype)

    def window(self, slices: Sequence[slice]) -> "ShardedInputs":
        """Return the same inputs seen through a window of their spatial axes; nothing is read."""
        sizes = (len(range(*part.indices(length))) for part, length in zip(slices, self.shape[2:], strict=True))
        through = (slice(None), slice(None), *slices)

        def read(pieces: Sequence[Piece]) -> Num[np.ndarray, "n channels *spatial"]:
            return self.read(pieces)[through]

        return ShardedInputs(self.sizes.tolist(), read, (self.shape[1], *sizes), self.dtype)

    def order(self, seed: int, epoch: int) -> Order:
        """Permute shards, and inputs within groups of neighbouring shards."""
        generator = np.random.default_rng([seed, epoch])
        each = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        groups, size = [list[int]()], 0
        for shard in generator.permutation(len(self.sizes)).tolist():
            size += each * int(self.sizes[shard])
            if groups[-1] and size > GROUP_BYTES:
                groups.append([])
                size = each * int(self.sizes[shard])
            groups[-1].append(shard)
        rows = [np.concatenate([np.arange(*self._starts[[shard, shard + 1]]) for shard in group]) for group in groups]
        permutation = np.concatenate([generator.permutation(group) for group in rows])
        return Order(torch.from_numpy(permutation), tuple(np.cumsum([len(group) for group in rows]).tolist()))

    def candidates(self, most: int) -> Int[Tensor, " k"]:
        """Return the positions of whole shards, evenly spaced, that hold about so many inputs together, or more."""
        shards = len(self.sizes)
        count = min(shards, max(FEW, -(-most * shards // len(self))))
        chosen = np.arange(count) * shards // count
        return torch.from_numpy(np.concatenate([np.arange(*self._starts[[shard, shard + 1]]) for shard in chosen]))

    def _pieces(self, rows: Int[np.ndarray, " k"]) -> list[Piece]:
        """Part ascending positions by their shards."""
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        numbers, firsts = np.unique(shards, return_index=True)
        parts = np.split(rows, firsts[1:])
        return [(number, part - self._starts[number]) for number, part in zip(numbers.tolist(), parts, strict=False)]


def joined_shards(
    first: ShardedInputs | Num[np.ndarray, "n channels *spatial"],
    second: ShardedInputs | Num[np.ndarray, "p channels *spatial"],
) -> ShardedInputs:
    """The inputs of one after those of the other; of an array, such as a memory map, each input is a shard.

    >>> both = joined_shards(np.zeros((2, 1, 3)), np.ones((1, 1, 3)))
    >>> len(both), both[np.array([2, 0])][:, 0, 0].tolist()
    (3, [1.0, 0.0])
    """
    sizes = [part.sizes.tolist() if isinstance(part, ShardedInputs) else [1] * len(part) for part in (first, second)]
    border = len(sizes[0])

    def read(pieces: Sequence[Piece]) -> Num[np.ndarray, "n channels *spatial"]:
        own = [piece for piece in pieces if piece[0] < border]
        others = [(number - border, rows) for number, rows in pieces if number >= border]
        found = [_read(part, wanted) for part, wanted in ((first, own), (second, others)) if wanted]
        return np.concatenate(found) if found else np.empty((0, *first.shape[1:]), kind)

    kind = np.result_type(first.dtype, second.dtype)
    return ShardedInputs([*sizes[0], *sizes[1]], read, first.shape[1:], kind)


def _read(
    part: ShardedInputs | Num[np.ndarray, "n channels *spatial"], pieces: Sequence[Piece]
) -> Num[np.ndarray, "k channels *spatial"]:
    """Rows of some shards, whose numbers ascend; of an array, each input is a shard."""
    if isinstance(part, ShardedInputs):
        return part.read(pieces)
    found: np.ndarray = part[np.array([number for number, _ in pieces])]
    return found


class Ahead(Generic[K, V]):
    """Values that take long to make: the one in use and the one that follows it, which a thread makes meanwhile.

    Args:
        make: Makes the value of a key.

    >>> squares = Ahead(lambda number: number**2)
    >>> squares.get(3, following=4), squares.get(4, following=5)
    (9, 16)
    """

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._maker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead")
        self._values: dict[K, Future[V]] = {}

    def get(self, key: K, following: K) -> V:
        """Return a value, and begin to make the one that follows; all others are let go first.

        Raises:
            Exception: Whatever ``make`` raised for this key.
        """
        for other in self._values.keys() - {key, following}:
            self._values.pop(other).cancel()
        for wanted in (key, following):
            if wanted not in self._values:
                self._values[wanted] = self._maker.submit(self._make, wanted)
        try:
            return self._values[key].result()
        except Exception:
            del self._values[key]  # so that it is made anew where it is asked for again
            raise
