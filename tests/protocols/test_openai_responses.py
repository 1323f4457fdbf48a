"""The Responses API. Every request and answer here is written by hand (origin = "written")."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from openai.types.responses import ResponseInputItemParam
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from tests.protocols.laws import assert_cuts_do_not_matter, assert_every_prefix_fails, events_of, sse
from weir.domain.chat import (
    ChatCall,
    Media,
    Message,
    Reasoning,
    ResponseFormat,
    Tool,
    ToolChoice,
    Unknown,
    UnknownTool,
)
from weir.domain.completion import Choice, Completion, Refusal, Text, Thinking, ToolCall, Usage
from weir.domain.errors import (
    MalformedReply,
    ProviderAuthFailed,
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderUnavailable,
    RequestInvalid,
)
from weir.domain.events import (
    ChoiceFinished,
    Ended,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    collect,
)
from weir.protocols import jsonbytes
from weir.protocols.openai_responses import OpenAIResponses
from weir.protocols.responses_dialect import (
    AZURE,
    BEDROCK_MANTLE,
    COPILOT,
    DEEPSEEK,
    LLAMACPP,
    MISTRALRS,
    OPENAI,
    OPENROUTER,
    XAI,
    ResponsesDialect,
)

SEAL = "reasoning.encrypted_content"
HELLO = (Message("user", (Text("Hello"),)),)
PROTOCOL = OpenAIResponses(OPENAI)
WEATHER = Tool("weather", "Looks outside", {"type": "object", "properties": {"city": {"type": "string"}}})


def rendered(call: ChatCall, dialect: ResponsesDialect = OPENAI) -> Mapping[str, Any]:
    return OpenAIResponses(dialect).render(call).body


def items_of(*messages: Message, dialect: ResponsesDialect = OPENAI) -> list[Any]:
    return list(rendered(ChatCall(model="gpt-5.4", messages=messages), dialect)["input"])


def is_taken_by_the_sdk(body: Mapping[str, Any]) -> bool:
    """The SDK's request types check what lies directly in the body; input items are checked one by one."""
    TypeAdapter(ResponseCreateParams).validate_python(dict(body))
    for item in body["input"]:
        TypeAdapter(ResponseInputItemParam).validate_python(item)
    return True


# What is sent


def test_a_plain_call_leaves_nothing_at_the_provider_and_asks_for_the_seals() -> None:
    body = rendered(ChatCall(model="gpt-5.4", messages=HELLO))
    assert body == {
        "model": "gpt-5.4",
        "input": [{"role": "user", "content": "Hello"}],
        "store": False,
        "include": [SEAL],
    }
    assert is_taken_by_the_sdk(body)


def test_every_parameter_has_its_place() -> None:
    call = ChatCall(
        model="gpt-5.4",
        messages=HELLO,
        stream=True,
        include_usage=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        tools=(replace(WEATHER, strict=True), Tool("now")),
        tool_choice=ToolChoice("named", "weather"),
        parallel_tool_calls=False,
        response_format=ResponseFormat("json_schema", {"type": "object"}, "answer", True, "The answer"),
        reasoning=Reasoning("high", summary=True),
        max_tokens=1,
        max_completion_tokens=300,
        temperature=0.5,
        top_p=0.9,
        n=1,
        logprobs=True,
        top_logprobs=2,
        frequency_penalty=0,
        presence_penalty=0.0,
        logit_bias={},
        user="u-1",
        metadata={"team": "blue"},
        service_tier="flex",
        extra={"verbosity": "low", "truncation": "auto", "include": [SEAL, "web_search_call.results"]},
    )
    body = rendered(call)
    assert body == {
        "model": "gpt-5.4",
        "input": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "Looks outside",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
                "strict": True,
            },
            {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False},
        ],
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": False,
        "text": {
            "format": {
                "type": "json_schema",
                "name": "answer",
                "schema": {"type": "object"},
                "strict": True,
                "description": "The answer",
            },
            "verbosity": "low",
        },
        "reasoning": {"effort": "high", "summary": "auto"},
        "max_output_tokens": 300,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 2,
        "user": "u-1",
        "metadata": {"team": "blue"},
        "service_tier": "flex",
        "truncation": "auto",
        "store": False,
        "include": [SEAL, "message.output_text.logprobs", "web_search_call.results"],
    }
    assert is_taken_by_the_sdk(body)


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("stop", ("END",)),
        ("seed", 7),
        ("n", 2),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -0.5),
        ("logit_bias", {"50256": -100}),
    ],
)
def test_what_has_no_equivalent_is_refused_by_name_or_left_out_on_request(param: str, value: Any) -> None:
    call = replace(ChatCall(model="gpt-5.4", messages=HELLO), **{param: value})
    with pytest.raises(RequestInvalid) as refused:
        PROTOCOL.render(call)
    assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")
    request = PROTOCOL.render(replace(call, drop_unsupported=True))
    assert request.dropped == (param,)
    assert request.body == rendered(ChatCall(model="gpt-5.4", messages=HELLO))


