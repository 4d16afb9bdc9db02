"""A process of a series: ``python -m deep_infomax.experiments.worker RUN`` carries out one task.

The task comes in by standard input, from the process that started this one; RUN is there for whoever lists processes.
How it ended goes out by standard output as JSON (a list), and whatever is printed to standard error.
"""

import json
import os
import pickle
import sys

from deep_infomax.runtime.terminal import printable

if __name__ == "__main__":
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    outcome = pickle.load(sys.stdin.buffer).carry_out()
    print(printable(outcome.line), file=sys.stderr)
    with answer:
        json.dump(outcome, answer)
