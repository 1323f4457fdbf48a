"""No key is left behind: not in the ledger, not in a log, not in an error, wherever a caller or a provider puts it."""

import base64
import gzip
import itertools
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
import pytest

from tests.e2e.canaries import holds, spellings, traces
from tests.upstream import JSON_TYPE, SSE_TYPE, Received, Reply, Upstream, chunk, completion, event, events
from tests.weir_process import WeirProcess

PROCESS_KEY = "canary-process/key-5b1f0c"
PROVIDER_KEY = "canary-provider/key-77ad2e"
MARKER = "marker of what is meant to be kept"
_CANARY = re.compile(r"canary-[\w/-]+")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request in which something is secret. `fields` go to the top of the body, `params` beside the messages."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    model: str = "openai/echo"
    said: str = MARKER
    spell: Callable[[bytes], bytes] = bytes


def _escaped(body: bytes) -> bytes:
    """The same JSON with its canaries spelled in escapes."""
    return re.sub(rb"canary", lambda match: b"".join(b"\\u%04x" % letter for letter in match[0]), body)


def _slashed(body: bytes) -> bytes:
    return body.replace(b"/key", b"\\/key")


def _encoded(params: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(params).encode()).decode()


PLACES: Mapping[str, Callable[[str], Sent]] = {
    "auth_keys, an object": lambda c: Sent({"auth_keys": {"openai_api_key": {"key_value": c}}}),
    "auth_keys, keyValue": lambda c: Sent({"auth_keys": {"openai_api_key": {"keyValue": c}}}),
    "auth_keys, a text": lambda c: Sent({"auth_keys": {"openai_api_key": c}}),
    "auth_keys of a provider not called": lambda c: Sent({"auth_keys": {"groq_api_key": {"key_value": c}}}),
    "customer_credentials": lambda c: Sent({"customer_credentials": {"openai": {"api_key": c}}}),
    "credential_override": lambda c: Sent({"credential_override": {"openai/echo": {"any_name": c}}}),
    "respan_params": lambda c: Sent({"respan_params": {"customer_credentials": {"openai": {"api_key": c}}}}),
    "respan_params, a text": lambda c: Sent(
        {"respan_params": json.dumps({"customer_credentials": {"openai": {"api_key": c}}, "note": c})}
    ),
    "keywordsai_params": lambda c: Sent({"keywordsai_params": {"load_balance_models": [{"credentials": {"x": c}}]}}),
    "X-Data-Respan-Params": lambda c: Sent(
        headers={"X-Data-Respan-Params": _encoded({"customer_credentials": {"openai": {"api_key": c}}, "note": c})},
    ),
    "X-Data-Keywordsai-Params": lambda c: Sent(
        headers={"X-Data-Keywordsai-Params": _encoded({"credential_override": {"any": c}, "metadata": {"a": c}})}
    ),
    "X-Data-Respan-Params, overridden": lambda c: Sent(
        {"respan_params": {"customer_credentials": {"openai": {"api_key": PROVIDER_KEY}}}},
        headers={"X-Data-Respan-Params": _encoded({"customer_credentials": {"openai": {"api_key": c}}})},
    ),
    "X-Data-Respan-Params, as it is": lambda c: Sent(headers={"X-Data-Respan-Params": json.dumps({"api_key": c})}),
    "X-Data-Respan-Params, broken": lambda c: Sent(headers={"X-Data-Respan-Params": json.dumps({"api_key": c})[:-1]}),
    "default_headers": lambda c: Sent({"client_params": {"default_headers": {"x-any-name": c}}}),
    "default_query": lambda c: Sent({"client_params": {"default_query": {"any_name": [c]}}}),
    "client_params": lambda c: Sent({"client_params": {"api_key": c}}),
    "extra_headers": lambda c: Sent(params={"extra_headers": {"x-any-name": c}}),
    "extra_headers, authorization": lambda c: Sent(params={"extra_headers": {"Authorization": f"Bearer {c}"}}),
    "extra_body": lambda c: Sent(params={"extra_body": {"api_key": c}}),
    "metadata": lambda c: Sent({"metadata": {"api_key": c, "kept": MARKER}}),
    "metadata, deep": lambda c: Sent({"metadata": {"inner": {"list": [{"password": c}]}}}),
    "unknown api_key": lambda c: Sent(params={"api_key": c}),
    "unknown authorization": lambda c: Sent(params={"authorization": f"Bearer {c}"}),
    "unknown object of secrets": lambda c: Sent(params={"secrets": {"any_name": {"value": c}}}),
    "unknown list of tokens": lambda c: Sent(params={"api-key": [c]}),
    "a tool's authorization": lambda c: Sent(params={"tools": [{"type": "mcp", "authorization": c}]}),
    "a tool's headers": lambda c: Sent(params={"tools": [{"type": "mcp", "headers": {"x-any-name": c}}]}),
    "query": lambda c: Sent(query=f"?api_key={c}&key={c}"),
    "a value in escapes": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, spell=_escaped),
    "a name in escapes": lambda c: Sent(
        params={"api_key": c}, spell=lambda body: body.replace(b"api_key", b"\\u0061pi_\\u006bey")
    ),
    "told to the model as well": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, said=f"my key is {c}"),
    "told, and cached": lambda c: Sent({"auth_keys": {"openai_api_key": c}, "cache_enabled": True}, said=f"is {c}"),
    "told, in escapes": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, said=f"is {c}", spell=_escaped),
    "told, with an escaped slash": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, said=c, spell=_slashed),
    "told, and long": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, said=_long(c)),
    "repeated as an id": lambda c: Sent({"auth_keys": {"openai_api_key": c}, "session_id": c, "reference_id": c}),
    "repeated as a person": lambda c: Sent(
        {"auth_keys": {"openai_api_key": c}, "user_id": c, "customer_identifier": c}
    ),
    "repeated as a name": lambda c: Sent({"auth_keys": {"openai_api_key": c}, "application": c, "intent": c}),
    "repeated as the request's id": lambda c: Sent({"auth_keys": {"openai_api_key": c}, "request_id": c}),
    "repeated in metadata": lambda c: Sent({"auth_keys": {"openai_api_key": c}, "metadata": {c: c, "inner": [c]}}),
    "repeated as the model": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, model=f"openai/{c}"),
    "repeated as an unknown model": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, model=c),
    "beside a wrong field": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, {"temperature": c}),
    "beside a wrong header": lambda c: Sent(params={"extra_headers": {"x-any-name": f"{c}\n"}}),
    "in place of an object": lambda c: Sent({"auth_keys": c}),
    "in place of a list": lambda c: Sent(params={"api_key": c, "tools": c}),
    "not JSON": lambda c: Sent(params={"api_key": c}, spell=lambda body: body[:-1]),
    "not UTF-8": lambda c: Sent(params={"api_key": c}, spell=lambda body: body[:-1] + b',"\xff":1}'),
    "too large": lambda c: Sent({"auth_keys": {"openai_api_key": c}}, said="x" * 6_100_000),
    "gzip": lambda c: Sent(params={"api_key": c}, headers={"content-encoding": "gzip"}, spell=gzip.compress),
    "a wrong bearer": lambda c: Sent(headers={"authorization": f"Bearer {c}"}),
    "a wrong Api-Key": lambda c: Sent(headers={"authorization": f"Api-Key {c}"}),
    "a wrong x-api-key": lambda c: Sent(headers={"x-api-key": c}),
    "a wrong X-Maitai-Api-Key": lambda c: Sent(headers={"X-Maitai-Api-Key": c}),
    "a second key": lambda c: Sent(headers={"x-api-key": PROCESS_KEY, "authorization": f"Bearer {c}"}),
}
"""Where a caller can put a key."""

