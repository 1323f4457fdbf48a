"""What holds for a call, by its application and intent: read at most once in ten seconds, never waited for twice."""

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from weir.domain.configuration import Level, effective
from weir.domain.errors import LedgerUnavailable
from weir.http.scrub import ERASED
from weir.ledger.configuration import Configurations

logger = logging.getLogger("weir.configure")

MAX_AGE_S = 10.0
"""How long an edit may take to be seen by a process that did not make it."""

APPLICATIONS_LIMIT = 500
INTENTS_LIMIT = 5_000
"""Of a workspace, made by their first use. Names come from callers, and some write an id into them."""

_CACHED = 10_000


class _Call(NamedTuple):
    workspace: str
    application: str | None
    intent: str | None


class Defaults:
    """`clock` gives seconds for measuring ages, `now` the time of day. Used from one event loop."""

    def __init__(
        self, configurations: Configurations, *, now: Callable[[], datetime], clock: Callable[[], float]
    ) -> None:
        self._configurations = configurations
        self._now, self._clock = now, clock
        self._cache: dict[_Call, tuple[float, Mapping[str, Any]]] = {}
        self._reading: dict[_Call, asyncio.Future[Mapping[str, Any]]] = {}
        self._known: set[_Call] = set()

    async def of(self, workspace: str, application: str | None, intent: str | None) -> Mapping[str, Any]:
        """The values that are set for such a call, by the names of ConfigBody; what is unknown becomes known.

        One read of the ledger, which many calls at once share, unless the last one is not ten seconds old. When the
        ledger refuses, what held before still holds; raises LedgerUnavailable if nothing is known of it.
        """
        call = _Call(workspace, application, intent)
        cached = self._cache.get(call)
        if cached is not None and cached[0] > self._clock():
            return cached[1]
        try:
            return await asyncio.shield(self._read(call))  # who hangs up does not take the answer from the others
        except LedgerUnavailable:
            if cached is None:
                raise
            logger.exception("configuration not read", extra={"application": application, "intent": intent})
            return cached[1]

    async def make_known(self, workspace: str, application: str | None, intent: str | None, at: datetime) -> None:
        """Returns when both exist; asks the ledger once a process. A refusal is logged, never raised."""
        call = _Call(workspace, application, intent)
        if self._is_new(call):
            await asyncio.to_thread(self._add, call, at)

    def forget(self) -> None:
        """What this process has edited itself holds at once; what is being read may be older, and is not kept."""
        self._cache, self._reading = {}, {}

    def _read(self, call: _Call) -> "asyncio.Future[Mapping[str, Any]]":
        reading = self._reading.get(call)
        if reading is None:
            reading = self._reading[call] = asyncio.ensure_future(self._ask(call, self._cache))
            reading.add_done_callback(functools.partial(self._settle, call))
        return reading

    async def _ask(self, call: _Call, cache: dict[_Call, tuple[float, Mapping[str, Any]]]) -> Mapping[str, Any]:
        asked_at = self._clock()  # what is edited while the answer is on its way is not in it
        found = await asyncio.to_thread(self._configurations.of_call, *call)
        config = effective(found.values())
        if len(cache) >= _CACHED:
            cache.clear()
        cache[call] = (asked_at + MAX_AGE_S, config)
        if call.application is not None and Level(call.application, call.intent) not in found:
            self._begin(call)
        return config

    def _settle(self, call: _Call, reading: "asyncio.Future[Mapping[str, Any]]") -> None:
        if self._reading.get(call) is reading:
            del self._reading[call]
        if not reading.cancelled():
            reading.exception()  # everybody may have hung up, and asyncio wants it looked at

    def _begin(self, call: _Call) -> None:
        """In a thread beside the call, which is longer: nobody waits for it."""
        if self._is_new(call):
            asyncio.get_running_loop().run_in_executor(None, self._add, call, self._now())

    def _is_new(self, call: _Call) -> bool:
        """True for one of many calls at once; never for a name that holds an erased key, or without an application."""
        if call.application is None or call in self._known:
            return False
        if ERASED in call.application or ERASED in (call.intent or ""):
            return False
        if len(self._known) >= _CACHED:
            self._known.clear()
        self._known.add(call)
        return True

    def _add(self, call: _Call, at: datetime) -> None:
        workspace, ref_name, name = call
        if ref_name is None:
            return
        try:
            application, intent = self._configurations.find(workspace, ref_name, name)
            if application is None:
                application = self._configurations.add_application(
                    workspace, ref_name, ref_name, at, limit=APPLICATIONS_LIMIT
                )
            if application is None:  # another process was faster, or there are too many
                application, intent = self._configurations.find(workspace, ref_name, name)
            if application is not None and name is not None and intent is None:
                self._configurations.add_intent(workspace, application, name, at, limit=INTENTS_LIMIT)
        except LedgerUnavailable:
            self._known.discard(call)
            logger.exception("application not registered", extra={"application": ref_name, "intent": name})
