"""How a training scales over gloo processes on one machine: images a second of 1, 2, ... processes, same global batch.

`local-infonce` with batches of 256 on random images of CIFAR-10's size, each world started by torchrun, the processor's
threads shared by its processes. One process with all threads is what the others are compared with.

    python benchmarks/processes.py [largest number of processes, 2]
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from measuring import train_records

BATCH, INPUTS, STEPS, WARM_UP = 256, 5120, 80, 20


def main() -> None:
    most, cores = int(sys.argv[1]) if len(sys.argv) > 1 else 2, torch.get_num_threads()
    print(f"threads {cores}, load average {os.getloadavg()[0]:.2f}, torch {torch.__version__}")
    print("processes | threads of each | images/s | of one process")
    with tempfile.TemporaryDirectory() as folder:
        np.save(
            Path(folder) / "images.npy", np.random.default_rng(0).integers(256, size=(INPUTS, 3, 32, 32)).astype("u1")
        )
        first = None
        for world in range(1, most + 1):
            if BATCH % world == 0:
                speed = trained(world, max(1, cores // world), Path(folder))
                first = first or speed
                print(f"{world} | {max(1, cores // world)} | {speed:.0f} | {speed / first:.2f}", flush=True)


def trained(world: int, threads: int, folder: Path) -> float:
    """Images a second, the median of what the training logs after its first steps."""
    run = folder / str(world)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(world), "-m", "deep_infomax.cli"]
    flags = f"train --recipe local-infonce --training.batch_size {BATCH} --training.log_every 5 --training.device cpu"
    epochs = STEPS / (INPUTS // BATCH)
    command = [*launch, *flags.split(), "--data", f"{folder}/images.npy", "--epochs", str(epochs), "--out", str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    speeds = [record["images_per_second"] for record in train_records(run)]
    return statistics.median(speeds[WARM_UP // 5 :])


if __name__ == "__main__":
    main()
