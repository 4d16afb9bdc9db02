"""The same as the command ``dim``, from Python: `train` a recipe into a `Run`, and what can be done with one."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from deep_infomax.data import Dataset
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import DEFAULT_METRICS, Result
from deep_infomax.experiments import train as training
from deep_infomax.experiments.evaluate import evaluate, finished, load_encoder
from deep_infomax.experiments.run_directory import IN_MEMORY, Settings, read_settings, trained_by_fit
from deep_infomax.experiments.settings import configure, recipe_named
from deep_infomax.recipes import Config
from deep_infomax.training import Callback


class Run:
    """A training in its folder: what ``dim train``, `train` or `fit` wrote.

    >>> Run("runs/mine").evaluate(metrics=["knn"])  # doctest: +SKIP

    Attributes:
        path: The folder.
    """

    def __init__(self, path: str | Path, *, data: Any = None) -> None:
        """Open a run.

        Args:
            path: Its folder.
            data: The data of a training on data in memory, for `evaluate` and `resume`; a run that `train` gives has
                them.

        Raises:
            ValueError: the folder is no run, or its configuration is damaged.
        """
        self.path = Path(path)
        self._data = data
        self._settings = None if trained_by_fit(self.path) else read_settings(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def settings(self) -> Settings:
        """Recipe, seed, data, configuration and environment: all that ``config.yaml`` holds.

        Raises:
            ValueError: the run was trained by `fit`, which keeps none.
        """
        return self._settings or read_settings(self.path)

    @property
    def config(self) -> Config:
        """The typed configuration, with the groups encoder, objective, training and data_options."""
        return self.settings.config

    @cached_property
    def encoder(self) -> Encoder:
        """The trained encoder, in evaluation mode, on the GPU where there is one.

        Raises:
            ValueError: the training has not ended.
        """
        finished(self.path)
        return load_encoder(self.path)

    def evaluate(
        self,
        metrics: Sequence[str] = DEFAULT_METRICS,
        layers: Sequence[str] | None = None,
        seeds: int = 3,
        probe: Any = None,
        data: Any = None,
    ) -> list[Result]:
        """Measure the encoder, as ``dim evaluate`` does; the results are kept in the run, and in its report.

        Args:
            metrics: Names of `deep_infomax.evaluation.METRICS`.
            layers: What is measured; None stands for each metric's own layers.
            seeds: Repetitions of each probe.
            probe: Labelled data of any kind that `train` takes; None stands for those that the training named, or
                else its own.
            data: The training's own data, where they were in memory and this object does not have them.

        Raises:
            ValueError: the training has not ended, the data cannot be used, or a metric or layer is unknown.
        """
        data = self._data if data is None else data
        return evaluate(
            self.path, probe=probe, data=data, metrics=metrics, layers=layers, seeds=seeds, encoder=self.encoder
        )

    def report(self, out: str | Path | None = None) -> Path:
        """Write the page about this run, ``report.html`` in its folder unless ``out`` names another file; its path."""
        from deep_infomax.experiments.titles import titles  # drawing takes a second to load, which no training needs
        from deep_infomax.report import write_report

        return write_report([self.path], None if out is None else Path(out), titles())

    def explore(
        self, data: Any = None, *, out: str | Path | None = None, split: str | None = None, points: int = 4000
    ) -> Path:
        """Write an interactive map of Y, as ``dim explore`` does; the page, beside which a folder has three tables.

        Args:
            data: Data of any kind that `train` takes; None stands for the training's own.
            out: The page; None stands for ``explore.html`` in the run's folder.
            split: The part of the data; None stands for all.
            points: Inputs on the page at most, evenly spaced where there are more.

        Raises:
            ValueError: the training has not ended, the data cannot be used, a file cannot be written, or Y is nowhere
                finite or the same everywhere.
        """
        from deep_infomax.experiments.explore import explore  # drawing takes a second to load

        page = None if out is None else Path(out)
        found = explore(self.path, data, own=self._data, out=page, split=split, points=points, encoder=self.encoder)
        return found.page

    def push(
        self, repository: str, *, license: str | None = None, private: bool = False, token: str | None = None
    ) -> str:
        """Upload the encoder and a model card to the Hugging Face Hub, as ``dim push`` does; the address.

        Args:
            repository: ``owner/name``; it is made where there is none, and a card that it has is replaced.
            license: Of the weights, as the Hub calls it, such as ``mit``; None states none.
            private: Whether only its owner sees a repository that is made.
            token: Of the Hub; None takes that of ``hf auth login``.

        Raises:
            ValueError: the training has not ended, a name cannot be used, or the Hub refused or could not be reached.
        """
        from deep_infomax.experiments.publishing import publish

        return publish(self.path, repository, licence=license, private=private, token=token)

    def resume(self, data: Any = None, *, callbacks: Sequence[Callback] = (), progress: bool = True) -> "Run":
        """Continue an interrupted training from its newest checkpoint, as ``dim train --resume`` does.

        One that has ended, also by a callback, ends in the same weights again.

        Args:
            data: The training's data, where they were in memory and this object does not have them.
            callbacks: As for `train`.
            progress: Tell on standard error how far the training is.

        Raises:
            ValueError, InterruptedTrainingError, WriteError, LostProcessError, NonFiniteLossError: as `train`.
        """
        data = self._data if data is None else data
        training.resume(self.path, data, callbacks=callbacks, progress=progress)
        return Run(self.path, data=data)


def train(
    recipe: str = "local-infonce",
    data: Any = "digits",
    *,
    out: str | Path | None = None,
    seed: int = 0,
    probe: str | None = None,
    epochs: float | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    **changes: Any,
) -> Run:
    """Train a recipe into a run, as ``dim train`` does.

    Args:
        recipe: A name of `deep_infomax.recipes.RECIPES`.
        data: The name or path of a data set (see `load_dataset`), or data in memory: an array or a tensor, whose axes
            are read as those of an ``.npy`` file, a list of arrays, a map-style data set of PyTorch or one of the
            library `datasets` (see `deep_infomax.data.from_data`), or a `Dataset`. What is in memory is not kept in the
            run.
        out: The run directory; None stands for ``runs/RECIPE-DATA-SEED``, numbered where that is taken.
        seed: Of the weights, the order of the data and all noise.
        probe: Spec of labelled data for later evaluations; None stands for ``data``.
        epochs: Short for ``training={"epochs": ...}``.
        callbacks: Hear of every line of the log and of every epoch, and may end the training; see `Callback`.
        progress: Tell on standard error how far the training is.
        **changes: Groups of settings with other values than the recipe's: ``encoder``, ``objective``, ``training`` and
            ``data_options``, each a mapping, such as ``training={"batch_size": 64}``.

    Raises:
        ValueError: a name or a setting is unknown or impossible, the data cannot be used, or ``out`` is taken.
        InterruptedTrainingError: an interrupt arrived. The last checkpoint is kept; `Run.resume` goes on from it.
        NonFiniteLossError: a loss became infinite or not a number.
        WriteError: a file cannot be written; the checkpoints before it are kept.
        LostProcessError: another process of the training ended.

    >>> import tempfile, torch
    >>> run = train(epochs=1, out=tempfile.mkdtemp(), progress=False)
    >>> run.config.training.epochs, run.encoder.encode(torch.zeros(2, 1, 8, 8)).shape
    (1.0, torch.Size([2, 16]))
    """
    config = configure(recipe_named(recipe), changes)
    if epochs is not None:
        config = configure(config, {"training": {"epochs": epochs}})
    spec = str(data) if isinstance(data, str | Path) else IN_MEMORY
    given = None if isinstance(data, str | Path) else data
    command = _call(recipe, data, seed=seed, probe=probe, out=out, epochs=epochs, **changes)
    settings = Settings(recipe, command, seed, spec, probe, config)
    name = None if given is None else given.name if isinstance(given, Dataset) else "array"
    run = Path(out) if out is not None else training.default_run(settings, name)
    run, _ = training.begin(run, settings, given, numbered=out is None, callbacks=callbacks, progress=progress)
    return Run(run, data=given)


def _call(recipe: str, data: Any, **options: Any) -> str:
    """The call, for the records of the run."""
    shown = repr(str(data)) if isinstance(data, str | Path) else f"<{type(data).__name__}>"
    given = [f"{name}={str(value) if isinstance(value, Path) else value!r}" for name, value in options.items() if value]
    return f"deep_infomax.train({', '.join([repr(recipe), shown, *given])})"
