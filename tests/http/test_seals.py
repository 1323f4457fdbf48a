"""What providers want back with their thinking survives a client that speaks OpenAI's form, turn after turn."""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest

from tests.protocols.laws import sse
from tests.protocols.test_bedrock_converse import delta, event, start, stop
from weir.domain.chat import ChatCall, Reasoning, Tool
from weir.domain.errors import RequestInvalid
from weir.http.chat_messages import to_messages
from weir.http.chat_reply import DONE, ChunkEncoder, completion_body
from weir.protocols.anthropic_messages import ANTHROPIC, AnthropicMessages
from weir.protocols.base import WireProtocol, decode
from weir.protocols.bedrock_converse import BedrockConverse, BedrockDialect
from weir.protocols.gemini import Gemini, GeminiDialect
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect
from weir.protocols.openai_responses import OpenAIResponses
from weir.protocols.responses_dialect import OPENAI
from weir.providers.catalog import CATALOG, Provider, own_provider

Json = dict[str, Any]
Native = list[Json]

QUESTION: Json = {"role": "user", "content": "Is it warm in Bonn?"}


@dataclass(frozen=True)
class Vendor:
    """`turns`: three answers in the vendor's own form. `whole` and `streamed` make its bodies of one; `sent` finds in a
    request what is sent back of earlier answers; `back` is what that must be, the answers themselves unless given."""

    protocol: WireProtocol
    model: str
    turns: list[Native]
    whole: Callable[[Native], bytes]
    streamed: Callable[[Native], bytes]
    sent: Callable[[Mapping[str, Any]], list[Any]]
    back: list[Any] | None = None
    without: list[Any] | None = None


def call_in(block: Json) -> bool:
    return block.get("type") in ("tool_use", "function_call") or "toolUse" in block or "functionCall" in block


# -- Anthropic


def claude_whole(content: Native) -> bytes:
    reason = "tool_use" if any(map(call_in, content)) else "end_turn"
    usage = {"input_tokens": 9, "output_tokens": 4}
    reply = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": content}
    return json.dumps({**reply, "stop_reason": reason, "usage": usage}).encode()


def claude_streamed(content: Native) -> bytes:
    events: list[Json] = [{"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 9}}}]
    for at, block in enumerate(content):
        opened, deltas = claude_pieces(block)
        events.append({"type": "content_block_start", "index": at, "content_block": opened})
        events += [{"type": "content_block_delta", "index": at, "delta": piece} for piece in deltas]
        events.append({"type": "content_block_stop", "index": at})
    reason = "tool_use" if any(map(call_in, content)) else "end_turn"
    events.append({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 4}})
    return sse([*events, {"type": "message_stop"}])


def claude_pieces(block: Json) -> tuple[Json, list[Json]]:
    match block:
        case {"type": "thinking", "thinking": text, "signature": seal}:
            halves = [{"type": "thinking_delta", "thinking": half} for half in (text[:2], text[2:]) if half]
            signature = {"type": "signature_delta", "signature": seal}
            return {"type": "thinking", "thinking": "", "signature": ""}, [*halves, signature]
        case {"type": "tool_use", "input": arguments}:
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(arguments)}]
        case {"type": "text", "text": text}:
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": text}]
        case _:
            return block, []


