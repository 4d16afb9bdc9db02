"""Compilation of a model, where there is a compiler.

What is compiled cannot be differentiated twice, as the penalty on an adversary's slopes is: a module lists the methods
that do so as ``not_compiled``.
"""

from functools import cache

import torch
from torch import Tensor, nn


@cache
def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` works: a CPU needs a C++ compiler, a GPU Triton. Tried on a sum, once in a process."""
    try:
        torch.compile(_twice)(torch.ones(2, device=device))
    except Exception:  # a compiler, its headers or a linker: whatever is missing has an exception of its own
        return False
    return True


def compile_model(model: nn.Module) -> None:
    """Compile a model in place, at its first forward pass."""
    for part in model.modules():
        for name in getattr(part, "not_compiled", ()):
            # A decorator in its class would load the compiler, which takes a second, in every program.
            setattr(part, name, torch.compiler.disable(getattr(part, name)))
    model.compile(dynamic=False)


def _twice(x: Tensor) -> Tensor:
    return x + x
