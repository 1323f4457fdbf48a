"""Request logs: keep one, read one back, list the newest."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from weir.domain.errors import NotFound
from weir.domain.record import Environment, Payload, Record
from weir.http.request_logs import LogBody, to_record
from weir.ledger.ledger import Ledger
from weir.services.keep import keep_once

SCAN_LIMIT = 20_000
"""Records looked at for one page. Where few of them match, the page is short and its cursor leads on."""

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Logged:
    """`record` as kept now; None when the same id was logged before, and `id` is that record's."""

    id: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class Page:
    """`matched` counts the records that match, up to the page's end, and one more if there is one.

    `following` is the id below which the next page begins; None at the end.
    """

    records: tuple[Record, ...]
    matched: int
    following: str | None


class Logs:
    """`now` gives UTC instants, `new_id` record ids for an instant."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], datetime], new_id: Callable[[datetime], str]) -> None:
        self._ledger = ledger
        self._now, self._new_id = now, new_id

    async def keep(
        self, body: LogBody, request: bytes, *, workspace: str, environment: Environment, caller_id: str | None
    ) -> Logged:
        """`request` is the scrubbed text to keep. Returns when it is durable. Raises LedgerUnavailable."""
        accepted_at = self._now()
        record = to_record(
            body,
            id=self._new_id(accepted_at),
            workspace=workspace,
            environment=environment,
            created_at=accepted_at,
            caller_id=caller_id,
        )
        kept = await keep_once(self._ledger, record, Payload(request))
        return Logged(kept.id, replace(record, id=kept.id) if kept.new else None)

    async def read(self, workspace: str, id: str) -> tuple[Record, Payload]:
        """By our id or the caller's. Raises NotFound."""
        found = await self._ledger.get(workspace, id)
        if found is None:
            raise NotFound("Not found.")
        return found

    async def newest(
        self,
        workspace: str,
        *,
        size: int,
        skip: int = 0,
        before: str | None = None,
        since: str | None = None,
        environment: Environment | None = None,
    ) -> Page:
        """Newest first: ids below `before`, from `since` on; only those of `environment` if it is given."""
        wanted = skip + size + 1
        matching: list[Record] = []
        scanned, more = 0, True
        while more and len(matching) < wanted and scanned < SCAN_LIMIT:
            limit = min(wanted - len(matching) if not scanned else _CHUNK, _CHUNK)
            chunk = await self._ledger.newest(workspace, limit=limit, before=before)
            within = [record for record in chunk if since is None or record.id >= since]
            matching += [record for record in within if environment in (None, record.environment)]
            scanned += len(chunk)
            more = len(chunk) == limit == len(within)
            before = chunk[-1].id if chunk else before
        matching = matching[:wanted]
        if len(matching) == wanted:
            following: str | None = matching[-2].id
        else:
            following = before if more else None
        return Page(tuple(matching[skip : skip + size]), len(matching), following)
