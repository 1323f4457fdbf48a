"""Keys that are lent to calls: whose, how often they are read, and for how long one is good."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from weir.domain.chat import ChatCall
from weir.domain.credential import CredentialReference, Place, References
from weir.domain.errors import LedgerUnavailable, ProviderAuthFailed
from weir.providers.secret_sources import SecretUnreadable
from weir.services.attempt import Ask, Attempt
from weir.services.lending import AGAIN_AFTER_S, REFERENCES_AGE_S, STALE_AGE_S, VALUE_AGE_S, Lending

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALLOWED = ("ssm:/weir/",)


class World:
    """References, keys where they lie, a clock, and what was asked of each."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.references: dict[str, References] = {}
        self.keys = {"/weir/acme/openai": "canary-openai-1", "/weir/acme/groq": "canary-groq-1"}
        self.read: list[str] = []
        self.looked = 0
        self.down = False
        store: Any = self
        self.lending = Lending(store, ALLOWED, self._read, clock=lambda: self.now)

    def of(self, workspace: str) -> References:
        self.looked += 1
        if self.down:
            raise LedgerUnavailable("The configuration cannot be read.")
        return self.references.get(workspace, {})

    def name(self, provider: str, reference: str, *, by_operator: bool = False, workspace: str = "acme") -> None:
        named = CredentialReference(provider=provider, reference=reference, set_at=NOON, by_operator=by_operator)
        self.references[workspace] = {**self.references.get(workspace, {}), provider: named}

    def _read(self, place: Place) -> str:
        self.read.append(place.name)
        if place.name not in self.keys:
            raise SecretUnreadable("the parameter cannot be read")
        return self.keys[place.name]

    async def lend(self, *, workspace: str = "acme", **fields: Any) -> Attempt[ChatCall]:
        ask = Ask(
            call=ChatCall(model="m", messages=()),
            model="openai/m",
            workspace=workspace,
            environment="prod",
            **{"request": b"{}", **fields},
        )
        attempt = Attempt("id", ask, NOON, 0.0, provider="openai")
        await self.lending.lend(attempt)
        return attempt


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def world() -> World:
    found = World()
    found.name("openai", "ssm:/weir/acme/openai")
    return found


def test_a_call_gets_its_workspaces_keys_and_they_are_secrets(world: World, loop: asyncio.Runner) -> None:
    world.name("groq", "ssm:/weir/acme/groq", by_operator=True)
    ask = loop.run(world.lend(request=b'{"says":"canary-openai-1"}', secrets=frozenset({"s"}))).ask
    assert dict(ask.provider_keys) == {"openai": "canary-openai-1", "groq": "canary-groq-1"}
    assert ask.secrets == {"s", "canary-openai-1", "canary-groq-1"}
    assert ask.request == b'{"says":"[erased]"}'


def test_another_workspace_gets_none(world: World, loop: asyncio.Runner) -> None:
    for workspace in ("other", "Acme", ""):
        attempt = loop.run(world.lend(workspace=workspace))
        assert (dict(attempt.ask.provider_keys), attempt.ask.secrets) == ({}, frozenset())
    assert world.read == []


def test_the_callers_own_key_goes_first_and_no_other_is_read(world: World, loop: asyncio.Runner) -> None:
    ask = loop.run(world.lend(provider_keys={"openai": "canary-brought"})).ask
    assert (dict(ask.provider_keys), ask.lent, world.read) == ({"openai": "canary-brought"}, frozenset(), [])


def test_a_key_is_read_once_in_a_while_and_the_references_more_often(world: World, loop: asyncio.Runner) -> None:
    for _ in range(3):
        loop.run(world.lend())
    assert (world.looked, len(world.read)) == (1, 1)
    world.now += REFERENCES_AGE_S
    loop.run(world.lend())
    assert (world.looked, len(world.read)) == (2, 1)
    world.now += VALUE_AGE_S
    world.keys["/weir/acme/openai"] = "canary-openai-2"
    assert loop.run(world.lend()).ask.provider_keys["openai"] == "canary-openai-2"