CLAUDE_TURNS: list[Native] = [
    [
        {"type": "thinking", "thinking": "I need the weather.", "signature": "canary-seal-1"},
        {"type": "redacted_thinking", "data": "canary-hidden-1"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Bonn"}},
    ],
    [
        {"type": "thinking", "thinking": "", "signature": "canary-seal-2"},
        {"type": "tool_use", "id": "call_2", "name": "weather", "input": {"city": "Bonn", "hour": 12}},
    ],
    [
        {"type": "redacted_thinking", "data": "canary-hidden-3"},
        {"type": "thinking", "thinking": "Warm.", "signature": "canary-seal-3"},
        {"type": "text", "text": "It is."},
    ],
]


def claude_sent(body: Mapping[str, Any]) -> list[Any]:
    contents = [turn["content"] for turn in body["messages"] if turn["role"] == "assistant"]
    return [[{"type": "text", "text": c}] if isinstance(c, str) else c for c in contents]


# -- Gemini


def gemini_whole(parts: Native) -> bytes:
    return json.dumps(gemini_chunk(parts, "STOP")).encode()


def gemini_chunk(parts: Native, reason: str | None = None) -> Json:
    candidate = {
        "index": 0,
        "content": {"role": "model", "parts": parts},
        **({"finishReason": reason} if reason else {}),
    }
    return {"candidates": [candidate], "responseId": "r", "modelVersion": "g"}


def gemini_streamed(parts: Native) -> bytes:
    chunks = [*(gemini_chunk([part]) for part in parts), gemini_chunk([{"text": ""}], "STOP")]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)


def gemini_call(id: str, seal: str | None, **args: Any) -> Json:
    call = {"functionCall": {"name": "weather", "args": args, "id": id}}
    return {**call, "thoughtSignature": seal} if seal else call


GEMINI_TURNS: list[Native] = [
    [
        {"text": "I need the weather.", "thought": True},
        {"text": "Let me look.", "thoughtSignature": "canary-text-1"},
        gemini_call("call_1", "canary-seal-1", city="Bonn"),
        gemini_call("call_1b", None, city="Bern"),
    ],
    [gemini_call("call_2", "canary-seal-2", city="Bonn", hour=12)],
    [{"text": "Warm.", "thought": True}, {"text": "It is.", "thoughtSignature": "canary-text-3"}],
]


def gemini_sent(body: Mapping[str, Any]) -> list[Any]:
    return [turn["parts"] for turn in body["contents"] if turn["role"] == "model"]


# -- Bedrock Converse


def converse_whole(content: Native) -> bytes:
    reason = "tool_use" if any(map(call_in, content)) else "end_turn"
    message = {"role": "assistant", "content": content}
    return json.dumps({"output": {"message": message}, "stopReason": reason}).encode()


def converse_streamed(content: Native) -> bytes:
    frames = [event("messageStart", role="assistant")]
    for at, block in enumerate(content):
        match block:
            case {"reasoningContent": {"reasoningText": {"text": text, "signature": seal}}}:
                frames += [delta(at, reasoningContent={"text": half}) for half in (text[:2], text[2:]) if half]
                frames.append(delta(at, reasoningContent={"signature": seal}))
            case {"toolUse": call}:
                frames.append(start(at, toolUse={k: v for k, v in call.items() if k != "input"}))
                frames.append(delta(at, toolUse={"input": json.dumps(call["input"])}))
            case _:
                frames.append(delta(at, **block))
        frames.append(stop(at))
    reason = "tool_use" if any(map(call_in, content)) else "end_turn"
    return b"".join([*frames, event("messageStop", stopReason=reason), event("metadata", usage={})])


def converse_thought(text: str, seal: str) -> Json:
    return {"reasoningContent": {"reasoningText": {"text": text, "signature": seal}}}


CONVERSE_TURNS: list[Native] = [
    [
        converse_thought("I need the weather.", "canary-seal-1"),
        {"reasoningContent": {"redactedContent": "Y2FuYXJ5LTE="}},
        {"text": "Let me look."},
        {"toolUse": {"toolUseId": "call_1", "name": "weather", "input": {"city": "Bonn"}}},
    ],
    [
        converse_thought("Still.", "canary-seal-2"),
        {"toolUse": {"toolUseId": "call_2", "name": "weather", "input": {"city": "Bonn", "hour": 12}}},
    ],
    [converse_thought("Warm.", "canary-seal-3"), {"text": "It is."}],
]


def converse_sent(body: Mapping[str, Any]) -> list[Any]:
    return [turn["content"] for turn in body["messages"] if turn["role"] == "assistant"]


# -- OpenAI Responses


def responses_reply(output: Native) -> Json:
    return {"id": "resp", "object": "response", "model": "o", "status": "completed", "output": output}


