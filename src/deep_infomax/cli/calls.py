"""What the library says in calls of Python, said in commands of ``dim``."""

import re
import shlex
from ast import literal_eval
from typing import Final

_TEXT: Final = r"'(?:[^'\\]|\\.)*'" + r'|"(?:[^"\\]|\\.)*"'
_CALL: Final = re.compile(rf"`Run\((?P<path>{_TEXT})\)\.(?P<method>resume|evaluate)\(\)`")
_COMMANDS: Final = {"resume": "dim train --resume", "evaluate": "dim evaluate"}


def in_commands(text: str) -> str:
    """A message with commands in the place of calls.

    >>> in_commands("continue it with `Run('runs/my run').resume()`")
    "continue it with dim train --resume 'runs/my run'"
    """
    return _CALL.sub(lambda call: f"{_COMMANDS[call['method']]} {shlex.quote(literal_eval(call['path']))}", text)
