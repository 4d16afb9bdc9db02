"""What a frozen encoder is worth: features once, then named and versioned protocols on them."""

from deep_infomax.evaluation.bound import TrainedBy
from deep_infomax.evaluation.features import encode_dataset, extract
from deep_infomax.evaluation.metrics import METRICS, Metric, Represented
from deep_infomax.evaluation.outputs import OUTPUTS, Output, output_of
from deep_infomax.evaluation.probes import knn, linear, mlp, mlp_paper, svm, svm_paper
from deep_infomax.evaluation.results import Outcome, Result, merge_results, read_results
from deep_infomax.evaluation.suite import DEFAULT_METRICS, check, evaluate, own_layers
from deep_infomax.runtime.files import check_output

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "OUTPUTS",
    "Metric",
    "Outcome",
    "Output",
    "Represented",
    "Result",
    "TrainedBy",
    "check",
    "check_output",
    "encode_dataset",
    "evaluate",
    "extract",
    "knn",
    "linear",
    "merge_results",
    "mlp",
    "mlp_paper",
    "output_of",
    "own_layers",
    "read_results",
    "svm",
    "svm_paper",
]
