"""What a user may give by mistake, type checks off: each finds one sentence that names it and the remedy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from deep_infomax.baselines import AdversarialAutoencoder
from deep_infomax.bounds import INFO_NCE
from deep_infomax.data import Source, load_dataset
from deep_infomax.encoders import VariationalEncoder, digits
from deep_infomax.evaluation import evaluate
from deep_infomax.mutual_information import estimate_mi, neural_dependency
from deep_infomax.objectives import MutualInformation, PriorMatching, Uniform, Untrained
from deep_infomax.scorers import EncodeAndDot
from deep_infomax.training import TrainingConfig, fit

IMAGES = np.zeros((8, 1, 8, 8), np.float32)
TRAINING = TrainingConfig(epochs=1, batch_size=4, device="cpu")
MODULE = nn.Sequential(nn.Linear(2, 2))

pytestmark = pytest.mark.usefixtures("unchecked")


class Half(nn.Module):
    """A scorer that encodes and cannot score."""

    def encode(self, local, vector):
        raise NotImplementedError


def fitted(encoder: Any = None, objective: Any = None, data: Any = IMAGES, training: Any = TRAINING) -> Any:
    objective = Untrained() if objective is None else objective
    return fit(digits() if encoder is None else encoder, objective, data, training, progress=False)


def evaluated(encoder: Any = None, dataset: Any = None, **options: Any) -> Any:
    dataset = load_dataset("digits") if dataset is None else dataset
    return evaluate(digits() if encoder is None else encoder, dataset, **options)


SHAPE = r"give an array or a tensor of shape \(n, channels, \*spatial\)"
WRAP = r"`encoder` is a Sequential, no Encoder; wrap it: TappedEncoder\(module, local=..., vector=..."
REAL = "give an array of real numbers"
CASES: list[tuple[str, Callable[[], Any], str]] = [
    ("fit a dict", lambda: fitted(data={"x": IMAGES}), f"`data` is a dict; {SHAPE}"),
    (
        "fit a list",
        lambda: fitted(data=IMAGES.tolist()),
        "`data` is a list of list; give an array or a tensor",
    ),
    ("fit a number", lambda: fitted(data=np.float32(3)), f"`data` is a float32; {SHAPE}"),
    ("fit a name", lambda: fitted(data="digits"), r"`data` is a str; load it first: .*load_dataset\(...\).pretraining"),
    (
        "fit a data set",
        lambda: fitted(data=load_dataset("digits")),
        "`data` is a Dataset; give one of its sources",
    ),
    ("fit words", lambda: fitted(data=np.array([[["a"]]])), f"`data` has the type <U1; {REAL}"),
    ("fit a vector", lambda: fitted(data=np.zeros(8)), r"`data` has the shape \(8,\); give inputs of shape"),
    ("encode a dict", lambda: digits().encode({"x": IMAGES}), f"`inputs` is a dict; {SHAPE}"),
    ("encode a list", lambda: digits().encode(IMAGES.tolist()), f"`inputs` is a list; {SHAPE}"),
    ("encode a name", lambda: digits().encode("digits"), f"`inputs` is a str; {SHAPE}"),
    (
        "encode a source",
        lambda: digits().encode(Source(torch.zeros(8, 1, 8, 8), None, None, "x", "train")),
        f"`inputs` is a Source; {SHAPE}",
    ),
    ("estimate a dict", lambda: estimate_mi({"x": 1}, IMAGES), f"`x` has the type object; {REAL}"),
    ("estimate a name", lambda: estimate_mi("digits", IMAGES), f"`x` has the type <U6; {REAL}"),
    ("estimate words in a list", lambda: estimate_mi(["a"] * 40, range(40), folds=2), "`x` is constant"),
    ("dependency of a dict", lambda: neural_dependency({"z": 1}), f"`z` has the type object; {REAL}"),
    ("fit a module", lambda: fitted(MODULE), WRAP),
    (
        "fit a class",
        lambda: fitted(type(digits())),
        "`encoder` is the class ConvolutionalEncoder, no Encoder; make",
    ),
    ("fit a name as encoder", lambda: fitted("digits"), "`encoder` is a str, no Encoder; give an Encoder, such as"),
    ("fit with a module", lambda: fitted(objective=MODULE), "`objective` is a Sequential, no Objective; give one"),
    ("fit with a class", lambda: fitted(objective=Untrained), "`objective` is the class Untrained, no Objective; make"),
    ("fit with a name", lambda: fitted(objective="dim"), "`objective` is a str, no Objective; give one"),
    (
        "fit with a mapping",
        lambda: fitted(training={"epochs": 1}),
        "`training` is a dict; give a TrainingConfig",
    ),
    ("evaluate a module", lambda: evaluated(MODULE), WRAP),
    ("evaluate on an array", lambda: evaluated(dataset=IMAGES), "`dataset` is a ndarray; give a Dataset, such as"),
    ("evaluate on a name", lambda: evaluated(dataset="digits"), "`dataset` is a str; give a Dataset, such as"),
    ("one metric", lambda: evaluated(metrics="knn"), r"`metrics` is the text 'knn'; give a list: \['knn'\]"),
    ("one layer", lambda: evaluated(layers="Y"), r"`layers` is the text 'Y'; give a list: \['Y'\]"),
    ("variances of a module", lambda: VariationalEncoder(MODULE), WRAP),
    ("no scorer", lambda: MutualInformation(MODULE, INFO_NCE), "which has no method encode and no score and no values"),
    (
        "half a scorer",
        lambda: MutualInformation(Half(), INFO_NCE),
        "a Half, which has no method score and no values",
    ),
    ("a scorer's class", lambda: MutualInformation(EncodeAndDot, INFO_NCE), "`scorer` is the class EncodeAndDot; give"),
    (
        "a bound's name",
        lambda: MutualInformation(EncodeAndDot(4, 5, 8), "infonce"),
        "`bound` is 'infonce'; give a",
    ),
    ("a prior's name", lambda: PriorMatching("uniform", 4), "`prior` is 'uniform'; give a Prior, such as Uniform"),
    (
        "no matching",
        lambda: AdversarialAutoencoder(MODULE, Uniform(), abs),
        "`prior` is a Uniform; give a Prior",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_mistake_gets_a_sentence(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
