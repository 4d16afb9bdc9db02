"""Encoders as files that other programs run: ONNX, and programs of PyTorch that need none of our code.

Such a network takes inputs as they are stored, in batches of any size, and normalises them itself. It gives the local
map as ``local``, and every layer that can be encoded under its name, ``Y`` among them, all as float32.
"""

import copy
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from deep_infomax.encoders.base import Encoder, require_encoder
from deep_infomax.runtime.files import check_output, written_by_name

TOLERANCE: Final = 1e-4
"""What a written network may differ by from the encoder at most, as a share of the largest value of an output."""
InputType = Literal["uint8", "float32", "float64"]
_INPUTS: Final = "inputs"
_LOCAL: Final = "local"
_BATCHES: Final = (1, 2, 17)
_GAPS: Final = 0.1
"""Share of values that are missing in the inputs of a trial, where an encoder fills them."""
_TYPES: Final[dict[InputType, torch.dtype]] = {
    "uint8": torch.uint8,
    "float32": torch.float32,
    "float64": torch.float64,
}
_LOGGERS: Final = ("torch.onnx", "torch.fx.experimental.symbolic_shapes")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class InexactExportError(Exception):
    """A written network computes something else than the encoder."""


Outputs = dict[str, Float[Tensor, "n ..."]]


class Format(NamedTuple):
    """A kind of file that an encoder can be written as."""

    title: str
    meaning: str
    ending: str
    write: Callable[["_Network", Num[Tensor, "n channels *spatial"], Path], None]
    """From the network and a batch of inputs into a file."""
    read: Callable[[Path], Callable[[Tensor], Outputs]]
    """From the file to a function of inputs."""
    needs: tuple[str, ...] = ()
    """Modules that it needs beside PyTorch; the extra that installs them is called like the format."""


@dataclass(frozen=True)
class Export:
    """What was written."""

    path: Path
    inputs: tuple[int, ...]
    """Shape of one input."""
    input_type: InputType
    outputs: Mapping[str, tuple[int, ...]]
    """Shape of each output of one input, by name."""
    difference: float
    """The largest difference from the encoder, as a share of the largest value of the output."""


def export(
    encoder: Encoder,
    path: str | Path,
    format: Literal["onnx", "torch"] | None = None,
    input_type: InputType | None = None,
) -> Export:
    """Write an encoder as a file of another kind, and see that it computes the same.

    The file is run on random inputs, in batches of several sizes, before it takes its place: it is there whole and
    exact, or not at all.

    Args:
        encoder: Any encoder; it is left as it is.
        path: The file, which ends in ``.onnx`` or ``.pt2``.
        format: ``onnx``, or ``torch`` for a program of `torch.export`; None takes what the ending says.
        input_type: The type of the inputs, values as they are stored; None takes float32, and float64 where the encoder
            subtracts an offset in double precision.

    Returns:
        Inputs and outputs of the network, and its largest difference from the encoder.

    Raises:
        ValueError: A name is unknown, the ending is another one, a package is missing, the file cannot be written, or
            PyTorch cannot write this network so.
        InexactExportError: What was written differs by more than `TOLERANCE`.

    >>> import tempfile
    >>> from deep_infomax.encoders import digits
    >>> found = export(digits(), f"{tempfile.mkdtemp()}/digits.pt2", input_type="uint8")
    >>> found.outputs["local"], found.difference <= TOLERANCE
    ((128, 4, 4), True)
    """
    require_encoder(encoder)
    path = Path(path)
    check_output(path)
    kind = EXPORTS[format_of(path, format)]
    chosen = _input_type(encoder, input_type)
    if taken := {_INPUTS, _LOCAL} & encoder.layer_sizes.keys():
        raise ValueError(
            f"a layer of the encoder is called {min(taken)!r}, which an exported network calls something else; "
            "give it another name"
        )
    network = _Network(copy.deepcopy(encoder).cpu()).eval().requires_grad_(False)
    with torch.no_grad(), written_by_name(path) as partial:
        with _explained(kind):
            kind.write(network, _trial(encoder, 2, chosen), partial)
            difference = _difference(network, kind.read(partial), chosen)
        if not difference <= TOLERANCE:  # which NaN is not, either
            raise InexactExportError(
                f"{path} is not written: it would differ from the encoder by {difference:.1e} of the largest value, "
                f"and {TOLERANCE:.0e} is the most; write another `format`, or use another version of PyTorch"
            )
    outputs: dict[str, tuple[int, ...]] = {_LOCAL: encoder.local_shape} | {
        name: (units,) for name, units in encoder.layer_sizes.items()
    }
    return Export(path, (encoder.channels, *encoder.spatial), chosen, outputs, difference)


def format_of(path: Path, format: str | None = None) -> str:
    """The format of a file, once its ending and its packages are looked at.

    Raises:
        ValueError: The format is unknown or not what the ending says, or a package is missing.

    >>> format_of(Path("encoder.pt2"))
    'torch'
    """
    endings = {kind.ending: name for name, kind in EXPORTS.items()}
    if format is not None and format not in EXPORTS:
        raise ValueError(f"`format` is {format}; give {' or '.join(EXPORTS)}")
    found = endings.get(path.suffix.lower())
    if found is None or format not in (None, found):
        wanted = " or ".join(endings) if format is None else EXPORTS[format].ending
        of = "" if format is None else f", as the format {format} does"
        raise ValueError(f"{path} {_ending(path)}; name a file that ends in {wanted}{of}")
    if missing := [module for module in EXPORTS[found].needs if find_spec(module) is None]:
        raise ValueError(
            f"the format {found} needs {' and '.join(missing)}; install what it needs: "
            f'pip install "deep-infomax[{found}]"'
        )
    return found


