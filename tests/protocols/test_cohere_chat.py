"""Cohere's chat, versions 2 and 1. Every request and answer here is written by hand (origin = "written")."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.protocols.laws import assert_cuts_do_not_matter, assert_every_prefix_fails, events_of, sse
from weir.domain.chat import ChatCall, Media, Message, Reasoning, ResponseFormat, Tool, ToolChoice, Unknown, UnknownTool
from weir.domain.completion import Choice, Completion, Refusal, Text, Thinking, ToolCall, Usage
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
    RequestInvalid,
)
from weir.domain.events import ChoiceFinished, Ended, MessageFields, Started, TextDelta, collect
from weir.protocols import jsonbytes
from weir.protocols.base import WireProtocol
from weir.protocols.cohere_chat import CohereChat, CohereDialect
from weir.protocols.cohere_chat_v1 import CohereChatV1

HELLO = (Message("user", (Text("Hello"),)),)
V2 = CohereChat(CohereDialect())
V1 = CohereChatV1(CohereDialect())
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", "Looks outside", CITY)


def rendered(call: ChatCall, protocol: WireProtocol = V2) -> Mapping[str, Any]:
    return protocol.render(call).body


def messages_of(*messages: Message) -> Any:
    return rendered(ChatCall(model="command-a", messages=messages))["messages"]


def assert_taken_by_the_sdk(body: Mapping[str, Any]) -> None:
    """Messages and tools against the SDK's types; the rest against the names of its method's parameters."""
    cohere = pytest.importorskip("cohere")
    for message in body["messages"]:
        TypeAdapter(cohere.ChatMessageV2).validate_python(message)
    for tool in body.get("tools", ()):
        TypeAdapter(cohere.ToolV2).validate_python(tool)
    assert body.keys() <= signature(cohere.ClientV2.chat).parameters.keys() | {"stream"}


# What is sent, version 2


def test_a_plain_call() -> None:
    assert rendered(ChatCall(model="command-a", messages=HELLO)) == {
        "model": "command-a",
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_every_parameter_has_its_place() -> None:
    call = ChatCall(
        model="command-a",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
        tools=(replace(WEATHER, strict=True), Tool("now", strict=True)),
        tool_choice=ToolChoice("required"),
        parallel_tool_calls=True,
        response_format=ResponseFormat("json_schema", {"type": "object"}, "answer", True),
        reasoning=Reasoning("high", summary=True, extra={"max_tokens": 500}),
        max_tokens=1,
        max_completion_tokens=300,
        temperature=0.5,
        top_p=0.9,
        n=1,
        stop=("END",),
        seed=7,
        logprobs=True,
        frequency_penalty=0.25,
        presence_penalty=0.5,
        logit_bias={},
        service_tier="auto",
        metadata={"team": "blue"},
        extra={"top_k": 4, "documents": ["a"], "citation_options": {"mode": "OFF"}, "safety_mode": "STRICT"},
    )
    body = rendered(call)
    assert body == {
        "model": "command-a",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "Looks outside", "parameters": CITY},
            },
            {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
        ],
        "strict_tools": True,
        "tool_choice": "REQUIRED",
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "thinking": {"type": "enabled", "token_budget": 500},
        "max_tokens": 300,
        "temperature": 0.5,
        "p": 0.9,
        "stop_sequences": ["END"],
        "seed": 7,
        "logprobs": True,
        "frequency_penalty": 0.25,
        "presence_penalty": 0.5,
        "k": 4,
        "documents": ["a"],
        "citation_options": {"mode": "OFF"},
        "safety_mode": "STRICT",
    }
    assert_taken_by_the_sdk(body)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("n", 2),
        ("logit_bias", {"1": 2}),
        ("top_logprobs", 3),
        ("parallel_tool_calls", False),
        ("user", "u-1"),
        ("service_tier", "flex"),
        ("tool_choice", ToolChoice("named", "weather")),
        ("tool_choice", ToolChoice("other", fields={"type": "allowed_tools"})),
    ],
)
def test_what_has_no_equivalent_is_refused_by_name_or_left_out_on_request(param: str, value: Any) -> None:
    plain = ChatCall(model="command-a", messages=HELLO, tools=(WEATHER, Tool("now")))
    call = replace(plain, **{param: value})
    with pytest.raises(RequestInvalid) as refused:
        V2.render(call)
    assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")
    request = V2.render(replace(call, drop_unsupported=True))
    assert (request.dropped, request.body) == ((param,), rendered(plain))


def test_other_vendors_parameters_are_refused() -> None:
    with pytest.raises(RequestInvalid, match="verbosity"):
        V2.render(ChatCall(model="command-a", messages=HELLO, extra={"verbosity": "low"}))
    call = ChatCall(model="command-a", messages=HELLO, extra={"modalities": ["text"], "store": None})
    assert rendered(call) == rendered(ChatCall(model="command-a", messages=HELLO))


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ToolChoice("auto"), None),
        (ToolChoice("none"), "NONE"),
        (ToolChoice("required"), "REQUIRED"),
        (ToolChoice("named", "weather"), "REQUIRED"),
    ],
)
def test_tool_choices(choice: ToolChoice, wanted: str | None) -> None:
    call = ChatCall(model="command-a", messages=HELLO, tools=(WEATHER,), tool_choice=choice)
    assert rendered(call).get("tool_choice") == wanted


def test_strictness_is_for_all_tools_or_none() -> None:
    mixed = ChatCall(model="command-a", messages=HELLO, tools=(replace(WEATHER, strict=True), Tool("now")))
    with pytest.raises(RequestInvalid, match="strict"):
        V2.render(mixed)
    assert "strict_tools" not in rendered(replace(mixed, drop_unsupported=True))


def test_a_tool_that_is_not_a_function_is_refused() -> None:
    call = ChatCall(model="command-a", messages=HELLO, tools=(UnknownTool("web_search", {"type": "web_search"}),))
    with pytest.raises(RequestInvalid) as refused:
        V2.render(call)
    assert refused.value.param == "tools[0]"


@pytest.mark.parametrize(
    ("reasoning", "wanted"),
    [
        (None, None),
        (Reasoning(), None),
        (Reasoning("none"), {"type": "disabled"}),
        (Reasoning("low"), {"type": "enabled"}),
        (Reasoning(summary=True), {"type": "enabled"}),
        (Reasoning(extra={"enabled": False}), {"type": "disabled"}),
        (Reasoning(extra={"token_budget": 9}), {"type": "enabled", "token_budget": 9}),
    ],
)
def test_thinking_is_on_or_off(reasoning: Reasoning | None, wanted: Any) -> None:
    assert rendered(ChatCall(model="command-a", messages=HELLO, reasoning=reasoning)).get("thinking") == wanted


@pytest.mark.parametrize(
    ("format", "wanted"),
    [
        (ResponseFormat("text"), {"type": "text"}),
        (ResponseFormat("json_object"), {"type": "json_object"}),
    ],
)
def test_response_formats(format: ResponseFormat, wanted: Any) -> None:
    assert rendered(ChatCall(model="m", messages=HELLO, response_format=format))["response_format"] == wanted


def test_a_conversation_with_pictures_and_documents() -> None:
    document = {"type": "document", "document": {"data": {"temperature": "12"}}}
    picture = Media("image", content="aGk=", media_type="image/png", extra={"inner": {"detail": "low"}})
    body = rendered(
        ChatCall(
            model="command-a",
            messages=(
                Message("developer", (Text("Be brief"),)),
                Message("user", (Text("Look"), picture), listed=True),
                Message("assistant", (Text("I call"), ToolCall("call_1", "weather", "{}"))),
                Message("tool", (Unknown("document", document),), tool_call_id="call_1", listed=True),
                Message("tool", (Text("12:00"),), name="now", tool_call_id="call_2"),
                Message("assistant", (Refusal("No"),), extra={"annotations": [], "citations": [{"start": 0}]}),
            ),
        )
    )
    assert body["messages"] == [
        {"role": "system", "content": "Be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I call",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": [document]},
        {"role": "tool", "tool_call_id": "call_2", "content": "12:00"},
        {"role": "assistant", "content": "No", "citations": [{"start": 0}]},
    ]
    assert_taken_by_the_sdk(body)


def test_thoughts_are_given_back_where_they_came_from() -> None:
    thoughts = (
        Thinking("I think", provider="cohere"),
        Thinking("I plan", id="tool_plan", provider="cohere"),
        Thinking("foreign", "seal", provider="anthropic"),
    )
    assert messages_of(Message("assistant", (*thoughts, ToolCall("c", "now", "{}")))) == [
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "I think"}],
            "tool_plan": "I plan",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
        }
    ]


@pytest.mark.parametrize(
    "message",
    [
        Message("user", (Text("Hear"), Media("audio", content="aGk="))),
        Message("user", (Text("Read"), Unknown("document", {"type": "document"}))),
        Message("tool", (Text("See"), Media("image", "https://example.com/a.png")), tool_call_id="c"),
        Message("assistant", (Text("See"), Media("image", "https://example.com/a.png"))),
        Message("assistant", (Text("See"), Unknown("custom_tool_call", {"type": "custom"}))),
    ],
)
def test_a_part_that_cannot_be_said_is_refused_with_its_place(message: Message) -> None:
    with pytest.raises(RequestInvalid) as refused:
        messages_of(message)
    assert refused.value.param == "messages[0].content[1]"


def test_a_participants_name_has_no_place() -> None:
    with pytest.raises(RequestInvalid, match=r"messages\[0\].name"):
        messages_of(Message("user", (Text("Hello"),), name="ada"))


# What comes back, version 2

CITATION = {"start": 0, "end": 5, "text": "Grüße", "sources": [{"type": "tool", "id": "c:0"}], "type": "TEXT_CONTENT"}
REPLY: dict[str, Any] = {
    "id": "answer-1",
    "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant",
        "tool_plan": "I will look outside.",
        "content": [
            {"type": "thinking", "thinking": "Hm, the weather."},
            {"type": "text", "text": "Grüße aus Kraków"},
        ],
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Kraków"}'}},
            {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}},
        ],
        "citations": [CITATION, {**CITATION, "start": 1}],
    },
    "usage": {
        "billed_units": {"input_tokens": 12.0, "output_tokens": 30.0},
        "tokens": {"input_tokens": 500.0, "output_tokens": 40.0, "reasoning_tokens": 9, "image_tokens": 3},
        "cached_tokens": 448.0,
    },
}
COMPLETION = Completion(
    "answer-1",
    None,
    (
        Choice(
            0,
            (
                Thinking("I will look outside.", id="tool_plan", provider="cohere"),
                Thinking("Hm, the weather.", provider="cohere"),
                Text("Grüße aus Kraków"),
                ToolCall("call_1", "weather", '{"city":"Kraków"}'),
                ToolCall("call_2", "now", ""),
            ),
            "tool_calls",
            "TOOL_CALL",
            message_extra={"citations": [CITATION, {**CITATION, "start": 1}]},
        ),
    ),
    Usage(
        500,
        40,
        cached=448,
        reasoning=9,
        extra={"billed_units": {"input_tokens": 12.0, "output_tokens": 30.0}, "image_tokens": 3},
    ),
)


def parsed(answer: Mapping[str, Any], protocol: WireProtocol = V2) -> Completion:
    return protocol.parse(jsonbytes.dumps(answer))


def said(text: str, reason: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    return {"id": "a", "finish_reason": reason, "message": {"content": [{"type": "text", "text": text}]}, **fields}


def stream_of(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events with which Cohere would have streamed an answer: its texts three letters at a time."""

    def delta(type: str, index: int | None, **fields: Any) -> dict[str, Any]:
        place = {} if index is None else {"index": index}
        return {"type": type, **place, "delta": {"message": fields}}

    message = answer["message"]
    yield {"id": answer["id"], **delta("message-start", None, role="assistant", content=[], tool_plan="")}
    for piece in _pieces(message.get("tool_plan", "")):
        yield delta("tool-plan-delta", None, tool_plan=piece)
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        yield delta("content-start", index, content={"type": kind, kind: ""})
        for piece in _pieces(block[kind]):
            yield delta("content-delta", index, content={kind: piece})
        yield {"type": "content-end", "index": index}
    for index, citation in enumerate(message.get("citations", ())):
        yield delta("citation-start", index, citations=citation)
        yield {"type": "citation-end", "index": index}
    for index, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        yield delta("tool-call-start", index, tool_calls={**call, "function": {**function, "arguments": ""}})
        for piece in _pieces(function["arguments"]):
            yield delta("tool-call-delta", index, tool_calls={"function": {"arguments": piece}})
        yield {"type": "tool-call-end", "index": index}
    yield {
        "type": "message-end",
        "delta": {name: value for name, value in answer.items() if name not in ("id", "message")},
    }


