"""What a user's own code hears of a training: every line of its log, and the end of every epoch.

A training without callbacks is the same to the bit, and as fast.
"""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from deep_infomax.encoders import Encoder


class Callback:
    """Base of what listens to a training: a tracker of your own, an early stop, a picture after every epoch.

    Override what you need. Of several processes, the first alone calls it. An exception that it raises ends the
    training and reaches the caller of `fit`; the last checkpoint is kept.

    >>> class StopAfter(Callback):
    ...     def on_epoch(self, epoch, encoder):
    ...         return epoch >= 3
    """

    def on_log(self, line: Mapping[str, Any]) -> None:
        """Hear of a line of ``metrics.jsonl``, which has been written already.

        Args:
            line: its ``kind`` is "train" (with the loss ``terms``, read on the training pairs, ``learning_rate`` and
                ``images_per_second``), "health" (signs of collapse) or "end". All have ``step`` and ``epoch``. It is a
                copy.
        """

    def on_epoch(self, epoch: float, encoder: Encoder) -> bool | None:
        """Hear of the end of a pass over the data, and of the training's end; True ends the training well.

        A training that ends so has a whole log and a saved encoder, and is not continued by a resume.

        Args:
            epoch: passes so far; a fraction where the training ends within one.
            encoder: the encoder being trained, in training mode. `Encoder.encode` switches the mode by itself; leave
                its weights as they are.
        """
        return None

    def on_look(self, encoder: Encoder) -> Mapping[str, float] | None:
        """Figures to log, show and draw beside the signs of collapse, which are looked at after an epoch.

        Args:
            encoder: as for `on_epoch`.

        Returns:
            Finite numbers by their names; None for none.
        """
        return None


_TAKEN: Final = frozenset(("kind", "step", "epoch", "vector_rank", "dead_units", "vector_std", "vector_alpha"))
"""Names that the line about signs of collapse has for its own."""


class Callbacks:
    """The callbacks of one training."""

    def __init__(self, callbacks: Any) -> None:
        if not isinstance(callbacks, list | tuple) or not all(isinstance(entry, Callback) for entry in callbacks):
            raise ValueError("`callbacks` must be a list of objects whose class derives from deep_infomax.Callback")
        self._callbacks: Sequence[Callback] = callbacks
        self.failure: BaseException | None = None
        """What one of them raised."""

    def on_log(self, line: Mapping[str, Any]) -> None:
        """Tell all of a line of the log."""
        for callback in self._callbacks:
            self._call(callback.on_log, deepcopy(dict(line)))

    def on_epoch(self, epoch: float, encoder: Encoder) -> bool:
        """Tell all of the end of an epoch; whether any wants the training to end."""
        wishes = [self._call(callback.on_epoch, epoch, encoder) for callback in self._callbacks]
        return any(wishes)

    def on_look(self, encoder: Encoder) -> dict[str, float]:
        """The figures of all.

        Raises:
            ValueError: one is no finite number, or has a name of the log's own.
        """
        found: dict[str, float] = {}
        for callback in self._callbacks:
            for name, value in (self._call(callback.on_look, encoder) or {}).items():
                number = isinstance(value, int | float) and math.isfinite(value)
                if not number or name in _TAKEN:
                    wrong = "takes a name of the log's own" if number else f"is {value!r}, no finite number"
                    raise ValueError(f"`{name}` of {type(callback).__name__}.on_look {wrong}; give another")
                found[name] = float(value)
        return found

    def _call(self, method: Any, *arguments: Any) -> Any:
        try:
            return method(*arguments)
        except BaseException as error:
            self.failure = error
            raise
