"""The names of the files of a run, for all that write or read one; `experiments.run_directory` says what they hold."""

from typing import Final

CONFIG: Final = "config.yaml"
METRICS: Final = "metrics.jsonl"
CHECKPOINTS: Final = "checkpoints"
ENCODER: Final = "encoder.json"
WEIGHTS: Final = "encoder.safetensors"
EVALUATION: Final = "evaluation.json"
ARRAYS: Final = "arrays"
REPORT: Final = "report.html"
EXPLORER: Final = "explore.html"
STUDY: Final = "study.json"
LOCK: Final = ".lock"
"""There while a training writes."""

MOST_RESULTS: Final = 2000
"""Results of an evaluation that are read; one of all metrics at all layers has about one hundred."""
