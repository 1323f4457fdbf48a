"""What a process leaves behind when it is killed: the stores, and the feed of their changes."""

import base64
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Protocol, cast

from functions.projector.app import StreamProjector
from tests.faults.injection import PORTS, WIRE, Injection, Level
from tests.infra import template
from tests.ledger.memory import Faulty, Killed
from weir.domain.errors import LedgerUnavailable
from weir.ledger.changes import Change
from weir.ledger.dynamodb import DynamoDBRecordStore
from weir.ledger.dynamodb_projection import DynamoDBProjectionStore
from weir.ledger.dynamodb_stream import DynamoDBStream
from weir.ledger.files import FileBlobStore
from weir.ledger.ports import BlobStore, ProjectionStore, RecordStore
from weir.ledger.s3 import S3BlobStore
from weir.ledger.settlement import CheckedSettlement, Settlement
from weir.ledger.sqlite import SQLiteRecordStore
from weir.ledger.sqlite_changes import SQLiteChangeFeed, SQLiteDeadLetters
from weir.ledger.sqlite_projection import SQLiteProjectionStore
from weir.ledger.sqs import SQSDeadLetters
from weir.runtime.local_projection import project_next
from weir.runtime.projection import Projection
from weir.services.redrive import Finds

BATCH = 5
"""Changes that are delivered at once: few, so that there are several batches."""


@dataclass(frozen=True, slots=True)
class Stores:
    """As one process sees them. `feed` finds a record as if it had just changed."""

    records: RecordStore
    blobs: BlobStore
    derived: ProjectionStore
    settlement: Settlement
    feed: Finds
    deliver: Callable[[Projection], bool]
    """One batch; whether there was any. Raises LedgerUnavailable if some of it was refused."""
    close: Callable[[], None]


class Storage(Protocol):
    def open(self, injection: Injection, now: Callable[[], datetime]) -> Stores: ...

    def delivered_again(self, projection: Projection) -> None:
        """Everything that has been delivered so far. Raises LedgerUnavailable."""
        ...

    def dead(self) -> int:
        """Letters."""
        ...

    def payload_ids(self) -> set[str]:
        """The ids of which payloads lie beside records, or what is left of them."""
        ...

    def remove(self) -> None: ...


class Opening(Protocol):
    """A new storage, empty."""

    @property
    def level(self) -> Level: ...

    def __call__(self) -> Storage: ...


class _Files:
    def __init__(self) -> None:
        memory = Path("/dev/shm")  # where a file system is kept in memory, an fsync costs nothing
        self._folder = Path(tempfile.mkdtemp(prefix="weir-faults-", dir=memory if memory.is_dir() else None))
        self._delivered: list[Change] = []

    def open(self, injection: Injection, now: Callable[[], datetime]) -> Stores:
        records = SQLiteRecordStore(self._folder / "ledger.db")
        files = FileBlobStore(self._folder / "blobs")
        blobs = Faulty.of(cast(BlobStore, files), injection)
        feed = Faulty.of(SQLiteChangeFeed(records, blobs), injection)
        plain = SQLiteChangeFeed(records, files)

        def deliver(projection: Projection) -> bool:
            waiting = plain.next(BATCH)
            self._delivered += [_as_now(change) for change in waiting]
            if project_next(feed, projection.projector, BATCH) is None:
                raise LedgerUnavailable("Some of it was refused.")
            return bool(waiting)

        return Stores(
            Faulty.of(cast(RecordStore, records), injection),
            blobs,
            Faulty.of(cast(ProjectionStore, SQLiteProjectionStore(records)), injection),
            feed,
            feed,
            deliver,
            records.close,
        )

    def delivered_again(self, projection: Projection) -> None:
        outcome = projection.projector.project(self._delivered)
        assert not outcome.dead
        if outcome.refused:
            raise LedgerUnavailable("Some of it was refused.")

    def dead(self) -> int:
        with contextlib.closing(self._records()) as records:
            return SQLiteDeadLetters(records).count()

    def payload_ids(self) -> set[str]:
        with contextlib.closing(self._records()) as records:
            return {id for (id,) in records.read("SELECT id FROM payloads", [])}

    def remove(self) -> None:
        shutil.rmtree(self._folder)

    def _records(self) -> SQLiteRecordStore:
        return SQLiteRecordStore(self._folder / "ledger.db")


def _as_now(change: Change) -> Change:
    content = change.content()
    return replace(change, content=lambda: content)


_names = count()


@dataclass(frozen=True, slots=True)
class OnSQLite:
    """In a folder of its own."""

    level: Level = PORTS

    def __call__(self) -> Storage:
        return _Files()