def _pieces(text: str) -> list[str]:
    return [text[at : at + 3] for at in range(0, len(text), 3)]


def test_a_whole_answer_is_read_part_by_part() -> None:
    assert parsed(REPLY) == COMPLETION


def test_a_stream_says_what_the_whole_answer_says() -> None:
    assert collect(events_of(V2, sse(stream_of(REPLY)) + b"data: [DONE]\n\n")) == COMPLETION


def test_text_comes_piece_by_piece() -> None:
    assert events_of(V2, sse(stream_of(said("Hi you")))) == [
        Started("a", None),
        TextDelta(0, "Hi "),
        TextDelta(0, "you"),
        ChoiceFinished(0, "stop", "COMPLETE"),
        Ended(None),
    ]


def test_cuts_do_not_matter() -> None:
    assert_cuts_do_not_matter(V2, sse(stream_of(REPLY)))


def test_every_prefix_is_an_error() -> None:
    assert_every_prefix_fails(V2, sse(stream_of(REPLY)))


def test_unknown_events_comments_and_what_comes_after_the_end_are_passed_over() -> None:
    first, *rest = stream_of(said("Hi"))
    strange = {"type": "debug", "prompt": "…"}
    stream = b": ping\n\n" + sse([first, strange, *rest, strange]) + b"data: [DONE]\n\n"
    assert events_of(V2, stream) == events_of(V2, sse([first, *rest]))


