"""The change feed on AWS: what a Lambda function gets of the table's stream (view type NEW_IMAGE).

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html; numbers and bytes come as text,
bytes in base64.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from weir.domain.errors import LedgerUnavailable
from weir.domain.record import Record
from weir.ledger import aws
from weir.ledger.changes import Change, Unreadable
from weir.ledger.dynamodb_queries import Attributes, key_attributes
from weir.ledger.keys import RECORD_PREFIX, Key, record_key
from weir.ledger.ports import BlobStore
from weir.ledger.small_items import has_more, joined
from weir.protocols import jsonbytes

_PAYLOAD_PREFIX = "p#"


class DynamoDBStream:
    """`client` is botocore's low-level client of DynamoDB. What a batch does not hold is read from the table."""

    def __init__(self, client: Any, table: str, blobs: BlobStore, *, shards: int = 1) -> None:
        self._client = client
        self._table = table
        self._blobs = blobs
        self._shards = shards

    def changes(self, records: Sequence[Mapping[str, Any]]) -> tuple[list[Change], dict[str, Unreadable]]:
        """The records kept or changed, each by its sequence number, and those that cannot even be named.

        Raises LedgerUnavailable.
        """
        found: list[Change] = []
        unreadable: dict[str, Unreadable] = {}
        beside = dict(filter(None, map(_beside, records)))
        for each in records:
            image = each["dynamodb"].get("NewImage")  # a removed item has none
            if image is None or not key_of(each).sk.startswith(RECORD_PREFIX):
                continue
            token = sequence_number(each)
            try:
                found.append(self._change(token, image, beside))
            except (ValueError, KeyError, TypeError, AttributeError) as exc:
                unreadable[token] = Unreadable(f"The record cannot be read ({type(exc).__name__}).")
                unreadable[token].__cause__ = exc
        return found, unreadable

    def find(self, workspace: str, id: str) -> Change:
        """The record as it is now, as if it had just changed. Raises ValueError if the id is not one of ours."""
        key = record_key(workspace, id, self._shards)
        image = self._read(key)
        if image is None:
            return Change(key.sk, workspace, id, lambda: None, lambda: None)
        return Change(key.sk, workspace, id, partial(self._record, image, {}), self._content(image, {}))

    def _change(self, token: str, image: Attributes, beside: Mapping[Key, Attributes]) -> Change:
        read = partial(self._record, image, beside)
        workspace = jsonbytes.loads(image["item"]["S"]).get("workspace")
        if workspace is None and (record := read()) is not None:  # it is too long for the item
            workspace = record.workspace
        id = image["sk"]["S"].removeprefix(RECORD_PREFIX)
        return Change(token, str(workspace), id, read, self._content(image, beside))

    def _record(self, image: Attributes, beside: Mapping[Key, Attributes]) -> Record | None:
        """As the image has it, or as it is now when a part of it has changed since. Raises LedgerUnavailable."""
        item, place = image["item"]["S"], _place(image)
        if not has_more(item):
            return joined(item, None)
        record = joined(item, _bytes(beside.get(place), "rest")) or joined(item, _bytes(self._read(place), "rest"))
        if record is not None:
            return record
        now = self._read(Key(image["pk"]["S"], image["sk"]["S"]))
        if now is None:
            return None
        record = joined(now["item"]["S"], _bytes(self._read(place), "rest"))
        if record is None:  # changed between the two reads
            raise LedgerUnavailable("The record is being changed.")
        return record

    def _content(self, image: Attributes, beside: Mapping[Key, Attributes]) -> Callable[[], bytes | None]:
        if "blob_key" in image:
            return partial(self._blobs.get, image["blob_key"]["S"])
        place = _place(image)
        content = _bytes(beside.get(place), "content")
        return (lambda: content) if content is not None else (lambda: _bytes(self._read(place), "content"))

    def _read(self, key: Key) -> Attributes | None:
        with aws.refused_as("The ledger cannot be read."):
            reply = self._client.get_item(TableName=self._table, Key=key_attributes(key), ConsistentRead=True)
        item: Attributes | None = reply.get("Item")
        return item


def sequence_number(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def id_of(record: Mapping[str, Any]) -> str:
    return key_of(record).sk.removeprefix(RECORD_PREFIX)


def key_of(record: Mapping[str, Any]) -> Key:
    keys = record["dynamodb"]["Keys"]
    return Key(keys["pk"]["S"], keys["sk"]["S"])


def _place(image: Attributes) -> Key:
    """Where a record's payload and the rest of it lie: in its own partition."""
    id = image["sk"]["S"].removeprefix(RECORD_PREFIX)
    return Key(image["pk"]["S"], f"{_PAYLOAD_PREFIX}{image['payload_id']['S'] if 'payload_id' in image else id}")


def _bytes(item: Attributes | None, name: str) -> bytes | None:
    return None if item is None or name not in item else item[name]["B"]


def _beside(record: Mapping[str, Any]) -> tuple[Key, Attributes] | None:
    """What came with the batch of what lies beside records. What is not base64 is left to be read from the table."""
    key, image = key_of(record), record["dynamodb"].get("NewImage")
    if image is None or not key.sk.startswith(_PAYLOAD_PREFIX):
        return None
    try:
        return key, {
            name: {"B": base64.b64decode(image[name]["B"], validate=True)}
            for name in ("content", "rest")
            if name in image
        }
    except (binascii.Error, KeyError, TypeError, ValueError):
        return None
