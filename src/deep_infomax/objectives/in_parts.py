"""A function of pieces and anchors, evaluated some anchors at a time, whose parts are not kept for the gradient."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Part = Callable[[Tensor, Tensor, slice], tuple[Tensor, ...]]


def in_parts(
    part: Part,
    pieces: Float[Tensor, "p m _"],
    anchors: Float[Tensor, "a _"],
    parameters: Iterable[nn.Parameter],
    rows: int,
) -> list[tuple[Tensor, ...]]:
    """Outputs of ``part(pieces, anchors[rows], rows)`` for every ``rows`` anchors; for the gradient it is called again.

    What is held at a time is one part, and the sums of the parts' gradients, which are of at least 32 bits.

    Args:
        part: of all pieces, some anchors, and where those stand; it draws no random numbers.
        pieces: what every part reads.
        anchors: what each part reads a few of.
        parameters: what else the part computes with.
        rows: anchors of a part; the last may have fewer.
    """
    a, kind = len(anchors), anchors.device.type
    enabled, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)

    def called(*arguments: Any) -> tuple[Tensor, ...]:
        # The autocast of now, for the second time, too, with 16-bit copies of the parameters of its own.
        with torch.autocast(kind, dtype=dtype, enabled=enabled, cache_enabled=False):
            return part(*arguments)

    slices = [slice(start, min(a, start + rows)) for start in range(0, a, rows)]
    flat = _InParts.apply(called, slices, pieces, anchors, *(p for p in parameters if p.requires_grad))
    each = len(flat) // len(slices)
    return [flat[start : start + each] for start in range(0, len(flat), each)]


class _InParts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, part: Part, slices: Sequence[slice], pieces: Tensor, anchors: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.part, ctx.slices = part, slices
        ctx.save_for_backward(pieces, anchors, *parameters)
        ctx.set_materialize_grads(False)
        return tuple(output for some in slices for output in part(pieces, anchors[some], some))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        pieces, anchors, *parameters = ctx.saved_tensors
        shared = [pieces.detach().requires_grad_(), *parameters]
        sums: list[Tensor | None] = [None] * len(shared)
        of_anchors, each = [], len(gradients) // len(ctx.slices)
        for number, some in enumerate(ctx.slices):
            own = anchors[some].detach().requires_grad_()
            with torch.enable_grad():
                outputs = ctx.part(shared[0], own, some)
            sent_back = gradients[number * each : (number + 1) * each]
            used = [(output, g) for output, g in zip(outputs, sent_back, strict=True) if g is not None]
            of_own, *of_shared = torch.autograd.grad(
                [output for output, _ in used], [own, *shared], [g for _, g in used], allow_unused=True
            )
            of_anchors.append(torch.zeros_like(own) if of_own is None else of_own)
            sums = [_added(total, found) for total, found in zip(sums, of_shared, strict=True)]
        found = [total if total is None else total.to(x.dtype) for total, x in zip(sums, shared, strict=True)]
        return None, None, found[0], torch.cat(of_anchors), *found[1:]


def _added(total: Tensor | None, gradient: Tensor | None) -> Tensor | None:
    """The sum, in the memory of the first; None stands for nothing."""
    if gradient is None:
        return total
    if total is None:
        return gradient.to(torch.promote_types(gradient.dtype, torch.float32), copy=True)
    return total.add_(gradient)
