"""How a training can end before its last step."""


class InterruptedTrainingError(Exception):
    """SIGINT or SIGTERM stopped the training; everything up to its last checkpoint is kept."""


class LostProcessError(Exception):
    """Another process of the same training ended; everything up to its last checkpoint is kept."""


class NonFiniteLossError(Exception):
    """A loss or a weight became infinite or not a number."""


class WriteError(Exception):
    """A file of the run cannot be written; the checkpoints before it are kept."""
