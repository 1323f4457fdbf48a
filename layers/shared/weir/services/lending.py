"""The keys that a workspace names for its providers, lent to its calls: read where they lie, kept for some minutes."""

import asyncio
import functools
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from weir.domain.completion import NOTHING
from weir.domain.credential import CredentialReference, Place, References, is_allowed, place_of
from weir.domain.errors import LedgerUnavailable, ProviderAuthFailed
from weir.http.scrub import erase
from weir.ledger.credentials import CredentialReferences
from weir.providers.secret_sources import SecretUnreadable
from weir.services.attempt import Attempt, Call

logger = logging.getLogger("weir.credentials")

REFERENCES_AGE_S = 10.0
"""How long an edit may take to be seen by a process that did not make it."""

VALUE_AGE_S = 300.0
"""How long a key that was replaced where it lies may still be used; a refusal by its provider ends that."""

STALE_AGE_S = 3600.0
"""For how long a key that was read once is good while it cannot be read again."""

AGAIN_AFTER_S = 10.0
"""Until a key that could not be read, or was refused, is read again: each call would wait for it."""

_CACHED = 10_000


class _Known(NamedTuple):
    """`value` is None where it could not be read; `read_at` is when it last could, `until` when it is read again."""

    value: str | None
    read_at: float
    until: float


class Lending:
    """`read` gives the key at a place, off the event loop, or raises SecretUnreadable. `clock` gives seconds.

    Used from one event loop.
    """

    def __init__(
        self,
        references: CredentialReferences,
        allowed: tuple[str, ...],
        read: Callable[[Place], str],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._references = references
        self._allowed = allowed
        self._read = read
        self._clock = clock
        self._of: dict[str, tuple[float, References]] = {}
        self._looking: dict[str, asyncio.Task[References]] = {}
        self._known: dict[str, _Known] = {}
        self._reading: dict[str, asyncio.Task[_Known]] = {}

    async def lend(self, attempt: Attempt[Call]) -> None:
        """Lets the call use its workspace's keys, behind those that its caller brought.

        The operator's own key never stands in for one that a workspace names and that cannot be read. When the ledger
        refuses, what held before still holds; raises LedgerUnavailable if nothing is known.
        """
        ask = attempt.ask
        references = await self._references_of(ask.workspace)
        if not references:
            return
        named = [each for name, each in references.items() if name not in ask.provider_keys]
        found = await self._values(ask.workspace, named)
        known = frozenset(value for value in found.values() if value is not None)
        attempt.ask = replace(
            ask,
            provider_keys=_Keys({**found, **ask.provider_keys}),
            lent=frozenset(found),
            secrets=ask.secrets | known,
            request=erase(ask.request, known),
        )

    async def keys_of(self, workspace: str) -> Mapping[str, str | None]:
        """Those that the workspace names, by provider; None where one cannot be read. Raises as `lend` does."""
        return await self._values(workspace, (await self._references_of(workspace)).values())

    def refused(self, attempt: Attempt[Call], providers: Iterable[str]) -> None:
        """These did not take the keys that were lent: they are read again for the next call."""
        _, references = self._of.get(attempt.ask.workspace, (0.0, NOTHING))
        for provider in attempt.ask.lent.intersection(providers):
            named = references.get(provider)
            known = None if named is None else self._known.get(named.reference)
            if named is not None and known is not None and self._clock() - known.read_at >= AGAIN_AFTER_S:
                self._known[named.reference] = known._replace(until=self._clock())

    def forget(self) -> None:
        """What this process has edited itself holds at once; what is being read may be older, and is not kept."""
        self._of, self._looking = {}, {}

    async def _references_of(self, workspace: str) -> References:
        cached = self._of.get(workspace)
        if cached is not None and self._clock() < cached[0]:
            return cached[1]
        looking = self._looking.get(workspace)
        if looking is None:
            looking = self._looking[workspace] = asyncio.create_task(self._look(workspace, self._of))
            looking.add_done_callback(functools.partial(self._looked, workspace))
        try:
            return await asyncio.shield(looking)  # who hangs up does not take the answer from the others
        except LedgerUnavailable:
            if cached is None:
                raise
            logger.exception("credentials not read", extra={"workspace": workspace})
            return cached[1]

    async def _look(self, workspace: str, of: dict[str, tuple[float, References]]) -> References:
        asked_at = self._clock()  # what is edited meanwhile is not in the answer
        found = await asyncio.to_thread(self._references.of, workspace)
        if len(of) >= _CACHED:
            of.clear()
        of[workspace] = (asked_at + REFERENCES_AGE_S, found)
        return found

    def _looked(self, workspace: str, looking: "asyncio.Task[References]") -> None:
        if self._looking.get(workspace) is looking:
            del self._looking[workspace]
        if not looking.cancelled():
            looking.exception()  # everybody may have hung up, and asyncio wants it looked at

    async def _values(self, workspace: str, named: Collection[CredentialReference]) -> dict[str, str | None]:
        values = await asyncio.gather(*(self._value(workspace, each) for each in named))
        return {each.provider: value for each, value in zip(named, values, strict=True)}

    async def _value(self, workspace: str, named: CredentialReference) -> str | None:
        """None when it cannot be read. What was allowed once may be no longer."""
        reference, place = named.reference, place_of(named.reference)
        if place is None or not is_allowed(
            reference, self._allowed, workspace=workspace, by_operator=named.by_operator
        ):
            logger.warning("credential not allowed", extra={"workspace": workspace, "provider": named.provider})
            return None
        known = self._known.get(reference)
        if known is not None and self._clock() < known.until:
            return known.value
        reading = self._reading.get(reference)
        if reading is None:
            reading = self._reading[reference] = asyncio.create_task(self._read_again(reference, place, known))
            reading.add_done_callback(lambda _: self._reading.pop(reference, None))
        return (await asyncio.shield(reading)).value  # who hangs up does not take the answer from the others

    async def _read_again(self, reference: str, place: Place, known: _Known | None) -> _Known:
        now = self._clock()
        try:
            found = _Known(await asyncio.to_thread(self._read, place), now, now + VALUE_AGE_S)
        except SecretUnreadable:
            logger.exception("credential not read", extra={"kind": place.kind})
            good = known is not None and known.value is not None and now - known.read_at < STALE_AGE_S
            again = now + AGAIN_AFTER_S
            found = known._replace(until=again) if known is not None and good else _Known(None, now, again)
        if len(self._known) >= _CACHED:
            self._known.clear()
        self._known[reference] = found
        return found


class _Keys(Mapping[str, str]):
    """Keys by provider. To ask for one that could not be read raises ProviderAuthFailed."""

    def __init__(self, keys: Mapping[str, str | None]) -> None:
        self._keys = keys

    def __getitem__(self, provider: str) -> str:
        key = self._keys[provider]
        if key is None:
            raise ProviderAuthFailed(
                f"The key that this workspace names for {provider} cannot be read.",
                provider=provider,
                status=401,
                code="provider_key_unreadable",
                param="model",
            )
        return key

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
