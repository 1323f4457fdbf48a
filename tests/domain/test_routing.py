"""Plans are made of what a call asks, and nothing else."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.domain.routing import (
    NO_DEADLINES,
    NO_RETRIES,
    Deadlines,
    Plan,
    Retries,
    Routing,
    Share,
    chosen,
    pause_s,
    planned,
)


@pytest.mark.parametrize(
    ("routing", "plan"),
    [
        (Routing(), Plan((("a",),))),
        (Routing(fallbacks=("b", "c")), Plan((("a",), ("b",), ("c",)))),
        (Routing(strategy="first_response", fallbacks=("b", "c")), Plan((("a", "b"), ("c",)))),
        (Routing(strategy="first_response"), Plan((("a",),))),
        (Routing(fallbacks=("a", "b", "b", "a", "c")), Plan((("a",), ("b",), ("c",)))),
        (Routing(strategy="first_response", fallbacks=("a", "b")), Plan((("a", "b"),))),
        (Routing(strategy="first_response", fallbacks=("a",)), Plan((("a",),))),
        (Routing(shares=(Share("b", 1),), fallbacks=("b", "a")), Plan((("b",), ("a",)))),
        (Routing(strategy="timeout", fallbacks=("b",), wait_s=2), Plan((("a",), ("b",)), 2)),
        (Routing(fallbacks=("b",), wait_s=2), Plan((("a",), ("b",)))),
        (Routing(retries=Retries(2, 0.5)), Plan((("a",),), None, Retries(2, 0.5))),
        (Routing(shares=(Share("c", 1),), fallbacks=("b",)), Plan((("c",), ("b",)))),
    ],
)
def test_a_plan_says_who_is_asked_when(routing: Routing, plan: Plan) -> None:
    assert planned("a", routing, "key") == plan


@given(st.text(), st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5))
def test_a_key_always_means_the_same_model(key: str, weights: list[float]) -> None:
    shares = tuple(Share(str(at), weight) for at, weight in enumerate(weights))
    assert chosen(shares, key) == chosen(shares, key)
    assert chosen(shares, key) in {share.model for share in shares}


def test_calls_are_split_by_weight() -> None:
    shares = (Share("nine", 9), Share("one", 1))
    found = Counter(chosen(shares, f"session-{n}") for n in range(10_000))
    assert 8_900 < found["nine"] < 9_100


def test_a_new_model_takes_over_no_more_sessions_than_its_share() -> None:
    before, after = (Share("a", 10),), (Share("a", 9), Share("b", 1))
    moved = sum(chosen(before, f"s{n}") != chosen(after, f"s{n}") for n in range(1_000))
    assert 70 < moved < 130


@pytest.mark.parametrize(
    ("done", "wanted", "chance", "pause"),
    [
        (0, None, 1.0, 0.2),
        (0, None, 0.0, 0.1),
        (1, None, 1.0, 0.4),
        (2, None, 1.0, 0.8),
        (9, None, 1.0, 8.0),
        (10, None, 1.0, None),
        (0, 3.0, 1.0, 3.0),
        (9, 3.0, 1.0, 8.0),
        (0, 60.0, 1.0, 60.0),
        (0, 60.1, 1.0, None),
    ],
)
def test_pauses_double_up_to_a_limit_and_are_never_shorter_than_wanted(
    done: int, wanted: float | None, chance: float, pause: float | None
) -> None:
    assert pause_s(Retries(10, 0.2), done, wanted, chance) == pause


def test_without_retries_there_is_no_pause() -> None:
    assert pause_s(NO_RETRIES, 0, None, 1.0) is None


def test_a_deadline_of_ones_own_goes_first_and_zero_is_one() -> None:
    own = Deadlines(first_token_s=0, total_s=5)
    rule = Deadlines(connect_s=1, first_token_s=2, total_s=60)
    assert own.over(rule) == Deadlines(connect_s=1, first_token_s=0, total_s=5)
    assert NO_DEADLINES.over(rule) == rule
