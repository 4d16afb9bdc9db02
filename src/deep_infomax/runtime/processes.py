"""Several processes as one: what each of them computes on its share of a step, put together with gradients.

Every process holds equally many inputs of a step. The loss of the step is the mean of the processes' losses, so that
averaged gradients, as `DistributedDataParallel` averages them, are those of one process with all inputs. Alone, nothing
here communicates.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import once_differentiable


def world_size() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def first_process() -> bool:
    """Whether this is the process that writes and speaks for all that train together."""
    return world_size() == 1 or dist.get_rank() == 0


def first_row(n: int) -> int:
    """Where this process's own rows begin among those that `gathered` gives, each process having n."""
    return dist.get_rank() * n if world_size() > 1 else 0


def gathered(own: Shaped[Tensor, "n *shape"]) -> Shaped[Tensor, "p *shape"]:
    """The rows of all processes, in their order; all processes have to call it, with as many rows.

    The gradient of a row is the sum of what all processes send back to it.
    """
    if world_size() == 1:
        return own
    rows: Tensor = _Gather.apply(own)
    return rows


def agreed(wishes: Sequence[bool], hosts: dist.ProcessGroup | None) -> list[bool]:
    """What any process wishes, so that all do the same. The hosts (None: one alone) ask, and wait for no device."""
    if hosts is None:
        return list(wishes)
    found = torch.tensor(wishes, dtype=torch.int32)
    dist.all_reduce(found, dist.ReduceOp.MAX, hosts)
    return [bool(wish) for wish in found]


def wait_for_all(hosts: dist.ProcessGroup | None) -> None:
    """Go on when all processes are here; the hosts (None: one alone) wait for one another, and for no device."""
    if hosts is not None:
        dist.barrier(hosts)


@contextmanager
def main_process_first(patience: timedelta) -> Iterator[None]:
    """Run the block in the first process, then in the first of every other machine, then in all the rest.

    What one of them makes is found by the others, be it kept for all machines or for each. They wait so long at most.
    """
    if world_size() == 1:
        yield
        return
    # A group of its own, as a training has to notice sooner that a process does not answer.
    waiting = dist.new_group(backend="gloo", timeout=patience)
    turn = 0 if dist.get_rank() == 0 else 1 if os.environ.get("LOCAL_RANK") == "0" else 2
    for _ in range(turn):
        dist.barrier(waiting)
    yield
    for _ in range(turn, 3):
        dist.barrier(waiting)
    dist.destroy_process_group(waiting)


def lost_process(error: RuntimeError) -> bool:
    """Whether an error says that another process does not answer any more."""
    # gloo's own errors arrive as a bare RuntimeError, so its name in their words is all there is to tell by.
    return world_size() > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error).lower())


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(world_size())]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        wide = torch.promote_types(gradient.dtype, torch.float32)  # what many add up to needs more than 8 bits
        every = gradient.to(wide, copy=True, memory_format=torch.contiguous_format)
        dist.all_reduce(every)
        return every.chunk(world_size())[dist.get_rank()].to(gradient.dtype)


class _Normalise(torch.autograd.Function):
    """Batch normalisation by the statistics of all processes, which it gives, too; it keeps its input and nothing else.

    Both passes are those for fixed statistics, in fused kernels, to whose gradient is added what goes by way of the
    statistics: with sums over all processes, - w / s (mean(g) + x^ mean(g x^)) for the gradient g and x^ = (x - m) / s.
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        axes = [axis for axis in range(input.dim()) if axis != 1]
        variances, means = gathered(
            torch.stack(torch.var_mean(input.to(_wide(input)), axes, correction=0))[None]
        ).unbind(1)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        output, *_ = torch.native_batch_norm(input, weight, bias, mean, variance, False, 0.0, eps)
        ctx.save_for_backward(input, weight, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return output, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        input, weight, mean, variance = ctx.saved_tensors
        inverse = (variance + ctx.eps).rsqrt()
        weighting = torch.ones_like(mean) if weight is None else weight
        # The statistics stand for those of a training step, too, which kernels for GPUs ask for.
        of_input, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, input, weighting, mean, variance, mean, inverse, False, ctx.eps, [True, True, True]
        )
        sums = torch.stack([of_bias, of_weight])
        dist.all_reduce(sums)
        mean_g, mean_gx = sums / (world_size() * input.numel() // input.shape[1])
        scale = inverse * weighting
        slope = -scale * inverse * mean_gx
        shape = [1, -1, *(1 for _ in input.shape[2:])]
        shift = -scale * mean_g - slope * mean
        of_input += torch.addcmul(shift.view(shape), input, slope.view(shape))
        return of_input, None if weight is None else of_weight, None if weight is None else of_bias, None


def _wide(input: Tensor) -> torch.dtype:
    """What sums of values are kept in."""
    return torch.promote_types(input.dtype, torch.float32)


class SynchronisedBatchNorm(nn.modules.batchnorm._BatchNorm):
    r"""Batch normalisation with the statistics of all processes, on any device; alone, as usual.

    With the means and variances of N equal shares, the mean is theirs and the variance

    .. math:: \frac{1}{N} \sum_r \left[ \sigma_r^2 + (\mu_r - \mu)^2 \right]

    PyTorch's ``SyncBatchNorm`` does the same, for GPUs only.
    """

    @classmethod
    def of(cls, module: nn.modules.batchnorm._BatchNorm) -> "SynchronisedBatchNorm":
        """One with the same settings and the very parameters and buffers of another."""
        new = cls(module.num_features, module.eps, module.momentum, affine=False, track_running_stats=False)
        new.__dict__.update(module.__dict__)
        return new

    def forward(self, input: Float[Tensor, "n c *spatial"]) -> Float[Tensor, "n c *spatial"]:
        """Normalise every channel."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        weight, bias = (None if p is None else p.to(_wide(input)) for p in (self.weight, self.bias))
        normalised: Tensor
        normalised, mean, variance = _Normalise.apply(input, weight, bias, self.eps)
        if self.running_mean is not None and self.running_var is not None:
            self._track(mean, variance, world_size() * input.numel() // input.shape[1])
        return normalised

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch normalisation needs at least 2 dimensions, got {input.dim()}")

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        rate = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean += rate * (mean - self.running_mean)
        self.running_var += rate * (variance * count / (count - 1) - self.running_var)


_USUAL: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def synchronise_batch_norms(module: nn.Module) -> None:
    """Let every batch normalisation inside a module use the statistics of all processes, in place.

    Raises:
        ValueError: one is of a class of its own, whose statistics cannot be shared.
    """
    for path, part in list(module.named_modules()):
        for name, child in part.named_children():
            if type(child) in _USUAL:
                setattr(part, name, SynchronisedBatchNorm.of(child))
            elif isinstance(child, nn.modules.batchnorm._BatchNorm) and not isinstance(child, SynchronisedBatchNorm):
                raise ValueError(
                    f"the layer '{path}.{name}', a {type(child).__name__}, cannot share its statistics among several "
                    "processes; train in one, or with one of PyTorch's own batch normalisations in its place"
                )
