"""What ``dim compare`` and ``dim study`` have in common: their flags, as the fields of a series."""

from collections.abc import Mapping
from typing import Any

from deep_infomax.cli.tables import print_results
from deep_infomax.experiments.slurm import SlurmOptions


def series_fields(
    *,
    batch_size: int | None,
    data_options: Mapping[str, Any] | None = None,
    slurm: Mapping[str, Any] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """The fields of `deep_infomax.experiments.series.Series` that flags stand for; results are printed as they come."""
    return given | {
        "training": {} if batch_size is None else {"batch_size": batch_size},
        "data_options": data_options or {},
        "slurm": SlurmOptions(**slurm) if slurm else None,
        "show": print_results,
    }
