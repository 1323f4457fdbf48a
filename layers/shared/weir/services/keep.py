"""Keeping a call that was made elsewhere, once."""

from dataclasses import replace

from weir.domain.ids import is_uuid7
from weir.domain.record import Payload, Record
from weir.http.scrub import ERASED
from weir.ledger.ledger import Ledger
from weir.ledger.ports import Kept


async def keep_once(ledger: Ledger, record: Record, payload: Payload) -> Kept:
    """Returns when the record is durable; `new` is False when its caller_id is kept already. Raises LedgerUnavailable.

    A caller may hand back an id of ours, from a completion that went through Weir: that call is on record already, and
    a second record under its id would hide the first.
    """
    if record.caller_id is not None and ERASED in record.caller_id:  # two such ids look alike and are not
        record = replace(record, caller_id=None)
    id = record.caller_id
    if id is not None and is_uuid7(id) and await ledger.get(record.workspace, id) is not None:
        return Kept(id, new=False)
    return await ledger.keep(record, payload)