def test_parameters_that_belong_to_chat_completions_alone_are_refused() -> None:
    call = ChatCall(model="gpt-5.4", messages=HELLO, extra={"prediction": {"type": "content", "content": "x"}})
    with pytest.raises(RequestInvalid, match="prediction"):
        PROTOCOL.render(call)
    plain = rendered(ChatCall(model="gpt-5.4", messages=HELLO))
    assert rendered(ChatCall(model="gpt-5.4", messages=HELLO, extra={"modalities": ["text"], "audio": None})) == plain


def test_openrouter_takes_what_chat_completions_have() -> None:
    call = ChatCall(model="x/y", messages=HELLO, stop=("END",), frequency_penalty=0.5, presence_penalty=0.25)
    assert rendered(call, OPENROUTER) == {
        "model": "x/y",
        "input": [{"role": "user", "content": "Hello"}],
        "stop": ["END"],
        "frequency_penalty": 0.5,
        "presence_penalty": 0.25,
        "store": False,
    }


@pytest.mark.parametrize(
    ("dialect", "model", "reasoning", "asked"),
    [
        (OPENAI, "gpt-5.4", None, True),
        (OPENAI, "o3", None, True),
        (OPENAI, "gpt-4o", None, False),
        (OPENAI, "gpt-5-chat-latest", None, False),
        (OPENAI, "gpt-4o", Reasoning("low"), True),
        (AZURE, "our-deployment", None, False),
        (AZURE, "our-deployment", Reasoning("low"), True),
        (AZURE, "our-deployment", Reasoning("none"), False),
        (XAI, "grok-4.3", None, True),
        (COPILOT, "gpt-5.3-codex", Reasoning("high"), True),
        (BEDROCK_MANTLE, "openai.gpt-5.6", Reasoning(summary=True), True),
        (OPENROUTER, "openai/gpt-5.4", Reasoning("high"), True),
        (DEEPSEEK, "deepseek-chat", Reasoning("high"), False),
        (LLAMACPP, "qwen", Reasoning("high"), False),
        (MISTRALRS, "qwen", Reasoning("high"), False),
    ],
)
def test_seals_are_asked_for_where_the_model_may_have_them(
    dialect: ResponsesDialect, model: str, reasoning: Reasoning | None, asked: bool
) -> None:
    body = rendered(ChatCall(model=model, messages=HELLO, reasoning=reasoning), dialect)
    assert (SEAL in body.get("include", [])) is asked


@pytest.mark.parametrize(
    ("extra", "stored"),
    [
        ({}, False),
        ({"store": True}, True),
        ({"previous_response_id": "resp_1"}, None),
        ({"conversation": "conv_1"}, None),
        ({"background": True}, None),
    ],
)
def test_a_caller_who_wants_state_gets_it(extra: Mapping[str, Any], stored: bool | None) -> None:
    body = rendered(ChatCall(model="gpt-4o", messages=HELLO, extra=extra))
    assert body.get("store") is stored
    assert is_taken_by_the_sdk(body)


def test_a_vendor_that_keeps_nothing_is_not_told_so() -> None:
    assert rendered(ChatCall(model="qwen", messages=HELLO), LLAMACPP) == {
        "model": "qwen",
        "input": [{"role": "user", "content": "Hello"}],
    }


def test_logprobs_are_asked_for_as_the_vendor_wants_it() -> None:
    call = ChatCall(model="m", messages=HELLO, logprobs=True, top_logprobs=3)
    xai = rendered(call, XAI)
    assert (xai["logprobs"], xai["top_logprobs"], xai["include"]) == (True, 3, [SEAL])
    with pytest.raises(RequestInvalid, match="logprobs"):
        rendered(call, LLAMACPP)
    assert "include" not in rendered(ChatCall(model="m", messages=HELLO, logprobs=False), AZURE)


