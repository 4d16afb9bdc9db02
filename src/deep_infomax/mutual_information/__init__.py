"""Mutual information and dependency: so far the tasks with known answers that estimators are measured on."""

from deep_infomax.mutual_information.tasks import DEPENDENCY_TASKS, TASKS, DependencyTask, JointSample, Sample, Task

__all__ = ["DEPENDENCY_TASKS", "TASKS", "DependencyTask", "JointSample", "Sample", "Task"]
