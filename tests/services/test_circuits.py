"""Circuits on a clock that a test turns."""

import pytest

from weir.services.circuits import FAILURES, REST_S, Circuits, Place

HERE = Place("default", "openai", "m")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Circuits:
    circuits = Circuits(clock)
    for _ in range(FAILURES):
        assert circuits.admits(HERE)
        circuits.failed(HERE)
    return circuits


def test_failures_in_a_row_open_a_circuit_and_only_that_one() -> None:
    circuits = opened(Clock())
    assert not circuits.admits(HERE)
    assert circuits.admits(Place("default", "openai", "other"))
    assert circuits.admits(Place("default", "groq", "m"))
    assert circuits.admits(Place("team-b", "openai", "m"))


def test_an_answer_between_failures_begins_the_row_anew() -> None:
    circuits = Circuits(Clock())
    for _ in range(FAILURES):
        circuits.failed(HERE)
        circuits.answered(HERE)
        circuits.failed(HERE)
    assert circuits.admits(HERE)


def test_after_a_rest_one_call_probes_and_an_answer_closes() -> None:
    clock = Clock()
    circuits = opened(clock)
    clock.now += REST_S
    assert [circuits.admits(HERE) for _ in range(3)] == [True, False, False]
    circuits.answered(HERE)
    assert [circuits.admits(HERE) for _ in range(3)] == [True, True, True]


def test_a_probe_that_fails_lets_it_rest_again() -> None:
    clock = Clock()
    circuits = opened(clock)
    clock.now += REST_S
    assert circuits.admits(HERE)
    clock.now += 5
    circuits.failed(HERE)
    clock.now += REST_S - 0.1
    assert not circuits.admits(HERE)
    clock.now += 0.1
    assert circuits.admits(HERE)


@pytest.mark.parametrize("late_s", [REST_S, 2 * REST_S])
def test_a_probe_that_is_never_heard_of_is_followed_by_another(late_s: float) -> None:
    clock = Clock()
    circuits = opened(clock)
    clock.now += REST_S
    assert circuits.admits(HERE)
    clock.now += late_s
    assert circuits.admits(HERE)


def test_no_more_circuits_are_kept_than_memory_allows() -> None:
    circuits = Circuits(Clock())
    for n in range(10_001):
        circuits.failed(Place("default", "openai", str(n)))
    assert len(circuits._failing) == 1
