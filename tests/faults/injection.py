"""What goes wrong at the n-th call to the stores: refusals, lost answers, half a batch, and deaths of the process."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.ledger.memory import Faults, Killed
from weir.domain.errors import LedgerUnavailable

Kind = Literal[
    "refused", "refused thrice", "answer lost", "carried out twice", "part done", "killed before", "killed after",
    "killed half-way",
]  # fmt: skip
"""`refused` is a throttle or a 5xx: nothing was done. `answer lost` is a timeout: it was done. `carried out twice` is a
client that tried again by itself after a lost answer."""

KINDS: tuple[Kind, ...] = (
    "refused", "refused thrice", "answer lost", "carried out twice", "part done", "killed before", "killed after",
    "killed half-way",
)  # fmt: skip

_ONLY_WRITTEN: frozenset[Kind] = frozenset({"answer lost", "carried out twice", "killed after"})
"""Kinds that are, of a call that only reads, the same as those that come before it."""

_HALF_WAY: frozenset[Kind] = frozenset({"part done", "killed half-way"})


class Called(NamedTuple):
    name: str
    parts: int
    """What a call consists of that the engine does one by one; 1 of most."""


class Position(NamedTuple):
    """The `number`-th call fails in this way."""

    number: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Level:
    """Where faults are injected: which calls only read, which are done in parts, and what an error looks like."""

    reads: frozenset[str]
    parts: Callable[[str, Sequence[Any], Any], int]
    half: Callable[[str, Callable[..., Any], Sequence[Any], Any], Any]
    """Do the first half. Gives the answer that says so, or None where the engine has no such answer."""
    refusal: Callable[[str], Exception]
    timeout: Callable[[str], Exception]
    repeats: bool

    def kinds(self, call: Called) -> Iterator[Kind]:
        for kind in KINDS:
            if kind in _HALF_WAY and call.parts < 2:
                continue
            if kind in _ONLY_WRITTEN and call.name in self.reads:
                continue
            if kind == "killed half-way" and call.name in self.reads:
                continue
            if kind == "carried out twice" and not self.repeats:
                continue
            yield kind


class Injection(Faults):
    """Counts and names the calls of one process after the other; fails at `position`.

    A process that was killed does nothing more: whatever its threads still try is refused, until `begin_anew`.
    """

    def __init__(self, level: Level, position: Position | None = None) -> None:
        super().__init__(None if position is None else position.number)
        self.level = level
        self.kind = None if position is None else position.kind
        self.seen: list[Called] = []
        self.injected = False
        self._dead = False
        self._lock = threading.RLock()

    def begin_anew(self) -> None:
        self._dead = False

    def end(self) -> None:
        """From now on everything works."""
        self.at = None

    def carry_out(self, name: str, operation: Callable[..., Any], arguments: Sequence[Any], named: Any) -> Any:
        with self._lock:
            if self._dead:
                raise Killed
            number = len(self.seen)
            self.seen.append(Called(name, self.level.parts(name, arguments, named)))
            if self.at is None or not self.at <= number < self.at + (3 if self.kind == "refused thrice" else 1):
                return operation(*arguments, **named)
            self.injected = True
            return self._fail(name, operation, arguments, named)

    def _fail(self, name: str, operation: Callable[..., Any], arguments: Sequence[Any], named: Any) -> Any:
        match self.kind:
            case "refused" | "refused thrice":
                return self._refused(name, self.level.refusal(name))
            case "answer lost":
                _finished(operation(*arguments, **named))
                return self._refused(name, self.level.timeout(name))
            case "carried out twice":
                _finished(operation(*arguments, **named))
                return operation(*arguments, **named)
            case "part done" | "killed half-way":
                answer = self.level.half(name, operation, arguments, named)
                if self.kind == "killed half-way":
                    return self._die()
                return answer if answer is not None else self._refused(name, self.level.refusal(name))
            case "killed before":
                return self._die()
            case "killed after":
                _finished(operation(*arguments, **named))
                return self._die()
        raise AssertionError(self.kind)

    def _die(self) -> Any:
        self._dead = True
        raise Killed

    def _refused(self, name: str, error: Exception) -> Any:
        if name != "submit":
            raise error
        refused: Future[Any] = Future()
        refused.set_exception(error)
        return refused


def _finished(result: Any) -> None:
    """Wait for what is done elsewhere."""
    if isinstance(result, Future):
        result.exception()


def _port_parts(name: str, arguments: Sequence[Any], named: Any) -> int:
    return len(arguments[0]) if name in ("replace", "done") else 2 if name == "list" else 1


def _port_half(name: str, operation: Callable[..., Any], arguments: Sequence[Any], named: Any) -> Any:
    if name == "list":
        return _broken_off(list(operation(*arguments, **named)))
    some = list(arguments[0])
    operation(some[: len(some) // 2])
    return None


def _broken_off(found: list[Any]) -> Iterator[Any]:
    yield from islice(found, len(found) // 2)
    raise LedgerUnavailable("The test breaks off.")


PORTS = Level(
    reads=frozenset(
        {"get", "get_range", "list", "between", "newest", "of_session", "of_customer", "totals", "next", "find",
         "unsettled"}
    ),
    parts=_port_parts,
    half=_port_half,
    refusal=lambda name: LedgerUnavailable("The test refuses."),
    timeout=lambda name: LedgerUnavailable("The test loses the answer."),
    repeats=False,
)  # fmt: skip
"""At the ports: for an engine whose every call is one transaction."""


def _wire_parts(name: str, arguments: Sequence[Any], named: Any) -> int:
    return sum(len(asked["Keys"]) for asked in named["RequestItems"].values()) if name == "batch_get_item" else 1


def _wire_half(name: str, operation: Callable[..., Any], arguments: Sequence[Any], named: Any) -> Any:
    ((table, asked),) = named["RequestItems"].items()
    keys = asked["Keys"]
    reply = operation(RequestItems={table: {**asked, "Keys": keys[: len(keys) // 2]}})
    return {**reply, "UnprocessedKeys": {table: {**asked, "Keys": keys[len(keys) // 2 :]}}}


def _throttled(name: str) -> ClientError:
    error = {"Code": "ProvisionedThroughputExceededException", "Message": "The test throttles."}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 503}}, name)


WIRE = Level(
    reads=frozenset({"batch_get_item", "get_item", "query", "get_object", "list_objects_v2"}),
    parts=_wire_parts,
    half=_wire_half,
    refusal=_throttled,
    timeout=lambda name: ReadTimeoutError(endpoint_url="https://dynamodb.invalid"),
    repeats=True,
)
"""Below the ports, at each request to DynamoDB and S3: for engines whose calls consist of several."""