def responses_whole(output: Native) -> bytes:
    return json.dumps(responses_reply(output)).encode()


def responses_streamed(output: Native) -> bytes:
    events: list[Json] = [{"type": "response.created", "response": {**responses_reply([]), "status": "in_progress"}}]
    for at, item in enumerate(output):
        opened = {**item, "encrypted_content": "not the last word"} if item["type"] == "reasoning" else item
        events.append({"type": "response.output_item.added", "output_index": at, "item": opened})
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})
    return sse([*events, {"type": "response.completed", "response": responses_reply(output)}])


def responses_thought(n: int, *summary: str) -> Json:
    said = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": f"rs_{n}", "summary": said, "encrypted_content": f"canary-seal-{n}"}


def responses_call(n: int, arguments: str) -> Json:
    return {"type": "function_call", "call_id": f"call_{n}", "name": "weather", "arguments": arguments}


RESPONSES_TURNS: list[Native] = [
    [responses_thought(1, "I need the weather."), responses_call(1, '{"city":"Bonn"}')],
    [responses_thought(2), responses_call(2, '{"city": "Bonn", "hour": 12}')],
    [
        responses_thought(3, "Warm."),
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is."}]},
    ],
]


def responses_sent(body: Mapping[str, Any]) -> list[Any]:
    return [item for item in body["input"] if item.get("type") in ("reasoning", "function_call") or is_said(item)]


def is_said(item: Json) -> bool:
    return item.get("role") == "assistant"


# -- OpenRouter


def router_details(n: int, *entries: Json) -> Json:
    details = [{"index": 0, "format": "anthropic-claude-v1", **entry} for entry in entries]
    shown = "".join(entry.get("text", "") for entry in entries)
    return {"content": None, "reasoning": shown, "reasoning_details": details} | (
        {"content": "It is."} if n == 3 else {"tool_calls": [router_call(n)]}
    )


def router_call(n: int) -> Json:
    function = {"name": "weather", "arguments": '{"city":"Bonn"}'}
    return {"id": f"call_{n}", "type": "function", "function": function}


def router_whole(messages: Native) -> bytes:
    (message,) = messages
    reason = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return json.dumps({"id": "gen", "created": 1, "model": "o", "choices": [choice]}).encode()


def router_streamed(messages: Native) -> bytes:
    (message,) = messages
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    for entry in message["reasoning_details"]:
        named = {name: entry[name] for name in ("type", "index", "format")}
        pieces = [{"text": half} for half in (entry.get("text", "")[:2], entry.get("text", "")[2:]) if half]
        pieces += [{name: entry[name]} for name in ("signature", "data") if name in entry]
        deltas += [{"reasoning": p.get("text"), "reasoning_details": [{**named, **p}]} for p in pieces]
    if message["content"]:
        deltas.append({"content": message["content"]})
    if calls := message.get("tool_calls"):
        deltas.append({"tool_calls": [{"index": at, **call} for at, call in enumerate(calls)]})
    last = {"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"}
    choices = [*({"index": 0, "delta": delta, "finish_reason": None} for delta in deltas), last]
    chunks = [{"id": "gen", "created": 1, "model": "o", "choices": [choice]} for choice in choices]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + DONE


ROUTER_TURNS: list[Native] = [
    [
        router_details(
            1,
            {"type": "reasoning.text", "text": "I need the weather.", "signature": "canary-seal-1"},
            {"type": "reasoning.encrypted", "data": "canary-hidden-1", "index": 1},
        )
    ],
    [router_details(2, {"type": "reasoning.encrypted", "data": "canary-hidden-2"})],
    [router_details(3, {"type": "reasoning.text", "text": "Warm.", "signature": "canary-seal-3"})],
]


def router_sent(body: Mapping[str, Any]) -> list[Any]:
    return [message for message in body["messages"] if message["role"] == "assistant"]


def router_back(message: Json) -> Json:
    said = {"role": "assistant", **message}
    return {name: value for name, value in said.items() if name != "reasoning"}