def test_metadata_goes_only_where_it_is_the_vendors_own() -> None:
    call = ChatCall(model="m", messages=HELLO, metadata={"team": "blue"})
    assert rendered(call, OPENAI)["metadata"] == {"team": "blue"}
    assert "metadata" not in rendered(call, XAI)


def test_a_tool_without_a_schema_lies_flat_here() -> None:
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}}
    body = rendered(
        ChatCall(
            model="gpt-5.4",
            messages=HELLO,
            tools=(
                UnknownTool("custom", {"type": "custom", "custom": {"name": "sql", "format": grammar}}),
                UnknownTool("web_search", {"type": "web_search"}),
            ),
            tool_choice=ToolChoice("other", fields={"type": "custom", "custom": {"name": "sql"}}),
        )
    )
    assert body["tools"] == [
        {
            "type": "custom",
            "name": "sql",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: WORD"},
        },
        {"type": "web_search"},
    ]
    assert body["tool_choice"] == {"type": "custom", "name": "sql"}
    assert is_taken_by_the_sdk(body)


def test_allowed_tools_lie_flat_here() -> None:
    choice = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "now"}}]},
    }
    call = ChatCall(model="m", messages=HELLO, tools=(Tool("now"),), tool_choice=ToolChoice("other", fields=choice))
    assert rendered(call)["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "now"}],
    }


@pytest.mark.parametrize("mode", ["none", "auto", "required"])
def test_a_tool_choice_in_a_word_stays_that_word(mode: Any) -> None:
    assert rendered(ChatCall(model="m", messages=HELLO, tool_choice=ToolChoice(mode)))["tool_choice"] == mode


def test_json_mode_is_a_text_format() -> None:
    assert rendered(ChatCall(model="m", messages=HELLO, response_format=ResponseFormat("json_object")))["text"] == {
        "format": {"type": "json_object"}
    }


# Messages


def test_instructions_keep_their_role_where_the_vendor_knows_it() -> None:
    messages = (Message("system", (Text("Be brief"),)), Message("developer", (Text("Be kind"),)))
    assert items_of(*messages) == [
        {"role": "system", "content": "Be brief"},
        {"role": "developer", "content": "Be kind"},
    ]
    assert [item["role"] for item in items_of(*messages, dialect=XAI)] == ["system", "system"]


def test_media_parts_have_their_own_types() -> None:
    message = Message(
        "user",
        (
            Text("Look"),
            Media("image", "https://example.com/a.png", extra={"inner": {"detail": "low"}}),
            Media("image", content="aGk=", media_type="image/png"),
            Media("image", file_id="file-1"),
            Media("file", content="aGk=", media_type="application/pdf", name="a.pdf"),
            Media("file", "https://example.com/b.pdf"),
            Media("file", file_id="file-2"),
            Unknown("input_text", {"type": "input_text", "text": "as it came"}),
        ),
        listed=True,
    )
    body = rendered(ChatCall(model="gpt-5.4", messages=(message,)))
    assert body["input"][0]["content"] == [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
        {"type": "input_image", "file_id": "file-1", "detail": "auto"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://example.com/b.pdf"},
        {"type": "input_file", "file_id": "file-2"},
        {"type": "input_text", "text": "as it came"},
    ]
    assert is_taken_by_the_sdk(body)


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", content="aGk=", media_type="audio/wav"),
        Media("video", "https://example.com/a.mp4"),
        Unknown("hologram", {"type": "hologram"}),
    ],
)
def test_a_part_that_cannot_be_said_is_refused_with_its_place(part: Media | Unknown) -> None:
    with pytest.raises(RequestInvalid) as refused:
        items_of(Message("user", (Text("Hear"), part), listed=True))
    assert refused.value.param == "messages[0].content[1]"


def test_openrouter_takes_sound_and_film() -> None:
    sound = Media("audio", content="aGk=", extra={"inner": {"format": "wav"}})
    film = Media("video", "https://example.com/a.mp4")
    assert items_of(Message("user", (sound, film), listed=True), dialect=OPENROUTER)[0]["content"] == [
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "input_video", "video_url": "https://example.com/a.mp4"},
    ]


