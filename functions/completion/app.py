"""Chat completions in every dialect, embeddings, and the list of models."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from weir.runtime.lambda_handler import lambda_handler

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Usage
from weir.domain.embedding import EmbeddingCall
from weir.domain.errors import LedgerUnavailable, LimitExceeded, ProviderAuthFailed, ProviderError, RequestInvalid
from weir.domain.events import StreamEvent
from weir.http.app import parse_json, read_body, route
from weir.http.auth import Principal, presented_key
from weir.http.chat_reply import ANSWER_PREFIX, DONE, ChunkEncoder, WriteUsage, error_event, usage_body
from weir.http.chat_request import ChatCompletionBody, SerializedBody
from weir.http.embedding_request import EmbeddingBody
from weir.http.errors import REQUEST_ID, Dialect, error_reply, openai_error
from weir.http.intake import header_id
from weir.http.limit_headers import limit_headers
from weir.http.maitai_reply import CHUNK_FRAME, error_line, priced_usage, response_line, warning_line
from weir.http.proxy_params import with_header
from weir.http.repeated import events_of
from weir.http.scrub import erase
from weir.http.streaming import PATIENCE, Events, Heartbeat, StreamedAnswer, begun, unless_gone
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime, answer_cache, completions, limits_in_force
from weir.services.asking import ask_embeddings, ask_maitai, ask_openai
from weir.services.attempt import Ask, Attempt, Call
from weir.services.refusals import Refusals
from weir.services.repeats import Earlier, Repeats
from weir.services.tries import added

if TYPE_CHECKING:
    from weir.services.cache import AnswerCache
    from weir.services.limits import Admission, Limits

FALLBACK_REASON, MODEL = "x-weir-fallback-reason", "x-weir-model"
"""Where another model than the first answered: why, and which, by the name that the call or its configuration gave."""
LOG_ID = "X-Respan-Log-Id"
"""By this name Keywords AI's instrumented clients learn that a call is on record, and send their own span of it without
contents and counts (respan-instrumentation-openai 1.3.0, _otel_emitter.py); of a failed call, too."""

CACHED_FROM = "x-weir-cached-from"
"""The id of the call whose answer this one got from the cache."""
NOT_STORED = {"x-weir-stored": "false"}
KEEP_ALIVE, KEEP_ALIVE_LINE = b": keep-alive\n\n", b'{"keep_alive":true}\n'
"""To clients of OpenAI's API a comment, which they skip (HTML standard, section 9.2.6); Maitai's drops its own line."""

JSON, EVENTS, LINES = "application/json", "text/event-stream", "application/x-ndjson"

OPENAI_PATHS = ("/v1/chat/completions", "/chat/completions", "/api/chat/completions")
MAITAI_PATHS = ("/chat/completions/serialized", "/api/v1/chat/completions/serialized")
EMBEDDING_PATHS = ("/v1/embeddings", "/embeddings", "/api/embeddings")
MODEL_PATHS = ("/v1/models", "/models", "/api/models")
TAGS_ONLY = "/api/"
"""Below this prefix the callers are Keywords AI's, for whom `metadata` are tags of the log."""