def test_unknown_parts_and_fields_are_kept_as_they_came() -> None:
    part = {"type": "hologram", "light": 3}
    answer = {"id": "a", "finish_reason": "COMPLETE", "message": {"content": [part], "mood": "good"}, "trace": 7}
    assert parsed(answer) == Completion(
        "a",
        None,
        (Choice(0, (), "stop", "COMPLETE", message_extra={"content_parts": [part], "mood": "good"}),),
        extra={"trace": 7},
    )


def test_a_call_number_that_begins_again_is_another_call() -> None:
    def start(id: str) -> dict[str, Any]:
        call = {"id": id, "type": "function", "function": {"name": "now", "arguments": "{}"}}
        return {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": call}}}

    first, *_, last = stream_of(said("", "TOOL_CALL"))
    completion = collect(events_of(V2, sse([first, start("c1"), start("c2"), last])))
    assert completion.choices[0].parts == (ToolCall("c1", "now", "{}"), ToolCall("c2", "now", "{}"))


def test_logprobs_have_openais_form() -> None:
    hi = {"text": "Grü", "token_ids": [1, 2], "logprobs": [-0.25, -0.5]}
    wanted = {
        "content": [
            {
                "token": "Grü",
                "bytes": [71, 114, 195, 188],
                "logprob": -0.75,
                "top_logprobs": [],
                "token_ids": [1, 2],
            }
        ]
    }
    answer = said("Grü", logprobs=[hi])
    assert parsed(answer).choices[0].logprobs == wanted
    events = [{**event, "logprobs": hi} if event["type"] == "content-delta" else event for event in stream_of(answer)]
    assert collect(events_of(V2, sse(events))) == parsed(answer)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_LIMIT", "length"),
        ("ERROR_TOXIC", "content_filter"),
        ("BORED", None),
    ],
)
def test_why_an_answer_ended(raw: str, reason: Any) -> None:
    assert parsed(said("Hi", raw)).choices == (Choice(0, (Text("Hi"),), reason, raw),)


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        (None, None),
        ({}, None),
        (
            {"billed_units": {"input_tokens": 3, "output_tokens": 4}},
            Usage(3, 4, extra={"billed_units": {"input_tokens": 3, "output_tokens": 4}}),
        ),
        ({"tokens": {"input_tokens": 3, "output_tokens": 4}, "cached_tokens": 0}, Usage(3, 4, cached=0)),
        ({"tokens": {"input_tokens": 3}}, Usage(3, 0)),
    ],
)
def test_usage(usage: Any, wanted: Usage | None) -> None:
    assert parsed(said("Hi", usage=usage)).usage == wanted


