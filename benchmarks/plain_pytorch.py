"""Deep InfoMax as one would write it in an afternoon in plain PyTorch: the yardstick of the plain recipe.

DIM(L) with InfoNCE on 32 x 32 images: the paper's encoder, encode-and-dot scorers of 512 units, scores over
sqrt(units), Adam in one cycle up to 1e-3, batches of 256, channels last, bfloat16 where that is faster. `--folded` ends
the locations' side in a layer norm, without an output layer, limits the scores softly at 20, adds 0.05 times their mean
square to the loss and lets the cycle go up to 1.5e-3. Nothing of the library takes part in the training; its data and
its probe, `mlp/1`, are used so that the figures compare. Run it with
`python benchmarks/plain_pytorch.py --data cifar10/ --epochs 12`.
"""

import argparse
import time

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from deep_infomax.data import DataOptions, load_dataset
from deep_infomax.encoders import TappedEncoder
from deep_infomax.evaluation import evaluate
from deep_infomax.training import has_fast_bfloat16, keep_freed_memory

BATCH, UNITS = 256, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--held_out", type=int, help="test on so many training images, as --data_options.held_out")
    parser.add_argument("--folded", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(options.seed)
    dataset = load_dataset(options.data, DataOptions(held_out=options.held_out))
    images = dataset.train.take(torch.arange(len(dataset.train))).float()
    mean, std = images.mean((0, 2, 3)), images.std((0, 2, 3))
    images = ((images - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)).contiguous(memory_format=torch.channels_last)
    network = Network().to(memory_format=torch.channels_last)
    train(network, images, options.epochs, options.folded)
    taps = {"local": "local", "vector": "vector", "hidden": {"conv": "conv", "fc": "fc"}}
    encoder = TappedEncoder(network, **taps, channels=3, spatial=(32, 32))
    encoder.set_statistics(mean, std)
    for result in evaluate(encoder, dataset, metrics=["mlp"], seeds=1):
        print(f"{result.protocol} {result.layer} {result.value:.2f} {result.unit}")


class Network(nn.Module):
    """The paper's encoder for 32 x 32 images."""

    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Sequential(convolution(3, 64), convolution(64, 128))
        self.conv = nn.Sequential(convolution(128, 256), nn.Flatten())
        self.fc = nn.Sequential(nn.Linear(4096, 1024, bias=False), nn.BatchNorm1d(1024), nn.ReLU(inplace=True))
        self.vector = nn.Linear(1024, 64)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        local = self.local(images)
        return local, self.vector(self.fc(self.conv(local)))


class Projection(nn.Module):
    """One side of encode-and-dot, on rows: a hidden layer beside a linear shortcut."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(size, UNITS, bias=False), nn.BatchNorm1d(UNITS), nn.ReLU(inplace=True))
        self.output = nn.Linear(UNITS, UNITS)
        self.shortcut = nn.Linear(size, UNITS)

    def forward(self, rows: Tensor) -> Tensor:
        return self.output(self.hidden(rows)) + self.shortcut(rows)


class FoldedProjection(nn.Module):
    """The locations' side without its output layer, which is folded into the vector's."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(size, UNITS, bias=False), nn.BatchNorm1d(UNITS), nn.ReLU(inplace=True))
        self.norm = nn.LayerNorm(UNITS)

    def forward(self, rows: Tensor) -> Tensor:
        return self.norm(self.hidden(rows))


def convolution(channels: int, filters: int) -> nn.Sequential:
    layer = nn.Conv2d(channels, filters, 4, 2, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(filters), nn.ReLU(inplace=True))


def train(network: Network, images: Tensor, epochs: int, folded: bool) -> None:
    encode_local, encode_vector = FoldedProjection(128) if folded else Projection(128), Projection(64)
    parameters = [p for module in (network, encode_local, encode_vector) for p in module.parameters()]
    optimizer = torch.optim.Adam(parameters, fused=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3 if folded else 1e-3, epochs * steps)
    own = torch.eye(BATCH, dtype=torch.bool)[:, :, None]
    bfloat16 = has_fast_bfloat16(torch.device("cpu"))
    print(f"threads {torch.get_num_threads()}, {'bfloat16' if bfloat16 else 'float32'}")
    began = time.perf_counter()
    for epoch in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                local, vector = network(images[batch])
                rows = encode_local(local.flatten(2).transpose(1, 2).flatten(0, 1))
                scores = (encode_vector(vector) @ rows.T).float().view(BATCH, BATCH, -1) / UNITS**0.5
            penalty = 0.05 * scores.square().mean() if folded else 0.0
            if folded:
                scores = 20 * torch.tanh(scores / 20)
            unpaired = scores.masked_fill(own, -torch.inf).flatten(1).logsumexp(1, keepdim=True)
            loss = F.softplus(unpaired - scores.diagonal().T).mean() + penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / steps
        minutes = (time.perf_counter() - began) / 60
        print(f"epoch {epoch + 1} of {epochs}: loss {total:.3f}, {minutes:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
