"""The report: run directories in, one self-contained HTML page out. It reads files only and never loads PyTorch."""

from deep_infomax.report.page import write_report
from deep_infomax.report.reading import find_runs

__all__ = ["find_runs", "write_report"]