VENDORS = {
    "anthropic": Vendor(
        AnthropicMessages(ANTHROPIC), "claude-opus-4-1", CLAUDE_TURNS, claude_whole, claude_streamed, claude_sent,
        without=[[b for b in turn if "thinking" not in b["type"]] for turn in CLAUDE_TURNS],
    ),
    "gemini": Vendor(
        Gemini(GeminiDialect(provider="gemini")), "gemini-3-pro-preview", GEMINI_TURNS, gemini_whole, gemini_streamed,
        gemini_sent,
        without=[
            [
                {"text": "I need the weather.", "thought": True},
                {"text": "Let me look."},
                gemini_call("call_1", "skip_thought_signature_validator", city="Bonn"),
                gemini_call("call_1b", None, city="Bern"),
            ],
            [gemini_call("call_2", "skip_thought_signature_validator", city="Bonn", hour=12)],
            [{"text": "Warm.", "thought": True}, {"text": "It is."}],
        ],
    ),
    "bedrock": Vendor(
        BedrockConverse(BedrockDialect()), "us.anthropic.claude-opus-4-1-20250805-v1:0", CONVERSE_TURNS, converse_whole,
        converse_streamed, converse_sent,
        without=[[b for b in turn if "reasoningContent" not in b] for turn in CONVERSE_TURNS],
    ),
    "responses": Vendor(
        OpenAIResponses(OPENAI), "o4-mini", RESPONSES_TURNS, responses_whole, responses_streamed, responses_sent,
        back=[
            *(i for turn in RESPONSES_TURNS for i in turn if "content" not in i),
            {"role": "assistant", "content": "It is."},
        ],
        without=[
            *(i for turn in RESPONSES_TURNS for i in turn if i["type"] == "function_call"),
            {"role": "assistant", "content": "It is."},
        ],
    ),
    "openrouter": Vendor(
        OpenAIChat(OpenAIDialect(
            provider="openrouter", reasoning="object", thinking_field="reasoning", thinking_details=True,
            ends_with_done=True,
        )),
        "anthropic/claude-opus-4.1", ROUTER_TURNS, router_whole, router_streamed, router_sent,
        back=[router_back(message) for (message,) in ROUTER_TURNS],
        without=[
            {"role": "assistant", "reasoning": "I need the weather.", **ROUTER_TURNS[0][0], "reasoning_details": None},
            {"role": "assistant", **ROUTER_TURNS[1][0], "reasoning": None, "reasoning_details": None},
            {"role": "assistant", **ROUTER_TURNS[2][0], "reasoning_details": None},
        ],
    ),
}  # fmt: skip


def whole(vendor: Vendor, turn: Native) -> Json:
    """The message of a client that does not stream."""
    body = completion_body(vendor.protocol.parse(vendor.whole(turn)), id="x", created=1, model="m")
    message: Json = json.loads(json.dumps(body["choices"][0]["message"]))
    return message


def chunks(vendor: Vendor, turn: Native) -> bytes:
    events = list(decode(vendor.protocol.decoder(), [vendor.streamed(turn)]))
    return ChunkEncoder(id="x", created=1, model="m").encode(events) + DONE


def appended(vendor: Vendor, turn: Native) -> Json:
    """The message of a client that joins texts, appends lists, and knows an index of tool calls alone."""
    message: Json = {}
    calls: dict[int, Json] = {}
    for line in chunks(vendor, turn).split(b"\n\n")[:-2]:
        for name, value in json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"].items():
            if name == "tool_calls":
                for call in value:
                    grown(calls.setdefault(call.pop("index"), {}), call)
            else:
                grown(message, {name: value})
    return {**message, **({"tool_calls": list(calls.values())} if calls else {})}


def grown(known: Json, more: Json) -> None:
    for name, value in more.items():
        match known.get(name):
            case str() | list() as old if name not in ("id", "type", "role"):
                known[name] = old + value
            case dict() as old:
                grown(old, value)
            case _:
                known[name] = value