class Completing:
    """The endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._service, self._embedder = completions(runtime)
        self._repeats = Repeats(runtime.ledger)
        self._cache: AnswerCache | None = None
        self._limits: Limits | None = None
        self._refusals = Refusals(runtime.ledger, runtime.keyring, now=runtime.now, new_id=runtime.new_id)

    async def openai(self, request: Request) -> Response:
        tags_only = request.url.path.startswith(TAGS_ONLY)

        async def take() -> Ask[ChatCall]:
            return await ask_openai(*await self._taken(request), self._runtime.defaults, tags_only=tags_only)

        ask = await self._refusals.noting(take(), request, "completion")

        async def make(attempt: Attempt[ChatCall]) -> Response:
            return await self._openai(attempt, request)

        return await self._made(self._service.begin(ask), "openai", make, _openai_again)

    async def maitai(self, request: Request) -> Response:
        async def take() -> Ask[ChatCall]:
            raw, body, principal, secrets = await self._taken(request)
            request_id = header_id(request, "x-request-id", secrets)
            return await ask_maitai(raw, body, principal, secrets, self._runtime.defaults, request_id)

        ask = await self._refusals.noting(take(), request, "completion")

        async def make(attempt: Attempt[ChatCall]) -> Response:
            return await self._maitai(attempt, request)

        return await self._made(self._service.begin(ask), "maitai", make, _maitai_again)

    async def embeddings(self, request: Request) -> Response:
        async def take() -> Ask[EmbeddingCall]:
            return await ask_embeddings(*await self._taken(request), self._runtime.defaults)

        ask = await self._refusals.noting(take(), request, "completion")
        return await self._made(self._embedder.begin(ask), "openai", self._embeddings, _embeddings_again)

    async def list_models(self, request: Request) -> Response:
        principal, lending = self._runtime.keyring.authenticate(request.headers, "complete"), self._runtime.lending
        keys = NOTHING if lending is None else await lending.keys_of(principal.workspace)
        body = jsonbytes.dumps({"object": "list", "data": await self._service.models.offered(keys)})
        shown = {key for key in keys.values() if key is not None}  # to providers, and to nobody else
        return Response(erase(body, self._runtime.secrets | shown), media_type=JSON)

    async def _taken(self, request: Request) -> tuple[bytes, Any, Principal, frozenset[str]]:
        """The body as it came and parsed, whose it is, and the secrets of the process and the caller's own."""
        runtime = self._runtime
        principal = runtime.keyring.authenticate(request.headers, "complete")
        raw = await read_body(request, runtime.settings.body_limit)
        raw, body = with_header(raw, parse_json(raw), request.headers.raw)
        return raw, body, principal, runtime.secrets | {presented_key(request.headers) or ""}

    async def _made(
        self,
        attempt: Attempt[Call],
        dialect: Dialect,
        make: Callable[[Attempt[Call]], Awaitable[Response]],
        again: Callable[[Attempt[Call], Earlier], Response],
    ) -> Response:
        """The answer to the call, or to an earlier one that it repeats.

        Keys are lent first: they are to be erased from whatever is kept, also of an answer from the cache.
        """
        lending = self._runtime.lending
        if lending is not None:
            await lending.lend(attempt)
        if attempt.ask.caller_id is not None and (earlier := await self._repeats.begin(attempt)) is not None:
            return again(attempt, earlier)
        if attempt.ask.cache is not None and (cached := await self._cached(attempt)) is not None:
            return again(attempt, cached)
        try:
            admission = await self._admitted(attempt)
            if admission is not None and admission.refusal is not None:
                return await self._refused(attempt, admission, admission.refusal, dialect)
            return await make(attempt)
        except ProviderError as exc:
            if lending is not None and isinstance(exc, ProviderAuthFailed) and attempt.provider is not None:
                lending.refused(attempt, (attempt.provider,))
            return error_reply(exc, dialect, _headers(attempt))
        except (RequestInvalid, LedgerUnavailable):  # no provider was asked
            if attempt.admission is not None:
                attempt.admission.settle(None)
                await attempt.admission.settled()
            await self._repeats.give_up(attempt)
            raise
        except BaseException:  # a fault of ours, or the process ends: a budget of a month is not to remember it
            if attempt.admission is not None:
                attempt.admission.settle(None)
            raise
        finally:
            if lending is not None and attempt.tries:
                lending.refused(attempt, attempt.refused_by)

    async def _admitted(self, attempt: Attempt[Call]) -> "Admission | None":
        """None if no limit holds for the call. What enforces limits is imported where a workspace has any."""
        if self._limits is None:
            try:
                if not await self._runtime.limits.rules(attempt.ask.workspace):
                    return None
            except LedgerUnavailable:
                pass  # the limits themselves know what becomes of the call then
        if self._limits is None:  # another call may have been here meanwhile
            self._limits = limits_in_force(self._runtime)
        return await self._limits.admit(attempt)

    async def _refused(
        self, attempt: Attempt[Call], admission: "Admission", error: LimitExceeded, dialect: Dialect
    ) -> Response:
        recorded = self._limits is not None and await self._limits.keep_refusal(attempt, admission)
        if not recorded:
            await self._repeats.give_up(attempt)
        return error_reply(error, dialect, _headers(attempt) | ({} if recorded else NOT_STORED))

    async def _cached(self, attempt: Attempt[Any]) -> Earlier | None:
        """What answered the same call before; only calls for completions are on such terms."""
        if self._cache is None:
            self._cache = answer_cache(self._runtime)
        terms = attempt.ask.cache
        return None if terms is None else await self._cache.answer(attempt, terms)

    async def _openai(self, attempt: Attempt[ChatCall], request: Request) -> Response:
        if not attempt.ask.call.stream:
            answer = await self._service.complete(attempt)
            return _whole(_told(attempt), answer.body, answer.stored)
        return StreamedAnswer(
            await self._begun(attempt, request),
            _begun_with(lambda: _encoder(attempt, warnings=attempt.told)),
            lambda error: error_event(openai_error(error)),
            done=DONE,
            media_type=EVENTS,
            headers=_told(attempt),
            heartbeat=self._heartbeat(KEEP_ALIVE),
        )

    async def _maitai(self, attempt: Attempt[ChatCall], request: Request) -> Response:
        request_id = attempt.ask.caller_id or attempt.id
        if not attempt.ask.call.stream:
            answer = await self._service.complete(attempt)
            line = response_line(
                jsonbytes.loads(answer.body),
                request_id=request_id,
                response_ms=attempt.latency_ms,
                cost=answer.record.cost,
                fallback_reason=attempt.fallback_reason,
            )
            return Response(line, 200, _told(attempt), JSON)
        stream = await self._begun(attempt, request)
        return StreamedAnswer(
            stream,
            _begun_with(
                lambda: _encoder(
                    attempt,
                    frame=CHUNK_FRAME,
                    fields=_fields(request_id, attempt.fallback_reason),
                    write_usage=_priced(attempt),
                    opening=warning_line(attempt.told),
                )
            ),
            error_line,
            done=b"",
            media_type=LINES,
            headers=_told(attempt),
            heartbeat=self._heartbeat(KEEP_ALIVE_LINE),
        )

    async def _begun(self, attempt: Attempt[ChatCall], request: Request) -> Events:
        opening, patience_s = self._service.stream(attempt), _patience_s(request)
        if patience_s is None or not self._runtime.settings.heartbeat_s:
            return await unless_gone(opening, request.receive)
        return await begun(opening, patience_s)

    def _heartbeat(self, piece: bytes) -> Heartbeat | None:
        every_s = self._runtime.settings.heartbeat_s
        return Heartbeat(piece, every_s) if every_s else None

    async def _embeddings(self, attempt: Attempt[EmbeddingCall]) -> Response:
        answer = await self._embedder.embed(attempt)
        return _whole(_headers(attempt), answer.body, answer.stored)