def test_many_calls_at_once_read_it_once(world: World, loop: asyncio.Runner) -> None:
    async def many() -> None:
        await asyncio.gather(*(world.lend() for _ in range(20)))

    loop.run(many())
    assert (world.looked, len(world.read)) == (1, 1)


def test_a_refused_key_is_read_again_for_the_next_call_but_not_for_each(world: World, loop: asyncio.Runner) -> None:
    attempt = loop.run(world.lend())
    world.keys["/weir/acme/openai"] = "canary-openai-2"
    world.lending.refused(attempt, {"openai"})
    assert loop.run(world.lend()).ask.provider_keys["openai"] == "canary-openai-1"
    world.now += AGAIN_AFTER_S
    world.lending.refused(attempt, {"groq"})
    assert loop.run(world.lend()).ask.provider_keys["openai"] == "canary-openai-1"
    world.lending.refused(attempt, {"openai"})
    assert loop.run(world.lend()).ask.provider_keys["openai"] == "canary-openai-2"


def test_a_key_that_cannot_be_read_is_never_replaced_by_the_operators(world: World, loop: asyncio.Runner) -> None:
    world.name("groq", "ssm:/weir/acme/groq")
    del world.keys["/weir/acme/openai"]
    keys = loop.run(world.lend()).ask.provider_keys
    assert keys.get("groq") == "canary-groq-1"
    assert keys.get("anthropic") is None
    with pytest.raises(ProviderAuthFailed, match="The key that this workspace names for openai cannot be read"):
        keys.get("openai")
    loop.run(world.lend())
    assert world.read.count("/weir/acme/openai") == 1
    world.now += AGAIN_AFTER_S
    world.keys["/weir/acme/openai"] = "canary-openai-2"
    assert loop.run(world.lend()).ask.provider_keys["openai"] == "canary-openai-2"


def test_a_key_that_was_read_is_good_for_a_while_without_its_source(world: World, loop: asyncio.Runner) -> None:
    loop.run(world.lend())
    world.keys.clear()
    world.now += STALE_AGE_S - 1
    assert loop.run(world.lend()).ask.provider_keys["openai"] == "canary-openai-1"
    world.now += AGAIN_AFTER_S
    with pytest.raises(ProviderAuthFailed):
        loop.run(world.lend()).ask.provider_keys["openai"]


def test_what_is_allowed_no_more_is_not_read(world: World, loop: asyncio.Runner) -> None:
    world.name("openai", "ssm:/weir/other/openai")
    world.name("groq", "env:GROQ", by_operator=True)
    keys = loop.run(world.lend()).ask.provider_keys
    assert (world.read, set(keys)) == ([], {"openai", "groq"})
    for provider in keys:
        with pytest.raises(ProviderAuthFailed):
            keys[provider]


def test_what_held_before_holds_while_the_ledger_is_down(world: World, loop: asyncio.Runner) -> None:
    world.down = True
    with pytest.raises(LedgerUnavailable):
        loop.run(world.lend())
    world.down = False
    loop.run(world.lend())
    world.down = True
    world.now += REFERENCES_AGE_S
    assert loop.run(world.lend()).ask.provider_keys["openai"] == "canary-openai-1"


def test_what_is_read_while_it_is_edited_is_not_kept(world: World, loop: asyncio.Runner) -> None:
    async def edited_meanwhile() -> None:
        running = asyncio.create_task(world.lend())
        await asyncio.sleep(0)
        world.lending.forget()
        await running
        world.references.clear()
        assert "openai" not in (await world.lend()).ask.provider_keys

    loop.run(edited_meanwhile())


def test_an_edit_in_this_process_holds_at_once(world: World, loop: asyncio.Runner) -> None:
    loop.run(world.lend())
    world.references.clear()
    assert "openai" in loop.run(world.lend()).ask.provider_keys
    world.lending.forget()
    assert "openai" not in loop.run(world.lend()).ask.provider_keys
