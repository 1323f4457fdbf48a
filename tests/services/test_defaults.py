"""What holds for a call: how often it is asked of the ledger, and what happens when that refuses."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from weir.domain.errors import LedgerUnavailable
from weir.ledger.configuration import Configurations
from weir.ledger.sqlite_config import SQLiteConfigStore
from weir.services import defaults as defaults_module
from weir.services.defaults import MAX_AGE_S, Defaults

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class CountingStore(SQLiteConfigStore):
    """Counts reads; refuses everything while `down`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads = 0
        self.down = False

    def get(self, workspace: str, *keys: str) -> dict[str, bytes]:
        self.reads += 1
        if self.down:
            raise LedgerUnavailable("The configuration cannot be read.")
        return super().get(workspace, *keys)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "ledger.sqlite")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def defaults(store: CountingStore, clock: Clock) -> Defaults:
    return Defaults(Configurations(store), now=lambda: NOON, clock=clock)


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def set_model(store: CountingStore, model: str) -> None:
    configurations = Configurations(store)
    if configurations.find("main", "shop")[0] is None:
        application = configurations.add_application("main", "shop", "Shop", NOON)
        assert application is not None
        configurations.add_intent("main", application, "CHAT", NOON)
    configurations.edit_intent("main", "shop", "CHAT", lambda _: {"model": model})
    store.reads = 0


def of(loop: asyncio.Runner, defaults: Defaults, application: str | None = "shop", intent: str | None = "CHAT") -> Any:
    return loop.run(defaults.of("main", application, intent))


def test_the_ledger_is_asked_once_until_the_answer_is_old(
    loop: asyncio.Runner, defaults: Defaults, store: CountingStore, clock: Clock
) -> None:
    set_model(store, "first")
    assert [of(loop, defaults) for _ in range(5)] == [{"model": "first"}] * 5
    assert store.reads == 1
    set_model(store, "second")
    clock.now = MAX_AGE_S - 0.1
    assert of(loop, defaults) == {"model": "first"}
    clock.now = MAX_AGE_S
    assert of(loop, defaults) == {"model": "second"}
    assert store.reads == 1


def test_a_call_without_an_application_asks_nothing(
    loop: asyncio.Runner, defaults: Defaults, store: CountingStore
) -> None:
    assert of(loop, defaults, None) == {}
    assert store.reads == 0


def test_what_held_goes_on_when_the_ledger_refuses(
    loop: asyncio.Runner, defaults: Defaults, store: CountingStore, clock: Clock
) -> None:
    set_model(store, "first")
    of(loop, defaults)
    store.down, clock.now = True, MAX_AGE_S * 5
    assert of(loop, defaults) == {"model": "first"}
    with pytest.raises(LedgerUnavailable):
        of(loop, defaults, "another")


def test_what_is_unknown_is_made_once(loop: asyncio.Runner, defaults: Defaults, store: CountingStore) -> None:
    async def calls() -> None:
        await asyncio.gather(*(defaults.of("main", "shop", "CHAT") for _ in range(20)))
        await asyncio.gather(*(defaults.make_known("main", "shop", "CHAT", NOON) for _ in range(20)))

    loop.run(calls())
    loop.close()  # waits for the threads
    ((application, intents),) = Configurations(store).all("main")
    assert (application.id, application.ref_name, [intent.name for intent in intents]) == (1, "shop", ["CHAT"])
    assert SQLiteConfigStore.next_number(store, "main", "intents") == 2


def test_a_refusal_fails_no_call_and_is_tried_again(
    loop: asyncio.Runner, defaults: Defaults, store: CountingStore
) -> None:
    store.down = True
    loop.run(defaults.make_known("main", "shop", "CHAT", NOON))
    store.down = False
    loop.run(defaults.make_known("main", "shop", "CHAT", NOON))
    assert len(Configurations(store).all("main")) == 1


def test_names_that_are_ids_do_not_fill_the_ledger(
    loop: asyncio.Runner, defaults: Defaults, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults_module, "INTENTS_LIMIT", 3)
    monkeypatch.setattr(defaults_module, "APPLICATIONS_LIMIT", 2)
    for number in range(5):
        loop.run(defaults.make_known("main", "shop", f"intent {number}", NOON))
        loop.run(defaults.make_known("main", f"application {number}", None, NOON))
    found = Configurations(store).all("main")
    assert [(application.ref_name, len(intents)) for application, intents in found] == [
        ("shop", 3),
        ("application 0", 0),
    ]
