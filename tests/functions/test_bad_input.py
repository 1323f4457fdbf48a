"""What a caller gets wrong: a clear 4xx that names the field, nothing stored, nothing crashed."""

import json
from typing import Any

import pytest

from tests.functions.conftest import Served
from weir.http.chat_request import ChatCompletionBody

MESSAGE: Any = {"role": "user", "content": "Hi"}
GOOD: Any = {"model": "demo/echo", "messages": [MESSAGE]}

OPENAI = "/v1/chat/completions"
MAITAI = "/api/v1/chat/completions/serialized"
STORE = "/chat/completions/response"
LOG = "/api/request-logs/create"


def records(served: Served) -> int:
    count: int = served.http.get("/api/request-logs?page_size=1000").json()["count"]
    return count


def send(served: Served, route: str, content: bytes) -> Any:
    return served.http.request("PUT" if route == STORE else "POST", route, content=content)


def enveloped(route: str, body: Any) -> bytes:
    if route == MAITAI:
        body = {"application_ref_name": "a", "action_type": "B", "params": body}
    return json.dumps(body).encode()


@pytest.mark.parametrize("route", [OPENAI, MAITAI])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [MESSAGE, {"role": "user", "content": [{"text": "x"}]}]}, "messages[1].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]}, "messages[0].tool_calls[0].function.name"),
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": "x" * 300}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"n": 0}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": 129}, "n"),
        ({"extra_body": {"model": "gpt-x"}}, "extra_body.model"),
        ({"extra_body": {"stream": True}}, "extra_body.stream"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"stop": 5}, "stop"),
        ({"logit_bias": [1]}, "logit_bias"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}]}, "tools[0].function.parameters"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"extra_headers": {"x-a": 5}}, "extra_headers"),
    ],
)
def test_a_wrong_parameter_is_named_and_nothing_is_stored(
    served: Served, route: str, change: dict[str, Any], field: str
) -> None:
    before = records(served)

    response = send(served, route, enveloped(route, {**GOOD, **change}))

    assert response.status_code == 400, response.text
    if route == OPENAI:
        assert response.json()["error"]["param"] == field
        assert field.split(".")[-1].split("[")[0] in response.json()["error"]["message"]
    else:
        assert f"params.{field}" in response.text
        assert "\n" not in response.text
    assert records(served) == before


@pytest.mark.parametrize("route", [OPENAI, MAITAI])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metadata": {"note": "x" * 100_000}}, "metadata.note"),
        ({"metadata": ["x"]}, "metadata"),
        ({"session_id": "x" * 300}, "session_id"),
        ({"session_id": 1.5}, "session_id"),
        ({"action_type": 7}, "action_type"),
        ({"application": {"a": 1}}, "application"),
        ({"evaluation_enabled": "yes"}, "evaluation_enabled"),
    ],
)
def test_a_wrong_field_of_the_envelope_is_named(served: Served, route: str, change: dict[str, Any], field: str) -> None:
    before = records(served)
    body = {**GOOD, **change} if route == OPENAI else {"params": GOOD, **change}

    response = send(served, route, json.dumps(body).encode())

    assert response.status_code == 400
    assert field in response.text
    assert len(response.text) < 500
    assert records(served) == before


@pytest.mark.parametrize("route", [OPENAI, MAITAI, STORE, LOG])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{not json",
        b'{"model": NaN}',
        b'{"model": Infinity}',
        b'{"model": "\xff\xfe"}',
        b'{"model": "\\ud800"}',
        b"[" * 1_000 + b"]" * 1_000,
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b"[]",
        b'"text"',
        b"null",
        b"{}",
        b'{"model": "demo/echo"} trailing',
    ],
)
def test_what_is_not_a_json_object_of_the_right_kind_is_refused(served: Served, route: str, content: bytes) -> None:
    before = records(served)

    response = send(served, route, content)

    assert response.status_code == 400, response.text
    assert len(response.text) < 400
    assert records(served) == before
    assert served.http.get("/health").status_code == 200


@pytest.mark.parametrize(("route", "status"), [(OPENAI, 413), (MAITAI, 400), (STORE, 400), (LOG, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_six_megabytes_is_refused_with_advice(
    served: Served, route: str, status: int, chunked: bool
) -> None:
    before = records(served)
    body = json.dumps({**GOOD, "messages": [{"role": "user", "content": "x" * 6_000_001}]}).encode()
    content: Any = (body[i : i + 1_000_000] for i in range(0, len(body), 1_000_000)) if chunked else body

    response = served.http.request("PUT" if route == STORE else "POST", route, content=content)

    assert response.status_code == status
    assert "6 MB" in response.text
    assert "URL" in response.text
    assert records(served) == before + 1
    assert served.log(response.headers["x-weir-request-id"])["status_code"] == 413


def test_explicit_nulls_are_absent(served: Served) -> None:
    optional = [name for name in ChatCompletionBody.model_fields if name not in ("messages", "model")]
    response = served.http.post(OPENAI, json={**GOOD, **dict.fromkeys(optional)})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("route", [OPENAI, MAITAI])
def test_an_unknown_model_is_not_found_with_the_nearest_names(served: Served, route: str) -> None:
    before = records(served)
    response = send(served, route, enveloped(route, {**GOOD, "model": "grok/llama"}))
    assert response.status_code == 404
    assert "groq/llama" in response.text
    assert records(served) == before


@pytest.mark.parametrize(
    ("method", "route", "status"), [("GET", OPENAI, 405), ("POST", "/v1/completion", 404), ("PUT", OPENAI, 405)]
)
def test_unknown_routes_and_methods_answer_in_json(served: Served, method: str, route: str, status: int) -> None:
    response = served.http.request(method, route)
    assert response.status_code == status
    assert response.json()["error"]["code"] == "unknown_url"


@pytest.mark.parametrize(
    "route", [OPENAI, OPENAI + "/", "/chat/completions", "/chat/completions/", "/api/chat/completions/"]
)
def test_every_spelling_answers_without_a_redirect(served: Served, route: str) -> None:
    response = served.http.post(route, json=GOOD, follow_redirects=False)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": "Bearer {}"},
        {"authorization": "Api-Key {}"},
        {"authorization": "bearer {}"},
        {"x-api-key": "{}"},
        {"X-Maitai-Api-Key": "{}"},
    ],
)
@pytest.mark.parametrize(("route", "body"), [(OPENAI, GOOD), (MAITAI, {"params": GOOD}), (LOG, {"model": "m"})])
def test_the_key_is_taken_from_every_usual_place(
    served: Served, header: dict[str, str], route: str, body: dict[str, Any]
) -> None:
    headers = {name: value.format(served.weir.key) for name, value in header.items()}
    wrong = {name: value.format("canary-wrong-key") for name, value in header.items()}
    with type(served.http)(base_url=served.weir.url) as anyone:
        assert anyone.post(route, json=body, headers=headers).status_code == 200
        for refused in (anyone.post(route, json=body, headers=wrong), anyone.post(route, json=body)):
            assert refused.status_code == 401
            assert "canary" not in refused.text
            assert "key" in refused.text
