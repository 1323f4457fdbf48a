"""`demo/echo`: a provider that needs no network. It says that it is a demo, and answers in OpenAI's formats.

With tools it calls the first one (or the named one) once, with arguments made up to fit the schema; with a JSON schema
it answers a value that fits. Token counts are counted words. A text's vector is made of its hash: of unit length, the
same every time, and without a meaning.
"""

import hashlib
import math
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx

from weir.protocols import jsonbytes

_CREATED = 1_750_000_000
_DIMENSIONS = 8
_MOST_DIMENSIONS = 4096


class DemoTransport(httpx.AsyncBaseTransport):
    """Stands where a network would, so that a demo call takes the same way as every other."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = jsonbytes.loads(await request.aread())
        if request.url.path.endswith("/embeddings"):
            status, answer = _embeddings(body)
            return httpx.Response(status, headers={"content-type": "application/json"}, content=jsonbytes.dumps(answer))
        if body.get("stream"):
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, stream=_Stream(list(_events(body)))
            )
        return httpx.Response(
            200, headers={"content-type": "application/json"}, content=jsonbytes.dumps(_completion(body))
        )


class _Stream(httpx.AsyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def _embeddings(body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    texts, dimensions = body["input"], body.get("dimensions", _DIMENSIONS)
    if dimensions > _MOST_DIMENSIONS:
        message = f"The demo's vectors have at most {_MOST_DIMENSIONS} dimensions."
        return 400, {
            "error": {"message": message, "type": "invalid_request_error", "param": "dimensions", "code": None}
        }
    words = sum(len(text.split()) for text in texts)
    vectors = [_vector(text, dimensions) for text in texts]
    return 200, {
        "object": "list",
        "data": [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)],
        "model": "echo",
        "usage": {"prompt_tokens": words, "total_tokens": words},
    }


def _vector(text: str, dimensions: int) -> list[float]:
    raw = [byte - 127.5 for byte in hashlib.shake_256(text.encode()).digest(dimensions)]
    length = math.hypot(*raw)
    return [round(number / length, 6) for number in raw]


def _completion(body: Mapping[str, Any]) -> dict[str, Any]:
    message, reason = _answer(body)
    choices = [
        {"index": i, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
        | (
            {"logprobs": {"content": _logprobs(body, _pieces(message)), "refusal": None}}
            if body.get("logprobs")
            else {}
        )
        for i in range(body.get("n") or 1)
    ]
    return {**_frame("chat.completion"), "choices": choices, "usage": _usage(body, message)}


def _events(body: Mapping[str, Any]) -> Iterator[bytes]:
    message, reason = _answer(body)
    for index in range(body.get("n") or 1):
        yield _chunk(index, {"role": "assistant", "content": ""})
        for piece in _pieces(message):
            logprobs = {"content": _logprobs(body, [piece]), "refusal": None} if body.get("logprobs") else None
            yield _chunk(index, {"content": piece}, logprobs=logprobs)
        for at, call in enumerate(message.get("tool_calls", ())):
            function = call["function"]
            begin = {**call, "index": at, "function": {"name": function["name"], "arguments": ""}}
            yield _chunk(index, {"tool_calls": [begin]})
            yield _chunk(index, {"tool_calls": [{"index": at, "function": {"arguments": function["arguments"]}}]})
        yield _chunk(index, {}, reason)
    yield _event({**_frame("chat.completion.chunk"), "choices": [], "usage": _usage(body, message)})
    yield b"data: [DONE]\n\n"


def _frame(object: str) -> dict[str, Any]:
    return {"id": "chatcmpl-demo", "object": object, "created": _CREATED, "model": "echo", "system_fingerprint": "demo"}


def _chunk(index: int, delta: Mapping[str, Any], reason: str | None = None, logprobs: Any = None) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
    return _event({**_frame("chat.completion.chunk"), "choices": [choice]})


def _event(body: Mapping[str, Any]) -> bytes:
    return b"data: " + jsonbytes.dumps(body) + b"\n\n"


def _answer(body: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    last = body["messages"][-1]
    if last["role"] == "user" and (tool := _chosen_tool(body)) is not None:
        arguments = jsonbytes.dumps(_fitting(tool.get("parameters") or {"type": "object"})).decode()
        call = {"id": "call_demo_0", "type": "function", "function": {"name": tool["name"], "arguments": arguments}}
        return {"tool_calls": [call]}, "tool_calls"
    format = body.get("response_format") or {}
    if format.get("type") == "json_schema":
        return {"content": jsonbytes.dumps(_fitting(format["json_schema"].get("schema") or {})).decode()}, "stop"
    said = _text(last)
    if format.get("type") == "json_object":
        return {"content": jsonbytes.dumps({"demo": True, "echo": said}).decode()}, "stop"
    return {"content": f"This is Weir's demo, no model was called. You said: {said}"}, "stop"


def _chosen_tool(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choice = body.get("tool_choice")
    functions: list[dict[str, Any]] = [
        tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"
    ]
    if not functions or choice == "none":
        return None
    wanted = choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None
    return next((f for f in functions if f["name"] == wanted), functions[0])


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", f"[{part['type']}]") for part in content)


def _fitting(schema: Any, root: Any = None, within: frozenset[str] = frozenset()) -> Any:
    """A small value that fits a JSON schema, as far as it can be followed. `within` are the references on the way."""
    root = schema if root is None else root
    if not isinstance(schema, dict):  # true: anything fits
        return "demo"
    if isinstance(ref := schema.get("$ref"), str):
        return None if ref in within else _fitting(_referred(ref, root), root, within | {ref})
    options = schema.get("enum") or schema.get("anyOf") or schema.get("oneOf")
    if "const" in schema:
        return schema["const"]
    if isinstance(options, list):
        return options[0] if schema.get("enum") else _fitting(options[0], root, within)
    match _kind(schema):
        case "object":
            members = schema.get("properties")
            members = members if isinstance(members, dict) else {}
            return {name: _fitting(member, root, within) for name, member in members.items()}
        case "array":
            item = _fitting(schema.get("items", True), root, within)
            return [] if item is None else [item]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "demo"


def _referred(ref: str, root: Any) -> Any:
    """What `#/$defs/name` names; True, which anything fits, for what is not there."""
    found = root
    for step in ref.removeprefix("#").split("/")[1:]:
        found = found.get(step, True) if isinstance(found, dict) else True
    return found if ref.startswith("#") else True


def _kind(schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    return next(iter(kind), None) if isinstance(kind, list) else kind


def _pieces(message: Mapping[str, Any]) -> list[str]:
    words = (message.get("content") or "").split(" ")
    return [word if at == 0 else " " + word for at, word in enumerate(words)] if words != [""] else []


def _logprobs(body: Mapping[str, Any], pieces: list[str]) -> list[dict[str, Any]]:
    def entry(piece: str) -> dict[str, Any]:
        return {"token": piece, "logprob": 0.0, "bytes": list(piece.encode())}

    return [{**entry(piece), "top_logprobs": [entry(piece)] if body.get("top_logprobs") else []} for piece in pieces]


def _usage(body: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    prompt = sum(len(_text(m).split()) for m in body["messages"])
    answer = message.get("content") or jsonbytes.dumps(message).decode()
    completion = len(answer.split()) * (body.get("n") or 1)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
