"""Which number format matrix products and convolutions use."""

import time
from functools import cache

import torch

_SIZE = 1024
_REPETITIONS = 10  # other work on the processor must not decide


@cache
def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 speeds up matrix products on the device.

    CUDA: in hardware, since Ampere. CPU: AVX-512 BF16 or AMX, where a short measurement finds it faster than float32;
    by the instructions alone one cannot tell, as some processors run AVX-512 BF16 at half the speed of float32 and
    others at twice. Measured once in a process.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Private names of torch, absent from some builds: without them float32 is always right, only slower.
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    if device.type != "cpu" or not any(test() for test in tests if test is not None):
        return False
    return _product_seconds(torch.bfloat16) < 0.8 * _product_seconds(torch.float32)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The dtype that ``precision`` (auto, bfloat16, float32) stands for on a device."""
    if precision == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[precision]


def _product_seconds(dtype: torch.dtype) -> float:
    """Seconds of a square matrix product, the least of a few after one that warms up."""
    a = torch.ones(_SIZE, _SIZE, dtype=dtype)
    seconds = []
    for _ in range(1 + _REPETITIONS):
        began = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:])
