"""What is tried: a recipe trained into a run, evaluated, compared and studied.

The names below load on first use, as a training needs nothing that draws.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deep_infomax.experiments.comparison import Comparison, compare
    from deep_infomax.experiments.series import FailedTrainingError, Measurement, Series
    from deep_infomax.experiments.slurm import Slurm, SlurmOptions
    from deep_infomax.experiments.studies import Study, beta, negatives, weights

__all__ = [
    "Comparison",
    "FailedTrainingError",
    "Measurement",
    "Series",
    "Slurm",
    "SlurmOptions",
    "Study",
    "beta",
    "compare",
    "negatives",
    "weights",
]

_MODULES = {
    "comparison": ("Comparison", "compare"),
    "series": ("FailedTrainingError", "Measurement", "Series"),
    "slurm": ("Slurm", "SlurmOptions"),
    "studies": ("Study", "beta", "negatives", "weights"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
