"""A record in two parts where an item has to be small: what indexes, lists and sums need most, and the rest beside it.

The item is the record's JSON as in items.py, without what has its usual value. What does not fit is left out, and
`more` in the item is the checksum of the rest: they lie apart, and whoever reads one while an annotation replaces both
can tell. The rest is zlib's form of a JSON object with the fields left out.
"""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from weir.domain.record import Record
from weir.ledger.items import from_fields, to_fields
from weir.protocols import jsonbytes

LARGEST_ITEM = 1024
"""Bytes, as DynamoDB counts them, that one write unit pays for."""

_MORE = "more"
_USUAL = {"request_type": "PROD", "stream": False, "status_code": 200, "outcome": "complete"}
"""The defaults of Record, which need not be said."""

_FIRST = (
    "id",
    "created_at",
    "workspace",
    "revision",
    "environment",
    "origin",
    "inference_location",
    "outcome",
    "status_code",
    "stream",
    "request_type",
    "claimed_usage",
    "claimed_cost",
    "computed_cost",
    "latency_ms",
    "first_token_ms",
    "model",
    "provider",
    "application",
    "intent",
    "session_id",
    "customer_identifier",
    "caller_id",
    "answered_model",
    "trace_id",
)
"""The fields that go first into an item that cannot take all; the others follow from the shortest on."""


class Parts(NamedTuple):
    item: str
    rest: bytes | None


def split(record: Record, room: int) -> Parts:
    """`room` is what the item's JSON may take, in bytes; 100 are enough for any record."""
    fields = {name: value for name, value in to_fields(record).items() if _USUAL.get(name) != value}
    whole = jsonbytes.dumps(fields)
    if len(whole) <= room:
        return Parts(whole.decode(), None)
    texts = {name: b'"%s":%s' % (name.encode(), jsonbytes.dumps(value)) for name, value in fields.items()}
    ordered = [name for name in _FIRST if name in texts]
    ordered += sorted(texts.keys() - set(_FIRST), key=lambda name: (len(texts[name]), name))
    kept, left_out = [], []
    room -= len(b'{"more":4294967295}')
    for name in ordered:
        if len(texts[name]) < room:
            room -= len(texts[name]) + 1
            kept.append(texts[name])
        else:
            left_out.append(texts[name])
    rest = zlib.compress(b"{%s}" % b",".join(left_out), 1)
    kept.append(b'"more":%d' % zlib.crc32(rest))
    return Parts((b"{%s}" % b",".join(kept)).decode(), rest)


def has_more(item: str) -> bool:
    """Whether the item alone is not the whole record."""
    return _MORE in jsonbytes.loads(item)


def joined(item: str, rest: bytes | None) -> Record | None:
    """The record; None when `rest` is not the one that belongs to this item. An item without more needs none."""
    fields: dict[str, Any] = jsonbytes.loads(item)
    more = fields.pop(_MORE, None)
    if more is None:
        return from_fields(fields)
    if rest is None or zlib.crc32(rest) != more:
        return None
    return from_fields({**fields, **jsonbytes.loads(zlib.decompress(rest))})


def size(attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an item of texts and bytes, as DynamoDB counts them: names and values, in UTF-8."""
    return sum(
        len(name.encode()) + sum(len(value.encode() if isinstance(value, str) else value) for value in typed.values())
        for name, typed in attributes.items()
    )