def _ending(path: Path) -> str:
    return f"ends in {path.suffix}" if path.suffix else "has no ending"


class _Network(nn.Module):
    """An encoder from raw inputs to all of its outputs by name."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = tuple(encoder.layer_sizes)

    def forward(self, inputs: Num[Tensor, "n channels *spatial"]) -> Outputs:
        features = self.encoder(inputs)
        return {_LOCAL: features.local.float()} | {name: features.layer(name).float() for name in self.names}


def _write_onnx(network: _Network, inputs: Num[Tensor, "n channels *spatial"], path: Path) -> None:
    with _unheard():
        torch.onnx.export(
            network,
            (inputs,),
            str(path),
            input_names=[_INPUTS],
            output_names=[_LOCAL, *network.names],
            dynamic_shapes={_INPUTS: {0: torch.export.Dim("n")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _read_onnx(path: Path) -> Callable[[Tensor], Outputs]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Tensor) -> Outputs:
        found = session.run(names, {_INPUTS: inputs.numpy()})
        return {name: torch.from_numpy(values) for name, values in zip(names, found, strict=True)}

    return run


def _write_torch(network: _Network, inputs: Num[Tensor, "n channels *spatial"], path: Path) -> None:
    with _unheard():
        shapes = {_INPUTS: {0: torch.export.Dim("n")}}
        program = torch.export.export(network, (inputs,), dynamic_shapes=shapes, strict=False)
        torch.export.save(program, path)


def _read_torch(path: Path) -> Callable[[Tensor], Outputs]:
    found: Callable[[Tensor], Outputs] = torch.export.load(path).module()
    return found


EXPORTS: Final[dict[str, Format]] = {
    "onnx": Format(
        "ONNX",
        "For ONNX Runtime and other programs, without Python if you like.",
        ".onnx",
        _write_onnx,
        _read_onnx,
        ("onnx", "onnxscript", "onnxruntime"),
    ),
    "torch": Format(
        "PyTorch",
        "A program of torch.export, which the same or a newer PyTorch loads without this package.",
        ".pt2",
        _write_torch,
        _read_torch,
    ),
}
"""The kinds of files, by name."""


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep what PyTorch says to its own developers from users; what is written is looked at by its results."""
    told = {logger: logger.level for logger in map(logging.getLogger, _LOGGERS)}
    for logger in told:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in told.items():
            logger.setLevel(level)


@contextmanager
def _explained(kind: Format) -> Iterator[None]:
    """Turn what PyTorch says of a network that it cannot write into one sentence."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of many kinds, which depend on the version
        if _interrupted(error):
            raise KeyboardInterrupt from error
        said = _COLOURS.sub("", str(error)).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        others = " or ".join(name for name, other in EXPORTS.items() if other is not kind)
        raise ValueError(
            f"torch {torch.__version__} cannot write this network as {kind.title} ({said.rstrip('.')}); "
            f"choose `format` {others}" + (f", or upgrade torch and {kind.needs[1]} together" if kind.needs else "")
        ) from error


def _interrupted(error: BaseException | None) -> bool:
    """Whether an error is what PyTorch makes of an interrupt."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return any(isinstance(reason, KeyboardInterrupt) for reason in found)


def _input_type(encoder: Encoder, given: InputType | None) -> InputType:
    if given is None:
        return "float32" if encoder.offset is None else "float64"
    if given not in _TYPES:
        raise ValueError(f"`input_type` is {given}; give one of {', '.join(_TYPES)}")
    return given


def _trial(encoder: Encoder, n: int, kind: InputType) -> Num[Tensor, "n channels *spatial"]:
    """Random inputs of the encoder's own mean and spread, always the same."""
    generator = torch.Generator().manual_seed(n)
    noise = torch.randn(n, *encoder.spatial, encoder.channels, generator=generator, dtype=torch.float64)
    values = encoder.denormalise(noise.movedim(-1, 1).contiguous().to(encoder.mean.device)).cpu()
    if encoder.scaling == "log1p":
        values = values.clamp(min=0)
    if encoder.missing is not None and not (encoder.missing == "nan" and kind == "uint8"):
        gone = torch.rand(values.shape, generator=generator) < _GAPS
        values = values.masked_fill(gone, math.nan if encoder.missing == "nan" else encoder.missing)
    return values.round().clamp(0, 255).byte() if kind == "uint8" else values.to(_TYPES[kind])


def _difference(network: _Network, written: Callable[[Tensor], Outputs], kind: InputType) -> float:
    """The largest difference of any output, as a share of its largest value."""
    found = []
    for n in _BATCHES:
        inputs = _trial(network.encoder, n, kind)
        expected, given = network(inputs), written(inputs)
        assert given.keys() == expected.keys()
        for name, values in expected.items():
            largest = values.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
            found.append((given[name] - values).abs().max() / largest)
    return torch.stack(found).max().item()  # NaN where one of them is
