"""Batches by number: the batch of a step depends on the seed and the step alone, so that a run resumes anywhere.

One epoch is one permutation of the source, drawn from (seed, epoch): `Source.order`. A step takes the next
``batch_size`` positions of it, and each of ``world`` processes an equal share of those; what is left over at the end of
an epoch, less than a step, is dropped (another part in every epoch). Which inputs a step takes does not depend on the
number of processes.
"""

import math
import mmap
import os
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import psutil
import torch
from jaxtyping import Int, Num
from torch import Tensor

from deep_infomax.contracts import Batch
from deep_infomax.data.dataset import Source, to_device
from deep_infomax.data.shards import Ahead, ShardedInputs
from deep_infomax.runtime.chunks import at_a_time

JOBS: Final = "DEEP_INFOMAX_JOBS"
"""The environment variable by which a process knows that it shares the machine with so many of its kind, itself one."""


_Group = tuple[int, int]
"""An epoch, and the number of a group of its order."""


class _Decoded(NamedTuple):
    """Inputs in memory, and their positions in the source, ascending."""

    rows: Int[Tensor, " n"]
    inputs: Num[Tensor, "n channels *spatial"]

    def take(self, index: Int[Tensor, " k"]) -> Num[Tensor, "k channels *spatial"]:
        return self.inputs[torch.searchsorted(self.rows, index)]


