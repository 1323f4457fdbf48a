"""The change feed on AWS: what a Lambda function gets of the table's stream (view type NEW_IMAGE).

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html; numbers and bytes come as text,
bytes in base64.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from weir.ledger import aws
from weir.ledger.changes import Change, Unreadable
from weir.ledger.items import from_item
from weir.ledger.keys import RECORD_PREFIX, Key, record_key
from weir.ledger.ports import BlobStore
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
        """The records kept or changed, each by its sequence number, and those that cannot even be named."""
        found: list[Change] = []
        unreadable: dict[str, Unreadable] = {}
        contents = dict(filter(None, map(_payload, records)))
        for each in records:
            token = sequence_number(each)
            image = each["dynamodb"].get("NewImage")  # a removed item has none
            sk = each["dynamodb"]["Keys"]["sk"]["S"]
            if image is None or not sk.startswith(RECORD_PREFIX):
                continue
            try:
                item = image["item"]["S"]
                workspace = str(jsonbytes.loads(item)["workspace"])
            except (ValueError, KeyError, TypeError) as exc:
                unreadable[token] = Unreadable(f"The record cannot be read ({type(exc).__name__}).")
                unreadable[token].__cause__ = exc
                continue
            id = sk.removeprefix(RECORD_PREFIX)
            content = self._content(Key(image["pk"]["S"], sk), image, contents)
            found.append(Change(token, workspace, id, partial(from_item, item), content))
        return found, unreadable

    def find(self, workspace: str, id: str) -> Change:
        """The record as it is now, as if it had just changed. Raises ValueError if the id is not one of ours."""
        key = record_key(workspace, id, self._shards)
        with aws.refused_as("The ledger cannot be read."):
            image = self._item(key)
        if image is None:
            return Change(key.sk, workspace, id, lambda: None, lambda: None)
        return Change(key.sk, workspace, id, partial(from_item, image["item"]["S"]), self._content(key, image, {}))

    def _content(self, key: Key, image: Mapping[str, Any], contents: Mapping[Key, bytes]) -> Callable[[], bytes | None]:
        if "blob_key" in image:
            return partial(self._blobs.get, image["blob_key"]["S"])
        id = key.sk.removeprefix(RECORD_PREFIX)
        payload_id = image["payload_id"]["S"] if "payload_id" in image else id
        place = Key(key.pk, f"{_PAYLOAD_PREFIX}{payload_id}")
        if place in contents:
            return lambda: contents[place]
        return partial(self._read, place)

    def _read(self, key: Key) -> bytes | None:
        with aws.refused_as("The payload cannot be read."):
            item = self._item(key)
        content: bytes | None = None if item is None else item["content"]["B"]
        return content

    def _item(self, key: Key) -> Mapping[str, Any] | None:
        reply = self._client.get_item(
            TableName=self._table, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}, ConsistentRead=True
        )
        item: Mapping[str, Any] | None = reply.get("Item")
        return item


def sequence_number(record: Mapping[str, Any]) -> str:
    return str(record["dynamodb"]["SequenceNumber"])


def id_of(record: Mapping[str, Any]) -> str:
    return key_of(record).sk.removeprefix(RECORD_PREFIX)


def key_of(record: Mapping[str, Any]) -> Key:
    keys = record["dynamodb"]["Keys"]
    return Key(keys["pk"]["S"], keys["sk"]["S"])


def _payload(record: Mapping[str, Any]) -> tuple[Key, bytes] | None:
    """A payload that came with the batch. One that is not base64 is left to be read from the table."""
    image = record["dynamodb"].get("NewImage", {})
    key = key_of(record)
    if not key.sk.startswith(_PAYLOAD_PREFIX) or "content" not in image:
        return None
    try:
        return key, base64.b64decode(image["content"]["B"], validate=True)
    except (binascii.Error, KeyError, TypeError, ValueError):
        return None
