"""Sessions for the developer API: the records that share a session id, in the order in which they came."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weir.domain.annotation import Annotation
from weir.domain.completion import NOTHING
from weir.domain.errors import NotFound, RequestInvalid
from weir.domain.record import Environment, Record
from weir.ledger.ledger import Ledger
from weir.services.reading import REACH, Latest, Reading, Window

RECENT = 2_000
"""Records, the newest, among which the newest sessions are looked for."""

SESSION_LIMIT = 2_000
"""Records of a session that are summed up."""

_LISTED_LIMIT = 200
"""The same of each session in a list."""

_CHUNK = 1_000
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Session:
    """`records` ascend; `complete` is False when there are more. `review` is what was said of the whole session."""

    id: str
    records: tuple[Record, ...]
    complete: bool
    review: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class Recent:
    """A page of sessions, of `total` among the newest records; `complete` is False when there are older records."""

    sessions: tuple[Session, ...]
    total: int
    complete: bool


class Sessions:
    """Every method may raise LedgerUnavailable, and RequestInvalid where the ledger has no index of sessions."""

    def __init__(self, ledger: Ledger, reading: Reading) -> None:
        self._ledger = ledger
        self._reading = reading

    async def recent(
        self, workspace: str, environment: Environment, application: str | None, offset: int, limit: int
    ) -> Recent:
        """Those with the latest records first."""
        window = Window(workspace=workspace, environment=environment, application=application)
        latest: Latest = await self._reading.latest(window, RECENT)
        ids = list(dict.fromkeys(record.session_id for record in latest.records if record.session_id is not None))
        places = asyncio.Semaphore(_AT_ONCE)

        async def read(id: str) -> Session:
            async with places:
                return await self._session(workspace, environment, id, application, _LISTED_LIMIT)

        found = await asyncio.gather(*(read(id) for id in ids[offset : offset + limit]))
        return Recent(tuple(found), len(ids), latest.complete)

    async def read(self, workspace: str, environment: Environment, id: str, application: str | None) -> Session:
        """Raises NotFound."""
        session = await self._session(workspace, environment, id, application, SESSION_LIMIT)
        if not session.records:
            raise _unknown(id)
        return session

    async def read_to(
        self, workspace: str, environment: Environment, id: str, application: str | None, end: int
    ) -> Session:
        """Its records up to the place `end`. Raises NotFound, and RequestInvalid beyond the bound."""
        if end > REACH:
            raise RequestInvalid(f"'offset' and 'limit' together may be {REACH} at most.", param="offset")
        session = await self._session(workspace, environment, id, application, end)
        if not session.records:
            raise _unknown(id)
        return session

    async def review(
        self, workspace: str, environment: Environment, id: str, application: str | None, review: Mapping[str, Any]
    ) -> Session:
        """Keep what is said of a session, in the place of what was said before. Durable when it returns.

        Raises NotFound.
        """
        session = await self.read(workspace, environment, id, application)
        (first,) = await self._ledger.of_session(workspace, id, limit=1)
        if await self._ledger.annotate(workspace, first.id, Annotation(session_review=review)) is None:
            raise _unknown(id)
        return Session(id, session.records, session.complete, review)

    async def _session(
        self, workspace: str, environment: Environment, id: str, application: str | None, limit: int
    ) -> Session:
        found: list[Record] = []
        review: Mapping[str, Any] = NOTHING
        after: str | None = None
        read, more = 0, True
        while more and read <= REACH and len(found) <= limit:
            size = min(_CHUNK, limit + 1 - len(found))
            chunk = await self._ledger.of_session(workspace, id, limit=size, after=after)
            if after is None and chunk:
                review = chunk[0].session_review
            found += [
                record
                for record in chunk
                if record.environment == environment and application in (None, record.application)
            ]
            read, more = read + len(chunk), len(chunk) == size
            after = chunk[-1].id if chunk else after
        return Session(id, tuple(found[:limit]), complete=not more and len(found) <= limit, review=review)


def _unknown(id: str) -> NotFound:
    return NotFound(f"There is no session {id[:80]!r}.")