def test_a_participants_name_has_no_place() -> None:
    with pytest.raises(RequestInvalid, match=r"messages\[0\].name"):
        items_of(Message("user", (Text("Hello"),), name="ada"))


def test_tool_results_may_hold_images() -> None:
    body = rendered(
        ChatCall(
            model="gpt-5.4",
            messages=(
                Message("user", (Text("Draw"),)),
                Message("assistant", (ToolCall("call_1", "draw", "{}"), ToolCall("call_2", "name", "{}"))),
                Message("tool", (Text("Here"), Media("image", file_id="f")), tool_call_id="call_1", listed=True),
                Message("tool", (Text("A cat"),), name="name", tool_call_id="call_2"),
            ),
        )
    )
    assert body["input"][1:] == [
        {"type": "function_call", "call_id": "call_1", "name": "draw", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "name", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [
                {"type": "input_text", "text": "Here"},
                {"type": "input_image", "file_id": "f", "detail": "auto"},
            ],
        },
        {"type": "function_call_output", "call_id": "call_2", "output": "A cat"},
    ]
    assert is_taken_by_the_sdk(body)


def test_a_legacy_function_result_finds_its_call_by_name() -> None:
    assert items_of(
        Message("assistant", (ToolCall("", "now", "{}"),), extra={"function_call": {"name": "now"}}),
        Message("function", (Text("12:00"),), name="now"),
    ) == [
        {"type": "function_call", "call_id": "call_now", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_now", "output": "12:00"},
    ]


def test_a_custom_call_and_its_result_stay_custom() -> None:
    call = {"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    items = [
        {"type": "custom_tool_call", "call_id": "call_1", "name": "sql", "input": "select 1"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "1"},
    ]
    result = Message("tool", (Text("1"),), tool_call_id="call_1")
    assert items_of(Message("assistant", (Unknown("custom_tool_call", call),)), result) == items
    assert items_of(Message("assistant", (), extra={"custom_tool_calls": [call]}), result) == items


def test_an_assistants_refusal_is_given_back_as_one() -> None:
    assert items_of(Message("assistant", (Text("Hm"), Refusal("No")))) == [
        {
            "role": "assistant",
            "type": "message",
            "content": [{"type": "output_text", "text": "Hm"}, {"type": "refusal", "refusal": "No"}],
        }
    ]
    assert items_of(Message("assistant", ())) == [{"role": "assistant", "content": ""}]


def test_only_thoughts_that_the_vendor_can_prove_are_given_back() -> None:
    thoughts = (
        Thinking("sealed", "seal-1", id="rs_1", provider="openai"),
        Thinking("", "seal-2", redacted=True, provider="openai"),
        Thinking("of nobody known", "seal-3"),
        Thinking("foreign", "seal-4", provider="anthropic"),
        Thinking("unsealed", provider="openai"),
    )
    assert items_of(Message("assistant", (*thoughts, Text("Hi")))) == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "sealed"}],
            "encrypted_content": "seal-1",
        },
        {"type": "reasoning", "summary": [], "encrypted_content": "seal-2"},
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "of nobody known"}],
            "encrypted_content": "seal-3",
        },
        {"role": "assistant", "content": "Hi"},
    ]


def test_open_reasoning_is_given_back_to_vendors_that_show_it() -> None:
    message = Message("assistant", (Thinking("I look", id="rs_1", provider="deepseek"), ToolCall("c", "now", "{}")))
    assert items_of(message, dialect=DEEPSEEK) == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "I look"}],
        },
        {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"},
    ]


# What comes back

REPLY: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1750000000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": "Be brief",
    "model": "gpt-5.4-2026-03-05",
    "output": [
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [
                {"type": "summary_text", "text": "**Looking**\n\nI look it up."},
                {"type": "summary_text", "text": "**Calling**\n\nI call."},
            ],
            "encrypted_content": "seal-1",
        },
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": "seal-2"},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {"type": "output_text", "text": "Grüße! ", "annotations": []},
                {
                    "type": "output_text",
                    "text": "See here.",
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url": "https://example.com",
                            "title": "Example",
                            "start_index": 4,
                            "end_index": 8,
                        },
                        {"type": "file_citation", "file_id": "file-1", "filename": "a.txt", "index": 3},
                    ],
                },
            ],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Kraków"}',
        },
        {
            "id": "fc_2",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_2",
            "name": "now",
            "arguments": "",
        },
    ],
    "service_tier": "default",
    "tools": [{"type": "function", "name": "weather"}],
    "billing": {"payer": "developer"},
    "usage": {
        "input_tokens": 50,
        "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 5},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 30, "tool_output_tokens": 2},
        "total_tokens": 90,
    },
}

