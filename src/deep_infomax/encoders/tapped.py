"""Any network of the user's as an encoder: name the submodules that give the local map, the vector and probed layers.

Their outputs are read by forward hooks that exist during a forward pass only, so that the module is left as it was
found, and copies and saves like any other.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
from jaxtyping import Float
from msgspec import Meta
from torch import Tensor, nn

from deep_infomax.contracts import Features
from deep_infomax.encoders.base import ArgumentsError, Encoder, eval_mode
from deep_infomax.runtime.records import typed


class TappedEncoder(Encoder, architecture="tapped"):
    """A user's module with names for its local map ``C``, its vector ``Y`` and the layers that probes read.

    Names are those of ``module.named_modules()``, dots included; the empty name is the module itself. An output that a
    later layer changes in place (``nn.ReLU(inplace=True)``) is read as changed. The module gets inputs normalised by
    ``mean`` and ``std``, which leave them as they are until :meth:`set_statistics` is called.

    The sizes of the layers are found by one forward pass over zeros, in evaluation mode and without gradients, so that
    no statistics of the module change.

    >>> from torch import nn
    >>> convolutions = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU())
    >>> module = nn.Sequential(convolutions, nn.Flatten(), nn.Linear(512, 10))
    >>> encoder = TappedEncoder(module, local="0", vector="2", hidden={"conv": "0.1"}, channels=3, spatial=(32, 32))
    >>> encoder.local_shape, encoder.layer_sizes
    ((8, 8, 8), {'conv': 512, 'Y': 10})

    Args:
        module: The network; it takes ``(n, channels, *spatial)``.
        local: Name of the submodule whose output ``(n, c, *spatial)`` is the local map.
        vector: Name of the submodule whose output ``(n, d)`` is the global vector.
        hidden: Names of further submodules by the names that probes call them; their outputs are flattened.
        channels: Channels of an input.
        spatial: Spatial sizes of an input: one, two or three.

    Raises:
        ValueError: the module cannot run on such inputs; a name that does not exist; a submodule that does not run, or
            runs several times; an output that is not a tensor or has the wrong number of dimensions.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        local: str,
        vector: str,
        hidden: Mapping[str, str] | None = None,
        channels: int,
        spatial: tuple[int, ...],
    ) -> None:
        hidden = dict(hidden or {})
        if "Y" in hidden:
            raise ValueError("the name Y is kept for the vector; give the hidden layer another name")
        _check_names(module, (local, vector, *hidden.values()))
        reference = next((weight for weight in module.parameters() if weight.is_floating_point()), torch.empty(0))
        inputs = torch.zeros(2, channels, *spatial, dtype=reference.dtype, device=reference.device)
        outputs = _trial(module, (local, vector, *hidden.values()), inputs)
        _check_outputs(outputs, local, vector)
        sizes = {name: math.prod(outputs[layer].shape[1:]) for name, layer in hidden.items()}
        sizes["Y"] = outputs[vector].shape[1]
        super().__init__(channels, tuple(spatial), tuple(outputs[local].shape[1:]), sizes)
        self.mean, self.std = self.mean.to(reference), self.std.to(reference)
        self.module, self.local, self.vector, self.hidden = module, local, vector, hidden

    def features(self, inputs: Float[Tensor, "n channels *spatial"]) -> Features:
        """Features of inputs that are normalised already."""
        outputs = _outputs(self.module, (self.local, self.vector, *self.hidden.values()), inputs)
        hidden = {name: outputs[layer].flatten(1) for name, layer in self.hidden.items()}
        return Features(outputs[self.local], outputs[self.vector], hidden)

    def arguments(self) -> dict[str, Any]:
        """The names and sizes as JSON values; the module itself has to be given again when the encoder is loaded."""
        return {
            "module": type(self.module).__qualname__,
            "local": self.local,
            "vector": self.vector,
            "hidden": self.hidden,
            "channels": self.channels,
            "spatial": self.spatial,
        }

    @classmethod
    def from_arguments(cls, arguments: dict[str, Any], module: nn.Module | None) -> "TappedEncoder":
        """An encoder around ``module`` with the names and sizes of :meth:`arguments`, as read from JSON."""
        try:
            saved = typed(arguments, _Names)
        except ValueError as error:
            raise ArgumentsError(str(error)) from None
        if module is None:
            raise ValueError(
                f"this encoder wraps a module of your own, a {saved.module}: "
                f"pass one of that architecture, from_pretrained(..., module={saved.module}(...))"
            )
        return cls(
            module,
            local=saved.local,
            vector=saved.vector,
            hidden=saved.hidden,
            channels=saved.channels,
            spatial=saved.spatial,
        )


