from typing import Annotated, Any, Literal

import pytest

from deep_infomax.runtime.names import Entry
from deep_infomax.runtime.values import Known, choices, read_setting, wanted

TABLE = {name: Entry(name, "A size.") for name in ("auto", "small", "large")}
WORDS = Literal["jsd", "dv"]
NAMED = Annotated[str, Known(TABLE)]


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (int, "12", 12),
        (int, 12, 12),
        (float, "1e-3", 1e-3),
        (float, 3, 3.0),
        (bool, "False", False),
        (bool, True, True),
        (str, "12", "12"),
        (str, "none", "none"),
        (WORDS, "dv", "dv"),
        (NAMED, "large", "large"),
        (int | None, "none", None),
        (int | None, "null", None),
        (int | None, "4", 4),
        (str | None, "null", None),
        (str | None, "none", "none"),
        (str | None, None, None),
        (tuple[str, ...], "conv,Y", ("conv", "Y")),
        (tuple[float, ...], "[0, 0.5]", (0.0, 0.5)),
        (tuple[WORDS, ...], ["dv"], ("dv",)),
        (tuple[WORDS, ...], "[]", ()),
        (tuple[int | Literal["all"], ...], "1,all", (1, "all")),
        (tuple[str, ...] | None, None, None),
    ],
)
def test_a_value_is_read_as_its_type(kind: Any, given: object, value: object) -> None:
    found = read_setting("name", kind, given)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "sentence"),
    [
        (int, "many", "`name` is many; give a whole number"),
        (int, "2.5", "`name` is 2.5; give a whole number"),
        (int, 2.5, "`name` is 2.5; give a whole number"),
        (int, True, "`name` is true; give a whole number"),
        (int, None, "`name` is none; give a whole number"),
        (int, float("inf"), "`name` is inf; give a whole number"),
        (float, "inf", "`name` is inf; give a finite number"),
        (float, "nan", "`name` is nan; give a finite number"),
        (float | None, "many", "`name` is many; give a finite number or none"),
        (bool, "maybe", "`name` is maybe; give true or false"),
        (str, 5, "`name` is 5; give a name or other text"),
        (str, "", None),
        (WORDS, "jds", "`name`: jds is unknown; did you mean jsd? Known are jsd, dv"),
        (WORDS, 3, "`name` is 3; give one of jsd, dv"),
        (NAMED, "huge", "`name`: huge is unknown; known are auto, small, large"),
        (tuple[WORDS, ...], "[jsd", "`name` is [jsd; give a list with commas between, each one of jsd, dv"),
        (WORDS | None, "jds", "`name`: jds is unknown; did you mean jsd? Known are jsd, dv"),
        (tuple[WORDS, ...], "dv,jds", "`name`: jds is unknown; did you mean jsd? Known are jsd, dv"),
        (
            tuple[int | Literal["all"], ...],
            "1,x",
            "`name` is 1,x; give a list with commas between, each a whole number or all",
        ),
        (tuple[float, ...], "0,x", "`name` is 0,x; give a list with commas between, each a finite number"),
        (tuple[str, ...], {"a": 1}, "`name` is {'a': 1}; give a list with commas between, each a name or other text"),
    ],
)
def test_a_value_of_another_type_gets_a_sentence(kind: Any, given: object, sentence: str | None) -> None:
    if sentence is None:
        assert read_setting("name", kind, given) == given
        return
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_setting("name", kind, given)
    assert str(caught.value) == sentence


def test_a_table_may_grow_after_its_type_was_written() -> None:
    table = {"small": TABLE["small"]}
    kind = Annotated[str, Known(table)]
    table["mine"] = Entry("mine", "My own.")
    assert choices(kind) == ["small", "mine"]
    assert read_setting("name", kind, "mine") == "mine"


def test_a_family_takes_any_name_after_its_colon() -> None:
    kind = Annotated[str, Known(TABLE, {"zoo": Entry("models of a zoo", "A model of a zoo.")})]
    assert choices(kind) == [*TABLE, "zoo:NAME"]
    assert read_setting("name", kind, "zoo:resnet18") == "zoo:resnet18"
    for wrong in ("zoo:", "zoo", "shop:resnet18", ":resnet18"):
        with pytest.raises(ValueError, match=f"^`name`: {wrong} is unknown; .*nown are .*, zoo:NAME$"):
            read_setting("name", kind, wrong)


def test_words_say_what_is_wanted() -> None:
    assert wanted(tuple[int | Literal["all"], ...] | None) == (
        "a list with commas between, each a whole number or all or none"
    )
