"""The engines that the contract is run over, each with the faults it can be given."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import EndpointConnectionError

from tests.infra import template
from weir.ledger.counters import CounterStore
from weir.ledger.dynamodb import DynamoDBRecordStore
from weir.ledger.dynamodb_answers import DynamoDBAnswerStore
from weir.ledger.dynamodb_config import DynamoDBConfigStore
from weir.ledger.dynamodb_counters import DynamoDBCounterStore
from weir.ledger.dynamodb_keys import DynamoDBKeyStore
from weir.ledger.dynamodb_projection import DynamoDBProjectionStore
from weir.ledger.files import FileBlobStore
from weir.ledger.keys import INDEXES, Index
from weir.ledger.ports import AnswerStore, BlobStore, ConfigStore, KeyStore, ProjectionStore, RecordStore
from weir.ledger.s3 import S3BlobStore
from weir.ledger.sqlite import SQLiteRecordStore
from weir.ledger.sqlite_answers import SQLiteAnswerStore
from weir.ledger.sqlite_config import SQLiteConfigStore
from weir.ledger.sqlite_counters import SQLiteCounterStore
from weir.ledger.sqlite_keys import SQLiteKeyStore
from weir.ledger.sqlite_projection import SQLiteProjectionStore

NO_RECORD_IS_LATE = datetime(2026, 1, 1, tzinfo=UTC)


class Engine(Protocol):
    """One storage, empty at first. An engine joins the contract by such a class and a fixture in conftest.py."""

    lists_by_folder: bool
    """As SeaweedFS does: `a/b` before `a-b`, where S3 has the order of the characters."""

    def open(self, *, indexes: frozenset[Index] = INDEXES) -> RecordStore:
        """Another process' view of the storage."""
        ...

    def blobs(self) -> BlobStore: ...

    def configuration(self) -> ConfigStore: ...

    def projections(self) -> AbstractContextManager[ProjectionStore]:
        """Another process' view of what is derived."""
        ...

    def keys(self) -> KeyStore: ...

    def answers(self) -> AbstractContextManager[AnswerStore]:
        """Another process' view of the cache."""
        ...

    def counters(self) -> CounterStore:
        """Another process' view of what limits are counted by."""
        ...

    def refusing_records(self) -> AbstractContextManager[None]:
        """No record can be put, whatever else can."""
        ...

    def broken(self) -> AbstractContextManager[None]:
        """Nothing can be written or read."""
        ...

    def stalled(self) -> AbstractContextManager[None]:
        """What is submitted waits."""
        ...


class SQLiteAndFiles:
    lists_by_folder = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "ledger.db"
        self._counted = folder / "limits.db"

    def open(self, *, indexes: frozenset[Index] = INDEXES) -> SQLiteRecordStore:
        return SQLiteRecordStore(self._path, indexes=indexes)

    def blobs(self) -> FileBlobStore:
        return FileBlobStore(self._folder / "blobs")

    def configuration(self) -> SQLiteConfigStore:
        return SQLiteConfigStore(self._path)

    def keys(self) -> SQLiteKeyStore:
        return SQLiteKeyStore(self._path)

    def counters(self) -> SQLiteCounterStore:
        return SQLiteCounterStore(self._counted, now=lambda: NO_RECORD_IS_LATE)

    @contextmanager
    def answers(self) -> Iterator[AnswerStore]:
        with closing(self.open()) as records:
            yield SQLiteAnswerStore(records)

    @contextmanager
    def projections(self) -> Iterator[ProjectionStore]:
        with closing(self.open()) as records:
            yield SQLiteProjectionStore(records)

    @contextmanager
    def refusing_records(self) -> Iterator[None]:
        self._run("CREATE TRIGGER refuse BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'refused'); END")
        yield
        self._run("DROP TRIGGER refuse")

    @contextmanager
    def broken(self) -> Iterator[None]:
        tables = ("records", "caller_ids", "configuration", "sequences", "api_keys", "projections", "answers")
        there = [(self._path, table) for table in tables if self._has(table)] + [(self._counted, "counters")]
        with closing(self.counters()) as counters:
            counters.read([])
        for path, table in there:
            self._run(f"ALTER TABLE {table} RENAME TO {table}_out_of_reach", path)
        yield
        for path, table in there:
            self._run(f"ALTER TABLE {table}_out_of_reach RENAME TO {table}", path)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def _has(self, table: str) -> bool:
        with closing(sqlite3.connect(self._path)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall())

    def _run(self, statement: str, path: Path | None = None) -> None:
        with closing(sqlite3.connect(path or self._path, isolation_level=None)) as connection:
            connection.execute(statement)


class Wire:
    """A botocore client through which one call passes at a time, and none that `refuses` says yes to.

    moto checks a condition and puts the item in two steps; DynamoDB does it in one.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions
        self.lock = threading.Lock()
        self.refuses: Callable[[str, Any], bool] = lambda operation, arguments: False
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            with self.lock:
                self.calls.append((operation, arguments))
                if self.refuses(operation, arguments):
                    raise EndpointConnectionError(endpoint_url="https://dynamodb.invalid")
                return getattr(self._client, operation)(**arguments)

        return call

    def close(self) -> None:
        """The client under it serves the other tests too."""


class DynamoDBAndS3:
    """On any endpoint: moto's, or a server's. Table and bucket are new ones, the table as template.yaml has it."""

    def __init__(self, dynamodb: Any, s3: Any, name: str, *, shards: int = 1, lists_by_folder: bool = False) -> None:
        dynamodb.create_table(TableName=name, **template.table_definition())
        s3.create_bucket(Bucket=name)
        self.table = name
        self.lists_by_folder = lists_by_folder
        self.wire = Wire(dynamodb)
        self._s3 = Wire(s3)
        self._shards = shards

    def open(self, *, indexes: frozenset[Index] = INDEXES) -> DynamoDBRecordStore:
        return DynamoDBRecordStore(
            self.wire, self.table, shards=self._shards, indexes=indexes, now=lambda: NO_RECORD_IS_LATE
        )

    def blobs(self) -> S3BlobStore:
        return S3BlobStore(self._s3, self.table)

    def configuration(self) -> DynamoDBConfigStore:
        return DynamoDBConfigStore(self.wire, self.table)

    def projections(self) -> AbstractContextManager[ProjectionStore]:
        return nullcontext(DynamoDBProjectionStore(self.wire, self.table))

    def keys(self) -> DynamoDBKeyStore:
        return DynamoDBKeyStore(self.wire, self.table)

    def answers(self) -> AbstractContextManager[AnswerStore]:
        return nullcontext(DynamoDBAnswerStore(self.wire, self.table))

    def counters(self) -> DynamoDBCounterStore:
        return DynamoDBCounterStore(self.wire, self.table)

    def refusing_records(self) -> AbstractContextManager[None]:
        return self._refusing(lambda operation, arguments: puts(operation, arguments, "r#"))

    def broken(self) -> AbstractContextManager[None]:
        return self._refusing(lambda operation, arguments: True)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        with self.wire.lock:
            yield

    @contextmanager
    def _refusing(self, refuses: Callable[[str, Any], bool]) -> Iterator[None]:
        before = self.wire.refuses
        self.wire.refuses = self._s3.refuses = refuses
        yield
        self.wire.refuses = self._s3.refuses = before


def puts(operation: str, arguments: Any, prefix: str) -> bool:
    """Whether a call puts an item whose sort key begins with `prefix`."""
    return operation == "put_item" and arguments["Item"]["sk"]["S"].startswith(prefix)