def by_openais_client(vendor: Vendor, turn: Native) -> Json:
    """The message that OpenAI's own client makes of a stream, with everything it keeps."""
    reply = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=chunks(vendor, turn))
    transport = httpx2.MockTransport(lambda request: reply)
    with (
        httpx2.Client(transport=transport) as http,
        openai.OpenAI(base_url="http://weir.invalid/v1", api_key="canary-key", http_client=http) as client,
        client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "Hi"}]) as stream,
    ):
        return stream.get_final_completion().choices[0].message.model_dump()


def only_known(vendor: Vendor, turn: Native) -> Json:
    """The message of a client that keeps what OpenAI's form has, and the thinking's text."""
    kept = {k: v for k, v in whole(vendor, turn).items() if k in ("role", "content", "tool_calls", "reasoning_content")}
    for call in kept.get("tool_calls", ()):
        call.pop("extra_content", None)
    return kept


def history(vendor: Vendor, client: Callable[[Vendor, Native], Json], turns: int) -> list[Json]:
    messages: list[Json] = [QUESTION]
    for turn in vendor.turns[:turns]:
        message = client(vendor, turn)
        messages.append(message)
        for call in message.get("tool_calls") or ():
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "31 degrees"})
    return messages


def asked(vendor: Vendor, messages: list[Json]) -> ChatCall:
    return ChatCall(
        model=vendor.model,
        messages=to_messages(messages),
        tools=(Tool("weather", parameters={"type": "object"}),),
        reasoning=Reasoning("low"),
    )


def sent_back(vendor: Vendor, messages: list[Json]) -> list[Any]:
    return vendor.sent(vendor.protocol.render(asked(vendor, messages)).body)


@pytest.mark.parametrize("client", [whole, appended, by_openais_client])
@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS.keys())
def test_every_seal_of_a_tool_loop_comes_back_to_the_letter_and_in_its_place(
    vendor: Vendor, client: Callable[[Vendor, Native], Json]
) -> None:
    expected = vendor.back or vendor.turns
    per_turn = len(expected) // 3
    for turns in (1, 2):
        assert sent_back(vendor, history(vendor, client, turns)) == expected[: turns * per_turn]
    assert sent_back(vendor, [*history(vendor, client, 3), QUESTION]) == expected


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS.keys())
def test_a_client_that_drops_what_it_does_not_know_loses_the_seals_and_nothing_else(vendor: Vendor) -> None:
    sent = [
        {name: value for name, value in item.items() if value is not None or name == "content"}
        if isinstance(item, dict)
        else item
        for item in vendor.without or ()
    ]
    assert sent_back(vendor, history(vendor, only_known, 3)) == sent


@pytest.mark.parametrize("name", ["anthropic", "bedrock"])
def test_a_call_answered_without_the_thinking_that_led_to_it_is_made_without_thinking(name: str) -> None:
    vendor = VENDORS[name]

    def thinking(client: Callable[[Vendor, Native], Json], turns: int) -> tuple[bool, tuple[str, ...]]:
        messages = history(vendor, client, turns)
        wire = vendor.protocol.render(asked(vendor, messages if turns < 3 else [*messages, QUESTION]))
        return '"budget_tokens"' in json.dumps(wire.body), wire.dropped

    assert thinking(only_known, 2) == (False, ("reasoning",))
    assert thinking(only_known, 3) == thinking(whole, 2) == (True, ())


# -- histories that move


