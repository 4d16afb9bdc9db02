"""Keep freed memory in the process: glibc gives large blocks back, and every step then pays for fresh pages."""

import ctypes
import platform

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Make the C allocator reuse large blocks instead of returning them; True where that worked.

    A training step allocates and frees tensors of tens of megabytes. By default glibc maps and unmaps each of them,
    and the kernel zeroes the pages anew. It holds for the whole process and costs at most its peak memory. There is
    nothing to do where the C library is another (macOS, Windows, musl), and it has no effect on a preloaded allocator
    such as jemalloc, which keeps freed memory by itself.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that the machine, or its GPU, has no more memory."""
    # PyTorch raises a bare RuntimeError for all but its own GPU memory, so words are all there is to tell by: those of
    # the C++ allocator of a CPU; of CUDA itself; of cuBLAS and cuDNN, whose own memory is not PyTorch's.
    said = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in said)
