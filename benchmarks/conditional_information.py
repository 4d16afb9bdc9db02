"""Conditional information and transfer entropy on tasks with known answers.

    python benchmarks/conditional_information.py --out conditional.jsonl

Each run is a line of the file; runs that it holds already are not made again, so the command can be ended at any time
and given again. The table is printed from the file: the truth, the mean over the seeds, how many intervals hold the
truth, and seconds of a run. ``--tasks``, ``--samples`` and ``--seeds`` choose a part.

Truths: of normal variables from their covariances; of finite chains by enumeration; of the scale by quadrature.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.integrate import quad, trapezoid
from scipy.linalg import solve_discrete_lyapunov
from scipy.signal import lfilter

from deep_infomax.mutual_information import conditional_mi, transfer_entropy

Array = np.ndarray
Draw = Callable[[np.random.Generator, int], tuple[Array, ...]]


class Known(NamedTuple):
    """A task with its answer in nats."""

    truth: float
    draw: Draw
    estimate: Callable[..., Any]


def partial_normal(r: float, d: int = 1) -> Known:
    """d coordinates each with a partial correlation r, given z that drives both."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        z, e, f = generator.normal(size=(3, n, d))
        return 2 * z + e, z + r * e + math.sqrt(1 - r**2) * f, z

    return Known(-d * math.log(1 - r**2) / 2, draw, conditional_mi)


def exclusive_or() -> Known:
    """Two fair bits and their sum: nothing in pairs, one bit given the third."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        x, y = generator.integers(2, size=(2, n))
        return x, y, x ^ y

    return Known(math.log(2), draw, conditional_mi)


def chain() -> Known:
    """x to z to y, each step with an error: nothing is left given z."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        def step(before: Array) -> Array:
            return np.where(generator.random(n) < 0.7, before, generator.integers(4, size=n))

        x = generator.integers(4, size=n)
        z = step(x)
        return x, step(z), z

    return Known(0.0, draw, conditional_mi)


def common_cause() -> Known:
    """x follows z and y a sine of it: much is shared, and nothing given z."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        z, e, f = generator.normal(size=(3, n))
        return z + 0.3 * e, np.sin(3 * z) + 0.3 * f, z

    return Known(0.0, draw, conditional_mi)


def linear(coupling: Array, towards: int) -> Known:
    """One direction of z_t = A z_{t-1} + noise, with one lag of each."""
    covariance = solve_discrete_lyapunov(coupling, np.eye(2))
    lagged = coupling @ covariance  # of z_t with z_{t-1}
    own = lagged[towards, towards] ** 2 / covariance[towards, towards]

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        noise = generator.normal(size=(n + 500, 2))
        series = np.zeros_like(noise)
        for t in range(1, len(noise)):
            series[t] = coupling @ series[t - 1] + noise[t]
        return series[500:, 1 - towards], series[500:, towards]

    return Known(math.log(covariance[towards, towards] - own) / 2, draw, transfer_entropy)  # the noise has variance 1


def copied_bits(flip: float = 0.2, error: float = 0.1) -> Known:
    """x is a bit that flips now and then, y a faulty copy of it one step later."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        x = np.cumsum(generator.random(n + 1) < flip) % 2
        y = x[:-1] ^ (generator.random(n) < error)
        return x[1:], y

    # Of (y_t, x_{t-1}, y_{t-1}): y_{t-1} is a copy of x_{t-2}, from which x_{t-1} came.
    copy = np.array([[1 - error, error], [error, 1 - error]])
    move = np.array([[1 - flip, flip], [flip, 1 - flip]])
    joint = np.einsum("a,ab,ac,bd->dbc", [0.5, 0.5], move, copy, copy)
    given = joint.sum(axis=1, keepdims=True) / joint.sum(axis=(0, 1))
    truth = float((joint * np.log(copy.T[:, :, None] / given)).sum())
    return Known(truth, draw, transfer_entropy)


def scale(spread: float = 0.7) -> Known:
    """x sets the scale of y one step later, and correlates with nothing."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        x, noise = generator.normal(size=(2, n + 1))
        return x[1:], np.exp(spread * x[:-1]) * noise[1:]

    def density(y: float) -> float:
        def at(x: float) -> float:
            return math.exp(-(x**2) / 2 - spread * x - (y * math.exp(-spread * x)) ** 2 / 2) / (2 * math.pi)

        return quad(at, -8, 8)[0]

    grid = np.sinh(np.linspace(0, math.asinh(400.0), 4001))
    values = np.array([density(y) for y in grid])
    entropy = -2 * float(trapezoid(values * np.log(values), grid))
    return Known(entropy - math.log(2 * math.pi * math.e) / 2, draw, transfer_entropy)


def slow(memory: float = 0.99) -> Known:
    """Two slow series that never meet."""

    def draw(generator: np.random.Generator, n: int) -> tuple[Array, ...]:
        x, y = lfilter([1.0], [1.0, -memory], generator.normal(size=(2, n + 1000)))[:, 1000:]
        return x, y

    return Known(0.0, draw, transfer_entropy)


BOTH_WAYS: Final = np.array([[0.5, 0.3], [0.6, 0.4]])
TASKS: Final[dict[str, Callable[[], Known]]] = {
    "conditional-normal-0.3": lambda: partial_normal(0.3),
    "conditional-normal-0.8-3": lambda: partial_normal(0.8, 3),
    "conditional-exclusive-or": exclusive_or,
    "conditional-chain": chain,
    "conditional-common-cause": common_cause,
    "transfer-linear-there": lambda: linear(BOTH_WAYS, 1),
    "transfer-linear-back": lambda: linear(BOTH_WAYS, 0),
    "transfer-copied-bits": copied_bits,
    "transfer-scale": scale,
    "transfer-slow": slow,
}


def run(name: str, n: int, seed: int) -> dict[str, Any]:
    """One estimate."""
    task = TASKS[name]()
    samples = task.draw(np.random.default_rng([seed, n]), n)
    began = time.perf_counter()
    found = task.estimate(*samples, seed=seed, progress=False)
    return {
        "task": name, "n": n, "seed": seed, "truth": task.truth, "mi": found.mi, "interval": found.interval,
        "warnings": list(found.warnings), "seconds": time.perf_counter() - began,
    }  # fmt: skip


def table(lines: Sequence[dict[str, Any]]) -> str:
    """A row for each task and number of samples."""
    rows = [
        "| task | n | truth | mean | deviation | intervals that hold it | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in TASKS:
        for n in sorted({line["n"] for line in lines if line["task"] == name}):
            runs = [line for line in lines if (line["task"], line["n"]) == (name, n)]
            read = np.array([line["mi"] for line in runs])
            known = [line["interval"] for line in runs if line["interval"] is not None]
            held = sum(low <= runs[0]["truth"] <= high for low, high in known)
            seconds = np.mean([line["seconds"] for line in runs])
            rows.append(
                f"| {name} | {n:,} | {runs[0]['truth']:.4f} | {read.mean():.4f} | {read.std():.4f} | "
                f"{held} of {len(known)} | {seconds:.0f} |"
            )
    return "\n".join(rows)


def main() -> None:
    """Make what is missing in the file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("conditional.jsonl"))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--samples", nargs="+", type=int, default=[1000, 10_000])
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(line["task"], line["n"], line["seed"]) for line in lines}
    for n in given.samples:
        for name in given.tasks:
            for seed in range(given.seeds):
                if (name, n, seed) not in done:
                    lines.append(run(name, n, seed))
                    with given.out.open("a") as file:
                        file.write(json.dumps(lines[-1]) + "\n")
    print(table(lines))


if __name__ == "__main__":
    main()
