"""Image models of timm as encoders: which of their maps is the local one, and how ``Y`` is read.

The library has over a thousand models behind three calls: ``create_model``, ``forward_intermediates``, which gives the
map after every stage of a convolutional or every block of a transformer, and ``forward_head``, which pools the last.
Nothing is downloaded: weights are random, and the encoder learns them.

Source: Wightman, PyTorch Image Models, 2019, https://github.com/huggingface/pytorch-image-models.
"""

import difflib
import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, Final, NamedTuple

import torch
from jaxtyping import Float
from msgspec import Meta
from torch import Tensor, nn

from deep_infomax.contracts import Features
from deep_infomax.encoders.base import ArgumentsError, Encoder, eval_mode
from deep_infomax.encoders.networks import Network, convolutional
from deep_infomax.runtime.records import typed

NEAREST: Final = 8
"""Positions on the longest side that a local map should have, as those of the built-in networks."""
MOST: Final = 11
"""Positions on the longest side that it has at most, where a stage has so few."""


class TimmEncoder(Encoder, architecture="timm"):
    """An image model of timm by its name there, with random weights, and a linear layer from its pooled features to Y.

    The local map is that of the stage whose longest side is nearest 8 and at most 11, as in the built-in networks; the
    smallest map where none is so small. The blocks of a plain vision transformer all end in maps of one size, their
    patch tokens arranged as a grid. Of maps of one size it is the one after two thirds of them, as the local map of the
    paper's network follows two of its three convolutions.

    Probed layers: ``pooled``, what the model itself gives without a classifier (``num_classes=0``); ``Y``.
    Dropout and stochastic depth are those that the model has by default.

    The `summary` of ``TimmEncoder("resnet18", channels=3, spatial=(64, 64))`` is "timm:resnet18 without its pretrained
    weights: local map layer2 (128 x 8 x 8), pooled (512), Y (64)".

    Args:
        name: One of ``timm.list_models()``.
        channels: Channels of an input.
        spatial: Height and width of an input.
        dim: Units of ``Y``.
        local: Name of the stage that gives the local map, one of the model's ``feature_info``; None chooses as above.

    Raises:
        ValueError: timm is not installed or does not load, has no such model or one without intermediate maps; inputs
            are no images; the model does not take their channels or sizes; an unknown stage.
    """

    extra = "timm"

    def __init__(
        self, name: str, channels: int, spatial: tuple[int, ...], dim: int = 64, local: str | None = None
    ) -> None:
        spatial = tuple(spatial)
        if len(spatial) != 2:
            raise ValueError(
                f"timm:{name} takes images, and inputs have {len(spatial)} spatial size(s); "
                "choose convolutional or pooled, which take series and volumes too"
            )
        model = _model(name, channels, spatial)
        maps, pooled = _trial(model, name, (channels, *spatial))
        stages = [str(stage["module"]) for stage in model.feature_info]
        place = (
            local_place([tuple(found.shape[2:]) for found in maps]) if local is None else _place(name, local, stages)
        )
        super().__init__(channels, spatial, tuple(maps[place].shape[1:]), {"pooled": pooled.shape[1], "Y": dim})
        self.name, self.stage, self.place = name, stages[place], place
        self.model = model
        self.output = nn.Linear(pooled.shape[1], dim)

    @property
    def summary(self) -> str:
        """One line: the model, the stage that gives the local map, and the sizes of all that it gives."""
        return f"timm:{self.name} without its pretrained weights: local map {self.stage} {self.sizes}"

    def features(self, inputs: Float[Tensor, "n channels height width"]) -> Features:
        """Features of inputs that are normalised already."""
        last, (local,) = self.model.forward_intermediates(inputs, indices=[self.place])
        pooled = self.model.forward_head(last)
        return Features(local, self.output(pooled), {"pooled": pooled})

    def reset_parameters(self) -> None:
        """Draw all weights anew, as the model itself does."""
        fresh = TimmEncoder(*self.arguments().values())
        self.model.load_state_dict(fresh.model.state_dict())
        self.output.load_state_dict(fresh.output.state_dict())

    def remaining_layers(self, units: int) -> nn.Sequential:
        """Fresh layers from the local map to ``(n, units)``: those of `convolutional` for inputs of the map's size.

        A model's own stages cannot be had apart from it.
        """
        channels, *sides = self.local_shape
        network = convolutional(channels, tuple(sides), units)
        return nn.Sequential(network.lower, network.upper, network.reading, network.fully_connected, network.output)

    def arguments(self) -> dict[str, Any]:
        """The model's name, the sizes and the stage that was chosen, as JSON values."""
        return {
            "name": self.name,
            "channels": self.channels,
            "spatial": self.spatial,
            "dim": self.vector_size,
            "local": self.stage,
        }

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any], module: nn.Module | None) -> "TimmEncoder":
        """An encoder with fresh weights from :meth:`arguments`, as read from JSON."""
        if module is not None:
            raise ValueError("this encoder builds its own model of timm; load it without module=")
        try:
            saved = typed(arguments, _Arguments)
        except ValueError as error:
            raise ArgumentsError(str(error)) from None
        return cls(saved.name, saved.channels, saved.spatial, saved.dim, saved.local)


