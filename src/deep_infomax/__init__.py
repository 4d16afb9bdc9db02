"""Representations learned by maximising mutual information (Deep InfoMax, Hjelm et al., 2019, arXiv 1808.06670).

The names below load on first use, so that ``import deep_infomax`` costs nothing and the report never loads PyTorch.
"""

from typing import TYPE_CHECKING

from deep_infomax.runtime.lazy import on_first_use

if TYPE_CHECKING:
    from deep_infomax.contracts import Batch, Features, Losses, Scores
    from deep_infomax.data import DataOptions, Dataset, Source, load_dataset
    from deep_infomax.encoders import Encoder, TappedEncoder
    from deep_infomax.evaluation import evaluate
    from deep_infomax.experiments.run import Run, train
    from deep_infomax.experiments.transformer import DeepInfoMaxTransformer
    from deep_infomax.mutual_information import estimate_mi, neural_dependency
    from deep_infomax.objectives import DeepInfoMax
    from deep_infomax.training import Callback, TrainingConfig, fit

__all__ = [
    "Batch",
    "Callback",
    "DataOptions",
    "Dataset",
    "DeepInfoMax",
    "DeepInfoMaxTransformer",
    "Encoder",
    "Features",
    "Losses",
    "Run",
    "Scores",
    "Source",
    "TappedEncoder",
    "TrainingConfig",
    "__version__",
    "estimate_mi",
    "evaluate",
    "fit",
    "load_dataset",
    "neural_dependency",
    "train",
]

__version__ = "0.1.0"

_MODULES = {
    "contracts": ("Batch", "Features", "Losses", "Scores"),
    "data": ("DataOptions", "Dataset", "Source", "load_dataset"),
    "encoders": ("Encoder", "TappedEncoder"),
    "evaluation": ("evaluate",),
    "experiments.run": ("Run", "train"),
    "experiments.transformer": ("DeepInfoMaxTransformer",),
    "mutual_information": ("estimate_mi", "neural_dependency"),
    "objectives": ("DeepInfoMax",),
    "training": ("Callback", "TrainingConfig", "fit"),
}

__getattr__, __dir__ = on_first_use(__name__, _MODULES, globals())
