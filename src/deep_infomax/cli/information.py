"""What the commands around samples, ``dim estimate`` and ``dim dependency``, do once their arguments are parsed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deep_infomax.evaluation import check_output
from deep_infomax.experiments.train import check_seed
from deep_infomax.runtime.progress import NOTES
from deep_infomax.training import WriteError

if TYPE_CHECKING:
    from deep_infomax.mutual_information import Dependency, Estimate

FIGURES: Final = (".png", ".svg", ".pdf")
"""Endings of the files that a figure can be written to."""


def estimate(
    *,
    x: str,
    y: str,
    estimator: str,
    folds: int,
    level: float,
    seed: int,
    time_budget: float | None,
    ranks: bool,
    permutations: int,
    check_processing: bool,
    plot: str | None,
    json: bool,
) -> None:
    """Estimate the mutual information of two files of samples."""
    from deep_infomax.cli.samples import read_samples
    from deep_infomax.mutual_information import estimate_mi  # it takes a second to load, which no training needs
    from deep_infomax.mutual_information.checks import check_data_processing

    _check_figure(plot)
    check_seed(seed)
    if permutations < 0:
        raise ValueError(f"--permutations is {permutations}; give 0 for no test, or a number such as 1000")
    options: dict[str, Any] = {
        "estimator": estimator, "folds": folds, "level": level, "seed": seed, "ranks": ranks,
        "permutations": permutations, "time_budget": time_budget,
    }  # fmt: skip
    if check_processing and time_budget is not None:
        options["time_budget"] = time_budget / 2
    with _naming_files(x=x, y=y):
        samples = read_samples(Path(x), "x"), read_samples(Path(y), "y")
        result = estimate_mi(*samples, **options)
        check = None
        if check_processing and result.finished:
            check = check_data_processing(*samples, whole=result, **options)
    if json:
        processing = {"processing": None if check is None else check.to_json()} if check_processing else {}
        print(dumps(result.to_json() | processing))
    else:
        print(result if check is None else f"{result}\n{check}")
    _draw(result, plot)
    _end(result if check is None else check.processed)


def dependency(
    *,
    z: str,
    method: str,
    folds: int,
    level: float,
    seed: int,
    time_budget: float | None,
    ranks: bool,
    plot: str | None,
    json: bool,
) -> None:
    """Estimate how much the coordinates of a file of samples depend on each other."""
    from deep_infomax.cli.samples import read_samples
    from deep_infomax.mutual_information import neural_dependency

    _check_figure(plot)
    check_seed(seed)
    with _naming_files(z=z):
        samples = read_samples(Path(z), "z")
        result = neural_dependency(
            samples, method, folds=folds, level=level, seed=seed, time_budget=time_budget, ranks=ranks
        )
    print(dumps(result.to_json()) if json else result)
    _draw(result, plot)
    _end(result)


def _check_figure(plot: str | None) -> None:
    """Let a figure that cannot be written show before the work that it is of."""
    if plot is not None:
        if Path(plot).suffix.lower() not in FIGURES:
            raise ValueError(f"--plot is {plot}; give a file that ends in {', '.join(FIGURES)}")
        if Path(plot).is_dir():
            raise ValueError(f"--plot {plot} is a folder; name a file in it, such as {Path(plot) / 'figure.png'}")
        check_output(Path(plot))


@contextmanager
def _naming_files(**files: str) -> Iterator[None]:
    """Name the file of a variable in what is said of it."""
    try:
        yield
    except ValueError as error:
        subject = rf"\b([{''.join(files)}])(?= (?:has|holds|is)\b)"
        raise ValueError(re.sub(subject, lambda found: f"{found[0]} ({files[found[0]]})", str(error))) from error


def _draw(result: "Estimate | Dependency", plot: str | None) -> None:
    if plot is not None:
        try:
            result.plot().savefig(plot)
        except OSError as error:
            raise WriteError(f"{plot} cannot be written ({error.strerror}); make room for it") from error
        NOTES.print(f"wrote {plot}")


def _end(result: "Estimate | Dependency") -> None:
    """Answer an interrupt, once what was known by then has been printed."""
    if not result.finished:
        raise KeyboardInterrupt("interrupted; the figures are those known by then")
