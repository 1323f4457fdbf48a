"""What two configurations differ in, and how the earlier one is made of the later."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.domain.configuration import Level, Values
from weir.domain.versions import LevelChange, Version, difference, restored

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIGS = st.dictionaries(
    st.sampled_from("abc"), st.sampled_from([0, 1, 1.0, True, False, "", [1], [True]]), min_size=1
)
LEVELS = st.sampled_from([Level(), Level("x"), Level("x", "y"), Level(None, "y")])
TREES = st.dictionaries(LEVELS, CONFIGS)


def version(number: int, before: Values, after: Values) -> Version:
    return Version(number=number, at=NOON, by="operator", changes=difference(before, after))


def test_levels_come_as_a_reader_expects_them() -> None:
    levels = (Level(None, "a"), Level("b"), Level("a", "z"), Level(), Level("a", "b"), Level("a"))
    values: Values = {level: {"n": 1} for level in levels}
    assert [change.level for change in difference({}, values)] == [
        Level(),
        Level("a"),
        Level("a", "b"),
        Level("a", "z"),
        Level("b"),
        Level(None, "a"),
    ]


def test_only_what_differs_is_told() -> None:
    before: Values = {Level(): {"a": 1, "b": 2, "c": 3}, Level("x"): {"a": 1}}
    after: Values = {Level(): {"a": 1, "b": 9, "d": 4}, Level("x"): {"a": 1}}
    assert difference(before, after) == (LevelChange(Level(), {"b": 2, "c": 3}, {"b": 9, "d": 4}),)
    assert difference(before, before) == ()


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"a": 0}, {"a": False})])
def test_what_python_holds_for_equal_differs(one: Any, other: Any) -> None:
    assert difference({Level(): {"a": one}}, {Level(): {"a": other}}) != ()


@given(st.lists(TREES, min_size=1))
def test_every_earlier_configuration_comes_back(trees: list[Values]) -> None:
    versions = [version(n + 1, before, after) for n, (before, after) in enumerate(pairwise(trees))]
    for number, tree in enumerate(trees):
        assert difference(restored(trees[-1], reversed(versions[number:])), tree) == ()
