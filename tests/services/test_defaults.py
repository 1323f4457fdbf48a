"""What holds for a call: how often it is asked of the ledger, and what happens when that refuses."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from weir.domain.configuration import Level, effective
from weir.domain.errors import LedgerUnavailable
from weir.ledger.configuration import Author, Configurations
from weir.ledger.sqlite_config import SQLiteConfigStore
from weir.services import defaults as defaults_module
from weir.services.defaults import MAX_AGE_S, Defaults

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class CountingStore(SQLiteConfigStore):
    """Counts reads; refuses everything while `down`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.reads = 0
        self.down = False
        self.on_read: Callable[[], None] = lambda: None

    def get(self, workspace: str, *keys: str) -> dict[str, bytes]:
        self.reads += 1
        if self.down:
            raise LedgerUnavailable("The configuration cannot be read.")
        self.on_read()
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
    configurations.edit_level("main", Level("shop", "CHAT"), lambda _: {"model": model}, Author("operator", NOON))
    store.reads = 0


def set_at(store: CountingStore, level: Level, config: Any) -> None:
    Configurations(store).edit_level("main", level, lambda _: config, Author("operator", NOON))
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


def test_what_is_set_for_the_workspace_holds_for_a_call_without_an_application(
    loop: asyncio.Runner, defaults: Defaults, store: CountingStore
) -> None:
    set_at(store, Level(), {"model": "of the workspace", "n": 1})
    assert [of(loop, defaults, None, None) for _ in range(3)] == [{"model": "of the workspace", "n": 1}] * 3
    assert store.reads == 1
    assert Configurations(store).all("main") == ()


def test_what_is_nearer_to_a_call_goes_first(loop: asyncio.Runner, defaults: Defaults, store: CountingStore) -> None:
    configurations = Configurations(store)
    shop = configurations.add_application("main", "shop", "Shop", NOON)
    assert shop is not None
    configurations.add_intent("main", shop, "CHAT", NOON)
    configurations.add_group("main", "CHAT", NOON)
    set_at(store, Level(), {"w": 1, "a": 1, "g": 1, "i": 1})
    set_at(store, Level("shop"), {"a": 2, "g": 2, "i": 2})
    set_at(store, Level(None, "CHAT"), {"g": 3, "i": 3})
    set_at(store, Level("shop", "CHAT"), {"i": 4})
    assert of(loop, defaults) == {"w": 1, "a": 2, "g": 3, "i": 4}
    assert store.reads == 1
    assert of(loop, defaults, "shop", "OTHER") == {"w": 1, "a": 2, "g": 2, "i": 2}
    assert of(loop, defaults, "other", "CHAT") == {"w": 1, "a": 1, "g": 3, "i": 3}
    assert of(loop, defaults, None, "CHAT") == {"w": 1, "a": 1, "g": 3, "i": 3}
    assert of(loop, defaults, "shop", None) == {"w": 1, "a": 2, "g": 2, "i": 2}
    assert of(loop, defaults, "other", None) == {"w": 1, "a": 1, "g": 1, "i": 1}


def test_two_names_of_one_thing_do_not_hold_at_once() -> None:
    far, near = {"reasoning": {"effort": "high"}, "fallback_model": "a"}, {"reasoning_effort": "low", "n": 1}
    assert effective([far, near]) == {"fallback_model": "a", "reasoning_effort": "low", "n": 1}
    assert effective([near, far]) == {**far, "n": 1}


def test_many_calls_at_once_read_once(loop: asyncio.Runner, defaults: Defaults, store: CountingStore) -> None:
    set_model(store, "first")

    async def calls() -> tuple[Any, ...]:
        return tuple(await asyncio.gather(*(defaults.of("main", "shop", "CHAT") for _ in range(50))))

    assert loop.run(calls()) == ({"model": "first"},) * 50
    assert store.reads == 1


def test_an_edit_is_live_in_every_process_within_ten_seconds(
    loop: asyncio.Runner, store: CountingStore, clock: Clock
) -> None:
    """Whenever within its ten seconds a process has read, whichever level is edited."""
    set_model(store, "first")
    processes = [Defaults(Configurations(SQLiteConfigStore(store.path)), now=lambda: NOON, clock=clock) for _ in "12"]
    for number, process in enumerate(processes):
        clock.now = 4.0 * number
        assert of(loop, process) == {"model": "first"}
    clock.now = edited_at = 5.0
    set_model(store, "second")
    set_at(store, Level(), {"n": 2})
    processes[1].forget()  # it is the one that made the edit
    assert [of(loop, process) for process in processes] == [{"model": "first"}, {"model": "second", "n": 2}]
    clock.now = edited_at + MAX_AGE_S
    assert [of(loop, process) for process in processes] == [{"model": "second", "n": 2}] * 2


def test_what_was_read_before_an_edit_of_this_process_is_not_kept(
    loop: asyncio.Runner, defaults: Defaults, store: CountingStore
) -> None:
    set_model(store, "first")

    async def edited_meanwhile() -> Any:
        reading = asyncio.ensure_future(defaults.of("main", "shop", "CHAT"))
        await asyncio.sleep(0)
        defaults.forget()
        return await reading

    loop.run(edited_meanwhile())
    of(loop, defaults)
    assert store.reads == 2


def test_the_age_counts_from_when_the_ledger_was_asked(
    loop: asyncio.Runner, store: CountingStore, clock: Clock
) -> None:
    set_model(store, "first")
    slow = Defaults(Configurations(store), now=lambda: NOON, clock=clock)
    store.on_read = lambda: setattr(clock, "now", clock.now + 3.0)
    assert of(loop, slow) == {"model": "first"}
    clock.now = MAX_AGE_S
    of(loop, slow)
    assert store.reads == 2


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
