"""Mutual information and dependency, measured from samples; and tasks with known answers to measure estimators on."""

from deep_infomax.mutual_information.checks import ProcessingCheck, check_data_processing
from deep_infomax.mutual_information.dependency.estimate import neural_dependency
from deep_infomax.mutual_information.dependency.result import Dependency
from deep_infomax.mutual_information.estimate import estimate_mi
from deep_infomax.mutual_information.fitting import Fitting
from deep_infomax.mutual_information.result import Estimate
from deep_infomax.mutual_information.tasks.joint import DEPENDENCY_TASKS, DependencyTask, JointSample
from deep_infomax.mutual_information.tasks.pairs import TASKS, Sample, Task

__all__ = [
    "DEPENDENCY_TASKS",
    "TASKS",
    "Dependency",
    "DependencyTask",
    "Estimate",
    "Fitting",
    "JointSample",
    "ProcessingCheck",
    "Sample",
    "Task",
    "check_data_processing",
    "estimate_mi",
    "neural_dependency",
]