# Errors, version 2


@pytest.mark.parametrize(("reason", "kind"), [("ERROR", ProviderUnavailable), ("TIMEOUT", ProviderTimeout)])
def test_an_answer_that_broke_off_is_an_error(reason: str, kind: type[ProviderError]) -> None:
    answer = said("Hi", reason, error="invalid tool generation", error_type="INVALID_TOOL_GENERATION", usage={})
    with pytest.raises(ProviderError, match="invalid tool generation") as streamed:
        events_of(V2, sse(stream_of(answer)))
    assert (type(streamed.value), streamed.value.type) == (kind, "INVALID_TOOL_GENERATION")
    with pytest.raises(ProviderError) as whole:
        parsed(said("Hi", reason))
    assert type(whole.value) is kind


def test_an_error_under_status_200_is_one() -> None:
    for attempt in (V2.parse, lambda body: events_of(V2, b"data: " + body + b"\n\n"), V1.parse):
        with pytest.raises(ProviderUnavailable, match="overloaded"):
            attempt(b'{"id":"x","message":"overloaded"}')


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'"text"', b'{"message":{}}', b'{"message":{"tool_calls":[{}]}}']
)
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    for protocol in (V2, V1):
        with pytest.raises(MalformedReply):
            protocol.parse(body)


@pytest.mark.parametrize("event", [b"{", b"[]", b'{"type":"content-delta"}', b'{"type":"message-end","delta":{}}'])
def test_an_event_that_cannot_be_read_is_malformed(event: bytes) -> None:
    with pytest.raises(MalformedReply):
        events_of(V2, b"data: " + event + b"\n\n")