OPERATORS: tuple[Sent, ...] = (
    Sent(headers={"authorization": f"Bearer {PROCESS_KEY}"}, said=PROCESS_KEY),
    Sent(headers={"authorization": f"Api-Key {PROCESS_KEY}"}, said=PROCESS_KEY),
    Sent(headers={"authorization": PROCESS_KEY}, said=PROCESS_KEY),
    Sent(headers={"x-api-key": PROCESS_KEY}, said=PROCESS_KEY),
    Sent(headers={"X-Maitai-Api-Key": PROCESS_KEY}, said=PROCESS_KEY),
    Sent(headers={"X-Request-ID": PROCESS_KEY}),
    Sent(said=f"{PROCESS_KEY} {PROVIDER_KEY}"),
    Sent(said=f"{PROCESS_KEY} {PROVIDER_KEY}", spell=_escaped),
    Sent(said=f"{PROCESS_KEY} {PROVIDER_KEY}", spell=_slashed),
    Sent({"metadata": {"a": PROCESS_KEY, "b": PROVIDER_KEY}}),
    Sent({"session_id": PROCESS_KEY, "user_id": PROVIDER_KEY}),
)
"""Where the keys of the process turn up."""


def _long(secret: str) -> str:
    """A text whose payload is large enough to become a file, the secret in the middle of it."""
    noise = " ".join(f"{number * 2_654_435_761 % 2**64:x}" for number in range(30_000))
    return f"{noise} {secret} {noise[:1000]}"


