"""The report: run directories in, one self-contained HTML page out. It reads files only and never loads PyTorch."""

from deep_infomax.report.page import Titles, write_report
from deep_infomax.report.published import said_of_fc
from deep_infomax.report.reading import find_runs, read_runs
from deep_infomax.report.study_figures import (
    StudyPoint,
    beta_figure,
    negatives_figure,
    point_text,
    spread_of,
    weights_figure,
)
from deep_infomax.report.tables import (
    Cell,
    comparison,
    errors_of,
    floor_rows,
    inputs_of,
    methods,
    spread_of_trainings,
    verdict_of,
)

__all__ = [
    "Cell",
    "StudyPoint",
    "Titles",
    "beta_figure",
    "comparison",
    "errors_of",
    "find_runs",
    "floor_rows",
    "inputs_of",
    "methods",
    "negatives_figure",
    "point_text",
    "read_runs",
    "said_of_fc",
    "spread_of",
    "spread_of_trainings",
    "verdict_of",
    "weights_figure",
    "write_report",
]
