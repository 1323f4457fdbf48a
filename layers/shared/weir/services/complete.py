"""One completion: ask the provider, hand the answer over as it comes, keep the record before the end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from weir.domain.chat import ChatCall
from weir.domain.completion import Completion
from weir.domain.errors import MalformedReply, ProviderError
from weir.domain.events import Collector, StreamEvent, holds_token
from weir.domain.record import Record
from weir.domain.routing import NO_DEADLINES, Deadlines, Routing
from weir.http.chat_reply import ANSWER_PREFIX, completion_body
from weir.protocols import jsonbytes
from weir.providers.client import ProviderClient
from weir.providers.models import ModelList
from weir.providers.registry import Registry
from weir.services.attempt import Answered, Ask, Attempt, Recorder

if TYPE_CHECKING:
    from weir.services.route import Router


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, and its chat.completion body as JSON. `stored` is False when the ledger refused the record."""

    completion: Completion
    body: bytes
    record: Record
    stored: bool


class Completions:
    """`deadlines` are the process's own, for calls that say nothing else."""

    def __init__(
        self,
        registry: Registry,
        client: ProviderClient,
        recorder: Recorder,
        models: ModelList,
        deadlines: Deadlines = NO_DEADLINES,
    ) -> None:
        self.models = models
        self._registry = registry
        self._client = client
        self._recorder = recorder
        self._deadlines = deadlines
        self._rule = None if deadlines == NO_DEADLINES else Routing()

    @cached_property
    def router(self) -> "Router":
        """Imported by the first call that is more than one request to one model."""
        from weir.services.circuits import Circuits
        from weir.services.route import Router

        return Router(
            self._registry,
            self._client,
            Circuits(time.monotonic),
            elapsed_ms=self._recorder.elapsed_ms,
            defaults=self._deadlines,
        )

    def begin(self, ask: Ask[ChatCall]) -> Attempt[ChatCall]:
        return self._recorder.begin(ask)

    async def complete(self, attempt: Attempt[ChatCall]) -> Answer:
        """The whole answer, its record durable. Raises ProviderError; the failed call is a record then, too.

        Raises RequestInvalid (ModelUnknown among them) for a call that cannot be made; nothing is kept of it.
        """
        try:
            if (routing := attempt.ask.routing or self._rule) is not None:
                completion = await self.router.complete(attempt, routing)
            else:
                target = attempt.aim(self._registry.resolve)
                ask = attempt.ask
                completion = await self._client.complete(target, ask.call, attempt.exchange, ask.headers)
        except ProviderError as exc:
            raise await self._recorder.keep_failure(attempt, exc) from exc
        answered = _answered(attempt, completion)
        record, stored = await self._recorder.keep(attempt, answered)
        return Answer(completion, answered.body, record, stored)

    async def stream(self, attempt: Attempt[ChatCall]) -> "AnswerStream":
        """An answer that has begun; raises as `complete` does if it fails before its first event."""
        stream = AnswerStream(attempt, self._recorder)
        if (routing := attempt.ask.routing or self._rule) is not None:
            await stream.open_routed(self.router, routing)
        else:
            await stream.open(self._registry, self._client)
        return stream


class AnswerStream:
    """A running answer: iterate for its events. The iteration ends, or raises, only after the record is durable.

    `aclose` before the end says that the caller is gone: the provider is cut off, and the record says so.
    """

    def __init__(self, attempt: Attempt[ChatCall], recorder: Recorder) -> None:
        self.attempt = attempt
        self._recorder = recorder
        self._collector = Collector()
        self._connection = AsyncExitStack()
        self._first: list[StreamEvent] = []
        self._rest: AsyncIterator[list[StreamEvent]]
        self.ending = False
        """Whether the record is being kept, or is: from here on a caller who hangs up changes nothing."""

    async def open(self, registry: Registry, client: ProviderClient) -> None:
        attempt = self.attempt
        try:
            target = attempt.aim(registry.resolve)
            ask = attempt.ask
            self._rest = await self._connection.enter_async_context(
                client.stream(target, ask.call, attempt.exchange, ask.headers)
            )
            self._first = await anext(self._rest, [])
            if not self._first:
                raise MalformedReply(f"{target.provider.name} sent an empty answer.", provider=target.provider.name)
        except ProviderError as exc:
            raise await self._failed(exc) from exc
        except asyncio.CancelledError:
            await self.aclose()
            raise

    async def open_routed(self, router: "Router", routing: Routing) -> None:
        try:
            opened = await router.open(self.attempt, routing)
        except ProviderError as exc:
            raise await self._failed(exc) from exc
        except asyncio.CancelledError:
            await self.aclose()
            raise
        self._connection, self._first, self._rest = opened.connection, opened.first, opened.rest

    async def __aiter__(self) -> AsyncIterator[list[StreamEvent]]:
        try:
            self._take(self._first)
            yield self._first
            async for events in self._rest:
                self._take(events)
                yield events
        except ProviderError as exc:
            raise await self._failed(exc) from exc
        self.ending = True
        await self._connection.aclose()
        await self._recorder.keep(self.attempt, _answered(self.attempt, self._collector.completion()))

    async def aclose(self) -> None:
        """End the answer. If it had not ended by itself, the caller is gone."""
        if not self.ending:
            self.ending = True
            await self._connection.aclose()
            await self._recorder.keep_abandoned(self.attempt, self._partial)

    def _take(self, events: list[StreamEvent]) -> None:
        if self.attempt.first_token_ms is None and holds_token(events):
            self.attempt.first_token_ms = self._recorder.elapsed_ms(self.attempt)
        for event in events:
            self._collector.add(event)

    async def _failed(self, exc: ProviderError) -> ProviderError:
        self.ending = True
        await self._connection.aclose()
        partial = self._partial
        broke_off = partial is not None and isinstance(exc, MalformedReply)
        return await self._recorder.keep_failure(self.attempt, exc, partial, "cut_off" if broke_off else "error")

    @property
    def _partial(self) -> Answered | None:
        partial = self._collector.completion()
        return _answered(self.attempt, partial) if partial.choices else None


def _answered(attempt: Attempt[ChatCall], completion: Completion) -> Answered:
    call = attempt.ask.call
    body = completion_body(
        completion,
        id=ANSWER_PREFIX + attempt.id,
        created=int(attempt.accepted_at.timestamp()),
        model=call.model,
        legacy=call.legacy_functions,
        summary=call.reasoning is not None and call.reasoning.summary,
        warnings=attempt.told,
    )
    choice = completion.choices[0] if completion.choices else None
    return Answered(
        jsonbytes.dumps(body),
        completion.model,
        completion.usage,
        completion.service_tier,
        choice.reason if choice is not None else None,
        choice.raw_reason if choice is not None else None,
    )
