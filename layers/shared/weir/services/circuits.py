"""Which providers' models are left alone for a while, because they failed several times in a row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

FAILURES = 5
REST_S = 30.0
_KEPT = 10_000


class Place(NamedTuple):
    """A provider's model, as the calls of one workspace see it: what one tenant's calls run into is not another's."""

    workspace: str
    provider: str
    model: str


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    rests_until: float = 0.0


class Circuits:
    """Of a process. `clock` gives seconds for measuring.

    A circuit opens with the failure number FAILURES in a row. When it has rested for REST_S one call is let through; an
    answer closes the circuit, a failure lets it rest again. A probe that is never heard of, because its caller hung up,
    is followed by the next after another REST_S.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failing: dict[Place, _Circuit] = {}

    def admits(self, place: Place) -> bool:
        circuit = self._failing.get(place)
        if circuit is None or circuit.failures < FAILURES:
            return True
        now = self._clock()
        if now < circuit.rests_until:
            return False
        circuit.rests_until = now + REST_S
        return True

    def answered(self, place: Place) -> None:
        self._failing.pop(place, None)

    def failed(self, place: Place) -> None:
        if len(self._failing) >= _KEPT:
            self._failing.clear()
        circuit = self._failing.setdefault(place, _Circuit())
        circuit.failures += 1
        circuit.rests_until = self._clock() + REST_S