@pytest.mark.parametrize("protocol", [V2, V1])
@pytest.mark.parametrize(
    ("status", "body", "kind", "shown", "type"),
    [
        (
            400,
            b'{"error_type":"TOO_MANY_TOKENS","id":"x","message":"too long"}',
            ProviderRejected,
            "too long",
            "TOO_MANY_TOKENS",
        ),
        (401, b'{"message":"no api key supplied"}', ProviderAuthFailed, "no api key supplied", None),
        (404, b'{"message":"model was removed"}', ProviderRejected, "model was removed", None),
        (429, b'{"message":"trial key"}', ProviderThrottled, "trial key", None),
        (502, b"<html>", ProviderUnavailable, "cohere answered with status 502.", None),
        (500, b"{broken", ProviderUnavailable, "cohere answered with status 500.", None),
    ],
)
def test_http_errors(protocol: WireProtocol, status: int, body: bytes, kind: Any, shown: str, type: str | None) -> None:
    error = protocol.error(status, {"retry-after": "3"}, body)
    assert (error.__class__, str(error), error.type, error.raw) == (kind, shown, type, body)
    assert (error.status, error.retry_after) == (status, "3")


def test_an_answer_given_back_is_the_message_it_was() -> None:
    choice = COMPLETION.choices[0]
    turn = Message("assistant", choice.parts, extra=choice.message_extra)
    body = rendered(ChatCall(model="command-a", messages=(*HELLO, turn)))
    assert body["messages"][1] == REPLY["message"]
    assert_taken_by_the_sdk(body)


# Version 1


def test_v1_plain_call() -> None:
    assert rendered(ChatCall(model="command", messages=HELLO), V1) == {"model": "command", "message": "Hello"}


def test_v1_every_parameter_has_its_place() -> None:
    call = ChatCall(
        model="command-r",
        messages=(
            Message("system", (Text("Be brief"),)),
            Message("user", (Text("Hi"),)),
            Message("assistant", (Text("Hello"),)),
            Message("system", (Text("Be kind"),)),
            Message("user", (Text("Weather?"),)),
        ),
        stream=True,
        tools=(WEATHER, Tool("now")),
        tool_choice=ToolChoice("auto"),
        response_format=ResponseFormat("json_schema", {"type": "object"}, "answer"),
        reasoning=Reasoning("none"),
        max_tokens=300,
        temperature=0.5,
        top_p=0.9,
        stop=("END",),
        seed=7,
        logprobs=False,
        frequency_penalty=0.25,
        presence_penalty=0.5,
        extra={"connectors": [{"id": "web-search"}], "k": 3},
    )
    body = rendered(call, V1)
    assert body == {
        "model": "command-r",
        "preamble": "Be brief",
        "chat_history": [
            {"role": "USER", "message": "Hi"},
            {"role": "CHATBOT", "message": "Hello"},
            {"role": "SYSTEM", "message": "Be kind"},
        ],
        "message": "Weather?",
        "stream": True,
        "tools": [
            {
                "name": "weather",
                "description": "Looks outside",
                "parameter_definitions": {"city": {"type": "str", "required": True}},
            },
            {"name": "now", "description": "", "parameter_definitions": {}},
        ],
        "response_format": {"type": "json_object", "schema": {"type": "object"}},
        "max_tokens": 300,
        "temperature": 0.5,
        "p": 0.9,
        "stop_sequences": ["END"],
        "seed": 7,
        "frequency_penalty": 0.25,
        "presence_penalty": 0.5,
        "connectors": [{"id": "web-search"}],
        "k": 3,
    }