def mount(app: FastAPI, runtime: Runtime) -> None:
    completing = Completing(runtime)
    chat, serialized, texts = (body.model_json_schema for body in (ChatCompletionBody, SerializedBody, EmbeddingBody))
    route(
        app,
        "POST",
        OPENAI_PATHS,
        completing.openai,
        dialect="openai",
        summary="Create a chat completion",
        body=chat,
    )
    route(
        app,
        "POST",
        MAITAI_PATHS,
        completing.maitai,
        dialect="maitai",
        summary="Create a chat completion, in Maitai's envelopes",
        body=serialized,
    )
    route(
        app,
        "POST",
        EMBEDDING_PATHS,
        completing.embeddings,
        dialect="openai",
        summary="Create embeddings",
        body=texts,
    )
    route(
        app,
        "GET",
        MODEL_PATHS,
        completing.list_models,
        dialect="openai",
        summary="List the models of the configured providers",
    )


def _patience_s(request: Request) -> float | None:
    """None where a caller may wait for the status for as long as it takes."""
    offered = request.scope.get("extensions", {}).get(PATIENCE)
    return None if offered is None else offered["seconds"]


def _ids(id: str) -> dict[str, str]:
    return {REQUEST_ID: id, LOG_ID: id}


def _headers(attempt: Attempt[Call]) -> dict[str, str]:
    """Of an answer, and of an error that is the provider's or a limit's."""
    ids = _ids(attempt.id)
    if attempt.admission is None and not attempt.notices:
        return ids
    return ids | limit_headers(attempt.admission.standings if attempt.admission is not None else (), attempt.notices)


