"""From exceptions to one sentence and an exit code.

The library speaks in Python's terms, with names of settings and calls in backticks. Here is the one rule that puts
them into the command's: the name of a flag becomes ``--name``, that of an operand is followed by what was given, a call
of a run becomes a command, and whatever else loses its backticks.
"""

import errno
import os
import re
from collections.abc import Mapping
from typing import Any, Final

from deep_infomax.cli.calls import in_commands
from deep_infomax.cli.interrupts import INTERRUPTED
from deep_infomax.cli.options import Command
from deep_infomax.runtime.regular import no_room

DONE: Final = 0
FAILED: Final = 1
WRONG_INPUT: Final = 2

_LESS: Final = {
    "train": "train anew with a smaller `training.batch_size`, or keep fewer inputs with `data_options.train_inputs`",
    "compare": "keep fewer inputs with `data_options.train_inputs`",
    "study": "keep fewer inputs with `data_options.train_inputs`",
    "evaluate": "name fewer `layers`",
    "encode": "encode the data in parts",
    "export": "end what else uses memory",
    "push": "end what else uses memory",
    "report": "report on fewer runs",
    "explore": "show fewer `points`",
    "estimate": "use fewer samples or coordinates",
    "transfer": "use fewer moments, coordinates or lags",
    "dependency": "use fewer samples or coordinates",
    "pairwise": "use fewer samples or columns",
    "rank": "use fewer samples or columns",
}
"""What takes less memory."""


_BEYOND: Final = (
    "Storage size calculation overflowed", "Overflow when unpacking", "array is too big", "Maximum allowed dimension",
    "Invalid buffer size",
)  # fmt: skip
"""What PyTorch and NumPy say of sizes that no memory has."""


def explained(error: BaseException, command: str) -> tuple[int, str] | None:
    """The exit code and the sentence of an error; None for one that nobody foresaw.

    The sentence is empty where another process says it for all.

    Classes that need PyTorch are looked at last: a slip in a flag is answered before it is loaded.
    """
    if isinstance(error, ValueError):
        return WRONG_INPUT, str(error)
    if isinstance(error, OSError):
        return _of_a_file(error)
    if _is_interrupt(error):
        said = "interrupted" if isinstance(error, ImportError | SystemError) else str(error) or "interrupted"
        return INTERRUPTED, said if os.environ.get("RANK", "0") == "0" else ""

    from deep_infomax.encoders import InexactExportError
    from deep_infomax.experiments.series import FailedTrainingError
    from deep_infomax.runtime.allocator import out_of_memory
    from deep_infomax.runtime.processes import first_process, lost_process
    from deep_infomax.training.errors import (
        InterruptedTrainingError,
        LostProcessError,
        NonFiniteLossError,
        WriteError,
    )

    if isinstance(error, InterruptedTrainingError):
        return INTERRUPTED, (str(error) or "interrupted") if first_process() else ""
    failures = WriteError | NonFiniteLossError | LostProcessError | FailedTrainingError | InexactExportError
    if isinstance(error, failures):
        return FAILED, str(error)
    if isinstance(error, RuntimeError) and lost_process(error):
        return FAILED, "another process of the training ended before it began; see what that one says"
    if isinstance(error, MemoryError | RuntimeError) and out_of_memory(error):
        return FAILED, f"out of memory; {_LESS[command.split()[0]]}"
    return None


def too_large(error: BaseException, given: Mapping[str, Any]) -> str | None:
    """The sentence of an error that says that a number is beyond what can be computed with; None for any other."""
    if not (isinstance(error, OverflowError) or any(words in str(error) for words in _BEYOND)):
        return None
    numbers = {name: value for name, value in given.items() if isinstance(value, int | float)}
    if not numbers:
        return "a number is beyond what can be computed with; give smaller ones"
    largest = max(numbers, key=lambda name: abs(numbers[name]))
    return f"a number is beyond what can be computed with; lower `{largest}`, which is {numbers[largest]}"


def in_the_commands_words(sentence: str, command: Command | None, given: Mapping[str, Any]) -> str:
    """A sentence on one line, with the names in backticks as the command has them.

    Args:
        sentence: What the library says.
        command: The command that was given; None where it is not known yet.
        given: The values that it was given, by name.

    >>> in_the_commands_words("`training.epochs` is 0; or `Run('runs/my run').resume()`", None, {})
    "training.epochs is 0; or dim train --resume 'runs/my run'"
    """
    flags = set() if command is None else set(command.flags)
    operands = [] if command is None else [option.name for option in command.operands]

    def spelt(found: re.Match[str]) -> str:
        name = found[1]
        if name in operands and name in given:
            return f"{name} ({given[name]})"
        return f"--{name}" if name in flags else name

    return re.sub(r"`([^`]+)`", spelt, " ".join(in_commands(sentence).split()))


def _is_interrupt(error: BaseException) -> bool:
    """Whether an error is an interrupt, or what a library makes of one while it loads."""
    if isinstance(error, ImportError | SystemError):
        return any(isinstance(reason, KeyboardInterrupt) for reason in (error.__cause__, error.__context__))
    return isinstance(error, KeyboardInterrupt)


def _of_a_file(error: OSError) -> tuple[int, str]:
    if no_room(error):
        name = error.filename or "the output"
        remedy = "raise the limit of sizes (ulimit -f)" if error.errno == errno.EFBIG else "make room and try again"
        return FAILED, f"{name} cannot be written ({error.strerror}); {remedy}"
    if error.filename is not None and error.strerror is not None:
        return WRONG_INPUT, f"{error.filename} cannot be used ({error.strerror}); check the path and your rights to it"
    return WRONG_INPUT, str(error)
