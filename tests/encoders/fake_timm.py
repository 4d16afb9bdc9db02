"""A module with the calls of timm that encoders make, and two small models: stages of convolutions, a transformer."""

from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class Stages(nn.Module):
    """Convolutions that halve the sides, each a stage, then the mean over positions; takes images of any size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (channels, 4, 6, 8)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[i], widths[i + 1], 3, 2, 1), nn.BatchNorm2d(widths[i + 1]), nn.ReLU())
            for i in range(3)
        )
        self.scale = nn.Parameter(torch.full((8,), 0.5))  # held by the model itself, as layer scales are
        self.feature_info = [{"num_chs": widths[i + 1], "reduction": 2 << i, "module": f"stages.{i}"} for i in range(3)]

    def forward_intermediates(self, x: Tensor, indices: list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return x, [maps[i] for i in (range(3) if indices is None else indices)]

    def forward_head(self, x: Tensor) -> Tensor:
        return self.scale * x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_intermediates(x)[0])


class Transformer(nn.Module):
    """Patches of four pixels and a class token through six blocks; takes images of one size only."""

    def __init__(self, channels: int, img_size: tuple[int, int]) -> None:
        super().__init__()
        self.img_size, self.grid = img_size, (img_size[0] // 4, img_size[1] // 4)
        self.patches = nn.Conv2d(channels, 5, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 5))
        self.blocks = nn.ModuleList(nn.Linear(5, 5) for _ in range(6))
        self.feature_info = [{"num_chs": 5, "reduction": 4, "module": f"blocks.{i}"} for i in range(6)]

    def forward_intermediates(self, x: Tensor, indices: list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        assert tuple(x.shape[2:]) == self.img_size, f"Input size {tuple(x.shape[2:])} doesn't match {self.img_size}."
        x = torch.cat([self.token.expand(len(x), -1, -1), self.patches(x).flatten(2).mT], dim=1)
        maps = []
        for block in self.blocks:
            x = x + block(x).tanh()
            maps.append(x[:, 1:].mT.unflatten(2, self.grid))
        return x, [maps[i] for i in (range(6) if indices is None else indices)]

    def forward_head(self, x: Tensor) -> Tensor:
        return x[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_intermediates(x)[0])


class Mapless(nn.Module):
    """Has no call that gives maps."""


MODELS = {"stages_small": Stages, "patch4_tiny": Transformer, "mapless": Mapless}
FIXED = ("patch4_tiny",)


def made(calls: list[dict[str, Any]]) -> ModuleType:
    """The module; what models are made with is added to ``calls``."""
    timm: Any = ModuleType("timm")
    timm.__version__ = "1.2.3"
    timm.list_models = lambda: list(MODELS)
    timm.get_pretrained_cfg = lambda name: SimpleNamespace(fixed_input_size=True) if name in FIXED else None

    def create_model(name: str, **options: Any) -> nn.Module:
        calls.append({"name": name, **options})
        if name == "mapless":
            return Mapless()
        sizes = {key: value for key, value in options.items() if key == "img_size"}
        return MODELS[name](options["in_chans"], **sizes)

    timm.create_model = create_model
    return timm