class Batches:
    """Random access to the batches of a source.

    Where the inputs take less than half of the device's free memory they are put there once, and a batch is one gather.
    Otherwise they stay on disk, and a thread gathers the next step's inputs while this one is computed. Of inputs in
    shards, one group of shards is decoded and kept while its steps last, and the next one meanwhile: of each, the part
    that this process reads.

    Args:
        source: Where the inputs come from.
        batch_size: Inputs of a step, of all processes together.
        seed: Settles the order, together with the epoch.
        device: Where batches are wanted.
        rank: The number of this process.
        world: The number of processes.
        transform: Applied to the inputs of each batch on the device. It may draw from torch's global generator; only
            then does a batch depend on more than (seed, step).
        resident_bytes: Inputs of at most this size are kept on the device; None stands for half of its free memory,
            which processes on a CPU share.

    Raises:
        ValueError: The source has fewer inputs than one step takes, or the processes cannot share them equally.

    >>> source = Source(torch.arange(10.0).reshape(10, 1, 1), None, None, "ramp", "train")
    >>> batches = Batches(source, batch_size=4, seed=0, device=torch.device("cpu"))
    >>> batches.steps_per_epoch, batches.batch(7).inputs.shape
    (2, torch.Size([4, 1, 1]))
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        rank: int = 0,
        world: int = 1,
        transform: Callable[[Tensor], Tensor] | None = None,
        resident_bytes: int | None = None,
    ) -> None:
        assert 0 <= rank < world, (rank, world)
        if batch_size < 1:
            raise ValueError(f"`training.batch_size` is {batch_size}; give 1 or more")
        if batch_size % world:
            raise ValueError(
                f"{world} processes cannot share a batch of {batch_size} equally; "
                f"set `training.batch_size` to a multiple of {world}, such as {math.ceil(batch_size / world) * world}"
            )
        if len(source) < batch_size:
            raise ValueError(
                f"{source.name} {source.split} has {len(source)} inputs, less than one batch of {batch_size}; "
                f"set `training.batch_size` to at most {len(source) // world * world}"
            )
        self.source, self.batch_size = source, batch_size
        self.device = torch.empty(0, device=device).device  # with its number
        self.rank, self.world, self.transform = rank, world, transform
        self.steps_per_epoch = len(source) // batch_size
        self.labels = None if source.labels is None else source.labels.to(self.device)
        self._order = lru_cache(maxsize=2)(partial(source.order, seed))
        sharing = world if self.device.type == "cpu" else 1  # processes on one machine share its memory
        limit = free_memory(self.device) // 2 // sharing if resident_bytes is None else resident_bytes
        self.resident = resident(source, self.device, limit)
        self._gatherer = (
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") if self.resident is None else None
        )
        self._next: tuple[int, Future[Tensor]] | None = None
        in_shards = self.resident is None and isinstance(source.inputs, ShardedInputs)
        self._groups = Ahead(self._decoded) if in_shards else None

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0 over all epochs, on the device."""
        index = self.index(step)
        on_device = to_device(index, self.device)
        inputs = self._gathered(step) if self.resident is None else self.resident.index_select(0, on_device)
        labels = None if self.labels is None else self.labels.index_select(0, on_device)
        return Batch(inputs if self.transform is None else self.transform(inputs), on_device, labels)

    def index(self, step: int) -> Int[Tensor, " n"]:
        """Return the positions that a step reads in the source."""
        epoch, start = self._start(step)
        return self._order(epoch).permutation[start : start + self._share]

    @property
    def _share(self) -> int:
        """Inputs that this process reads in a step."""
        return self.batch_size // self.world

    def _start(self, step: int) -> tuple[int, int]:
        """The epoch of a step, and where in its permutation this process begins to read."""
        epoch, position = divmod(step, self.steps_per_epoch)
        return epoch, position * self.batch_size + self.rank * self._share

    def _gathered(self, step: int) -> Num[Tensor, "n channels *spatial"]:
        assert self._gatherer is not None
        ready, self._next = self._next, None
        future = ready[1] if ready is not None and ready[0] == step else self._gatherer.submit(self._gather, step)
        self._next = step + 1, self._gatherer.submit(self._gather, step + 1)
        return future.result().to(self.device, non_blocking=True)

    def _gather(self, step: int) -> Num[Tensor, "n channels *spatial"]:
        inputs = self.source.take(self.index(step)) if self._groups is None else self._from_groups(self._groups, step)
        return inputs.pin_memory() if self.device.type == "cuda" and inputs.device.type == "cpu" else inputs

    def _from_groups(self, groups: Ahead[_Group, _Decoded], step: int) -> Num[Tensor, "n channels *spatial"]:
        (epoch, start), index = self._start(step), self.index(step)
        ends = self._order(epoch).ends
        first, last = bisect_right(ends, start), bisect_right(ends, start + len(index) - 1)
        borders = [0, *(end - start for end in ends[first:last]), len(index)]
        return torch.cat(
            [
                groups.get((epoch, number), self._following(epoch, number)).take(index[begin:end])
                for number, (begin, end) in enumerate(pairwise(borders), first)
            ]
        )

    def _following(self, epoch: int, number: int) -> _Group:
        """The group that is read after another, in the next epoch where that is the last one read."""
        read = self.steps_per_epoch * self.batch_size
        return (epoch, number + 1) if self._order(epoch).ends[number] < read else (epoch + 1, 0)

    def _decoded(self, group: _Group) -> _Decoded:
        """Decode what this process reads of a group."""
        number, order = group[1], self._order(group[0])
        begin = order.ends[number - 1] if number else 0
        end = min(order.ends[number], self.steps_per_epoch * self.batch_size)
        places = torch.arange(begin, end)
        own = places[places % self.batch_size // self._share == self.rank]
        rows = order.permutation[own].sort().values
        return _Decoded(rows, self.source.take(rows))


def resident(source: Source, device: torch.device, limit: int) -> Num[Tensor, "n channels *spatial"] | None:
    """Put all inputs on the device, or return None where they are too large for that."""
    if isinstance(source.inputs, Tensor) and source.inputs.device == device:
        return source.inputs
    if source.nbytes > limit:
        return None
    if isinstance(source.inputs, Tensor):
        return source.inputs.to(device)
    kind = source.kind
    inputs = torch.empty(source.inputs.shape, dtype=torch.from_numpy(np.empty(0, kind)).dtype, device=device)
    rows = at_a_time(source.shape, len(source))
    for start in range(0, len(source), rows):  # the host need not hold what another device does
        with np.errstate(over="ignore"):  # as in `Source.take`
            chunk = np.array(source.inputs[start : start + rows], kind, order="C")
        inputs[start : start + rows] = torch.from_numpy(chunk)
        release(source.inputs)
    return inputs


def release(array: np.ndarray | ShardedInputs) -> None:
    """Let the pages of a memory map go that were read, which would lie in memory beside their copies; else nothing."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        owner.madvise(mmap.MADV_DONTNEED)


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a device, or this process's part of them where it is one of several jobs."""
    if device.type == "cuda":  # what torch keeps of freed tensors is free
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + kept
    else:
        free = int(psutil.virtual_memory().available)
    return free // int(os.environ.get(JOBS, "1"))
