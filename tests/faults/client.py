"""Who calls Weir, and remembers what was acknowledged: it repeats, under its own id, what was not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.injection import Injection
from tests.faults.process import WORKSPACE, Clock, Process
from tests.faults.scenario import Call, Operation, Scenario, Step
from tests.faults.storages import Storage
from tests.ledger.memory import Killed
from weir.domain.annotation import Annotation
from weir.domain.errors import LedgerUnavailable, NotFound
from weir.http.request_log_query import Window
from weir.http.request_logs import LogFields
from weir.protocols import jsonbytes
from weir.services.erase import Subject, erase
from weir.services.log import Logged, ToKeep
from weir.services.put_back import put_back
from weir.services.seal import seal_recent

LEAVING = "c-leaves"
_SUBJECT = Subject(WORKSPACE, "customer_identifier", LEAVING)
_TRIES = 6


@dataclass(slots=True)
class Sent:
    """A call, and what the client was told of it: `ids` by which it is durable, what was said of it since."""

    call: Call
    fields: Mapping[str, Any]
    ids: set[str] = field(default_factory=set)
    note: str | None = None
    moved: bool = False
    erased: bool = False

    @property
    def mark(self) -> str:
        """By which its record is known, whichever id it has."""
        return f"call-{self.call.number}"

    @property
    def caller_id(self) -> str | None:
        return f"order-{self.call.number}" if self.call.named else None

    @property
    def request(self) -> bytes:
        return jsonbytes.dumps(dict(self.fields))

    def to_keep(self) -> ToKeep:
        return ToKeep(LogFields.model_validate(self.fields), self.request, self.caller_id)


def _fields(call: Call) -> Mapping[str, Any]:
    number = call.number
    # digits that do not compress
    text = "".join(str(pow(number + 3, exponent, 999_983)) for exponent in range(200)) if call.large else "short"
    return {
        "custom_identifier": f"call-{number}",
        "customer_identifier": LEAVING if call.leaves else f"c-{number % 2}",
        **({"thread_identifier": "s-leaves" if call.leaves else f"s-{number % 3}"} if not _roams(call) else {}),
        "model": f"m-{number % 2}",
        "prompt_tokens": number + 1,
        "completion_tokens": 2 * number + 1,
        "cost": (number + 1) / 8,
        "latency": 1.0,
        "input": text,
    }


def _roams(call: Call) -> bool:
    """Whether it has no session until one is found for it, as the span of a trace finds one."""
    return call.number % 3 == 2 and not call.leaves


class Client:
    def __init__(self, storage: Storage, injection: Injection) -> None:
        self.sent: dict[int, Sent] = {}
        self.clock = Clock()
        self._storage, self._injection = storage, injection
        self.process = Process(storage, injection, self.clock)

    def go_through(self, scenario: Scenario) -> None:
        for step in scenario:
            self._do(step)

    def recover(self) -> None:
        """Everything works again: until nothing is put aside, and nothing waits to be projected."""
        self._injection.end()
        self._project()
        self._put_back()
        self._project()
        self.clock.go_on(3)
        self.process.projection.check()
        assert self.process.spill.backlog().count == 0

    def deliver_everything_again(self) -> None:
        self._begin_anew()
        self._storage.delivered_again(self.process.projection)
        self._project()

    def close(self) -> None:
        self.process.close()

    def _do(self, step: Step) -> None:
        match step.operation:
            case "keep":
                self._keep(self._new(step.calls[0]))
            case "bulk":
                self._keep_all([self._new(call) for call in step.calls])
            case "again":
                self._again(self.sent[step.calls[0].number])
            case "annotate":
                self._annotate(self.sent[step.calls[0].number])
            case "move":
                self._move(self.sent[step.calls[0].number])
            case "erase":
                self._erase()
            case "an hour goes by":
                self.clock.go_on(1)
            case _:
                self._until_done(lambda: self._try_once(step.operation), tries=1)

    def _try_once(self, operation: Operation) -> None:
        """What comes again by itself, so that nobody repeats it. Raises LedgerUnavailable."""
        match operation:
            case "project":
                self._project()
            case "redeliver":
                self._storage.delivered_again(self.process.projection)
            case "put back":
                self._put_back()
            case "check":
                self.process.projection.check()
            case "seal":
                self._seal()
            case "read":
                self._read()
            case "sum":
                self._sum()

    def _new(self, call: Call) -> Sent:
        self.sent[call.number] = sent = Sent(call, _fields(call))
        return sent

    def _keep(self, sent: Sent) -> None:
        def keep() -> None:
            kept = self.process.run(self.process.logs.keep(sent.to_keep(), workspace=WORKSPACE, environment="prod"))
            sent.ids.add(kept.id)

        self._until_done(keep, tries=_TRIES if sent.call.named else 1)

    def _keep_all(self, several: list[Sent]) -> None:
        def keep() -> None:
            results: list[Logged | LedgerUnavailable] = self.process.run(
                self.process.logs.keep_all(
                    [sent.to_keep() for sent in several], workspace=WORKSPACE, environment="prod"
                )
            )
            for sent, result in zip(several, results, strict=True):
                if isinstance(result, Logged):
                    sent.ids.add(result.id)

        self._until_done(keep, tries=1)
        for sent in several:
            if not sent.ids and sent.call.named:
                self._keep(sent)

    def _again(self, sent: Sent) -> None:
        """Whoever has no id of its own would keep another call."""
        if sent.call.named and not sent.erased:
            self._keep(sent)

    def _annotate(self, sent: Sent) -> None:
        note = f"said at {self.clock.now().isoformat()}"
        if self._annotated(sent, Annotation(note=note)):
            sent.note = note

    def _move(self, sent: Sent) -> None:
        """Into a session, and to another customer: it goes from one rollup to another."""
        if _roams(sent.call) and self._annotated(sent, Annotation(session_id="s-found", customer_identifier="c-found")):
            sent.moved = True

    def _annotated(self, sent: Sent, annotation: Annotation) -> bool:
        """What is put aside cannot be annotated yet."""
        if not sent.ids or sent.erased:
            return False
        found = False

        def annotate() -> None:
            nonlocal found
            found = False
            id = sent.caller_id or next(iter(sent.ids))
            try:
                self.process.run(self.process.logs.annotate(WORKSPACE, id, annotation))
            except NotFound:
                return
            found = True

        self._until_done(annotate)
        return found

    def _erase(self) -> None:
        self._until_done(lambda: erase(self.process.ledger, self.process.archive, self.process.projections, _SUBJECT))
        for sent in self.sent.values():
            sent.erased = sent.erased or sent.call.leaves

    def _project(self) -> None:
        self.process.deliver()

    def _put_back(self) -> None:
        self.process.run(put_back(self.process.ledger, self.process.archive))

    def _seal(self) -> None:
        seal_recent(self.process.archive, self.process.seals, WORKSPACE, self.clock.now())

    def _read(self) -> None:
        """A list has nothing twice, at any time."""
        found = self.process.run(self.process.ledger.newest(WORKSPACE, limit=100))
        marks = [record.custom_identifier for record in found]
        assert len(marks) == len(set(marks))

    def _sum(self) -> None:
        self.process.run(self.process.queries.totals(WORKSPACE, Window()))

    def _until_done(self, work: Callable[[], object], *, tries: int = _TRIES) -> None:
        """A process that is killed is followed by another. Who may not try again gives up."""
        for _ in range(tries):
            try:
                work()
            except Killed:
                self._begin_anew()
            except LedgerUnavailable:
                continue
            else:
                return
        assert tries < _TRIES, "everything works again by now"

    def _begin_anew(self) -> None:
        self.process.close()
        self._injection.begin_anew()
        self.process = Process(self._storage, self._injection, self.clock)