PARTS = (
    Thinking("**Looking**\n\nI look it up.\n\n**Calling**\n\nI call.", "seal-1", id="rs_1", provider="openai"),
    Thinking("", "seal-2", redacted=True, id="rs_2", provider="openai"),
    Text("Grüße! See here."),
    ToolCall("call_1", "weather", '{"city":"Kraków"}'),
    ToolCall("call_2", "now", ""),
)

COMPLETION = Completion(
    "resp_1",
    "gpt-5.4-2026-03-05",
    (
        Choice(
            0,
            PARTS,
            "tool_calls",
            "completed",
            message_extra={
                "provider_items": [REPLY["output"][1]],
                "phase": "commentary",
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "url": "https://example.com",
                            "title": "Example",
                            "start_index": 11,
                            "end_index": 15,
                        },
                    }
                ],
                "citations": [{"type": "file_citation", "file_id": "file-1", "filename": "a.txt", "index": 3}],
            },
        ),
    ),
    Usage(
        50,
        40,
        cached=10,
        cache_written=5,
        reasoning=30,
        extra={"output_tokens_details": {"tool_output_tokens": 2}},
    ),
    1750000000,
    service_tier="default",
    extra={"billing": {"payer": "developer"}},
)


def reply(*output: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "resp_2", "model": "m", "status": "completed", "output": list(output), **fields}


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"id": "msg_9", "type": "message", "content": [{"type": "output_text", "text": text}], **fields}


def parsed(answer: Mapping[str, Any], dialect: ResponsesDialect = OPENAI) -> Completion:
    return OpenAIResponses(dialect).parse(jsonbytes.dumps(answer))


