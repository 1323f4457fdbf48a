"""Store-only traffic: a request and its response, both from elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from weir.domain.record import Environment
from weir.http.maitai_store import StoreBody, to_payload, to_record
from weir.ledger.ledger import Ledger
from weir.services.cost import reckoned
from weir.services.keep import keep_once


@dataclass(frozen=True, slots=True)
class Stored:
    """`request_id` is the caller's own id, or ours when it gave none; `id` is always ours."""

    id: str
    request_id: str
    session_id: str
    new: bool


class Store:
    """`now` gives UTC instants, `new_id` ids for an instant, for records and for sessions that the caller left open."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], datetime], new_id: Callable[[datetime], str]) -> None:
        self._ledger = ledger
        self._now, self._new_id = now, new_id

    async def keep(
        self,
        body: StoreBody,
        scrubbed: Mapping[str, Any],
        *,
        workspace: str,
        environment: Environment,
        caller_id: str | None,
    ) -> Stored:
        """`scrubbed` is what to keep. Returns when it is durable. Raises RequestInvalid, LedgerUnavailable."""
        accepted_at = self._now()
        record = reckoned(
            to_record(
                body,
                id=self._new_id(accepted_at),
                workspace=workspace,
                environment=environment,
                created_at=accepted_at,
                caller_id=caller_id,
            ),
            at=accepted_at,
        )
        session_id = record.session_id or self._new_id(accepted_at)
        kept = await keep_once(self._ledger, replace(record, session_id=session_id), to_payload(scrubbed))
        if not kept.new and (first := await self._ledger.get(workspace, kept.id)) is not None:
            session_id = first[0].session_id or session_id
        return Stored(kept.id, caller_id or kept.id, session_id, kept.new)
