"""Records and what lies beside them, read from the ledger's table by their keys."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Record
from weir.ledger.dynamodb_queries import Attributes, key_attributes
from weir.ledger.keys import RECORD_PREFIX, Key, caller_key, payload_key, record_key
from weir.ledger.ports import Entry
from weir.ledger.small_items import has_more, joined

_KEYS_A_BATCH = 100
"""The most that BatchGetItem takes."""
PAUSES_S = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Before each attempt at the keys that a batch read left unprocessed (botocore retries whole requests only), and at a
record that somebody else has changed in the meantime."""


class Items:
    """Every method that reads may raise LedgerUnavailable, and botocore's own errors."""

    def __init__(self, client: Any, table: str, shards: int) -> None:
        self._client = client
        self._table = table
        self._shards = shards

    def keys(self, workspace: str, id: str) -> tuple[Key, ...]:
        try:
            return record_key(workspace, id, self._shards), payload_key(workspace, id, self._shards)
        except ValueError:  # not an id of ours
            return ()

    def payload_key(self, workspace: str, record: Attributes) -> Key:
        """Where the payload and the rest of a record lie, by the record's item."""
        payload_id = record["payload_id"]["S"] if "payload_id" in record else None
        return payload_key(workspace, record["sk"]["S"].removeprefix(RECORD_PREFIX), self._shards, payload_id)

    def rest(self, workspace: str, record: Attributes) -> bytes | None:
        if not has_more(record["item"]["S"]):
            return None
        key = self.payload_key(workspace, record)
        beside = self.read(key).get(key, {})
        return beside["rest"]["B"] if "rest" in beside else None

    def entry(self, workspace: str, id: str, found: Mapping[Key, Attributes]) -> Entry | None:
        keys = self.keys(workspace, id)
        for pause in PAUSES_S:
            if not keys or keys[0] not in found:
                return None
            item = found[keys[0]]
            key = self.payload_key(workspace, item)
            if key not in found and key != keys[1]:
                found = {**found, **self.read(key)}
            beside = found.get(key, {})
            record = joined(item["item"]["S"], beside["rest"]["B"] if "rest" in beside else None)
            if record is not None:
                inline = beside["content"]["B"] if "content" in beside and "blob_key" not in item else None
                return Entry(record, inline, item["blob_key"]["S"] if "blob_key" in item else None)
            time.sleep(pause)
            found = self.read(*keys)  # an annotation came between the two reads
        raise LedgerUnavailable("Too many change the record at once.")

    def locate(self, workspace: str, id: str) -> Attributes | None:
        """The record's item, found by our id or the caller's."""
        claim, own = caller_key(workspace, id), self.keys(workspace, id)[:1]
        found = self.read(claim, *own)
        keys = self.keys(workspace, found[claim]["id"]["S"])[:1] if claim in found else ()
        for key in (*keys, *own):
            if key not in found:
                found = {**found, **self.read(key)}
            if key in found:
                return found[key]
        return None

    def records(self, workspace: str, items: Iterable[Attributes]) -> Iterator[Record]:
        """Whole, in their order: the rest of those that have more is read, a hundred at once."""
        found = list(items)
        records = [joined(item["item"]["S"], None) for item in found]
        ids = [item["sk"]["S"].removeprefix(RECORD_PREFIX) for item in found]
        keys = {n: payload_key(workspace, ids[n], self._shards) for n, record in enumerate(records) if record is None}
        wanted = list(keys.values())
        beside: dict[Key, Attributes] = {}
        for start in range(0, len(wanted), _KEYS_A_BATCH):
            beside |= self.read(*wanted[start : start + _KEYS_A_BATCH], only="rest")
        for n, record in enumerate(records):
            if record is None:
                rest = beside.get(keys[n], {}).get("rest")
                record = joined(found[n]["item"]["S"], None if rest is None else rest["B"])
            if record is None:  # the payload has another key, or an annotation came between
                entry = self.entry(workspace, ids[n], self.read(*self.keys(workspace, ids[n])))
                record = None if entry is None else entry.record
            if record is not None:
                yield record

    def read(self, *keys: Key, only: str | None = None) -> dict[Key, Attributes]:
        """Those of the items that exist, whole or `only` that attribute of them."""
        found: dict[Key, Attributes] = {}
        asked: dict[str, Any] = {"Keys": [key_attributes(key) for key in keys], "ConsistentRead": True}
        if only is not None:
            asked |= {"ProjectionExpression": "pk, sk, #only", "ExpressionAttributeNames": {"#only": only}}
        wanted = {self._table: asked}
        for pause in PAUSES_S:
            time.sleep(pause)
            reply = self._client.batch_get_item(RequestItems=wanted)
            for item in reply["Responses"].get(self._table, ()):
                found[Key(item["pk"]["S"], item["sk"]["S"])] = item
            wanted = reply.get("UnprocessedKeys")
            if not wanted:
                return found
        raise LedgerUnavailable("The ledger is too busy to be read.")
