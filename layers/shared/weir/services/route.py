"""A call that may take several requests: the models of its plan in their order, again after a pause, or two at once."""

import asyncio
import email.utils
import itertools
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from weir.domain.chat import ChatCall
from weir.domain.completion import Completion
from weir.domain.errors import (
    MalformedReply,
    ProviderError,
    ProviderTimeout,
    RequestInvalid,
    WeirError,
)
from weir.domain.events import Collector, StreamEvent, holds_token
from weir.domain.routing import NO_DEADLINES, Deadlines, Routing, pause_s, planned
from weir.providers.client import ProviderClient
from weir.providers.deadline import DEADLINE, Patience, earliest, end_of_call
from weir.providers.registry import Registry, Target
from weir.services.attempt import Attempt
from weir.services.circuits import Circuits, Place
from weir.services.tries import Try, fallback_reason

HUNG_S = 10.0
"""A call's own deadline that is shorter says more of the call than of a provider that exceeds it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream whose first token is there, in `first` with all that came before it."""

    connection: AsyncExitStack
    first: list[StreamEvent]
    rest: AsyncIterator[list[StreamEvent]]

    async def aclose(self) -> None:
        await self.connection.aclose()


Found = TypeVar("Found")
Result = TypeVar("Result", Completion, Opened)


