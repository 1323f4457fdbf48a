"""A scenario with no fault, which tells how many calls it makes to the stores, and then one with a fault at each."""

from tests.faults.client import Client
from tests.faults.injection import Called, Injection, Position
from tests.faults.invariants import hold
from tests.faults.scenario import Scenario
from tests.faults.storages import Opening
from weir.domain.errors import WeirError


class Violated(AssertionError):
    """Something was lost, was there twice or counted twice. The message names the run."""


def positions(opening: Opening, scenario: Scenario) -> list[Position]:
    """Every call, in every way that it can fail. Without a fault all must be as it should, too."""
    level, seen = opening.level, run(opening, scenario, None)
    return [Position(number, kind) for number, call in enumerate(seen) for kind in level.kinds(call)]


def run(opening: Opening, scenario: Scenario, position: Position | None) -> list[Called]:
    """The calls that the scenario made. Raises Violated."""
    storage = opening()
    injection = Injection(opening.level, position)
    client = Client(storage, injection)
    try:
        client.go_through(scenario)
        seen = list(injection.seen)
        client.recover()
        hold(client, storage)
        client.deliver_everything_again()
        hold(client, storage)
    except (AssertionError, WeirError, ValueError, KeyError) as exc:
        raise Violated(f"{type(exc).__name__}: {exc}") from exc
    finally:
        client.close()
        storage.remove()
    return seen
