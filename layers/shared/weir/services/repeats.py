"""The same call twice, known by the id that its caller gave it: made once, and answered as often as it is asked for.

A call claims its caller's id before its provider is asked, in the ledger, so that of two at once, in two processes,
one is made. The id stands for the newest attempt: one that failed keeps its record, under Weir's own id.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta

from weir.domain.errors import Conflict, LedgerUnavailable
from weir.domain.ids import instant_of, is_uuid7
from weir.domain.record import Payload, Record
from weir.http.repeated import same_question
from weir.ledger.ledger import Ledger
from weir.services.attempt import Attempt, Call

logger = logging.getLogger("weir.complete")

LONGEST_CALL = timedelta(minutes=15)
"""As long as AWS lets a function run. A claim that is older and has no record is one of a process that died."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A call that is over. `response` is what answered it, as the ledger has it.

    `repeated`: it is the same call, by its caller's id; else it is another one that gets the answer to an earlier one.
    """

    record: Record
    response: bytes
    repeated: bool = True
    stored: bool = True


class Repeats:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def begin(self, attempt: Attempt[Call]) -> Earlier | None:
        """The answer that the caller's id stands for; None if there is none, and the call is to be made.

        Raises Conflict when the id stands for a call that is being made, or for another one. When the ledger refuses,
        the call is made all the same: its record will say whether it was one too many.
        """
        id = attempt.ask.caller_id
        if id is None:
            return None
        try:
            return await self._begin(attempt, attempt.ask.workspace, id)
        except LedgerUnavailable:
            logger.exception("caller's id not claimed", extra={"record_id": attempt.id})
            return None

    async def give_up(self, attempt: Attempt[Call]) -> None:
        """The call was not made, and nothing is kept of it: its caller's id stands again for what it did before."""
        if attempt.claimed and attempt.ask.caller_id is not None:
            try:
                await self._ledger.claim(
                    attempt.ask.workspace, attempt.ask.caller_id, attempt.replaces, instead_of=attempt.id
                )
            except LedgerUnavailable:
                logger.exception("caller's id not given up", extra={"record_id": attempt.id})

    async def _begin(self, attempt: Attempt[Call], workspace: str, id: str) -> Earlier | None:
        found = await self._ledger.stored(workspace, id) if is_uuid7(id) else None  # an id of ours needs no claim
        before: str | None = None
        if found is None:
            before = await self._ledger.claim(workspace, id, attempt.id)
            if before is None or before == attempt.id:
                attempt.claimed = True
                return None
            found = await self._ledger.get(workspace, id)
        if found is not None:
            if found[0].outcome == "complete" or found[0].origin != "completion":
                return _earlier(*found, attempt.ask.request)
            before = found[0].id
        elif before is None or attempt.accepted_at - instant_of(before) < LONGEST_CALL:
            raise _running(id)
        if await self._ledger.claim(workspace, id, attempt.id, instead_of=before) != attempt.id:
            raise _running(id)
        attempt.claimed = True
        attempt.replaces = before if found is not None else None
        return None


def _earlier(record: Record, payload: Payload, request: bytes) -> Earlier:
    if payload.expired:
        raise Conflict(f"The call was made and answered as {record.id}; its answer is kept no longer.")
    if record.origin != "completion" or not same_question(payload.request, request):
        raise Conflict(f"The request id {record.caller_id or record.id!r} belongs to another call, {record.id}.")
    if payload.response is None:
        raise Conflict(f"The call was made and answered as {record.id}, and its answer was not to be kept.")
    return Earlier(record, payload.response)


def _running(id: str) -> Conflict:
    return Conflict(f"A call with the request id {id!r} is being made; ask again for its answer when it is over.")