def _openai(sent: Sent, stream: bool) -> dict[str, Any]:
    return {**sent.fields, **_params(sent, stream)}


def _maitai(sent: Sent, stream: bool) -> dict[str, Any]:
    return {**sent.fields, "params": _params(sent, stream)}


def _stored(sent: Sent, stream: bool) -> dict[str, Any]:
    request = {"application_ref_name": "a", "action_type": "b", **sent.fields, "params": _params(sent, stream)}
    return {"chat_completion_request": request, "chat_completion_response": completion(f"You said {sent.said}")}


def _corrected(sent: Sent, stream: bool) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": f"You said {sent.said}"}}
    return {**sent.fields, **_params(sent, stream), "choices": [choice]}


def _logged(sent: Sent, stream: bool) -> dict[str, Any]:
    answer = {"role": "assistant", "content": f"You said {sent.said}"}
    return {**sent.fields, **_params(sent, stream), "completion_message": answer, "full_request": sent.params}


def _span(sent: Sent, stream: bool) -> dict[str, Any]:
    """A tracer's view of the call: each field an attribute, and all of them once more as the text of an argument."""
    fields = {**sent.fields, **_params(sent, stream)}
    attributes = {
        **fields,
        "traceloop.entity.input": json.dumps({"kwargs": fields}),
        "gen_ai.prompt.0.content": sent.said,
        "gen_ai.request.model": sent.model,
        **{f"respan.metadata.{name}": str(value) for name, value in sent.fields.items() if name.endswith("_id")},
    }
    event = {"name": "exception", "attributes": _attributes({"exception.message": f"You said {sent.said}"})}
    span = {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": f"call {sent.model}",
        "attributes": _attributes(attributes),
        "events": [event],
        "status": {"code": 2, "message": sent.said},
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def _attributes(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _any_value(value)} for name, value in fields.items()]


def _any_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case list():
            return {"arrayValue": {"values": [_any_value(member) for member in value]}}
        case dict():
            return {"kvlistValue": {"values": _attributes(value)}}
        case _:
            return {"stringValue": str(value)}


def _listed(sent: Sent, stream: bool) -> dict[str, Any]:
    place = {"trace_unique_id": secrets.token_hex(8), "span_unique_id": secrets.token_hex(4)}
    return {"data": [{**_logged(sent, stream), **place}]}


def _key(sent: Sent, stream: bool) -> dict[str, Any]:
    return {**sent.fields, "name": sent.said[:100] or "name", **sent.params}


_limits = itertools.count()


def _limit(sent: Sent, stream: bool) -> dict[str, Any]:
    """For a customer each, so that none is there already; high enough to hinder no call of the others."""
    name = f"{next(_limits)} {sent.said}"[:200]
    return {
        "per": "customer",
        "measure": "requests_per_minute",
        "limit": 10**9,
        "name": name,
        **sent.fields,
        **sent.params,
    }


def _config(sent: Sent, stream: bool) -> dict[str, Any]:
    """Every part of a request where a configuration has room for it."""
    tools = [tool for tool in sent.params.get("tools", ()) if isinstance(tool, dict)]
    extra = {name: value for name, value in sent.params.items() if name != "tools"}
    said = {"model": sent.model, "system_prompt": sent.said, "metadata": sent.fields}
    return {**said, **({"tools": tools} if tools else {}), **({"extra_body": extra} if extra else {})}


def _intent(sent: Sent, stream: bool) -> dict[str, Any]:
    return {"action_type": secrets.token_hex(8), "meta": _config(sent, stream)}


def _reference(sent: Sent, stream: bool) -> dict[str, Any]:
    return {**sent.fields, "reference": f"env:{sent.said[:100].replace(' ', '_')}", **sent.params}


