"""Request logs: keep them, read one back, annotate it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from weir.domain.annotation import Annotation
from weir.domain.errors import LedgerUnavailable, NotFound
from weir.domain.record import Environment, Origin, Payload, Record
from weir.http.request_logs import LogFields, called_at, to_record
from weir.ledger.ledger import Ledger
from weir.services.cost import reckoned
from weir.services.keep import keep_once


@dataclass(frozen=True, slots=True)
class Logged:
    """`record` as kept now; None when the same id was logged before, and `id` is that record's."""

    id: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class ToKeep:
    """One log of several: `request` is the scrubbed text to keep."""

    body: LogFields
    request: bytes
    caller_id: str | None
    origin: Origin = "request_log"


class Logs:
    """`now` gives UTC instants, `new_id` record ids for an instant."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], datetime], new_id: Callable[[datetime], str]) -> None:
        self._ledger = ledger
        self._now, self._new_id = now, new_id

    async def keep(self, log: ToKeep, *, workspace: str, environment: Environment) -> Logged:
        """Returns when it is durable. Raises LedgerUnavailable."""
        accepted_at = self._now()
        record = reckoned(
            to_record(
                log.body,
                id=self._new_id(accepted_at),
                workspace=workspace,
                environment=environment,
                created_at=accepted_at,
                caller_id=log.caller_id,
                origin=log.origin,
            ),
            at=called_at(log.body) or accepted_at,
        )
        kept = await keep_once(self._ledger, record, Payload(log.request))
        return Logged(kept.id, replace(record, id=kept.id) if kept.new else None)

    async def keep_all(
        self, logs: Sequence[ToKeep], *, workspace: str, environment: Environment
    ) -> list[Logged | LedgerUnavailable]:
        """All at once, so that the engine commits them together; the result of each, in their order."""
        found = await asyncio.gather(
            *(self.keep(log, workspace=workspace, environment=environment) for log in logs),
            return_exceptions=True,
        )
        results: list[Logged | LedgerUnavailable] = []
        for result in found:
            if isinstance(result, BaseException) and not isinstance(result, LedgerUnavailable):
                raise result
            results.append(result)
        return results

    async def read(self, workspace: str, id: str) -> tuple[Record, Payload]:
        """By our id or the caller's. Raises NotFound."""
        found = await self._ledger.get(workspace, id)
        if found is None:
            raise NotFound("Not found.")
        return found

    async def annotate(self, workspace: str, id: str, annotation: Annotation) -> Record:
        """The record as it is now, by our id or the caller's. Raises NotFound, RequestInvalid or LedgerUnavailable."""
        record = await self._ledger.annotate(workspace, id, annotation)
        if record is None:
            raise NotFound("Not found.")
        return record
