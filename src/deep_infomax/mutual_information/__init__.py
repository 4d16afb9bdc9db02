"""Mutual information and dependency, measured from samples; and tasks with known answers to measure estimators on.

The names below load on first use, so that the names of estimators cost nothing to look up.
"""

from typing import TYPE_CHECKING

from deep_infomax.runtime.lazy import on_first_use

if TYPE_CHECKING:
    from deep_infomax.mutual_information.checks import ProcessingCheck, check_data_processing
    from deep_infomax.mutual_information.conditional import conditional_mi, interaction_information
    from deep_infomax.mutual_information.critics.fitting import Fitting
    from deep_infomax.mutual_information.dependency.estimate import neural_dependency
    from deep_infomax.mutual_information.dependency.result import Dependency
    from deep_infomax.mutual_information.differences import Difference
    from deep_infomax.mutual_information.estimate import estimate_mi
    from deep_infomax.mutual_information.estimators import DEPENDENCIES, ESTIMATORS
    from deep_infomax.mutual_information.pairs import information_scores, pairwise, rank_features
    from deep_infomax.mutual_information.result import Estimate
    from deep_infomax.mutual_information.sample_size import SampleSizeCheck, check_sample_size
    from deep_infomax.mutual_information.tables import Pairwise, Ranking
    from deep_infomax.mutual_information.tasks.catalogue import TASKS
    from deep_infomax.mutual_information.tasks.dependency import DependencyTask, JointSample
    from deep_infomax.mutual_information.tasks.joint import DEPENDENCY_TASKS
    from deep_infomax.mutual_information.tasks.task import Sample, Task
    from deep_infomax.mutual_information.transfer import transfer_entropy

__all__ = [
    "DEPENDENCIES",
    "DEPENDENCY_TASKS",
    "ESTIMATORS",
    "TASKS",
    "Dependency",
    "DependencyTask",
    "Difference",
    "Estimate",
    "Fitting",
    "JointSample",
    "Pairwise",
    "ProcessingCheck",
    "Ranking",
    "Sample",
    "SampleSizeCheck",
    "Task",
    "check_data_processing",
    "check_sample_size",
    "conditional_mi",
    "estimate_mi",
    "information_scores",
    "interaction_information",
    "neural_dependency",
    "pairwise",
    "rank_features",
    "transfer_entropy",
]

_MODULES = {
    "checks": ("ProcessingCheck", "check_data_processing"),
    "conditional": ("conditional_mi", "interaction_information"),
    "dependency.estimate": ("neural_dependency",),
    "dependency.result": ("Dependency",),
    "differences": ("Difference",),
    "estimate": ("estimate_mi",),
    "estimators": ("DEPENDENCIES", "ESTIMATORS"),
    "critics.fitting": ("Fitting",),
    "pairs": ("information_scores", "pairwise", "rank_features"),
    "result": ("Estimate",),
    "sample_size": ("SampleSizeCheck", "check_sample_size"),
    "tables": ("Pairwise", "Ranking"),
    "tasks.dependency": ("DependencyTask", "JointSample"),
    "tasks.joint": ("DEPENDENCY_TASKS",),
    "tasks.catalogue": ("TASKS",),
    "tasks.task": ("Sample", "Task"),
    "transfer": ("transfer_entropy",),
}

__getattr__, __dir__ = on_first_use(__name__, _MODULES, globals())
