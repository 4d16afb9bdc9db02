"""The report: run directories in, one self-contained HTML page out. It reads files only and never loads PyTorch."""

from deep_infomax.report.page import Titles, write_report
from deep_infomax.report.reading import find_runs, read_runs
from deep_infomax.report.study_figures import (
    StudyPoint,
    beta_figure,
    negatives_figure,
    point_text,
    spread_of,
    weights_figure,
)
from deep_infomax.report.tables import Cell, comparison, errors_of, inputs_of, methods, spread_of_trainings

__all__ = [
    "Cell",
    "StudyPoint",
    "Titles",
    "beta_figure",
    "comparison",
    "errors_of",
    "find_runs",
    "inputs_of",
    "methods",
    "negatives_figure",
    "point_text",
    "read_runs",
    "spread_of",
    "spread_of_trainings",
    "weights_figure",
    "write_report",
]