def a_message_of_everyone() -> Json:
    """What an assistant message can bear after a conversation through all of them."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    return {
        "role": "assistant",
        "content": "Let me look.",
        "refusal": None,
        "reasoning_content": "Hm.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm.", "signature": "canary-seal", "format": "elsewhere", "index": 0}
        ],
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://e.example"}}],
        "audio": {"id": "audio_1"},
        "citations": [{"type": "char_location", "cited_text": "x"}],
        "content_blocks": [{"index": 0, "toolUse": {"type": "server_tool_use"}}],
        "content_parts": [{"type": "reference", "reference_ids": [1]}],
        "images": [{"type": "image_url"}],
        "parsed": {"city": "Bonn"},
        "phase": "commentary",
        "provider_items": [],
        "tool_calls": [
            {
                **call,
                "extra_content": {"google": {"thought_signature": "canary-call-seal"}},
                "caller": {"type": "code_execution"},
                "namespace": "n",
            }
        ],
    }


MOVED: list[Json] = [QUESTION, a_message_of_everyone(), {"role": "tool", "tool_call_id": "call_1", "content": "31"}]


def moved_to(protocol: WireProtocol, model: str) -> Any:
    call = ChatCall(model=model, messages=to_messages(MOVED), tools=(Tool("weather", parameters={"type": "object"}),))
    return protocol.render(call)


@pytest.mark.parametrize("provider", [p for p in CATALOG if p.name != "demo"], ids=lambda p: p.name)
def test_no_provider_is_sent_what_another_one_wants_back(provider: Provider) -> None:
    for make in provider.apis.values():
        wire = moved_to(make({}), "m")
        sent = json.dumps(wire.body)
        assert wire.dropped == ()
        for word in ("canary-seal", "annotations", "cited_text", "reference", "parsed", "elsewhere"):
            assert word not in sent, (provider.name, word)


CALLED: Json = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("groq", {"reasoning": "Hm."}),
        ("deepseek", {"reasoning_content": "Hm."}),
        ("mistral", {"tool_calls": [{**CALLED, "id": "74196fe72"}]}),
        ("openai", {"audio": {"id": "audio_1"}}),
        ("openrouter", {"reasoning": "Hm.", "audio": {"id": "audio_1"}, "images": [{"type": "image_url"}]}),
    ],
)
def test_vendors_of_openais_form_get_the_fields_they_know(name: str, beside: Json) -> None:
    plain = {"role": "assistant", "content": "Let me look.", "tool_calls": [CALLED]}
    assert moved_to(usual(name), "m").body["messages"][1] == {**plain, **beside}


def usual(name: str) -> WireProtocol:
    return next(provider for provider in CATALOG if provider.name == name).apis[""]({})


def test_an_own_provider_gets_googles_seals_back() -> None:
    protocol = own_provider("google", "http://google.invalid").apis[""]({})
    (call,) = moved_to(protocol, "m").body["messages"][1]["tool_calls"]
    assert call == {**CALLED, "extra_content": {"google": {"thought_signature": "canary-call-seal"}}}


@pytest.mark.parametrize(
    ("name", "said"), [("groq", {"content": "No."}), ("openai", {"content": None, "refusal": "No."})]
)
def test_a_refusal_is_a_text_to_those_who_have_no_word_for_it(name: str, said: Json) -> None:
    messages = to_messages([QUESTION, {"role": "assistant", "content": None, "refusal": "No."}, QUESTION])
    sent = usual(name).render(ChatCall(model="m", messages=messages)).body["messages"]
    assert sent[1] == {"role": "assistant", **said}


def test_calls_of_custom_tools_go_back_where_they_came_from() -> None:
    custom = {"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    message = {"role": "assistant", "content": None, "custom_tool_calls": [custom]}
    call = ChatCall(model="m", messages=to_messages([QUESTION, message]))
    assert usual("openai").render(call).body["messages"][1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [custom],
    }


@pytest.mark.parametrize("odd", ["text", 7, [7], {"a": 1}, [{"id": 1}]])
@pytest.mark.parametrize("provider", [p for p in CATALOG if p.name != "demo"], ids=lambda p: p.name)
def test_fields_of_answers_that_are_none_are_refused_or_passed_by(provider: Provider, odd: Any) -> None:
    fields = dict.fromkeys(("annotations", "citations", "content_blocks", "content_parts", "reasoning_details"), odd)
    message = {"role": "assistant", "content": "", **fields}
    call = ChatCall(model="m", messages=to_messages([QUESTION, message, QUESTION]))
    for make in provider.apis.values():
        with contextlib.suppress(RequestInvalid):
            make({}).render(call)