class Router:
    """`elapsed_ms` counts from the beginning of a call; `pause` waits, `chance` is between 0 and 1."""

    def __init__(
        self,
        registry: Registry,
        client: ProviderClient,
        circuits: Circuits,
        *,
        elapsed_ms: Callable[[Attempt[ChatCall]], float],
        defaults: Deadlines,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.registry, self.client, self.circuits = registry, client, circuits
        self.elapsed_ms, self.defaults = elapsed_ms, defaults
        self.pause, self.chance, self.now = pause, chance, now
        self._ending: set[asyncio.Task[Any]] = set()

    async def complete(self, attempt: Attempt[ChatCall], routing: Routing) -> Completion:
        """A whole answer. Raises as the first model's request did when there is none; `attempt` then is that one's."""

        async def ask(tried: Try, target: Target, call: ChatCall, patience: Patience | None) -> Completion:
            found = await self.client.complete(target, call, tried.exchange, attempt.ask.headers, patience)
            tried.heard(found.model, found.usage, found.service_tier)
            return found

        async def drop(_: Completion) -> None:
            """It is whole, and nothing of it is open."""

        return await _Run(self, attempt, routing, ask, drop).answer()

    async def open(self, attempt: Attempt[ChatCall], routing: Routing) -> Opened:
        """As `complete`, for a stream: it has begun with its first token, and from there on nothing else is tried."""

        async def ask(tried: Try, target: Target, call: ChatCall, patience: Patience | None) -> Opened:
            name, collector, first = target.provider.name, Collector(), list[StreamEvent]()
            async with AsyncExitStack() as connection:
                stream = self.client.stream(target, call, tried.exchange, attempt.ask.headers, patience)
                rest = await connection.enter_async_context(stream)
                while not holds_token(first):
                    events = await anext(rest, None)
                    if events is None:
                        break
                    first += events
                if not first:
                    raise MalformedReply(f"{name} sent an empty answer.", provider=name)
                for event in first:
                    collector.add(event)
                so_far = collector.completion()
                tried.heard(so_far.model, so_far.usage, so_far.service_tier)
                return Opened(connection.pop_all(), first, rest)

        return await _Run(self, attempt, routing, ask, Opened.aclose).answer()

    def let_go(
        self, task: asyncio.Task[Found], drop: Callable[[Found], Coroutine[Any, Any, None]]
    ) -> asyncio.Task[Any]:
        """End what nobody waits for any more. Gives what is done when it has ended."""
        ending: asyncio.Task[Any] = task
        if not task.done():
            task.cancel()
        elif not task.cancelled() and task.exception() is None:
            ending = asyncio.create_task(drop(task.result()))
        self._ending.add(ending)
        ending.add_done_callback(self._forget)
        return ending

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # asyncio wants to be asked


class _Run(Generic[Result]):
    """One call on its way through its plan."""

    def __init__(
        self,
        router: Router,
        attempt: Attempt[ChatCall],
        routing: Routing,
        ask: Callable[[Try, Target, ChatCall, Patience | None], Awaitable[Result]],
        drop: Callable[[Result], Awaitable[None]],
    ) -> None:
        """`ask` makes one request and fills its Try, `drop` ends a result that nobody wants."""
        self._router, self._attempt = router, attempt
        self._ask: Callable[[Try, Target, ChatCall, Patience | None], Awaitable[Result]] = ask
        self._drop: Callable[[Result], Awaitable[None]] = drop
        self._loop = asyncio.get_running_loop()
        self._deadlines = routing.deadlines.over(router.defaults)
        self._until = end_of_call(self._deadlines, router.elapsed_ms(attempt))
        self._plan = planned(attempt.ask.model, routing, attempt.ask.session_id or attempt.id)
        self._first = self._plan.models[0]
        self._tries: list[Try] = []
        attempt.tries = self._tries
        self._targets = {model: self._resolved(model) for model in self._plan.models}
        self._warn_of_unusable()

    async def answer(self) -> Result:
        """Only the first model decides whether the call may fall back: by an error that is `retryable`.

        What is wrong with a fallback (a name that nobody knows, a key that is refused, a parameter that it cannot take)
        is nothing that the caller of the first did: the next one is asked, and the caller never sees that error.
        """
        rounds = self._plan.rounds
        if isinstance(self._targets[self._first], WeirError):
            rounds = ((self._first,),)
        try:
            for at, models in enumerate(rounds):
                if not (admitted := [model for model in models if self._admits(model)]):
                    continue
                found = await self._round(admitted, None if at == len(rounds) - 1 else self._plan.wait_s)
                if found is not None:
                    return self._won(*found)
                if self._is_over() or not self._may_fall_back():
                    break
            else:
                # Where nobody else answers the first is asked although it rests: a circuit steers, and refuses nothing.
                if self._last_of_first().outcome == "skipped":
                    found = await self._round([self._first], None)
                    if found is not None:
                        return self._won(*found)
        except asyncio.CancelledError:
            if self._tries:
                self._attempt.stand_for(self._tries[0])
            raise
        raise self._lost()

    def _admits(self, model: str) -> bool:
        """Whether the model is to be asked in its turn. One that is alone in its plan always is."""
        place = self._place(model)
        if len(self._plan.models) == 1 or place is None or self._router.circuits.admits(place):
            return True
        skipped = self._begin(model)
        skipped.end("skipped", skipped.begun_ms)
        return False

    async def _round(self, models: list[str], wait_s: float | None) -> tuple[Try, Result] | None:
        """The first answer of these models; None when all of them have failed."""
        if len(models) == 1:
            try:
                return await self._persist(models[0], wait_s)
            except (ProviderError, RequestInvalid):  # the tries hold it
                return None
        racing = [asyncio.create_task(self._persist(model, wait_s)) for model in models]
        pending, won = set(racing), None
        try:
            while pending and won is None:
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                over = (task for task in racing if task.done())
                won = next((task for task in over if _is_settled(task)), None)
            return won.result() if won is not None else None
        finally:
            self._attempt.overtaken = [self._router.let_go(task, self._overtaken) for task in racing if task is not won]

    async def _overtaken(self, found: tuple[Try, Result]) -> None:
        tried, result = found
        tried.end("cancelled", self._elapsed_ms())
        await self._drop(result)

    async def _persist(self, model: str, wait_s: float | None) -> tuple[Try, Result]:
        """The model's answer, if need be after retries. Raises the last error."""
        expires = None if wait_s is None else self._loop.time() + wait_s
        for done in itertools.count():
            try:
                return await self._once(model, wait_s, expires)
            except ProviderError as exc:
                pause = self._pause(exc, done, expires)
                if pause is None:
                    raise
            await self._router.pause(pause)
        raise AssertionError  # count() does not end

    async def _once(self, model: str, wait_s: float | None, expires: float | None) -> tuple[Try, Result]:
        tried, circuits, place = self._begin(model), self._router.circuits, self._place(model)
        target = self._targets[model]
        try:
            if isinstance(target, WeirError):
                raise target
            tried.call = replace(self._attempt.ask.call, model=target.model)
            result = await self._ask(tried, target, tried.call, self._patience(wait_s, expires))
        except asyncio.CancelledError:
            tried.end("cancelled", self._elapsed_ms())
            raise
        except (ProviderError, RequestInvalid) as exc:
            tried.end("failed", self._elapsed_ms(), exc)
            if place is not None and _tells_of_provider(exc, tried):
                circuits.failed(place)
            raise
        if place is not None:
            circuits.answered(place)
        tried.first_token_ms = round(self._elapsed_ms() - tried.begun_ms, 3) if self._attempt.ask.call.stream else None
        return tried, result

    def _begin(self, model: str) -> Try:
        target = self._targets[model]
        tried = Try(model, self._elapsed_ms(), None if isinstance(target, WeirError) else target)
        self._tries.append(tried)
        return tried

    def _patience(self, wait_s: float | None, expires: float | None) -> Patience | None:
        """None where nothing bounds the request: what is not watched costs nothing."""
        deadlines, first_token_at = self._deadlines, None
        if expires is None and deadlines == NO_DEADLINES:
            return None
        if deadlines.first_token_s:
            first_token_at = self._loop.time() + deadlines.first_token_s
        if expires is not None and (first_token_at is None or expires < first_token_at):
            deadlines, first_token_at = replace(deadlines, first_token_s=wait_s), expires
        return Patience(deadlines, first_token_at, self._until)

    def _pause(self, exc: ProviderError, done: int, expires: float | None) -> float | None:
        """How long to wait before the same model is asked again; None when it is not."""
        if not exc.retryable:
            return None
        router = self._router
        pause = pause_s(self._plan.retries, done, retry_after_s(exc.retry_after, router.now()), router.chance())
        ends = earliest(expires, self._until, DEADLINE.get())
        return None if pause is None or (ends is not None and self._loop.time() + pause >= ends) else pause

    def _won(self, tried: Try, result: Result) -> Result:
        attempt = self._attempt
        attempt.stand_for(tried)
        attempt.answering = tried
        if tried.model != self._first:
            attempt.fallback_reason = fallback_reason(self._last_of_first())
        return result

    def _lost(self) -> WeirError:
        """The error of the call: that of its first model, or what ended the time for all of them.

        What the first cannot be asked at all is told only if nobody else was: a request that was made is on record.
        """
        failed = [(tried, tried.error) for tried in self._tries if tried.error is not None]
        own = [(tried, error) for tried, error in failed if tried.model == self._first]
        tried, error = failed[-1] if self._is_over() else (own or failed)[-1]
        if isinstance(error, RequestInvalid):
            of_providers = [each for each in failed if isinstance(each[1], ProviderError)]
            tried, error = of_providers[-1] if of_providers else (tried, error)
        self._attempt.stand_for(tried)
        return error

    def _last_of_first(self) -> Try:
        return next(tried for tried in reversed(self._tries) if tried.model == self._first)

    def _may_fall_back(self) -> bool:
        first = self._last_of_first()
        return first.outcome == "skipped" or (isinstance(first.error, ProviderError) and first.error.retryable)

    def _is_over(self) -> bool:
        ends = earliest(self._until, DEADLINE.get())
        return ends is not None and self._loop.time() >= ends

    def _elapsed_ms(self) -> float:
        return self._router.elapsed_ms(self._attempt)

    def _resolved(self, model: str) -> Target | WeirError:
        try:
            return self._router.registry.resolve(model, self._attempt.ask.provider_keys)
        except (ProviderError, RequestInvalid) as exc:
            return exc

    def _place(self, model: str) -> Place | None:
        """None where nothing is to be learnt: whoever brings a key of their own runs into limits of their own.

        A workspace's key is that of all its calls.
        """
        target, ask = self._targets[model], self._attempt.ask
        if isinstance(target, WeirError):
            return None
        provider = target.provider.name
        if provider in ask.provider_keys and provider not in ask.lent:
            return None
        return Place(ask.workspace, provider, target.model)

    def _warn_of_unusable(self) -> None:
        """Said with every call, so that it is not found out on the day when the first model fails."""
        unusable = [(model, found) for model, found in self._targets.items() if isinstance(found, WeirError)]
        warnings = tuple(f"no fallback to {model!r}: {found}" for model, found in unusable if model != self._first)
        if warnings:
            self._attempt.ask = replace(self._attempt.ask, warnings=self._attempt.ask.warnings + warnings)


def _is_settled(task: asyncio.Task[Any]) -> bool:
    """Whether the task has a result. Raises what no try expects."""
    if task.cancelled() or isinstance(task.exception(), ProviderError | RequestInvalid):
        return False
    task.result()
    return True


def retry_after_s(said: str | None, now: datetime) -> float | None:
    """Seconds, from the seconds or the date of a `Retry-After` (RFC 9110, 10.2.3); None where it says neither."""
    if said is None:
        return None
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(said) - now).total_seconds()
        except (ValueError, TypeError):  # the latter for a date without a zone
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _tells_of_provider(exc: WeirError, tried: Try) -> bool:
    """Whether the failure is one of the provider rather than of this call's impatience."""
    if not isinstance(exc, ProviderError) or not exc.retryable:
        return False
    own = isinstance(exc, ProviderTimeout) and exc.code is not None and exc.status is None
    return not own or (tried.latency_ms or 0) >= HUNG_S * 1000
