"""Compilation of a model, where there is a compiler."""

from functools import cache

import torch
from torch import Tensor


@cache
def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` works: a CPU needs a C++ compiler, a GPU Triton. Tried on a sum, once in a process."""
    try:
        torch.compile(_twice)(torch.ones(2, device=device))
    except Exception:  # a compiler, its headers or a linker: whatever is missing has an exception of its own
        return False
    return True


def _twice(x: Tensor) -> Tensor:
    return x + x