def test_v1_tool_results_answer_the_calls_before_them() -> None:
    calls = (ToolCall("c1", "weather", '{"city":"Kraków"}'), ToolCall("c2", "now", ""))
    body = rendered(
        ChatCall(
            model="command-r",
            messages=(
                Message("user", (Text("Weather?"),)),
                Message("assistant", (Text("I look"), *calls)),
                Message("tool", (Text('{"degrees":12}'),), tool_call_id="c1"),
                Message("tool", (Text("12:00"),), tool_call_id="c2"),
            ),
        ),
        V1,
    )
    weather = {"name": "weather", "parameters": {"city": "Kraków"}}
    now = {"name": "now", "parameters": {}}
    assert body == {
        "model": "command-r",
        "chat_history": [
            {"role": "USER", "message": "Weather?"},
            {"role": "CHATBOT", "message": "I look", "tool_calls": [weather, now]},
        ],
        "message": "",
        "tool_results": [
            {"call": weather, "outputs": [{"degrees": 12}]},
            {"call": now, "outputs": [{"output": "12:00"}]},
        ],
    }


def test_v1_an_earlier_tool_turn_is_history() -> None:
    body = rendered(
        ChatCall(
            model="command-r",
            messages=(
                Message("assistant", (ToolCall("c1", "now", "{}"),)),
                Message("tool", (Text('[{"a":1},{"a":2}]'),), tool_call_id="c1"),
                Message("user", (Text("Thanks"),)),
            ),
        ),
        V1,
    )
    now = {"name": "now", "parameters": {}}
    assert body == {
        "model": "command-r",
        "chat_history": [
            {"role": "CHATBOT", "message": "", "tool_calls": [now]},
            {"role": "TOOL", "tool_results": [{"call": now, "outputs": [{"a": 1}, {"a": 2}]}]},
        ],
        "message": "Thanks",
    }


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ((Message("assistant", (Text("I"),)),), "messages[0]"),
        ((Message("tool", (Text("x"),), tool_call_id="nobody"),), "messages[0]"),
        ((Message("user", (Media("image", "https://example.com"),)),), "messages[0].content[0]"),
        ((Message("assistant", (ToolCall("c", "now", "[1"),)), *HELLO), "messages[0]"),
    ],
)
def test_v1_what_cannot_be_said_is_refused_with_its_place(messages: tuple[Message, ...], param: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        V1.render(ChatCall(model="command-r", messages=messages))
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("param", "value"),
    [("reasoning", Reasoning("high")), ("tool_choice", ToolChoice("required")), ("logprobs", True), ("n", 2)],
)
def test_v1_what_has_no_equivalent_is_refused_by_name_or_left_out_on_request(param: str, value: Any) -> None:
    call = replace(ChatCall(model="command-r", messages=HELLO), **{param: value})
    with pytest.raises(RequestInvalid) as refused:
        V1.render(call)
    assert refused.value.param == param
    request = V1.render(replace(call, drop_unsupported=True))
    assert (request.dropped, request.body) == ((param,), {"model": "command-r", "message": "Hello"})


def test_v1_parameters_of_a_tool_are_a_flat_list() -> None:
    schema = {"type": "object", "properties": {"unit": {"type": "string", "enum": ["C", "F"], "description": "which"}}}
    call = ChatCall(model="command-r", messages=HELLO, tools=(Tool("weather", parameters=schema),))
    with pytest.raises(RequestInvalid) as refused:
        V1.render(call)
    assert refused.value.param == "tools[0].function.parameters.properties.unit.enum"
    body = rendered(replace(call, drop_unsupported=True), V1)
    assert body["tools"][0]["parameter_definitions"] == {
        "unit": {"type": "str", "required": False, "description": "which"}
    }