def _told(attempt: Attempt[ChatCall]) -> dict[str, str]:
    """The headers of an answer: whose it is, and whose it was to be."""
    return _headers(attempt) | _fallback(attempt.fallback_reason, attempt.ask.model)


def _fallback(reason: str | None, model: str | None) -> dict[str, str]:
    if reason is None:
        return {}
    return {FALLBACK_REASON: reason, MODEL: quote(model or "", safe="/:@. ")}


def _fields(request_id: str, fallback_reason: str | None) -> dict[str, str]:
    """What Maitai's chunks have beside OpenAI's members."""
    return {"request_id": request_id} | ({} if fallback_reason is None else {"fallback_reason": fallback_reason})


def _whole(headers: dict[str, str], body: bytes, stored: bool) -> Response:
    return Response(body, 200, headers | ({} if stored else NOT_STORED), JSON)


def _again(earlier: Earlier) -> dict[str, str]:
    record = earlier.record
    headers = _ids(record.id) | _fallback(record.fallback_reason, record.model)
    if earlier.repeated:
        headers["x-weir-duplicate"] = "true"
    if record.cached_from is not None:
        headers[CACHED_FROM] = record.cached_from
    return headers if earlier.stored else headers | {"x-weir-stored": "false"}


def _embeddings_again(_: Attempt[EmbeddingCall], earlier: Earlier) -> Response:
    return Response(earlier.response, 200, _again(earlier), JSON)


def _openai_again(attempt: Attempt[ChatCall], earlier: Earlier) -> Response:
    """What answered the call before, as a stream if one is asked for now."""
    if not attempt.ask.call.stream:
        return Response(earlier.response, 200, _again(earlier), JSON)
    chunks = _encoder(attempt).encode(events_of(jsonbytes.loads(earlier.response)))
    return Response(chunks + DONE, 200, _again(earlier), EVENTS)


def _maitai_again(attempt: Attempt[ChatCall], earlier: Earlier) -> Response:
    request_id = attempt.ask.caller_id or attempt.id
    response, cost = jsonbytes.loads(earlier.response), earlier.record.cost
    if not attempt.ask.call.stream:
        line = response_line(
            response,
            request_id=request_id,
            response_ms=earlier.record.latency_ms,
            cost=cost,
            fallback_reason=earlier.record.fallback_reason,
        )
        return Response(line, 200, _again(earlier), JSON)
    encoder = _encoder(
        attempt,
        frame=CHUNK_FRAME,
        fields=_fields(request_id, earlier.record.fallback_reason),
        write_usage=lambda usage, model, _: priced_usage(usage_body(usage), model, cost),
    )
    return Response(encoder.encode(events_of(response)), 200, _again(earlier), LINES)


def _begun_with(make: Callable[[], ChunkEncoder]) -> Callable[[list[StreamEvent]], bytes]:
    """An encoder that is made with its first events: who answers, and what was left out, may not be known before."""
    encoder: ChunkEncoder | None = None

    def encode(events: list[StreamEvent]) -> bytes:
        nonlocal encoder
        if encoder is None:
            encoder = make()
        return encoder.encode(events)

    return encode


def _encoder(attempt: Attempt[ChatCall], **how: Any) -> ChunkEncoder:
    """`how`: what a dialect adds to its chunks, as ChunkEncoder names it."""
    call = attempt.ask.call
    return ChunkEncoder(
        id=ANSWER_PREFIX + attempt.id,
        created=int(attempt.accepted_at.timestamp()),
        model=call.model,
        include_usage=call.include_usage,
        legacy=call.legacy_functions,
        **how,
    )


def _priced(attempt: Attempt[ChatCall]) -> WriteUsage:
    """Usage with its cost, as the record will say it."""

    def write(usage: Usage, model: str, service_tier: str | None) -> Mapping[str, Any]:
        cost = usage.cost
        if cost is None and (computed := attempt.computed_cost(usage, model, service_tier)) is not None:
            cost = computed.dollars
        return priced_usage(usage_body(usage), model, added(cost, attempt.cost_of_others))

    return write


handler = lambda_handler("Weir completions", mount, "completion")
