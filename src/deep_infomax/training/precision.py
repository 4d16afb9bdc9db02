"""Which number format matrix products and convolutions use."""

import torch


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware (CPU: AVX-512 BF16 or AMX; CUDA: since Ampere)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Private names of torch, absent from some builds: without them float32 is always right, only slower.
    tests = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return device.type == "cpu" and any(test() for test in tests if test is not None)


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """The dtype that ``precision`` (auto, bfloat16, float32) stands for on a device."""
    if precision == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[precision]