def _params(sent: Sent, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": sent.said}]
    return {"model": sent.model, "messages": messages, "stream": stream, **sent.params}


Body = Callable[[Sent, bool], dict[str, Any]]

ROUTES: Mapping[str, tuple[str, str, Body, bool]] = {
    "OpenAI": ("POST", "/v1/chat/completions", _openai, False),
    "OpenAI, streamed": ("POST", "/v1/chat/completions", _openai, True),
    "Maitai": ("POST", "/chat/completions/serialized", _maitai, False),
    "Maitai, streamed": ("POST", "/chat/completions/serialized", _maitai, True),
    "stored": ("PUT", "/chat/completions/response", _stored, False),
    "corrected": ("PUT", "/api/v1/requests/{id}/response", _corrected, False),
    "logged": ("POST", "/api/request-logs/create", _logged, False),
    "traced": ("POST", "/v1/traces", _span, False),
    "traced, a list": ("POST", "/api/v1/traces/ingest", _listed, False),
    "a new key": ("POST", "/api/v1/api-keys", _key, False),
    "a new limit": ("POST", "/api/v1/limits", _limit, False),
    "configured": ("PUT", "/api/v1/applications/1/config", _config, False),
    "configured, an intent": ("POST", "/api/v1/applications/1/intents", _intent, False),
    "a reference": ("PUT", "/api/v1/credentials/nobody", _reference, False),
}


def _whole(said: str, stream: bool) -> Reply:
    fields: dict[str, Any] = {"id": said, "model": said, "system_fingerprint": said, "any_name": [said]}
    if not stream:
        body = completion(said, **fields)
        body["choices"][0] |= {"finish_reason": said, "native_finish_reason": said}
        return Reply([json.dumps(body).encode()])
    chunks = events("Your key is ", said)
    chunks.insert(1, event(chunk({"content": said}, **fields)))
    chunks[-3] = event(chunk({}, said))
    return Reply(chunks, headers=SSE_TYPE)


def _refusal(said: str, _: bool) -> Reply:
    error = {"message": f"Incorrect API key provided: {said}", "type": said, "code": said, "param": said}
    return Reply([json.dumps({"error": error}).encode()], 401, {**JSON_TYPE, "retry-after": said, "x-request-id": said})


def _refusal_as_page(said: str, _: bool) -> Reply:
    return Reply([f"<h1>No such key: {said}</h1>".encode()], 502, {"content-type": "text/html"})


def _refusal_inside(said: str, stream: bool) -> Reply:
    error = json.dumps({"error": {"message": f"No such key: {said}", "code": said}}).encode()
    if not stream:
        return Reply([error])
    return Reply([*events("Your key is ", said)[:3], b"data: " + error + b"\n\n"], headers=SSE_TYPE)


def _cut_off(said: str, stream: bool) -> Reply:
    return Reply(_whole(said, stream).chunks[:3], headers=SSE_TYPE if stream else JSON_TYPE, drop=True)


def _strange(said: str, stream: bool) -> Reply:
    body = json.dumps({"choices": said, "id": [said]}).encode()
    return Reply([b"data: " + body + b"\n\n"], headers=SSE_TYPE) if stream else Reply([body])


def _spelled(said: str, stream: bool) -> Reply:
    reply = _whole(said, stream)
    return Reply([_slashed(_escaped(piece)) for piece in reply.chunks], headers=reply.headers)


def _packed(said: str, stream: bool) -> Reply:
    reply = _whole(said, stream)
    return Reply([gzip.compress(b"".join(reply.chunks))], headers={**reply.headers, "content-encoding": "gzip"})


def _binary(said: str, _: bool) -> Reply:
    return Reply([b"\xff\xfe" + said.encode()], 500, {"content-type": "application/octet-stream"})


ECHOES: Mapping[str, Callable[[str, bool], Reply]] = {
    "echo": _whole,
    "refusal": _refusal,
    "page": _refusal_as_page,
    "inside": _refusal_inside,
    "cut": _cut_off,
    "strange": _strange,
    "spelled": _spelled,
    "packed": _packed,
    "binary": _binary,
}
"""How a provider can repeat the keys that it was sent."""


def _echo(answer: Callable[[str, bool], Reply]) -> Callable[[Received], Reply]:
    def script(received: Received) -> Reply:
        said = " ".join(received.headers.values()) + json.dumps(received.json, ensure_ascii=False)
        return answer(" ".join(dict.fromkeys(_CANARY.findall(said))), b'"stream":true' in received.body)

    return script


@dataclass(frozen=True)
class Seen:
    """What there was to see of a run: statuses by place and route, and every place where something was left."""

    statuses: Mapping[str, int]
    asked: int
    secrets: Mapping[str, str]
    left: tuple[tuple[str, bytes], ...]

    @cached_property
    def spelled(self) -> list[tuple[str, bytes]]:
        """Each once: to find out all that a text may say takes longer than to search it."""
        return [(place, b"\n".join(spellings(content))) for place, content in set(self.left)]

    def of(self, name: str) -> list[str]:
        secret = self.secrets[name].encode()
        return sorted({place for place, content in self.spelled if secret in content})


def _requests() -> Iterator[tuple[str, str, Sent]]:
    """Name, canary and request; each place with its own canary."""
    numbers = itertools.count(1)
    for name, place in PLACES.items():
        canary = f"canary-{next(numbers)}/key-e2d9"
        yield name, canary, place(canary)
    for model in ECHOES:
        canary = f"canary-{next(numbers)}/key-e2d9"
        sent = Sent(
            {"auth_keys": {"openai_api_key": canary}}, {"extra_headers": {"x-any": canary}}, model=f"openai/{model}"
        )
        yield f"the caller's, provider: {model}", canary, sent
        yield "the operator's key for a provider", PROVIDER_KEY, Sent(model=f"openai/{model}", said=PROCESS_KEY)
    for sent in OPERATORS:
        yield "the key of the process", PROCESS_KEY, sent


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    data_dir = tmp_path_factory.mktemp("canaries")
    scripts = {model: _echo(answer) for model, answer in ECHOES.items()} | {"canary": _echo(_whole)}
    left: list[tuple[str, bytes]] = []
    statuses: dict[str, int] = {}
    with Upstream(scripts) as upstream:
        environ = {
            "OPENAI_API_KEY": PROVIDER_KEY,
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "WEIR_CREDENTIALS": "env:",
        }
        with WeirProcess(data_dir, environ, PROCESS_KEY) as weir, httpx.Client(base_url=weir.url, timeout=60) as client:
            for (name, _, sent), route in itertools.product(_requests(), ROUTES):
                method, path, body, stream = ROUTES[route]
                if "{id}" in path:
                    path = path.format(id=_kept(client))
                response = _send(client, sent, method, path, body, stream)
                statuses[f"{name} ({route})"] = response.status_code
                left += _errors(response, route)
            left += traces(data_dir)  # once while the write-ahead log is there, once when all is in its place
            assert weir.stop() == 0
            left += traces(data_dir)
            left.append(("stderr", weir.stderr.encode()))
            left.append(("stdout", _without_welcome(weir.stdout).encode()))
    secrets = {name: canary for name, canary, _ in _requests()}
    return Seen(statuses, len(upstream.received), secrets, tuple(left))


def _send(client: httpx.Client, sent: Sent, method: str, path: str, body: Body, stream: bool) -> httpx.Response:
    headers = {"content-type": "application/json", **sent.headers}
    if not headers.keys() & {"authorization", "x-api-key", "X-Maitai-Api-Key"}:
        headers["authorization"] = f"Bearer {PROCESS_KEY}"
    content = sent.spell(json.dumps(body(sent, stream)).encode())
    return client.request(method, path + sent.query, content=content, headers=headers)


def _kept(client: httpx.Client) -> str:
    """The id of a record without a secret, which holds what the next request is about."""
    pair = _stored(Sent(), False)
    answer = client.put("/chat/completions/response", json=pair, headers={"x-api-key": PROCESS_KEY})
    id: str = answer.json()["id"]
    return id


def _errors(response: httpx.Response, route: str) -> Iterator[tuple[str, bytes]]:
    """All of a refusal; of a stream that broke off, the line that says so."""
    if response.status_code >= 400:
        yield f"error on {route}", "\n".join(response.headers.values()).encode() + response.content
    for line in response.content.splitlines():
        if b'{"error":' in line:
            yield f"error on {route}", line


def _without_welcome(stdout: str) -> str:
    """The welcome shows the key to the person who started Weir; nothing else may."""
    return re.sub(r"\nWeir serves .*?\n\n.*?\n.*?\n", "", stdout, flags=re.DOTALL)


def test_the_search_finds_what_is_kept_and_what_is_hidden(seen: Seen) -> None:
    places = {place.split("-e2d9")[0] for place, content in seen.spelled if MARKER.encode() in content}
    assert {"ledger.sqlite:payloads.content", "ledger.sqlite:records.item"} <= places
    assert any("payloads/" in place and "(unpacked)" in place for place, _ in seen.left)
    hidden = b"".join(b"\\u%04x" % letter for letter in b"canary-1")
    assert [holds(text, "canary-1") for text in (b"canary-1", hidden, b"Y2FuYXJ5LTEtY2FuYXJ5", b"canary-2")] == [
        True,
        True,
        True,
        False,
    ]


def test_most_calls_reached_the_provider(seen: Seen) -> None:
    answered = [name for name, status in seen.statuses.items() if status == 200]
    assert len(answered) > len(seen.statuses) / 2
    assert seen.asked > len(seen.statuses) / 4


@pytest.mark.parametrize("name", list(dict.fromkeys(name for name, _, _ in _requests())))
def test_no_key_is_left_behind(seen: Seen, name: str) -> None:
    assert seen.of(name) == []
