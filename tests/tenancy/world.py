"""All functions in one process over one engine, asked without a network, and what lies in the engine."""

import asyncio
import hashlib
import importlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI

from tests.infra import template
from tests.ledger.engines import DynamoDBAndS3
from tests.runtime import START, fixed_runtime, key_numbers
from tests.tenancy.generator import Request
from tests.tenancy.workspaces import Workspace
from weir.http.app import create_app
from weir.http.auth import Keyring, Principal
from weir.ledger.configuration import Configurations
from weir.ledger.ledger import Ledger
from weir.ledger.limit_rules import LimitRules
from weir.ledger.projections import Projections
from weir.ledger.settlement import CheckedSettlement
from weir.ledger.spill import Spill
from weir.runtime.bootstrap import Runtime
from weir.runtime.local_projection import project_next
from weir.runtime.projection import local_feed, open_projection
from weir.services.defaults import Defaults
from weir.services.keys import Keys
from weir.services.limit_rules import LimitBook

FUNCTIONS = sorted(path.parent.name for path in template.ROOT.glob("functions/*/app.py"))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def text(self) -> bytes:
        return b"\n".join(b"%b: %b" % header for header in self.headers) + b"\n\n" + self.body


class World:
    """`workspaces` with a key each; `kept` says what of one lies in the engine."""

    def __init__(self, runtime: Runtime, kept: "Kept") -> None:
        self.alder = Workspace("alder", "canary-key-of-alder")
        self.birch = Workspace("birch", "canary-key-of-birch")
        principals = {each.key: Principal(each.name) for each in (self.alder, self.birch)}
        configurations = runtime.configurations
        self.runtime = replace(
            runtime,
            keyring=Keyring(principals, now=lambda: START),
            defaults=Defaults(configurations, now=lambda: START, clock=lambda: 0.0),
            limits=LimitBook(LimitRules(configurations.store), now=lambda: START, clock=lambda: 0.0),
            settings=runtime.settings.model_copy(update={"credentials": ("ssm:/weir/",)}),
        )
        self.kept = kept
        self.app = serving(self.runtime)
        self.document: Mapping[str, Any] = self.app.openapi()

    async def ask(self, workspace: Workspace, request: Request) -> Answer:
        return await ask(self.app, request, workspace.key)

    def project(self) -> None:
        """Archive, sums and sessions, as the projector makes them."""
        feed = local_feed(self.runtime.ledger, self.runtime.ledger.records)  # type: ignore[arg-type]
        projection = open_projection(self.runtime.ledger, self.runtime.projections, self.runtime.settings)
        while project_next(feed, projection.projector):
            pass
        projection.check()


class Kept:
    def of(self, workspace: str) -> Mapping[str, object]:
        """Everything that lies below a workspace, by its place."""
        raise NotImplementedError


def serving(runtime: Runtime) -> FastAPI:
    """Each folder of functions/ that has routes."""
    app = create_app("Weir, all of it", runtime.keyring)
    for folder in FUNCTIONS:
        function = importlib.import_module(f"functions.{folder}.app")
        if hasattr(function, "mount"):
            function.mount(app, runtime)
    return app


async def ask(app: FastAPI, request: Request, key: str) -> Answer:
    """As a server would, without one: ten thousand of these are to take a minute."""
    path, _, query = request.target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.route.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (b"authorization", b"Bearer " + key.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(request.body)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("weir.test", 80),
    }
    waiting = [{"type": "http.request", "body": request.body, "more_body": False}]
    status, headers, pieces = 0, (), list[bytes]()

    async def receive() -> Any:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()  # nobody hangs up
        raise AssertionError

    async def send(message: Any) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], tuple(message["headers"])
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, headers, b"".join(pieces))


class KeptOnDisk(Kept):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, workspace: str) -> Mapping[str, object]:
        found: dict[str, object] = {}
        with closing(sqlite3.connect(self._folder / "ledger.sqlite")) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                if "workspace" in columns:
                    where, value = "workspace = ?", workspace
                elif "pk" in columns:
                    where, value = "pk LIKE ?", f"{workspace}#%"
                else:
                    continue
                rows = connection.execute(f"SELECT * FROM {table} WHERE {where}", (value,)).fetchall()
                found[table] = sorted(map(repr, rows))
        for path in sorted((self._folder / "blobs").rglob("*")):
            if path.is_file() and _is_of(str(path.relative_to(self._folder)), workspace):
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


class KeptAtAWS(Kept):
    def __init__(self, engine: DynamoDBAndS3) -> None:
        self._engine = engine

    def of(self, workspace: str) -> Mapping[str, object]:
        """An item is a workspace's by its partition; an API key's says so inside."""
        reply = self._engine.wire.scan(TableName=self._engine.table)
        assert "LastEvaluatedKey" not in reply
        found: dict[str, object] = {}
        for item in reply["Items"]:
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            inside = f'"workspace":"{workspace}"' in item.get("item", {}).get("S", "")
            if pk.startswith(f"{workspace}#") or sk == workspace or inside:
                found[f"{pk} {sk}"] = item
        blobs = self._engine.blobs()
        return found | {key: blobs.get(key) for key in blobs.list("") if _is_of(key, workspace)}


def _is_of(key: str, workspace: str) -> bool:
    """Of a blob's key."""
    return not {workspace, f"workspace={workspace}"}.isdisjoint(key.split("/"))


@contextmanager
def on_disk(folder: Path) -> Iterator[World]:
    runtime = fixed_runtime(folder)
    with closing(runtime.ledger):
        yield World(runtime, KeptOnDisk(folder))


@contextmanager
def at_aws(engine: DynamoDBAndS3, folder: Path) -> Iterator[World]:
    fixed = fixed_runtime(folder)
    fixed.ledger.close()
    configurations, key_store = Configurations(engine.configuration()), engine.keys()
    blobs = engine.blobs()
    with engine.answers() as answers, engine.projections() as derived:
        ledger = Ledger(engine.open(), blobs, spill=Spill(blobs), answers=answers)
        runtime = replace(
            fixed,
            ledger=ledger,
            configurations=configurations,
            open_projections=lambda: Projections(derived, CheckedSettlement(derived)),
            keys=Keys(key_store, "default", now=lambda: START, random=key_numbers()),
        )
        with closing(ledger):
            yield World(runtime, KeptAtAWS(engine))
