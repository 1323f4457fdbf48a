"""A Runtime whose clock and ids are fixed, on SQLite in a folder, and a caller of its functions, without a network."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
from fastapi import FastAPI

from weir.domain.api_key import RANDOM_BITS
from weir.domain.ids import milliseconds, uuid7
from weir.http.app import create_app
from weir.http.auth import Keyring, Principal
from weir.ledger.limit_rules import LimitRules
from weir.runtime.bootstrap import Runtime, open_stores
from weir.runtime.settings import Settings
from weir.services.defaults import Defaults
from weir.services.keys import Keys
from weir.services.limit_rules import LimitBook

KEY = "canary-key-of-the-caller"
TEST_KEY = "canary-key-of-the-test-environment"
INGEST_KEY = "canary-key-that-may-only-write"
READ_KEY = "canary-key-that-may-only-read"
OTHER_KEY = "canary-key-of-another-workspace"

PRINCIPALS: Mapping[str, Principal] = {
    KEY: Principal("default"),
    TEST_KEY: Principal("default", "test"),
    INGEST_KEY: Principal("default", scopes=frozenset({"ingest"})),
    READ_KEY: Principal("default", scopes=frozenset({"read"})),
    OTHER_KEY: Principal("other"),
}

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Mount = Callable[[FastAPI, Runtime], None]


def key_numbers() -> Callable[[], int]:
    drawn = Random(20_260_102)
    return lambda: drawn.getrandbits(RANDOM_BITS)


def fixed_runtime(folder: Path, environ: Mapping[str, str] | None = None) -> Runtime:
    """Every look at the clock is a second later than the one before, from START on; ids count up from 1, and API keys
    are the same every time: those of one instant are listed by their ids."""
    settings = Settings.from_environ({"WEIR_API_KEY": KEY, "WEIR_DATA_DIR": str(folder)})
    ticks: Iterator[int] = itertools.count()
    numbers: Iterator[int] = itertools.count(1)
    stores = open_stores(settings)
    configurations = stores.configurations
    return Runtime(
        settings=settings,
        keyring=Keyring(PRINCIPALS, stores.keys, now=lambda: START),
        keys=Keys(stores.keys, "default", now=lambda: START, random=key_numbers()),
        ledger=stores.ledger,
        configurations=configurations,
        defaults=Defaults(configurations, now=lambda: START, clock=time.monotonic),
        limits=LimitBook(LimitRules(configurations.store), now=lambda: START, clock=time.monotonic),
        open_projections=stores.open_projections,
        environ=environ or {},
        secrets=frozenset({KEY}),
        now=lambda: START + timedelta(seconds=next(ticks)),
        new_id=lambda instant: uuid7(milliseconds(instant), next(numbers)),
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls functions as a client would, without a network. `key` None sends no key."""

    app: FastAPI
    key: str | None = KEY

    @classmethod
    def of(cls, runtime: Runtime, mounts: Iterable[Mount]) -> "Caller":
        app = create_app("Weir under test", runtime.keyring)
        for mount in mounts:
            mount(app, runtime)
        return cls(app)

    def with_key(self, key: str | None) -> "Caller":
        return Caller(self.app, key)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.call("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.call("PUT", path, **options)

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        return asyncio.run(self._call(method, path, headers or {}, options))

    async def _call(self, method: str, path: str, headers: Mapping[str, str], options: Any) -> httpx.Response:
        keys = {} if self.key is None else {"authorization": f"Bearer {self.key}"}
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://weir.test") as client:
            return await client.request(method, path, headers={**keys, **headers}, **options)