@dataclass(frozen=True, slots=True)
class OnDynamoDB:
    """In a table and a bucket of their own, by clients of moto."""

    dynamodb: Any
    s3: Any
    level: Level = WIRE

    def __call__(self) -> Storage:
        return _Table(self.dynamodb, self.s3)


class _Table:
    """The table's stream is made up of what was put."""

    def __init__(self, dynamodb: Any, s3: Any) -> None:
        self._dynamodb, self._s3 = dynamodb, s3
        self._name = f"weir-faults-{next(_names)}"
        dynamodb.create_table(TableName=self._name, **_table())
        s3.create_bucket(Bucket=self._name)
        self._stream = _Streamed(dynamodb)
        self._done = 0
        self._letters = _Letters()

    def open(self, injection: Injection, now: Callable[[], datetime]) -> Stores:
        wire = Faulty.of(cast(Any, self._stream), injection)
        records = DynamoDBRecordStore(wire, self._name, writers=1, now=now)
        blobs = S3BlobStore(Faulty.of(self._s3, injection), self._name)
        derived = DynamoDBProjectionStore(wire, self._name)
        stream = DynamoDBStream(wire, self._name, blobs)

        def deliver(projection: Projection) -> bool:
            batch = self._stream.records[self._done : self._done + BATCH]
            refused = self._project(projection, stream, batch)
            numbers = [each["dynamodb"]["SequenceNumber"] for each in batch]
            self._done += min(map(numbers.index, refused), default=len(batch))  # as Lambda goes on
            if refused:
                raise LedgerUnavailable("Some of it was refused.")
            return bool(batch)

        def close() -> None:
            with contextlib.suppress(Killed):
                records.close()

        return Stores(records, blobs, derived, CheckedSettlement(derived), stream, deliver, close)

    def delivered_again(self, projection: Projection) -> None:
        stream = DynamoDBStream(self._dynamodb, self._name, S3BlobStore(self._s3, self._name))
        if self._project(projection, stream, self._stream.records[: self._done]):
            raise LedgerUnavailable("Some of it was refused.")

    def dead(self) -> int:
        return self._letters.count

    def payload_ids(self) -> set[str]:
        items = self._dynamodb.scan(TableName=self._name, ProjectionExpression="sk")["Items"]
        found = [item["sk"]["S"] for item in items]
        return {sk.removeprefix("p#").split(".")[0] for sk in found if sk.startswith("p#")}

    def remove(self) -> None:
        self._dynamodb.delete_table(TableName=self._name)
        for found in self._s3.list_objects_v2(Bucket=self._name).get("Contents", ()):
            self._s3.delete_object(Bucket=self._name, Key=found["Key"])
        self._s3.delete_bucket(Bucket=self._name)

    def _project(self, projection: Projection, stream: DynamoDBStream, batch: list[dict[str, Any]]) -> list[str]:
        projector = StreamProjector(projection, stream, cast(SQSDeadLetters, self._letters))
        answer = projector.project({"Records": batch}, None) if batch else {"batchItemFailures": []}
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


class _Letters:
    def __init__(self) -> None:
        self.count = 0

    def put(self, workspace: str, id: str, reason: str, token: str) -> None:
        self.count += 1


class _Streamed:
    """A client of DynamoDB whose writes to records and payloads are told by a stream, as the table's own tells them."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.records: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_item(self, **arguments: Any) -> Any:
        reply = self._client.put_item(**arguments)
        self._tell(arguments["Item"])
        return reply

    def update_item(self, **arguments: Any) -> Any:
        reply = self._client.update_item(**arguments)
        self._tell_changed(arguments)
        return reply

    def transact_write_items(self, **arguments: Any) -> Any:
        reply = self._client.transact_write_items(**arguments)
        for item in arguments["TransactItems"]:
            if "Update" in item:
                self._tell_changed(item["Update"])
        return reply

    def close(self) -> None:
        """The client under it serves others, too."""

    def _tell_changed(self, change: Any) -> None:
        reply = self._client.get_item(TableName=change["TableName"], Key=change["Key"], ConsistentRead=True)
        self._tell(reply["Item"])

    def _tell(self, item: Any) -> None:
        if item["sk"]["S"].startswith(("r#", "p#")):
            number = f"{len(self.records):021}"
            keys = {"pk": item["pk"], "sk": item["sk"]}
            change = {"Keys": keys, "NewImage": dict(_as_text(item)), "SequenceNumber": number}
            self.records.append({"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change})


def _as_text(item: Any) -> Iterator[tuple[str, Any]]:
    for name, value in item.items():
        yield name, {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value


@cache
def _table() -> dict[str, Any]:
    return template.table_definition()
