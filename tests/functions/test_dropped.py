"""What `drop_unsupported` left out is told with the answer, in each dialect, and only then."""

import json
from typing import Any

import pytest

from tests.functions.conftest import Served
from tests.upstream import SSE_TYPE, Reply

MAITAI = "/chat/completions/serialized"
CLAUDE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "end_turn"}
CLAUDE_USAGE = {"input_tokens": 9, "output_tokens": 3}
CLAUDE_EVENTS: list[Any] = [
    {"type": "message_start", "message": {**CLAUDE, "stop_reason": None, "usage": CLAUDE_USAGE}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Noon."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    {"type": "message_stop"},
]
GEMINI = {
    "candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "Noon."}]}, "finishReason": "STOP"}],
    "responseId": "r",
    "modelVersion": "gemini-2.5-flash",
}
WHOLE = {
    "anthropic/claude-haiku-4-5": {**CLAUDE, "content": [{"type": "text", "text": "Noon."}], "usage": CLAUDE_USAGE},
    "gemini/gemini-2.5-flash": GEMINI,
}
STREAMED = {"anthropic/claude-haiku-4-5": CLAUDE_EVENTS, "gemini/gemini-2.5-flash": [GEMINI]}
UNTOLD = {
    "anthropic/claude-haiku-4-5": ("seed", "logit_bias"),
    "gemini/gemini-2.5-flash": ("logit_bias",),
}
MODELS = list(WHOLE)
VALUES = {"seed": 7, "logit_bias": {"50256": -100}}


def scripted(served: Served, model: str, stream: bool) -> None:
    events = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in STREAMED[model]]
    whole = Reply([json.dumps(WHOLE[model]).encode()])
    served.upstream.replies[model.partition("/")[2]] = Reply([b"".join(events)], headers=SSE_TYPE) if stream else whole


def told(model: str) -> list[str]:
    return [f"{name} was left out: {model.partition('/')[0]} cannot take it" for name in UNTOLD[model]]


def asked(model: str, *, stream: bool = False, drop: bool = True) -> dict[str, Any]:
    messages = [{"role": "user", "content": "When?"}]
    unsupported = {name: VALUES[name] for name in UNTOLD[model]} if drop else {}
    return {"model": model, "messages": messages, "stream": stream, **unsupported}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("drop", [True, False])
def test_an_openai_answer_says_it_at_its_top(served: Served, model: str, drop: bool) -> None:
    scripted(served, model, stream=False)
    answer = served.http.post("/v1/chat/completions", json={**asked(model, drop=drop), "drop_unsupported": True})
    assert answer.status_code == 200, answer.text
    assert answer.json().get("warnings") == (told(model) if drop else None)
    logged = served.log(answer.headers["x-weir-request-id"]).get("warnings")
    assert logged == ("\n".join(told(model)) if drop else None)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("drop", [True, False])
def test_an_openai_stream_says_it_on_its_first_chunk(served: Served, model: str, drop: bool) -> None:
    scripted(served, model, stream=True)
    body = {**asked(model, stream=True, drop=drop), "drop_unsupported": True}
    answer = served.http.post("/v1/chat/completions", json=body)
    chunks = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n")[:-2]]
    assert [chunk.get("warnings") for chunk in chunks] == [told(model) if drop else None] + [None] * (len(chunks) - 1)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("drop", [True, False])
def test_a_maitai_answer_says_it_beside_the_completion(served: Served, model: str, drop: bool) -> None:
    scripted(served, model, stream=False)
    answer = served.http.post(MAITAI, json=envelope(model, drop=drop))
    assert answer.status_code == 200, answer.text
    line = answer.json()
    assert line.get("warning") == ("; ".join(told(model)) if drop else None)
    assert "warnings" not in line["chat_completion_response"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("drop", [True, False])
def test_a_maitai_stream_says_it_on_a_line_of_its_own(served: Served, model: str, drop: bool) -> None:
    scripted(served, model, stream=True)
    answer = served.http.post(MAITAI, json=envelope(model, stream=True, drop=drop))
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[: len(lines) - 3] == ([{"warning": "; ".join(told(model))}] if drop else [])
    assert [list(line) for line in lines[-3:]] == [["chat_completion_chunk"]] * 3


def envelope(model: str, *, stream: bool = False, drop: bool) -> dict[str, Any]:
    return {
        "application_ref_name": "demo_app",
        "session_id": "sess-1",
        "action_type": "NEW_INTENT",
        "drop_unsupported": True,
        "params": asked(model, stream=stream, drop=drop),
    }
