"""What every encoder does: normalise its inputs, hand over :class:`Features`, encode arrays, save and load itself.

An encoder takes inputs as they are stored (``uint8`` images, ``float32`` series) and normalises them with statistics of
its own, so that a saved encoder can be used without knowing how its training data were scaled.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Num, Shaped
from torch import Tensor, nn
from torch.nn import functional

from deep_infomax.contracts import Features
from deep_infomax.encoders import pretrained
from deep_infomax.encoders.normalisation import Normalisation
from deep_infomax.runtime import run_files
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.records import damaged

_POOLS: Final[tuple[Callable[..., Tensor], ...]] = (
    functional.adaptive_avg_pool1d,
    functional.adaptive_avg_pool2d,
    functional.adaptive_avg_pool3d,
)
"""By the number of spatial sizes, from one on."""


class UnknownArchitectureError(ValueError):
    """No class of encoders has this name."""


class ArgumentsError(ValueError):
    """Values in a file describe no encoder of their architecture."""


class Encoder(Normalisation, ABC):
    """Maps inputs to a local map ``C``, a global vector ``Y`` and the layers that probes read.

    A subclass defines :meth:`features`, and for saving :meth:`arguments` and :meth:`from_arguments`; its class
    statement gives the name under which it is saved: ``class Mine(Encoder, architecture="mine")``.

    Attributes:
        local_shape: Shape ``(c, *spatial)`` of the local map of one input.
        layer_sizes: Units of each layer that can be encoded and probed, ``Y`` last.
        extra: The extra of this package that the encoder needs, if any.

    It normalises inputs itself, see :class:`Normalisation`, which has the attributes ``channels`` and ``spatial``, too.
    """

    architecture: ClassVar[str]
    extra: str | None = None
    _architectures: ClassVar[dict[str, type["Encoder"]]] = {}

    def __init_subclass__(cls, architecture: str | None = None) -> None:
        """Register the subclass under the name in its saved files; without a name it keeps that of its parent."""
        super().__init_subclass__()
        if architecture is not None:
            cls.architecture = architecture
            Encoder._architectures[architecture] = cls

    def __init__(
        self,
        channels: int,
        spatial: tuple[int, ...],
        local_shape: tuple[int, ...],
        layer_sizes: dict[str, int],
    ) -> None:
        super().__init__(channels, spatial)
        assert list(layer_sizes)[-1] == "Y"
        self.local_shape = local_shape
        self.layer_sizes = layer_sizes

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that probes read unless others are named, ``Y`` last."""
        return tuple(self.layer_sizes)

    @property
    def vector_size(self) -> int:
        """Units d of the global vector ``Y``."""
        return self.layer_sizes["Y"]

    @property
    def summary(self) -> str:
        """One line for people: the network, and the shape of the local map and the units of the layers that it gives.

        >>> from deep_infomax.encoders import digits
        >>> digits().summary
        'convolutional: local map (128 x 4 x 4), conv (1024), fc (256), Y (16)'
        """
        return f"{self.architecture}: local map {self.sizes}"

    @property
    def sizes(self) -> str:
        """Shape of the local map and units of each layer, in words."""
        local = " x ".join(map(str, self.local_shape))
        return ", ".join([f"({local})", *(f"{layer} ({self.layer_sizes[layer]})" for layer in self.layers)])

    def units(self, layer: str) -> int:
        """How many units a layer has.

        Raises:
            ValueError: an unknown layer; the error names those there are.
        """
        if layer not in self.layer_sizes:
            raise ValueError(f"unknown layer {layer!r}; this encoder has {', '.join(self.layer_sizes)}")
        return self.layer_sizes[layer]

    @abstractmethod
    def features(self, inputs: Float[Tensor, "n channels *spatial"]) -> Features:
        """Features of inputs that are normalised already."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """What :meth:`from_arguments` rebuilds the network from; JSON values only."""

    @classmethod
    @abstractmethod
    def from_arguments(cls, arguments: dict[str, Any], module: nn.Module | None) -> "Encoder":
        """An encoder with fresh weights; ``module`` is the user's network, for encoders that wrap one."""

    def forward(self, inputs: Num[Tensor, "n channels *spatial"]) -> Features:
        """Features of raw inputs of any numeric type, on the encoder's device."""
        values = self.normalise(inputs)
        if self.missing is None:
            return self.features(values)
        known = (~self.gaps(inputs)).to(values.dtype).mean(dim=1, keepdim=True)
        return self.known_features(values, known)._replace(missing=self.missing_locations(inputs))

    def known_features(
        self, inputs: Float[Tensor, "n channels *spatial"], known: Float[Tensor, "n 1 *spatial"]
    ) -> Features:
        """Features of normalised inputs of which some values are missing, and filled.

        Args:
            inputs: As for :meth:`features`.
            known: The share of the channels whose values are known. Most networks do not look at it; those that
                average over positions leave out what is missing.
        """
        return self.features(inputs)

    def missing_locations(self, inputs: Num[Tensor, "n channels *spatial"]) -> Bool[Tensor, "n *locations"]:
        """Which locations of the local map stand for missing values: where over half of a location's cell is missing.

        The cells part an input evenly among the locations of the map, and count the values of all channels.

        Raises:
            ValueError: the map has not as many spatial sizes as inputs.
        """
        if len(self.local_shape) != 1 + len(self.spatial):
            raise ValueError(
                f"the local map has {len(self.local_shape) - 1} spatial sizes and inputs have {len(self.spatial)}, so "
                "missing values have no place in it; name another local layer, or define missing_locations"
            )
        share = self.gaps(inputs).float().mean(dim=1, keepdim=True)
        return averaged(share, self.local_sizes(inputs.shape[2:]))[:, 0] > 0.5

    def local_sizes(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Spatial sizes of the local map of inputs of these sizes."""
        return self.local_shape[1:]

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether the network reads inputs of this shape, ``(channels, *spatial)``; most read those of one size."""
        return tuple(shape) == (self.channels, *self.spatial)

    def check_inputs(self, shape: Sequence[int]) -> None:
        """Raise a ValueError that names the remedy unless inputs of this shape, batch included, fit the encoder."""
        found, expected = tuple(shape), (self.channels, *self.spatial)
        if self.fits(found[1:]):
            return
        size = "x".join(map(str, self.spatial))
        if found == expected:
            remedy = "add the batch dimension: inputs[None]"
        elif self.channels == 1 and found[1:] == self.spatial:
            remedy = "add the channel dimension: inputs[:, None]"
        elif len(found) != len(expected) + 1:
            remedy = f"arrange them as batch, channels and {len(self.spatial)} spatial size(s)"
        elif found[1:] == (*self.spatial, self.channels):
            remedy = "move the channels to the second place: moveaxis(inputs, -1, 1)"
        elif found[1] != self.channels:
            remedy = f"convert them to {self.channels} channel(s) or build an encoder with channels={found[1]}"
        else:
            remedy = f"resize or crop them to {size} or build an encoder for {'x'.join(map(str, found[2:]))}"
        raise ValueError(f"inputs of shape {found} do not fit an encoder of (n, {str(expected)[1:-1]}): {remedy}")

    def encode(
        self,
        inputs: Shaped[Tensor, "..."] | Shaped[np.ndarray, "..."],
        layer: str = "Y",
        batch_size: int | None = None,
    ) -> Float[Tensor, "n _"]:
        """Representations of raw inputs, as ``float32`` on the CPU, in evaluation mode, without gradients or autocast.

        The mode of every submodule is restored afterwards. Memory-mapped arrays are read one batch at a time.

        >>> import torch
        >>> from deep_infomax.encoders import convolutional_32
        >>> images = torch.randint(256, (5, 3, 32, 32), dtype=torch.uint8)
        >>> convolutional_32().encode(images, layer="fc").shape
        torch.Size([5, 1024])

        Args:
            inputs: Array of shape ``(n, channels, *spatial)``, torch or numpy, of any real numeric type.
            layer: One of :attr:`layer_sizes`.
            batch_size: Inputs encoded at a time; it changes speed and memory, not the result. None takes 512, and fewer
                of large ones.

        Raises:
            ValueError: an unknown layer, inputs that are no array or do not fit, or a batch size below 1.
        """
        if not isinstance(inputs, Tensor | np.ndarray):
            raise ValueError(
                f"`inputs` is a {type(inputs).__name__}; give an array or a tensor of shape (n, channels, *spatial)"
            )
        encoded = torch.empty(*inputs.shape[:1], self.units(layer))
        for rows, found in self.in_batches(lambda rows: _tensor(inputs[rows]), inputs.shape, [layer], batch_size):
            encoded[rows] = found[layer]
        return encoded

    def in_batches(
        self,
        take: Callable[[slice], Num[Tensor, "k channels *spatial"]],
        shape: Sequence[int],
        layers: Sequence[str],
        batch_size: int | None = None,
    ) -> Iterator[tuple[slice, dict[str, Float[Tensor, "k _"]]]]:
        """Encode inputs batch by batch: the rows of each batch and its layers, ``float32`` on the CPU.

        The encoder is in evaluation mode during a batch. It computes without gradients and without autocast, so that
        representations depend neither on the precision of a training nor on the code around this one.

        Args:
            take: Gives the raw inputs of some rows.
            shape: Of all inputs: ``(n, channels, *spatial)``.
            layers: Some of :attr:`layer_sizes`.
            batch_size: Inputs encoded at a time; None takes 512, and fewer of large ones.

        Raises:
            ValueError: an unknown layer, inputs that do not fit, or a batch size below 1.
        """
        for layer in layers:
            self.units(layer)
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.check_inputs(shape)
        n, size = shape[0], batch_size or at_a_time(shape[1:], 512)
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            yield rows, self._encoded(take(rows), layers)

    def _encoded(self, inputs: Num[Tensor, "k channels *spatial"], layers: Sequence[str]) -> dict[str, Tensor]:
        device = self.mean.device
        self.check_counts(inputs)
        with eval_mode(self), torch.no_grad(), torch.autocast(device.type, enabled=False):
            features = self(inputs.to(device))
        return {layer: features.layer(layer).float().cpu() for layer in layers}

    def remaining_layers(self, units: int) -> nn.Module:
        """A fresh network from the local map to ``units`` outputs, shaped like the layers after the local map.

        Raises:
            ValueError: the encoder cannot tell which layers these are.
        """
        raise ValueError(
            f"{type(self).__name__} does not know which of its layers follow the local map; "
            f"give the scorer a module of your own from {self.local_shape} to {units} units"
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write ``encoder.safetensors`` and ``encoder.json`` into ``folder``, each replaced atomically."""
        offset = None if self.offset is None else tuple(self.offset.double().tolist())
        described = pretrained.Configuration(self.architecture, self.arguments(), offset, self.scaling, self.missing)
        pretrained.write(Path(folder), described, self)

    @staticmethod
    def of_architecture(name: str) -> type["Encoder"]:
        """The class that was defined under a name.

        Raises:
            UnknownArchitectureError: there is none.
        """
        if name not in Encoder._architectures:
            known = ", ".join(sorted(Encoder._architectures))
            raise UnknownArchitectureError(
                f"names the architecture '{name}', and those known are {known}; "
                "upgrade deep-infomax or import the module that defines it"
            )
        return Encoder._architectures[name]

    @staticmethod
    def from_pretrained(source: str | Path, module: nn.Module | None = None) -> "Encoder":
        """The encoder saved in a folder, in a run directory or on the Hugging Face Hub, on the CPU in evaluation mode.

        Args:
            source: A folder, a run directory, or a Hub name ``owner/name``.
            module: For a tapped encoder, a network of the architecture that was saved; its weights are replaced.

        Raises:
            ValueError: nothing there, damaged or newer files, weights that do not fit, a module missing or unwanted.
        """
        folder = pretrained.locate(source)
        configuration = pretrained.read_configuration(folder)
        tensors = pretrained.read_weights(folder)
        path, architecture = folder / run_files.ENCODER, configuration.architecture
        try:
            kind = Encoder.of_architecture(architecture)
            if module is None and (outline := _outline(kind, configuration.arguments)) is not None:
                pretrained.require_fit(outline, tensors, folder)  # before memory is taken for the network
            encoder = kind.from_arguments(configuration.arguments, module)
        except UnknownArchitectureError as error:
            raise ValueError(f"'{path}' {error}") from None
        except (ArgumentsError, KeyError, TypeError, RuntimeError, OverflowError) as error:
            too_large = isinstance(error, RuntimeError | OverflowError)
            reason = f"its arguments do not describe a {architecture} encoder"
            shown = f"{reason} ({'a size is too large' if too_large else error})"
            raise damaged(path, shown, pretrained.REMEDY) from None
        pretrained.load_weights(encoder, tensors, folder)
        if said := _strange_statistics(encoder):
            raise damaged(folder / run_files.WEIGHTS, said, pretrained.REMEDY)
        try:
            encoder.set_statistics(
                encoder.mean, encoder.std, configuration.offset, configuration.scaling, configuration.missing
            )
        except ValueError as error:
            raise damaged(path, error, pretrained.REMEDY) from None
        return encoder.eval()

    def push_to_hub(
        self, repo_id: str, *, private: bool = False, token: str | None = None, commit_message: str = "Upload encoder"
    ) -> str:
        """Upload the saved encoder to the Hugging Face Hub as ``owner/name``; the address of the repository.

        Raises:
            ValueError: the Hub refused or could not be reached.
        """
        return pretrained.upload(repo_id, self.save_pretrained, private=private, token=token, message=commit_message)


def averaged(values: Float[Tensor, "n k *spatial"], sizes: Sequence[int]) -> Float[Tensor, "n k *sizes"]:
    """Means over the cells that part an input evenly among so many locations."""
    return _POOLS[len(sizes) - 1](values, tuple(sizes))


def _outline(kind: type[Encoder], arguments: dict[str, Any]) -> dict[str, Tensor] | None:
    """The tensors of a network without their values; None for one that cannot be built without."""
    try:
        with torch.device("meta"):
            return kind.from_arguments(arguments, None).state_dict()
    except (RuntimeError, ValueError):  # what is wrong in earnest shows when it is built with values
        return None


def _strange_statistics(encoder: Encoder) -> str | None:
    """What is said of statistics that no data have; None where there are none such."""
    for part in encoder.modules():
        if isinstance(part, Encoder) and not (part.std > 0).all():
            return f"a standard deviation is {part.std.min().item():g}, not positive"
        variance = part.running_var if isinstance(part, nn.modules.batchnorm._BatchNorm) else None
        if variance is not None and (variance < 0).any():
            return f"a variance is {variance.min().item():g}, not positive"
    return None


def require_encoder(encoder: object) -> None:
    """Raise ValueError, with the remedy for a plain module, unless this is an encoder."""
    if isinstance(encoder, Encoder):
        return
    found = encoder.__name__ if isinstance(encoder, type) else type(encoder).__name__
    if isinstance(encoder, type):
        remedy = f"make one first: {found}(...)"
    elif isinstance(encoder, nn.Module):
        remedy = "wrap it: TappedEncoder(module, local=..., vector=..., channels=..., spatial=...)"
    else:
        remedy = "give an Encoder, such as deep_infomax.encoders.convolutional(channels, spatial)"
    raise ValueError(f"`encoder` is {'the class' if isinstance(encoder, type) else 'a'} {found}, no Encoder; {remedy}")


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every submodule is in the mode it was in, whatever happened."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _tensor(batch: Tensor | Shaped[np.ndarray, "..."]) -> Tensor:
    """The batch as a tensor of its own memory, so that read-only and memory-mapped arrays are welcome."""
    if isinstance(batch, np.ndarray):
        if batch.dtype.kind not in "uif":
            raise ValueError(f"inputs must be real numbers, got {batch.dtype}; convert them to uint8 or float32")
        kind = np.dtype(np.float64) if batch.dtype.itemsize > 8 else batch.dtype.newbyteorder("=")
        return torch.from_numpy(np.array(batch, dtype=kind))
    if batch.dtype.is_complex or batch.dtype is torch.bool:
        raise ValueError(f"inputs must be real numbers, got {batch.dtype}; convert them to uint8 or float32")
    return batch
