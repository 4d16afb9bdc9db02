"""A recipe as a transformer of scikit-learn: `fit` trains an encoder on arrays, `transform` encodes with it.

It is trained by the loop that trains everything else, and writes nothing. An encoder of a run is a transformer by
``DeepInfoMaxTransformer`` only where it is trained again; `Run.encoder` encodes without that.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num, Shaped
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import validation

from deep_infomax.data import DataOptions, Dataset, Source, as_source
from deep_infomax.data.labels import number_classes
from deep_infomax.data.missing import surveyed
from deep_infomax.encoders import Encoder
from deep_infomax.experiments.settings import configure, recipe_named
from deep_infomax.experiments.train import check_seed, fitting
from deep_infomax.recipes import METHODS, Config, build_encoder, build_objective
from deep_infomax.runtime.devices import choose_device, has_device
from deep_infomax.runtime.missing import Missing, read_missing
from deep_infomax.runtime.values import read_setting
from deep_infomax.training import InterruptedTrainingError, fit

_TRAINS: tuple[str, ...] = ("encoder", "objective", "training")
"""Groups of settings that say something of data that are read already."""
_OWN: tuple[str, ...] = ("training.epochs", "training.batch_size", "training.device", "encoder.dim")
"""Settings that are parameters of their own."""


class DeepInfoMaxTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learns a representation of arrays without labels, and gives it as features, float32 of shape ``(n, units)``.

    Inputs ``X`` are rows ``(n, features)``, each a series of one channel, or arrays ``(n, channels, *spatial)`` with
    one, two or three spatial sizes. Rows that were flattened take their form from ``shape``, and so do images without
    an axis of channels. Neighbouring features should belong together, as samples of a series or pixels do; in tables
    they do not.

    Args:
        recipe: A name of `deep_infomax.recipes.RECIPES`.
        epochs: Passes over the data; None takes those of the recipe.
        dim: Units of the vector Y; None takes the encoder's own.
        batch_size: Inputs of a step; None takes those of the recipe, or all where there are fewer.
        layer: What `transform` gives: ``Y``, or another layer of the encoder, such as ``conv``, ``fc`` or
            ``fc-linear``. It can be changed after `fit`.
        shape: What a flattened row is, ``(channels, *spatial)``, such as ``(1, 8, 8)``; None for a series.
        scaling: How each channel is scaled: ``standard``, ``robust`` for heavy tails, ``log1p`` for counts, or
            ``symmetric`` from -1 to 1; None takes what the recipe says, mostly ``standard``.
        missing: What stands for a missing value: ``"nan"``, or a number, beside which NaN counts as missing, too. They
            are filled with the centre of their channel, and masked in the objective. None refuses NaN.
        seed: Of the weights, the order of the data and all noise.
        device: ``auto``, ``cpu``, ``cuda``, or untested ``mps`` and ``xpu``.
        settings: Groups of other settings, as `deep_infomax.train` takes them: ``{"objective": {"units": 64}}``.
        verbose: Show the progress of the training on standard error.

    Attributes:
        encoder_: The trained `Encoder`; its `save_pretrained` keeps it.
        shape_: Of one input: ``(channels, *spatial)``.
        n_features_in_: Features of a row; of other arrays their channels, as in all of scikit-learn.
        feature_names_in_: Names of the columns of a data frame.

    Raises:
        ValueError: A parameter or the inputs cannot be used. `fit` raises it, as the constructor only keeps values.
        NotFittedError: `transform` comes before `fit`.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> X, y = np.random.default_rng(0).normal(size=(64, 32)), np.arange(64) % 2
        >>> model = make_pipeline(DeepInfoMaxTransformer(epochs=1, dim=4, device="cpu"), LogisticRegression())
        >>> model.fit(X, y)[0].get_feature_names_out().tolist()
        ['Y_0', 'Y_1', 'Y_2', 'Y_3']
    """

    encoder_: Encoder
    shape_: tuple[int, ...]

    def __init__(
        self,
        recipe: str = "local-infonce",
        *,
        epochs: float | None = None,
        dim: int | None = None,
        batch_size: int | None = None,
        layer: str = "Y",
        shape: Sequence[int] | None = None,
        scaling: str | None = None,
        missing: Missing | None = None,
        seed: int = 0,
        device: str = "auto",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        verbose: bool = False,
    ) -> None:
        self.recipe = recipe
        self.epochs = epochs
        self.dim = dim
        self.batch_size = batch_size
        self.layer = layer
        self.shape = shape
        self.scaling = scaling
        self.missing = missing
        self.seed = seed
        self.device = device
        self.settings = settings
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> "DeepInfoMaxTransformer":  # noqa: N803 (as scikit-learn calls it)
        """Train an encoder.

        Args:
            X: Inputs, ``(n, features)`` or ``(n, channels, *spatial)``.
            y: Classes, for a recipe that learns from them (``supervised``); others pass them over.

        Raises:
            ValueError: A parameter or the inputs cannot be used.
            NonFiniteLossError: A loss became infinite or not a number.
            KeyboardInterrupt: An interrupt; nothing is kept.
        """
        with _own_names():
            config = self._config()
            source = self._source(self._arrays(X, reset=True), y, config)
            self.encoder_, self.shape_ = self._trained(config, source), source.shape
        return self

    def _trained(self, config: Config, source: Source) -> Encoder:
        """An encoder, trained."""
        training = config.training
        if self.batch_size is None:
            training = fitting(training, len(source))
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            encoder = build_encoder(config, source.shape[0], source.shape[1:])
            encoder.units(self.layer)  # an unknown one shows before the training
            objective = build_objective(config.objective, encoder, source)
        try:
            scaling = config.data_options.scaling if self.scaling is None else self.scaling
            fit(encoder, objective, source, training, seed=self.seed, scaling=scaling, progress=self.verbose)
        except InterruptedTrainingError as error:  # a search that passes errors over is to end as well
            raise KeyboardInterrupt(str(error)) from None
        return encoder

    def transform(self, X: Any) -> Float[np.ndarray, "n _"]:  # noqa: N803
        """Encode inputs like those of `fit`.

        Raises:
            NotFittedError: Nothing is fitted yet.
            ValueError: The inputs are of another shape, or the encoder has no such layer.
        """
        validation.check_is_fitted(self)
        arrays = self._arrays(X, reset=False)
        if arrays.shape[1:] != self.shape_:
            raise ValueError(
                f"inputs of shape {arrays.shape[1:]} do not fit an encoder that was fitted to {self.shape_}; "
                "give inputs like those of fit"
            )
        there = self.device == "auto" or has_device(self.device)  # it may have been fitted on another machine
        self.encoder_.to(choose_device(self.device if there else "auto"))
        found: np.ndarray = self.encoder_.encode(arrays, self.layer).numpy()
        return found

    def get_feature_names_out(self, input_features: Any = None) -> Shaped[np.ndarray, " _"]:
        """The names of the features, ``Y_0`` and so on, as `dim encode` calls them.

        Args:
            input_features: Names of the inputs, which are compared with those of `fit` and not used.

        Raises:
            NotFittedError: Nothing is fitted yet.
            ValueError: The names are not those of `fit`.
        """
        names = super().get_feature_names_out(input_features)
        return np.array([f"{self.layer}_{unit}" for unit in range(len(names))], dtype=object)

    @property
    def _n_features_out(self) -> int:
        """How many features `transform` gives; scikit-learn reads it."""
        units: int = self.encoder_.units(self.layer)
        return units

    def _config(self) -> Config:
        """The recipe with all that the parameters change.

        Raises:
            ValueError: A name or a value cannot be used.
        """
        settings = {} if self.settings is None else self.settings
        if not isinstance(settings, Mapping):
            raise ValueError(f"`settings` is a {type(settings).__name__}; give groups, such as {{'objective': {{}}}}")
        if wrong := [group for group in settings if group not in _TRAINS]:
            raise ValueError(f"`settings` has no group {wrong[0]}; known are {', '.join(_TRAINS)}")
        config = configure(recipe_named(self.recipe), settings)
        own: dict[str, dict[str, Any]] = {
            "training": {"epochs": self.epochs, "batch_size": self.batch_size, "device": self.device},
            "encoder": {"dim": self.dim},
        }
        given = {
            group: {name: value for name, value in values.items() if value is not None} for group, values in own.items()
        }
        check_seed(read_setting("seed", int, self.seed))
        return configure(config, given)

    def _arrays(self, X: Any, *, reset: bool) -> Num[np.ndarray, "n channels *spatial"]:  # noqa: N803
        """Inputs with their channels in the second place."""
        checked = np.asarray(_validated(self, X, reset))
        if checked.ndim > 5:
            raise ValueError(f"X has {checked.ndim} axes; give (n, features) or (n, channels, *spatial)")
        if self.shape is not None:
            return self._unflattened(checked)
        return checked[:, None] if checked.ndim == 2 else checked

    def _unflattened(self, checked: Num[np.ndarray, "n *sizes"]) -> Num[np.ndarray, "n channels *spatial"]:
        shape = read_setting("shape", tuple[int, ...], self.shape)
        if not 2 <= len(shape) <= 4 or min(shape) < 1:
            raise ValueError(f"`shape` is {shape}; give channels and one, two or three sizes, such as (1, 8, 8)")
        if checked.ndim > 2 and checked.shape[1:] not in (shape, shape[1:]):
            raise ValueError(f"`shape` is {shape}, and inputs have the shape {checked.shape[1:]}; leave it out")
        if (wanted := math.prod(shape)) != math.prod(checked.shape[1:]):
            raise ValueError(
                f"`shape` is {shape}, which takes {wanted} features, and X has {checked.shape[1]}; correct one of them"
            )
        return checked.reshape(len(checked), *shape)

    def _source(self, arrays: Num[np.ndarray, "n channels *spatial"], y: Any, config: Config) -> Source:
        """The inputs, with their classes for a recipe that learns from them."""
        source = as_source(arrays if arrays.flags.writeable else arrays.copy())
        options = DataOptions(missing=read_missing("missing", self.missing))
        source = surveyed(Dataset(source.name, source, None, None, {}), options).train
        if not METHODS[config.objective.method].labelled or y is None:
            return source
        validation.check_consistent_length(arrays, y)
        numbers, classes = number_classes({"train": np.asarray(y).tolist()})
        return replace(source, labels=numbers["train"], classes=classes)

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: the encoder on the CPU, so that it loads where there is no GPU."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "encoder_" in state and state["encoder_"].mean.device.type != "cpu":
            state["encoder_"] = deepcopy(state["encoder_"]).cpu()
        return state

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn (1.6 and later) knows of it: other arrays than tables, and float32 whatever comes in."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing is not None
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _more_tags(self) -> dict[str, Any]:
        """The same for scikit-learn 1.5."""
        return {
            "X_types": ["2darray", "3darray"], "preserves_dtype": [np.float32], "allow_nan": self.missing is not None,
        }  # fmt: skip


@contextmanager
def _own_names() -> Iterator[None]:
    """Call settings as the parameters of the transformer are called: ``batch_size`` for ``training.batch_size``."""
    try:
        yield
    except ValueError as error:
        said = str(error)
        for name in _OWN:
            said = said.replace(f"`{name}`", f"`{name.partition('.')[2]}`")
        raise ValueError(said) from error


def _validated(estimator: DeepInfoMaxTransformer, inputs: Any, reset: bool) -> Any:
    """Inputs as an array of finite numbers; `reset` keeps how many features they have, and else compares."""
    rules = {"dtype": "numeric", "allow_nd": True, "ensure_min_samples": 2 if reset else 1, "reset": reset}
    finite = True if estimator.missing is None else "allow-nan"
    if hasattr(validation, "validate_data"):  # from scikit-learn 1.6 on
        return validation.validate_data(estimator, inputs, ensure_all_finite=finite, **rules)
    return estimator._validate_data(inputs, force_all_finite=finite, **rules)
