from typing import Any

import pytest

from deep_infomax.experiments.settings import configure, recipe_named
from deep_infomax.recipes import RECIPES, Config


def test_what_is_not_changed_stays() -> None:
    base = RECIPES["local-jsd"]
    changed = configure(base, {"training": {"epochs": 3, "trackers": ["tensorboard"]}, "encoder": {"dim": None}})
    assert changed.training.epochs == 3.0
    assert changed.training.trackers == ("tensorboard",)
    assert changed.training.batch_size == base.training.batch_size
    assert changed.objective == base.objective


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trainign": {}}, "there are no settings called trainign; did you mean training? Known are encoder, "),
        ({"training": {"epoch": 1}}, "`training` has no setting epoch; did you mean epochs? Known are epochs, "),
        ({"training": None}, "`training` is none, not a mapping of settings; list some, or leave `training` out"),
        ({"training": {"epochs": "many"}}, "`training.epochs` is many; give a finite number"),
        ({"objective": {"bound": "jds"}}, "`objective.bound`: jds is unknown; did you mean jsd? Known are"),
    ],
)
def test_what_cannot_be_changed_gets_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        configure(Config(), changes)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("name", ["local-infonec", 5])
def test_an_unknown_recipe_gets_a_sentence(name: object) -> None:
    with pytest.raises(ValueError, match=rf"^`recipe`: {name} is unknown; .*nown are local-infonce, "):
        recipe_named(name)
