"""Keeping a call that was made elsewhere, once."""

from dataclasses import replace

from weir.domain.errors import LedgerUnavailable
from weir.domain.ids import is_uuid7
from weir.domain.record import Payload, Record
from weir.http.scrub import ERASED
from weir.ledger.ledger import Ledger
from weir.ledger.ports import Kept

FALLBACK = " fallback"
"""What is appended to the id of a failed completion for the call that its client then made itself."""


async def keep_once(ledger: Ledger, record: Record, payload: Payload) -> Kept:
    """Returns when the record is durable; `new` is False when its caller_id is kept already. Raises LedgerUnavailable.

    A caller may hand back an id of ours, from a completion that went through Weir: that call is on record already, and
    a second record under its id would hide the first. A failed completion is another matter: a client that then asks
    the provider by itself made a call of its own, which may carry the same id.
    """
    if record.caller_id is not None and ERASED in record.caller_id:  # two such ids look alike and are not
        record = replace(record, caller_id=None)
    id = record.caller_id
    if id is None:
        return await ledger.keep(record, payload)
    try:
        first = await ledger.stored(record.workspace, id) if is_uuid7(id) else None
    except LedgerUnavailable as exc:  # whether it is on record already is asked again when it is driven back
        return await ledger.put_aside(record, payload, exc)
    kept = Kept(id, new=False) if first is not None else await ledger.keep(record, payload)
    if kept.new:
        return kept
    first = first or await ledger.get(record.workspace, kept.id)
    if first is not None and _failed(first[0]):
        return await ledger.keep(replace(record, caller_id=id + FALLBACK), payload)
    return kept


def _failed(record: Record) -> bool:
    return record.origin == "completion" and record.outcome != "complete"
