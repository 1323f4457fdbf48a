"""A Weir under test over one engine, and records to put into it."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from functions.completion import app as completion
from functions.portal import app as portal
from functions.request_log import app as request_log
from functions.storage import app as storage
from tests.ledger.engines import Engine
from tests.runtime import START, Caller, fixed_runtime
from weir.domain.ids import milliseconds, uuid7
from weir.domain.record import Payload, Record
from weir.ledger.configuration import Configurations
from weir.ledger.ledger import Ledger
from weir.ledger.ports import Entry, RecordStore
from weir.runtime.bootstrap import Runtime
from weir.services.defaults import Defaults

BASE = "/api/v1"
MILLISECONDS = int(START.timestamp() * 1000)
PAYLOAD = Payload(b'{"params":{"messages":[{"role":"user","content":"hi"}]}}', b'{"choices":[]}')


class Counted:
    """A record store that counts the records which it gives."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            found = method(*arguments, **named)
            if isinstance(found, tuple):
                self.count += len(found)
            elif isinstance(found, Entry):
                self.count += 1
            return found

        return counted


@dataclass(frozen=True, slots=True)
class World:
    weir: Caller
    runtime: Runtime
    engine: Engine
    records: Counted

    def get(self, path: str, status: int = 200) -> Any:
        return self._json("GET", path, status, None)

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        return self._json("PUT", path, status, body)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self._json("POST", path, status, body)

    def reads(self, path: str, status: int = 200) -> int:
        """Records that are read for an answer."""
        before = self.records.count
        self.get(path, status)
        return self.records.count - before

    @contextmanager
    def after_a_restart(self) -> Iterator["World"]:
        """The same Weir in another process, on the same storage."""
        records: Any = Counted(self.engine.open())
        ledger = Ledger(records, self.engine.blobs())
        runtime = replace(self.runtime, ledger=ledger)
        with closing(ledger):
            yield World(Caller.of(runtime, [portal.mount]), runtime, self.engine, records)

    def keep(self, records: Iterable[Record], payload: Payload = PAYLOAD) -> None:
        found = list(records)

        async def keep() -> None:
            ledger: Ledger = self.runtime.ledger
            await asyncio.gather(*(ledger.keep(record, payload) for record in found))

        asyncio.run(keep())

    def _json(self, method: str, path: str, status: int, body: Any) -> Any:
        answer = self.weir.call(method, BASE + path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


@contextmanager
def opened(engine: Engine, folder: Path) -> Iterator[World]:
    """Weir over an engine; `folder` is its data directory, in which nothing is kept."""
    fixed = fixed_runtime(folder)
    fixed.ledger.close()
    configurations = Configurations(engine.configuration())
    records: Any = Counted(engine.open())
    with closing(Ledger(records, engine.blobs())) as ledger:
        runtime = replace(
            fixed,
            ledger=ledger,
            configurations=configurations,
            defaults=Defaults(configurations, now=fixed.now, clock=lambda: 0.0),
        )
        mounts = [app.mount for app in (completion, storage, request_log, portal)]
        yield World(Caller.of(runtime, mounts), runtime, engine, records)


def record(number: int, *, after: timedelta = timedelta(0), **fields: Any) -> Record:
    """The record of a call that went well, a second after the one before unless `after` START is said."""
    at: datetime = START + (after or timedelta(seconds=number))
    whole: dict[str, Any] = {
        "workspace": "default",
        "environment": "prod",
        "origin": "storage",
        "inference_location": "CLIENT",
        "application": "shop",
        "intent": "CHAT",
        **fields,
    }
    return Record(id=uuid7(milliseconds(at), number), created_at=at, **whole)


def error(answer: Any) -> tuple[int, str, Any]:
    """Status, message and parameter of a refusal."""
    said = answer["error"]
    return said["status"], said["message"], said["details"].get("param")
