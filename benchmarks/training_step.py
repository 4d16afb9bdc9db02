"""One training step of the library beside a careful float32 eager implementation of the same mathematics.

Both run in this process, one after the other, with the same threads and the same allocator, on random images of
CIFAR-10's size; the library in the precision it finds faster on this machine. Printed for each shape: milliseconds a
step, images a second, the ratio of the two, and for each the share of the matrix-product rate measured in its own
precision in this run; then the peak memory of the InfoNCE loss, forward and backward. Run it with `make bench`.
"""

import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from deep_infomax.bounds import info_nce
from deep_infomax.negatives import all_pairs
from deep_infomax.recipes import RECIPES, Config, build_encoder, build_objective
from deep_infomax.scorers import EncodeAndDot, FoldedEncodeAndDot, ResidualProjection
from deep_infomax.training import fit, has_fast_bfloat16, keep_freed_memory
from deep_infomax.training.prepare import use_channels_last

LOCATIONS = 64
WARM_UP, STEPS = 30, 20  # the first steps touch memory that the process never had before


def main() -> None:
    if "--loss-memory" in sys.argv:
        print(loss_memory(int(sys.argv[-1])))
        return
    keep_freed_memory()
    cpu = torch.device("cpu")
    print(f"threads {torch.get_num_threads()}, load average {os.getloadavg()[0]:.2f}, torch {torch.__version__}")
    peaks = {dtype: matrix_product_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    print("matrix products: " + ", ".join(f"{dtype} {rate / 1e9:.0f} GFLOP/s" for dtype, rate in peaks.items()))
    dtype = torch.bfloat16 if has_fast_bfloat16(cpu) else torch.float32
    print(f"the library computes in {dtype}, the reference in torch.float32\n")
    header = ("shape", "library ms", "images/s", "reference ms", "ratio", "library peak share", "reference peak share")
    print(" | ".join(header))
    for name, config in shapes().items():
        images = torch.randint(256, (config.training.batch_size * 4, 3, 32, 32), dtype=torch.uint8)
        library = library_seconds(config, images)
        reference, flops = reference_seconds(config, images)
        print(
            f"{name} | {library * 1e3:.0f} | {config.training.batch_size / library:.0f} | {reference * 1e3:.0f} | "
            f"{reference / library:.2f} | {flops / library / peaks[dtype]:.0%} | "
            f"{flops / reference / peaks[torch.float32]:.0%}"
        )
    print("\nInfoNCE loss, forward and backward: batch | scores (bfloat16) MB | peak beyond them MB")
    for n in (512, 1024):
        scores = n * n * LOCATIONS * 2 / 1e6
        command = [sys.executable, __file__, "--loss-memory", str(n)]
        peak_mb = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(f"{n} | {scores:.0f} | {peak_mb:.0f}")


def shapes() -> dict[str, Config]:
    """The plain recipe, and the paper's scorer at its batch; without the prior, which the reference leaves out."""
    found = {}
    for recipe in ("local-infonce", "local-infonce-paper"):
        config = RECIPES[recipe]
        name = f"{recipe} ({config.training.batch_size}, {config.objective.units})"
        found[name] = dataclasses.replace(config, objective=dataclasses.replace(config.objective, gamma=0.0))
    return found


def matrix_product_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of square matrix products: the best of three sizes, twenty times each."""
    rates = []
    for size in (1024, 2048, 4096):
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        rates.append(2 * size**3 / min(_timed(lambda a=a, b=b: a @ b) for _ in range(20)))
    return max(rates)


def library_seconds(config: Config, images: Tensor) -> float:
    """Seconds of a step of `fit` itself: data, forward, backward, optimiser, log; the median of what it logs."""
    encoder = build_encoder(config, 3, (32, 32))
    objective = build_objective(config.objective, encoder)
    batch = config.training.batch_size
    training = dataclasses.replace(
        config.training,
        epochs=(WARM_UP + STEPS) * batch / len(images),
        log_every=1,
        device="cpu",
        checkpoint_seconds=1e9,
    )
    with tempfile.TemporaryDirectory() as folder:
        fit(encoder, objective, images, training, out=folder, progress=False)
        records = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    speeds = [record["images_per_second"] for record in records if record["kind"] == "train"][WARM_UP:]
    return batch / statistics.median(speeds)


def reference_seconds(config: Config, images: Tensor) -> tuple[float, int]:
    """Seconds and floating-point operations of a step of the float32 reference, whose loss is first checked."""
    encoder = build_encoder(config, 3, (32, 32)).train()
    local_term = build_objective(config.objective, encoder).local_term
    scorer = local_term.scorer.train()
    batch = images[: config.training.batch_size]
    use_channels_last(encoder)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *scorer.parameters()], 1e-4, weight_decay=0.0, fused=True)

    def loss() -> Tensor:
        local, vector, _ = encoder(batch)
        return reference_info_nce(reference_scores(scorer, local, vector), local_term.limit, local_term.penalty)

    def step() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.testing.assert_close(loss(), local_term(encoder(batch))[0], rtol=1e-4, atol=1e-4)
    with FlopCounterMode(display=False) as counter:
        step()
    for _ in range(WARM_UP):
        step()
    return statistics.median(_timed(step) for _ in range(STEPS)), counter.get_total_flops()


def reference_scores(scorer: EncodeAndDot | FoldedEncodeAndDot, local: Tensor, vector: Tensor) -> Tensor:
    """Scores (n, n, m) of all pairs: 1x1 convolutions on the map as it lies, then one product over the units."""
    if isinstance(scorer, FoldedEncodeAndDot):
        layer, norm, _, _ = scorer.encode_local
        hidden = _batch_norm(norm, F.conv2d(local, layer.weight[:, :, None, None])).relu()
        locations = F.layer_norm(hidden.movedim(1, -1), hidden.shape[1:2]).movedim(-1, 1) / math.sqrt(hidden.shape[1])
        vectors = _projection(scorer.encode_vector, vector)
    else:
        locations = _projection(scorer.encode_local, local)
        vectors = _projection(scorer.encode_vector, vector)
    return torch.einsum("iu,jum->ijm", vectors, locations.flatten(2))


def _projection(block: ResidualProjection, x: Tensor) -> Tensor:
    first, norm, _, second = block.residual
    maps = x if x.dim() == 4 else x[:, :, None, None]
    hidden = _batch_norm(norm, F.conv2d(maps, first.weight[:, :, None, None])).relu()
    y = F.conv2d(hidden, second.weight[:, :, None, None], second.bias)
    y = y + F.conv2d(maps, block.shortcut.weight[:, :, None, None])
    if isinstance(block.norm, torch.nn.LayerNorm):
        y = F.layer_norm(y.movedim(1, -1), y.shape[1:2], block.norm.weight, block.norm.bias).movedim(-1, 1)
    return y if x.dim() == 4 else y[:, :, 0, 0]


def _batch_norm(norm: torch.nn.BatchNorm1d, x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)


def reference_info_nce(scores: Tensor, limit: float | None, penalty: float) -> Tensor:
    """InfoNCE of scores (n, n, m) in O(n^2 m): own pairs are -inf, one log-sum for all locations of an anchor."""
    n = len(scores)
    own = torch.eye(n, dtype=torch.bool)[:, :, None]
    limited = scores if limit is None else limit * torch.tanh(scores / limit)
    log_sum = limited.masked_fill(own, -torch.inf).flatten(1).logsumexp(1, keepdim=True)
    loss = F.softplus(log_sum - limited.diagonal().T).mean()
    return loss + penalty * scores.square().mean() if penalty else loss


def loss_memory(n: int) -> float:
    """Peak MB of the InfoNCE loss and its gradient beyond the bfloat16 scores of all pairs, in a fresh process."""
    scores = torch.empty(n, n, LOCATIONS, dtype=torch.bfloat16).normal_().requires_grad_()
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak counts from here
    before = status_bytes("VmRSS")
    info_nce(all_pairs(scores)).backward()
    return (status_bytes("VmHWM") - before) / 1e6


def status_bytes(entry: str) -> int:
    """Bytes of an entry of the process's status."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(entry)]
    return 1024 * int(line.split()[1])


def _timed(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
