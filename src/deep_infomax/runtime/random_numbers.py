"""Torch's random numbers, of the host and of the one device that is used."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the generators of the host and of a device.

    Those of other devices, which `torch.manual_seed` looks for at every call, are left alone.
    """
    seed = int(seed)  # of NumPy's types, too
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def default_generator(device: torch.device) -> torch.Generator:
    """The generator that torch itself draws from on a device: the CPU, or a CUDA device."""
    if device.type != "cuda":
        return torch.default_generator
    torch.cuda.init()
    return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]


@contextmanager
def own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of the host and a device from a seed; on leaving, both are as they were.

    >>> state = torch.get_rng_state()
    >>> with own_random_numbers(0, torch.device("cpu")):
    ...     drawn = torch.rand(2)
    >>> torch.equal(torch.get_rng_state(), state)
    True
    """
    with kept_random_numbers(device):
        seed_generators(seed, device)
        yield


def kept_random_numbers(device: torch.device) -> AbstractContextManager[None]:
    """On leaving, the generators of the host and of a device are as they were."""
    if device.type == "cpu":
        return torch.random.fork_rng([])
    return torch.random.fork_rng([device], device_type=device.type)
