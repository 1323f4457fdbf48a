"""Errors as each dialect's clients expect them."""

import json
from typing import Any

import pytest

from weir.domain.errors import (
    Conflict,
    LedgerUnavailable,
    MalformedReply,
    ModelUnknown,
    NotFound,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    RequestInvalid,
    RequestTooLarge,
    Unauthorized,
    WeirError,
    provider_error_class,
)
from weir.http.errors import error_reply, one_line, openai_error

Json = dict[str, Any]


def failed(kind: type[ProviderError], status: int | None = None, **words: Any) -> ProviderError:
    return kind("Lost", provider="vendor", status=status, **words)


def shaped(message: str, type: str, param: str | None = None, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


TABLE: list[tuple[WeirError, int, Json, int]] = [
    (
        RequestInvalid("Bad n", param="n", code="invalid_type"),
        400,
        shaped("Bad n", "invalid_request_error", "n", "invalid_type"),
        400,
    ),
    (
        RequestTooLarge("Big", code="request_too_large"),
        413,
        shaped("Big", "invalid_request_error", None, "request_too_large"),
        400,
    ),
    (
        ModelUnknown("x"),
        404,
        shaped("The model 'x' is not known here.", "invalid_request_error", "model", "model_not_found"),
        404,
    ),
    (Unauthorized("Who?"), 401, shaped("Who?", "authentication_error", None, "invalid_api_key"), 401),
    (Unauthorized("No", forbidden=True), 403, shaped("No", "permission_error"), 403),
    (NotFound("Gone"), 404, shaped("Gone", "invalid_request_error"), 404),
    (Conflict("Taken"), 409, shaped("Taken", "conflict_error"), 400),
    (LedgerUnavailable("Full"), 503, shaped("Full", "service_unavailable_error"), 503),
    (WeirError("Broken"), 500, shaped("Broken", "server_error"), 500),
    (failed(ProviderRejected, 422, type="theirs", param="n", code="c"), 422, shaped("Lost", "theirs", "n", "c"), 400),
    (failed(ProviderRejected, 400), 400, shaped("Lost", "invalid_request_error"), 400),
    (failed(ProviderRejected, 404), 404, shaped("Lost", "invalid_request_error"), 404),
    (failed(ProviderAuthFailed, 401), 401, shaped("Lost", "authentication_error"), 400),
    (failed(ProviderAuthFailed, 403), 403, shaped("Lost", "permission_error"), 400),
    (failed(ProviderThrottled, 429), 429, shaped("Lost", "rate_limit_error"), 429),
    (failed(ProviderUnavailable, 500), 502, shaped("Lost", "server_error"), 502),
    (failed(ProviderUnavailable, 503), 503, shaped("Lost", "service_unavailable_error"), 503),
    (failed(ProviderUnavailable, 529), 503, shaped("Lost", "service_unavailable_error"), 503),
    (failed(ProviderUnavailable), 502, shaped("Lost", "server_error"), 502),
    (failed(ProviderTimeout), 504, shaped("Lost", "timeout_error"), 504),
    (failed(ProviderTimeout, 504), 504, shaped("Lost", "timeout_error"), 504),
    (failed(ProviderTimeout, 408), 408, shaped("Lost", "timeout_error"), 400),
    (failed(MalformedReply), 502, shaped("Lost", "server_error"), 502),
]


@pytest.mark.parametrize(("error", "status", "body", "maitai"), TABLE)
def test_an_error_reaches_the_caller_as(error: WeirError, status: int, body: Json, maitai: int) -> None:
    openai = error_reply(error, "openai")
    assert (openai.status_code, openai.headers["content-type"]) == (status, "application/json")
    assert json.loads(bytes(openai.body)) == body
    line = error_reply(error, "maitai")
    assert (line.status_code, line.headers["content-type"]) == (maitai, "text/plain; charset=utf-8")
    assert bytes(line.body).decode() == one_line(error)
    assert b"\n" not in bytes(line.body)
    assert error_reply(error, "request_logs").status_code == status


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (RequestInvalid("Bad n", param="n"), {"n": ["Bad n"], "error": "Bad n"}),
        (RequestInvalid("Bad", param="n"), {"n": ["Bad"], "error": "n: Bad"}),
        (RequestInvalid("Bad"), {"error": "Bad"}),
        (failed(ProviderRejected, 400, param="n"), {"error": "n: Lost"}),
        (NotFound("Gone"), {"detail": "Gone"}),
        (Unauthorized("Who?"), {"detail": "Who?"}),
    ],
)
def test_the_request_log_routes_say_it_as_django_would(error: WeirError, body: Json) -> None:
    assert json.loads(bytes(error_reply(error, "request_logs").body)) == body


@pytest.mark.parametrize("dialect", ["openai", "maitai", "request_logs"])
def test_when_to_come_back_is_passed_on_beside_other_headers(dialect: Any) -> None:
    reply = error_reply(failed(ProviderThrottled, 429, retry_after="3"), dialect, {"x-weir-request-id": "r"})
    assert (reply.headers["retry-after"], reply.headers["x-weir-request-id"]) == ("3", "r")
    assert "retry-after" not in error_reply(failed(ProviderThrottled, 429), dialect).headers


def test_an_error_of_many_lines_is_one_line() -> None:
    assert one_line(RequestInvalid("Bad\n\n  n ", param="n")) == "Bad n"
    assert one_line(RequestInvalid("Bad\nkey", param="messages[0]")) == "messages[0]: Bad key"


def test_a_providers_bytes_are_not_in_the_error() -> None:
    assert "canary-1" not in json.dumps(openai_error(failed(ProviderRejected, 400, raw=b"canary-1")))


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, ProviderRejected, False),
        (401, ProviderAuthFailed, False),
        (403, ProviderAuthFailed, False),
        (404, ProviderRejected, False),
        (408, ProviderTimeout, True),
        (422, ProviderRejected, False),
        (429, ProviderThrottled, True),
        (500, ProviderUnavailable, True),
        (502, ProviderUnavailable, True),
        (504, ProviderTimeout, True),
        (529, ProviderUnavailable, True),
    ],
)
def test_the_class_of_a_failure_follows_from_its_status(
    status: int, kind: type[ProviderError], retryable: bool
) -> None:
    assert (provider_error_class(status), kind.retryable) == (kind, retryable)


def test_half_an_answer_may_be_asked_for_again() -> None:
    assert MalformedReply.retryable


def test_an_unknown_model_names_the_nearest_and_is_cut_short() -> None:
    assert str(ModelUnknown("gpt", ("openai/gpt", "groq/gpt"), "Try one.")) == (
        "The model 'gpt' is not known here. Did you mean openai/gpt or groq/gpt? Try one."
    )
    assert len(str(ModelUnknown("x" * 9999))) < 300