V1_END: dict[str, Any] = {
    "generation_id": "g-1",
    "response_id": "r-1",
    "text": "Grüße",
    "finish_reason": "COMPLETE",
    "chat_history": [{"role": "USER", "message": "Hello"}],
    "citations": [{"start": 0, "end": 5, "text": "Grüße", "document_ids": ["d"]}],
    "tool_calls": [{"name": "weather", "parameters": {"city": "Kraków"}}, {"name": "now", "parameters": {}}],
    "meta": {
        "warnings": ["deprecated"],
        "billed_units": {"input_tokens": 3, "output_tokens": 4},
        "tokens": {"input_tokens": 60, "output_tokens": 5},
    },
}
V1_COMPLETION = Completion(
    "g-1",
    None,
    (
        Choice(
            0,
            (
                Text("Grüße"),
                ToolCall("call_g-1_0", "weather", '{"city":"Kraków"}'),
                ToolCall("call_g-1_1", "now", "{}"),
            ),
            "tool_calls",
            "COMPLETE",
            message_extra={"citations": V1_END["citations"]},
        ),
    ),
    Usage(60, 5, extra={"billed_units": {"input_tokens": 3, "output_tokens": 4}}),
    extra={"warnings": ["deprecated"]},
)
V1_EVENTS: list[dict[str, Any]] = [
    {"event_type": "stream-start", "generation_id": "g-1"},
    {"event_type": "search-queries-generation", "search_queries": []},
    {"event_type": "text-generation", "text": "Gr"},
    {"event_type": "text-generation", "text": "üße"},
    {"event_type": "citation-generation", "citations": V1_END["citations"]},
    {"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": "{"}},
    {"event_type": "tool-calls-generation", "tool_calls": V1_END["tool_calls"]},
    {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": V1_END},
]
LINES = b"".join(jsonbytes.dumps(event) + b"\n" for event in V1_EVENTS)


def test_v1_a_whole_answer_is_read_part_by_part() -> None:
    assert parsed(V1_END, V1) == V1_COMPLETION


def test_v1_a_stream_of_lines_or_of_server_sent_events_says_the_same() -> None:
    assert collect(events_of(V1, LINES)) == V1_COMPLETION
    assert collect(events_of(V1, LINES.removesuffix(b"\n"))) == V1_COMPLETION
    assert collect(events_of(V1, sse(V1_EVENTS))) == V1_COMPLETION


def test_v1_the_last_event_completes_what_was_not_streamed() -> None:
    for kept in ([0, 7], [7], [0, 2, 7], [0, 2, 3, 7]):
        assert collect(events_of(V1, *(jsonbytes.dumps(V1_EVENTS[at]) + b"\n" for at in kept))) == V1_COMPLETION


def test_v1_events_come_in_the_order_of_the_stream() -> None:
    answer = {
        "event_type": "stream-end",
        "finish_reason": "MAX_TOKENS",
        "response": {"text": "Gr", "generation_id": "g"},
    }
    assert events_of(V1, *(jsonbytes.dumps(event) + b"\n" for event in (V1_EVENTS[0], V1_EVENTS[2], answer))) == [
        Started("g-1", None),
        TextDelta(0, "Gr"),
        ChoiceFinished(0, "length", "MAX_TOKENS"),
        Ended(None),
    ]


def test_v1_searches_are_kept_as_they_came() -> None:
    answer = {"text": "Hi", "generation_id": "g", "documents": [{"id": "d"}], "search_results": [{"id": "s"}]}
    assert MessageFields(0, {"documents": [{"id": "d"}], "search_results": [{"id": "s"}]}) in events_of(
        V1, jsonbytes.dumps({"event_type": "stream-end", "response": answer})
    )


def test_v1_cuts_do_not_matter() -> None:
    assert_cuts_do_not_matter(V1, LINES)


def test_v1_every_prefix_is_an_error() -> None:
    assert_every_prefix_fails(V1, LINES, ends=[b"\n"])


def test_v1_an_answer_that_broke_off_is_an_error() -> None:
    end = {"event_type": "stream-end", "finish_reason": "ERROR", "error": "out of luck", "response": V1_END}
    with pytest.raises(ProviderUnavailable, match="out of luck"):
        events_of(V1, jsonbytes.dumps(end) + b"\n")


def test_the_names_and_the_paths() -> None:
    assert (V2.name, V2.path, V1.name, V1.path) == ("cohere_chat", "/v2/chat", "cohere_chat_v1", "/v1/chat")