@dataclass(frozen=True)
class _Names:
    """What `TappedEncoder.arguments` keeps."""

    module: str
    local: str
    vector: str
    hidden: dict[str, str]
    channels: Annotated[int, Meta(ge=1)]
    spatial: tuple[Annotated[int, Meta(ge=1)], ...]


def _outputs(module: nn.Module, names: Iterable[str], inputs: Tensor) -> dict[str, Tensor]:
    """The outputs of the submodules called ``names`` in one forward pass."""
    seen: dict[str, list[Any]] = {name: [] for name in names}
    handles = [module.get_submodule(name).register_forward_hook(partial(_keep, found)) for name, found in seen.items()]
    try:
        module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: _single(name, found) for name, found in seen.items()}


def _keep(found: list[Any], _module: nn.Module, _inputs: Any, output: Any) -> None:
    found.append(output)


def _single(name: str, found: list[Any]) -> Tensor:
    if not found:
        raise ValueError(f"the layer '{name}' was not reached in the forward pass; name one that the module calls")
    if len(found) > 1:
        raise ValueError(f"the layer '{name}' ran {len(found)} times in one forward pass; name one that runs once")
    if not isinstance(found[0], Tensor):
        raise ValueError(
            f"the layer '{name}' gives a {type(found[0]).__name__}, not a tensor; name a layer inside it or wrap it"
        )
    return found[0]


def _trial(module: nn.Module, names: Iterable[str], inputs: Tensor) -> dict[str, Tensor]:
    """The outputs of one forward pass that leaves the module's statistics and mode alone."""
    with eval_mode(module), torch.no_grad():
        try:
            return _outputs(module, names, inputs)
        except (RuntimeError, AssertionError, TypeError, IndexError) as error:
            raise ValueError(
                f"the module cannot run on inputs of shape {tuple(inputs.shape)} ({error}); "
                "check channels and spatial, or the module itself"
            ) from error


def _check_names(module: nn.Module, names: Iterable[str]) -> None:
    known = dict(module.named_modules())
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, cutoff=0.4) or list(known)[1:6]
            raise ValueError(f"the module has no layer '{name}'; its layers include {', '.join(close)}")


def _check_outputs(outputs: dict[str, Tensor], local: str, vector: str) -> None:
    """Refuse outputs of a batch of two that are no local map, no vector, or not one row an input."""
    for name, output in outputs.items():
        shape = tuple(output.shape)
        if output.ndim < 2 or shape[0] != 2:
            raise ValueError(
                f"the layer '{name}' gives shape {shape} for 2 inputs; name one that keeps the batch first"
            )
    if outputs[local].ndim not in (3, 4, 5):
        raise ValueError(
            f"the local layer '{local}' gives shape {tuple(outputs[local].shape)}, not (n, c, *spatial) with one, two "
            "or three spatial sizes; name an earlier layer, before pooling and flattening"
        )
    if outputs[vector].ndim != 2:
        raise ValueError(
            f"the vector layer '{vector}' gives shape {tuple(outputs[vector].shape)}, not (n, d); "
            "name a later layer, or add global pooling and nn.Flatten() after it"
        )