@dataclass(frozen=True)
class _Arguments:
    """What `TimmEncoder.arguments` keeps."""

    name: str
    channels: Annotated[int, Meta(ge=1)]
    spatial: tuple[Annotated[int, Meta(ge=1)], Annotated[int, Meta(ge=1)]]
    dim: Annotated[int, Meta(ge=1)]
    local: str


class Family(NamedTuple):
    """Networks of one library, which a recipe can name by ``FAMILY:NAME``."""

    title: str
    meaning: str
    network: Callable[[str], Network]
    """The network of a name within the library."""


def timm_network(name: str) -> Network:
    """An image model of timm as a network that a recipe can name."""

    def build(channels: int, spatial: tuple[int, ...], dim: int | None = None) -> TimmEncoder:
        return TimmEncoder(name, channels, spatial) if dim is None else TimmEncoder(name, channels, spatial, dim)

    return Network(f"timm, {name}", f"The image model {name} of timm, with random weights.", build)


FAMILIES: Final[dict[str, Family]] = {
    "timm": Family(
        "image models of timm", "A model of timm by its name there, with random weights, for images.", timm_network
    )
}
"""Networks of other libraries, by what comes before the colon of ``FAMILY:NAME``."""


def local_place(sides: Sequence[tuple[int, ...]]) -> int:
    """Which of a model's maps is the local one, by their spatial sizes in the order of the stages.

    >>> local_place([(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]), local_place([(14, 14)] * 12)
    (2, 7)
    """
    longest = [max(side) for side in sides]
    nearest = min([side for side in longest if side <= MOST] or [min(longest)], key=lambda side: abs(side - NEAREST))
    alike = [place for place, side in enumerate(longest) if side == nearest]
    return alike[math.ceil(len(alike) * 2 / 3) - 1]


def _place(name: str, stage: str, stages: Sequence[str]) -> int:
    if stage not in stages:
        raise ValueError(f"timm:{name} has no stage {stage!r}; its stages are {', '.join(stages)}")
    return stages.index(stage)


def _model(name: str, channels: int, spatial: tuple[int, int]) -> Any:
    """A model with random weights and no classifier, for images of this size."""
    timm = _library(name)
    known = timm.list_models()
    if name not in known:
        model, tagged, _ = name.partition(".")
        if tagged and model in known:
            raise ValueError(
                f"timm:{name} names pretrained weights, and an encoder begins with random ones; choose timm:{model}"
            )
        close = difflib.get_close_matches(name, known, n=3)
        meant = f"did you mean {', '.join(close)}? All" if close else "all"
        raise ValueError(f"timm {timm.__version__} has no model called {name!r}; {meant} are in timm.list_models()")
    sized = getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False)  # else it takes images of any size
    size = {"img_size": spatial} if sized else {}
    try:
        model = timm.create_model(name, pretrained=False, in_chans=channels, num_classes=0, **size)
    except Exception as error:  # of any kind, as every model checks its arguments in its own way
        raise _unfit(name, (channels, *spatial), error) from error
    if not hasattr(model, "forward_intermediates"):
        raise ValueError(
            f"timm {timm.__version__} gives no intermediate maps of {name}, and one of them would be the local map; "
            "upgrade timm or choose another model"
        )
    return model


def _trial(model: Any, name: str, shape: tuple[int, ...]) -> tuple[list[Tensor], Tensor]:
    """All maps of an input of zeros, and its pooled features."""
    try:
        with eval_mode(model), torch.no_grad():
            last, maps = model.forward_intermediates(torch.zeros(1, *shape))
            return maps, model.forward_head(last)
    except Exception as error:  # as above
        raise _unfit(name, shape, error) from error


def _unfit(name: str, shape: tuple[int, ...], error: Exception) -> ValueError:
    channels, *sides = shape
    said = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    return ValueError(
        f"timm:{name} does not take inputs of {channels} channel(s) and {'x'.join(map(str, sides))} ({said}); "
        "choose another model, or another size with `data_options.resize`"
    )


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module("timm")
    except Exception as error:  # torchvision raises errors of many kinds beside a torch that it was not built for
        if isinstance(error, ModuleNotFoundError) and error.name == "timm":
            raise ValueError(
                f'timm:{name} needs timm, which is not installed; pip install "deep-infomax[timm]"'
            ) from error
        said = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"timm:{name} needs timm, which cannot be loaded ({said}); "
            "install torch and torchvision anew, from one index, so that their builds agree"
        ) from error
