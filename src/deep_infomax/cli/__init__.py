"""The command ``dim``: words become values, values go to the library, errors become one sentence and an exit code.

Little is loaded here, so that an interrupt in the first moments is answered, too.
"""

import sys
from collections.abc import Sequence

from deep_infomax.cli.interrupts import INTERRUPTED, answered_interrupts
from deep_infomax.cli.streams import checked_streams


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dim``.

    Returns:
        The exit code: 0 (done), 1 (a failure), 2 (wrong input), 130 (interrupted), or 141 where nobody reads what is
        printed any more.
    """
    with answered_interrupts(to_the_end=arguments is None) as interrupts:
        try:
            from deep_infomax.cli.program import run

            words = list(sys.argv[1:] if arguments is None else arguments)
            return checked_streams(lambda: run(words, interrupts.work_begins))
        except KeyboardInterrupt:  # another one, while the first is answered
            return INTERRUPTED