def stream_of(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events with which OpenAI would have streamed an answer: its texts three letters at a time."""
    begun = {**answer, "output": [], "status": "in_progress", "usage": None, "service_tier": "auto"}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for place, item in enumerate(answer["output"]):
        at = {"output_index": place, "item_id": item["id"]}
        empty = {"content": [], "summary": [], "arguments": "", "encrypted_content": "not the final one"}
        first = {name: empty.get(name, value) for name, value in item.items()}
        yield {"type": "response.output_item.added", "output_index": place, "item": first}
        for number, part in enumerate(item.get("summary") or ()):
            where = {**at, "summary_index": number}
            yield {"type": "response.reasoning_summary_part.added", **where, "part": {**part, "text": ""}}
            yield from _text_events("response.reasoning_summary_text", where, "text", part["text"])
        for number, part in enumerate(item.get("content") or ()):
            where = {**at, "content_index": number}
            kind = {"output_text": "output_text", "refusal": "refusal", "reasoning_text": "reasoning_text"}[
                part["type"]
            ]
            field = "refusal" if kind == "refusal" else "text"
            yield {"type": "response.content_part.added", **where, "part": {**part, field: ""}}
            yield from _text_events(f"response.{kind}", where, field, part[field])
            for index, annotation in enumerate(part.get("annotations") or ()):
                added = {"annotation_index": index, "annotation": annotation}
                yield {"type": "response.output_text.annotation.added", **where, **added}
            yield {"type": "response.content_part.done", **where, "part": part}
        if item["type"] == "function_call":
            yield from _text_events("response.function_call_arguments", at, "arguments", item["arguments"])
        if item["type"] == "web_search_call":
            yield {"type": "response.web_search_call.searching", **at}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": f"response.{answer['status']}", "response": answer}


def _text_events(type: str, where: Mapping[str, Any], field: str, text: str) -> Iterator[dict[str, Any]]:
    for at in range(0, len(text), 3):
        yield {"type": f"{type}.delta", **where, "delta": text[at : at + 3], "logprobs": [], "obfuscation": "xyz"}
    yield {"type": f"{type}.done", **where, field: text}


STREAM = sse(stream_of(REPLY))


def test_a_whole_answer_is_read_part_by_part() -> None:
    assert parsed(REPLY) == COMPLETION


def test_a_stream_says_what_the_whole_answer_says() -> None:
    assert collect(events_of(PROTOCOL, STREAM)) == COMPLETION


def test_text_comes_piece_by_piece_and_calls_begin_with_their_names() -> None:
    answer = reply(
        message("Hi you"), {"id": "f", "type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}
    )
    assert events_of(PROTOCOL, sse(stream_of(answer))) == [
        Started("resp_2", "m", None),
        TextDelta(0, "Hi "),
        TextDelta(0, "you"),
        ToolCallDelta(0, 0, "c", "n"),
        ToolCallDelta(0, 0, arguments="{}"),
        ChoiceFinished(0, "tool_calls", "completed"),
        Ended(None),
    ]


def test_cuts_do_not_matter() -> None:
    assert_cuts_do_not_matter(PROTOCOL, STREAM)


def test_every_prefix_is_an_error() -> None:
    assert_every_prefix_fails(PROTOCOL, sse(stream_of(reply(message("Grüße")))))


def test_a_broken_off_stream_keeps_its_bytes() -> None:
    decoder = PROTOCOL.decoder()
    list(decoder.feed(STREAM[:-5]))
    with pytest.raises(MalformedReply) as broken:
        list(decoder.close())
    assert broken.value.raw.endswith(STREAM[-30:-5])


@pytest.mark.parametrize("wanted", ["deltas", "texts", "items", "end"])
def test_an_answer_is_whole_and_never_double_whichever_repetition_a_vendor_leaves_out(wanted: str) -> None:
    def is_sent(event: Mapping[str, Any]) -> bool:
        match event["type"].rpartition(".")[2]:
            case "delta":
                return wanted == "deltas"
            case "added":
                return wanted in ("deltas", "texts")
            case "done":
                return wanted == ("items" if "item" in event else "texts")
            case _:
                return True

    # What has no text (a hidden thought) shows only when its item is done.
    answer = {**REPLY, "output": [item for item in REPLY["output"] if item["id"] != "rs_2"]}
    assert collect(events_of(PROTOCOL, sse(filter(is_sent, stream_of(answer))))) == parsed(answer)


def test_a_stream_whose_last_event_repeats_nothing_is_whole() -> None:
    *events, last = stream_of(REPLY)
    last = {**last, "response": {**last["response"], "output": []}}
    assert collect(events_of(PROTOCOL, sse([*events, last]))) == COMPLETION


def test_items_are_known_by_place_because_ids_may_change() -> None:
    events = list(stream_of(REPLY))
    for number, event in enumerate(events):
        if "item_id" in event:
            event["item_id"] = f"changing-{number}"
    assert collect(events_of(PROTOCOL, sse(events))) == COMPLETION


def test_items_are_known_by_id_where_they_have_no_place() -> None:
    events = [{name: value for name, value in e.items() if name != "output_index"} for e in stream_of(REPLY)]
    assert collect(events_of(PROTOCOL, sse(events))) == COMPLETION


def test_an_answer_may_begin_without_saying_so() -> None:
    _, _, *events = stream_of(reply(message("Hi")))
    assert events_of(PROTOCOL, sse(events)) == [
        Started(None, None),
        TextDelta(0, "Hi"),
        ChoiceFinished(0, "stop", "completed"),
        Ended(),
    ]


def test_what_was_streamed_stands_even_if_it_is_repeated_otherwise() -> None:
    *events, last = stream_of(reply(message("Hi you")))
    last = {**last, "response": reply(message("Something longer than that"))}
    events = [event for event in events if not event["type"].endswith(".done")]
    assert collect(events_of(PROTOCOL, sse([*events, last]))).choices[0].parts == (Text("Hi you"),)


def test_unknown_events_comments_and_done_are_passed_over() -> None:
    first, *rest = stream_of(reply(message("Hi")))
    stream = b": PROCESSING\n\n" + sse([first, {"type": "response.sparkle"}, *rest]) + b"data: [DONE]\n\n"
    assert events_of(PROTOCOL, stream) == events_of(PROTOCOL, sse([first, *rest]))


def test_an_error_after_a_whole_answer_changes_nothing() -> None:
    late = sse([{"type": "error", "error": {"type": "server_error", "message": "late"}}])
    assert collect(events_of(PROTOCOL, STREAM + late)) == COMPLETION


def test_unknown_items_and_parts_are_kept_as_they_came() -> None:
    item = {"id": "x_1", "type": "hologram", "light": 3}
    part = {"type": "output_hologram", "light": 4}
    answer = reply(item, {"id": "msg_1", "type": "message", "content": [part]})
    assert parsed(answer).choices[0].message_extra == {"provider_items": [item], "content_parts": [part]}


def test_a_custom_call_has_chat_completions_form() -> None:
    item = {"id": "ctc_1", "type": "custom_tool_call", "call_id": "call_1", "name": "sql", "input": "select 1"}
    assert parsed(reply(item)).choices == (
        Choice(
            0,
            (),
            "tool_calls",
            "completed",
            message_extra={
                "custom_tool_calls": [
                    {"id": "call_1", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
                ]
            },
        ),
    )


def test_open_reasoning_is_shown() -> None:
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]}
    answer = reply(thought, message("Hi"))
    protocol = OpenAIResponses(DEEPSEEK)
    assert parsed(answer, DEEPSEEK).choices[0].parts == (Thinking("Hm", id="rs_1", provider="deepseek"), Text("Hi"))
    assert collect(events_of(protocol, sse(stream_of(answer)))) == parsed(answer, DEEPSEEK)


def test_the_seal_is_that_of_the_finished_item() -> None:
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "final"}
    events = events_of(PROTOCOL, sse(stream_of(reply(thought))))
    assert [event for event in events if isinstance(event, ThinkingDelta)] == [
        ThinkingDelta(0, "", 0, "final", redacted=True, id="rs_1", provider="openai"),
    ]


def test_a_refusal_is_not_text() -> None:
    answer = reply({"id": "msg_1", "type": "message", "content": [{"type": "refusal", "refusal": "I will not."}]})
    assert parsed(answer).choices == (Choice(0, (Refusal("I will not."),), "stop", "completed"),)
    assert collect(events_of(PROTOCOL, sse(stream_of(answer)))) == parsed(answer)


def test_logprobs_have_chat_completions_form() -> None:
    logprobs = [{"token": "Hi", "logprob": -0.5, "top_logprobs": [{"token": "Ho", "logprob": -1.5}]}]
    wanted = {
        "content": [
            {
                "token": "Hi",
                "bytes": None,
                "logprob": -0.5,
                "top_logprobs": [{"bytes": None, "token": "Ho", "logprob": -1.5}],
            }
        ]
    }
    part = {"type": "output_text", "text": "Hi", "logprobs": logprobs}
    answer = reply({"id": "msg_1", "type": "message", "content": [part]})
    assert parsed(answer).choices[0].logprobs == wanted
    events = list(stream_of(answer))
    next(event for event in events if event["type"] == "response.output_text.delta")["logprobs"] = logprobs
    assert collect(events_of(PROTOCOL, sse(events))) == parsed(answer)


@pytest.mark.parametrize(
    ("status", "details", "reason", "raw"),
    [
        ("completed", None, "stop", "completed"),
        (None, None, "stop", "completed"),
        ("incomplete", {"reason": "max_output_tokens"}, "length", "max_output_tokens"),
        ("incomplete", {"reason": "content_filter"}, "content_filter", "content_filter"),
        ("incomplete", {"reason": "steered"}, None, "steered"),
        ("incomplete", None, None, "incomplete"),
        ("queued", None, None, "queued"),
    ],
)
def test_why_an_answer_ended(status: str | None, details: Any, reason: Any, raw: str) -> None:
    answer = reply(message("Hi"), status=status, incomplete_details=details)
    assert parsed(answer).choices == (Choice(0, (Text("Hi"),), reason, raw),)


def test_an_answer_cut_off_among_its_calls_is_cut_off() -> None:
    call = {"id": "f", "type": "function_call", "call_id": "c", "name": "n", "arguments": '{"a'}
    answer = reply(call, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert parsed(answer).choices == (Choice(0, (ToolCall("c", "n", '{"a'),), "length", "max_output_tokens"),)
    assert collect(events_of(PROTOCOL, sse(stream_of(answer)))) == parsed(answer)


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        ({"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}, Usage(5, 3)),
        (
            {
                "input_tokens": 5,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 3,
                "output_tokens_details": {"reasoning_tokens": 7},
                "total_tokens": 15,
                "cost_in_usd_ticks": 37756000,
            },
            Usage(
                5,
                10,
                cached=0,
                reasoning=7,
                cost=Decimal("0.0037756000"),
                extra={"cost_in_usd_ticks": 37756000},
            ),
        ),
        (
            {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8, "cost": 0.25, "is_byok": False},
            Usage(5, 3, cost=Decimal("0.25"), extra={"cost": 0.25, "is_byok": False}),
        ),
        ({}, None),
        (None, None),
    ],
)
def test_usage(usage: Any, wanted: Usage | None) -> None:
    assert parsed(reply(message("Hi"), usage=usage)).usage == wanted


# Errors


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "server_error", "message": "Oops"}, ProviderUnavailable),
        ({"code": "rate_limit_exceeded", "message": "Oops"}, ProviderThrottled),
        ({"code": "invalid_prompt", "message": "Oops"}, ProviderRejected),
        ({"code": "image_too_large", "message": "Oops"}, ProviderRejected),
        ({"code": None, "message": "Oops"}, ProviderUnavailable),
    ],
)
def test_a_failed_answer_is_an_error_of_its_kind(error: Mapping[str, Any], kind: type[ProviderError]) -> None:
    failed = reply(status="failed", error=error)
    for answer in (failed, {"error": error}):
        with pytest.raises(ProviderError, match="Oops") as raised:
            parsed(answer)
        assert type(raised.value) is kind
    for event in (
        {"type": "response.failed", "response": failed},
        {"type": "error", "error": error},
        {"type": "error", "sequence_number": 1, **error, "param": None},
    ):
        with pytest.raises(ProviderError, match="Oops") as raised:
            events_of(PROTOCOL, sse([event]))
        assert type(raised.value) is kind


def test_a_failure_without_a_word_is_one() -> None:
    with pytest.raises(ProviderUnavailable, match="did not say why"):
        parsed(reply(status="failed", error=None))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'"text"', b'{"output":[1]}', b'{"output":[],"status":"cancelled"}']
)
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedReply):
        PROTOCOL.parse(body)


@pytest.mark.parametrize(
    "event", [b"{", b"[]", b'{"type":"response.output_text.delta"}', b'{"type":"response.completed"}']
)
def test_an_event_that_cannot_be_read_is_malformed(event: bytes) -> None:
    with pytest.raises(MalformedReply):
        events_of(PROTOCOL, b"data: " + event + b"\n\n")


@pytest.mark.parametrize(
    ("status", "body", "kind", "shown"),
    [
        (
            400,
            b'{"error":{"message":"Bad model","type":"invalid_request_error","code":"model_not_found"}}',
            ProviderRejected,
            "Bad model",
        ),
        (400, b'{"code":"invalid-argument","error":"No such thing"}', ProviderRejected, "No such thing"),
        (401, b'{"error":{"message":"Wrong key"}}', ProviderAuthFailed, "Wrong key"),
        (429, b'{"error":{"message":"Slow down"}}', ProviderThrottled, "Slow down"),
        (502, b"<html>Bad gateway</html>", ProviderUnavailable, "openai answered with status 502."),
    ],
)
def test_http_errors(status: int, body: bytes, kind: type[ProviderError], shown: str) -> None:
    error = PROTOCOL.error(status, {"retry-after": "3"}, body)
    assert (type(error), str(error), error.status, error.raw) == (kind, shown, status, body)
    assert error.retry_after == "3"


# The way round


def test_an_answer_given_back_keeps_its_seals_items_and_order() -> None:
    choice = COMPLETION.choices[0]
    turn = Message("assistant", choice.parts, extra=choice.message_extra)
    body = rendered(ChatCall(model="gpt-5.4", messages=(*HELLO, turn)))
    assert body["input"][1:] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": PARTS[0].text}],
            "encrypted_content": "seal-1",
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "seal-2"},
        REPLY["output"][1],
        {"role": "assistant", "content": "Grüße! See here.", "phase": "commentary"},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Kraków"}'},
        {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": ""},
    ]
    assert is_taken_by_the_sdk(body)


def test_the_name_and_the_path() -> None:
    assert (PROTOCOL.name, PROTOCOL.provider, PROTOCOL.path) == ("openai_responses", "openai", "/responses")
    assert PROTOCOL.render(ChatCall(model="m", messages=HELLO)).path == "/responses"
