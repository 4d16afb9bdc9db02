"""The report: run directories in, one self-contained HTML page out. It reads files only and never loads PyTorch."""

from deep_infomax.report.page import Titles, write_report
from deep_infomax.report.reading import find_runs, read_runs
from deep_infomax.report.study_figures import StudyPoint, beta_figure, negatives_figure, point_text, weights_figure
from deep_infomax.report.tables import Cell, comparison, methods

__all__ = [
    "Cell",
    "StudyPoint",
    "Titles",
    "beta_figure",
    "comparison",
    "find_runs",
    "methods",
    "negatives_figure",
    "point_text",
    "read_runs",
    "weights_figure",
    "write_report",
]
