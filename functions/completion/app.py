"""Chat completions in every dialect, embeddings, and the list of models."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.chat import ChatCall
from weir.domain.completion import Usage
from weir.domain.errors import ProviderError
from weir.http.app import parse_json, read_body, route
from weir.http.auth import Principal, presented_key
from weir.http.chat_reply import DONE, ChunkEncoder, WriteUsage, error_event, usage_body
from weir.http.chat_request import ChatCompletionBody, SerializedBody
from weir.http.embedding_request import EmbeddingBody
from weir.http.errors import Dialect, error_reply, openai_error
from weir.http.intake import header_id
from weir.http.maitai_reply import CHUNK_FRAME, error_line, priced_usage, response_line, warning_line
from weir.http.streaming import StreamedAnswer
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime, completions
from weir.runtime.lambda_handler import lambda_handler
from weir.services.asking import ask_embeddings, ask_maitai, ask_openai
from weir.services.attempt import Ask, Attempt

REQUEST_ID = "x-weir-request-id"
OPENAI_PATHS = ("/v1/chat/completions", "/chat/completions", "/api/chat/completions")
MAITAI_PATHS = ("/chat/completions/serialized", "/api/v1/chat/completions/serialized")
EMBEDDING_PATHS = ("/v1/embeddings", "/embeddings", "/api/embeddings")
TAGS_ONLY = "/api/"
"""Below this prefix the callers are Keywords AI's, for whom `metadata` are tags of the log."""


def mount(app: FastAPI, runtime: Runtime) -> None:
    service, embedder = completions(runtime)

    async def openai(request: Request) -> Response:
        ask = await _read(request, "openai")
        attempt = service.begin(ask)
        try:
            if not ask.call.stream:
                answer = await service.complete(attempt)
                return _whole(attempt.id, answer.body, answer.stored)
            stream = await service.stream(attempt)
        except ProviderError as exc:
            return error_reply(exc, "openai", {REQUEST_ID: attempt.id})
        return StreamedAnswer(
            stream,
            _encoder(attempt, warnings=attempt.left_out).encode,
            lambda error: error_event(openai_error(error)),
            done=DONE,
            media_type="text/event-stream",
            headers={REQUEST_ID: attempt.id},
        )

    async def maitai(request: Request) -> Response:
        ask = await _read(request, "maitai")
        attempt = service.begin(ask)
        request_id = ask.caller_id or attempt.id
        try:
            if not ask.call.stream:
                answer = await service.complete(attempt)
                line = response_line(
                    jsonbytes.loads(answer.body),
                    request_id=request_id,
                    response_ms=attempt.latency_ms,
                    cost=answer.record.cost,
                )
                return Response(line, 200, {REQUEST_ID: attempt.id}, "application/json")
            stream = await service.stream(attempt)
        except ProviderError as exc:
            return error_reply(exc, "maitai", {REQUEST_ID: attempt.id})
        return StreamedAnswer(
            stream,
            _encoder(
                attempt,
                frame=CHUNK_FRAME,
                fields={"request_id": request_id},
                write_usage=_priced(attempt),
                opening=warning_line(attempt.left_out),
            ).encode,
            error_line,
            done=b"",
            media_type="application/x-ndjson",
            headers={REQUEST_ID: attempt.id},
        )

    async def embeddings(request: Request) -> Response:
        attempt = embedder.begin(await ask_embeddings(*await _taken(request), runtime.defaults))
        try:
            answer = await embedder.embed(attempt)
        except ProviderError as exc:
            return error_reply(exc, "openai", {REQUEST_ID: attempt.id})
        return _whole(attempt.id, answer.body, answer.stored)

    async def list_models(request: Request) -> Response:
        runtime.keyring.authenticate(request.headers, "complete")
        body = {"object": "list", "data": await service.models.offered()}
        return Response(jsonbytes.dumps(body), media_type="application/json")

    async def _taken(request: Request) -> tuple[bytes, Any, Principal, frozenset[str]]:
        """The body as it came and parsed, whose it is, and the secrets of the process and the caller's own."""
        principal = runtime.keyring.authenticate(request.headers, "complete")
        raw = await read_body(request, runtime.settings.body_limit)
        return raw, parse_json(raw), principal, runtime.secrets | {presented_key(request.headers) or ""}

    async def _read(request: Request, dialect: Dialect) -> Ask[ChatCall]:
        raw, body, principal, secrets = await _taken(request)
        if dialect == "maitai":
            request_id = header_id(request, "x-request-id", secrets)
            return await ask_maitai(raw, body, principal, secrets, runtime.defaults, request_id)
        tags_only = request.url.path.startswith(TAGS_ONLY)
        return await ask_openai(raw, body, principal, secrets, runtime.defaults, tags_only=tags_only)

    route(
        app,
        "POST",
        OPENAI_PATHS,
        openai,
        dialect="openai",
        summary="Create a chat completion",
        body=ChatCompletionBody.model_json_schema(),
    )
    route(
        app,
        "POST",
        MAITAI_PATHS,
        maitai,
        dialect="maitai",
        summary="Create a chat completion, in Maitai's envelopes",
        body=SerializedBody.model_json_schema(),
    )
    route(
        app,
        "POST",
        EMBEDDING_PATHS,
        embeddings,
        dialect="openai",
        summary="Create embeddings",
        body=EmbeddingBody.model_json_schema(),
    )
    route(
        app,
        "GET",
        ("/v1/models", "/models", "/api/models"),
        list_models,
        dialect="openai",
        summary="List the models of the configured providers",
    )


def _whole(id: str, body: bytes, stored: bool) -> Response:
    headers = {REQUEST_ID: id} | ({} if stored else {"x-weir-stored": "false"})
    return Response(body, 200, headers, "application/json")


def _encoder(attempt: Attempt[ChatCall], **how: Any) -> ChunkEncoder:
    """`how`: what a dialect adds to its chunks, as ChunkEncoder names it."""
    call = attempt.ask.call
    return ChunkEncoder(
        id=f"chatcmpl-{attempt.id}",
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
        return priced_usage(usage_body(usage), model, cost)

    return write


handler = lambda_handler("Weir completions", mount)
