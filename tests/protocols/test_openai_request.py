"""A call as a Chat Completions body: for OpenAI to the letter, for each vendor in its dialect."""

from dataclasses import replace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from openai.types.chat.completion_create_params import CompletionCreateParams, CompletionCreateParamsBase
from pydantic import TypeAdapter

from weir.domain.chat import (
    ChatCall,
    Media,
    Message,
    Part,
    Reasoning,
    ResponseFormat,
    Tool,
    ToolChoice,
    Unknown,
    UnknownTool,
)
from weir.domain.completion import NOTHING, Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect
from weir.providers.catalog import CATALOG, Provider, own_provider

Json = dict[str, Any]

PLAIN = OpenAIDialect(provider="vendor", own_fields=frozenset({"refusal", "extra_content"}))
ASK = ChatCall(model="m", messages=(Message("user", (Text("Hi"),)),))
ASKED: Json = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}

EVERYTHING = ChatCall(
    model="m",
    messages=(
        Message("system", (Text("Be kind."),)),
        Message("developer", (Text("Be brief."),), name="dev"),
        Message("user", (Text("Hi"), Media("image", url="https://example.com/a.png")), listed=True),
        Message("assistant", (Thinking("Hm."), ToolCall("call_a", "weather", "{}"))),
        Message("tool", (Text("Sunny"),), tool_call_id="call_a"),
    ),
    stream=True,
    include_usage=True,
    stream_options={"include_obfuscation": False},
    tools=(Tool("weather", "The weather", SCHEMA, True),),
    tool_choice=ToolChoice("named", "weather"),
    parallel_tool_calls=False,
    response_format=ResponseFormat("json_schema", SCHEMA, "answer", True, "An answer"),
    reasoning=Reasoning("low", True),
    max_completion_tokens=50,
    temperature=0.5,
    top_p=0.9,
    n=2,
    stop=("END", "STOP"),
    seed=7,
    logprobs=True,
    top_logprobs=3,
    frequency_penalty=0.1,
    presence_penalty=-0.1,
    logit_bias={"50256": -100.0},
    user="u-1",
    metadata={"team": "a"},
    service_tier="flex",
    extra={"store": False, "prompt_cache_key": "k"},
)


def body(call: ChatCall, dialect: OpenAIDialect = PLAIN) -> Json:
    return dict(OpenAIChat(dialect).render(call).body)


def message(*parts: Part, role: Any = "user", **fields: Any) -> Json:
    """The one message of the body that such a message makes."""
    made = body(ChatCall(model="m", messages=(Message(role, parts, **fields),)))["messages"]
    assert len(made) == 1
    return dict(made[0])


def test_only_what_was_asked_is_sent() -> None:
    request = OpenAIChat(PLAIN).render(ASK)
    assert (request.path, request.body, request.headers, request.dropped) == ("/chat/completions", ASKED, {}, ())


OPENAI: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "name": "dev", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "Sunny"},
    ],
    "stream": True,
    "stream_options": {"include_obfuscation": False, "include_usage": True},
    "tools": [
        {
            "type": "function",
            "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA, "strict": True},
        }
    ],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "parallel_tool_calls": False,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "description": "An answer", "schema": SCHEMA, "strict": True},
    },
    "reasoning_effort": "low",
    "max_completion_tokens": 50,
    "temperature": 0.5,
    "top_p": 0.9,
    "n": 2,
    "stop": ["END", "STOP"],
    "seed": 7,
    "logprobs": True,
    "top_logprobs": 3,
    "frequency_penalty": 0.1,
    "presence_penalty": -0.1,
    "logit_bias": {"50256": -100.0},
    "user": "u-1",
    "metadata": {"team": "a"},
    "service_tier": "flex",
    "store": False,
    "prompt_cache_key": "k",
}


def provider(name: str) -> Provider:
    return next(provider for provider in CATALOG if provider.name == name)


def rendered(name: str, call: ChatCall) -> Json:
    return dict(provider(name).apis[""]({}).render(call).body)


def test_openai_gets_every_parameter() -> None:
    assert rendered("openai", EVERYTHING) == OPENAI


def test_openais_own_types_accept_the_body() -> None:
    """Its lists are lazy iterables to pydantic, so each is checked by itself."""
    sent = rendered("openai", replace(EVERYTHING, logit_bias={"50256": -100}))
    TypeAdapter(CompletionCreateParams).validate_python(sent)
    TypeAdapter(list[ChatCompletionMessageParam]).validate_python(sent["messages"])
    TypeAdapter(list[ChatCompletionToolUnionParam]).validate_python(sent["tools"])
    assert sent.keys() - CompletionCreateParamsBase.__annotations__.keys() == {"stream"}


VENDORS = [
    pytest.param(protocol, id=vendor.name)
    for vendor in (*CATALOG, own_provider("own", "https://own.example"))
    if isinstance(protocol := vendor.apis[""]({}), OpenAIChat)
]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_takes_a_call_with_every_parameter_or_names_the_one_it_cannot_take(vendor: OpenAIChat) -> None:
    sent = vendor.render(replace(EVERYTHING, drop_unsupported=True))
    assert sent.body["model"] == "m"
    if sent.dropped:
        with pytest.raises(RequestInvalid) as refused:
            vendor.render(EVERYTHING)
        assert refused.value.param == sent.dropped[0]
    else:
        assert vendor.render(EVERYTHING) == sent


@pytest.mark.parametrize(
    ("quirk", "call", "expected"),
    [
        pytest.param(
            {"max_tokens_field": "max_tokens"},
            replace(ASK, max_completion_tokens=5),
            {**ASKED, "max_tokens": 5},
            id="its only name for the limit",
        ),
        pytest.param(
            {"max_tokens_field": "max_completion_tokens"},
            replace(ASK, max_tokens=5, max_completion_tokens=6),
            {**ASKED, "max_completion_tokens": 6},
            id="two limits, one name",
        ),
        pytest.param(
            {},
            replace(ASK, max_tokens=5, max_completion_tokens=6),
            {**ASKED, "max_tokens": 5, "max_completion_tokens": 6},
            id="both names, as the caller wrote",
        ),
        pytest.param({}, replace(ASK, max_tokens=0), {**ASKED, "max_tokens": 0}, id="a limit of zero is a limit"),
        pytest.param({"seed_field": "random_seed"}, replace(ASK, seed=0), {**ASKED, "random_seed": 0}, id="seed"),
        pytest.param(
            {}, replace(ASK, reasoning=Reasoning("high", True)), {**ASKED, "reasoning_effort": "high"}, id="effort"
        ),
        pytest.param(
            {"reasoning": "object"},
            replace(ASK, reasoning=Reasoning("high", extra={"exclude": True})),
            {**ASKED, "reasoning": {"effort": "high", "exclude": True}},
            id="reasoning as an object",
        ),
        pytest.param(
            {"reasoning": "object"},
            replace(ASK, reasoning=Reasoning(summary=True)),
            {**ASKED, "reasoning": {"enabled": True}},
            id="reasoning asked for, and not how much",
        ),
        pytest.param({"reasoning": "none"}, replace(ASK, reasoning=Reasoning(summary=True)), ASKED, id="no reasoning"),
        pytest.param(
            {},
            replace(ASK, stream=True),
            {**ASKED, "stream": True, "stream_options": {"include_usage": True}},
            id="usage is asked for with every stream",
        ),
        pytest.param(
            {"stream_options": False},
            replace(ASK, stream=True, include_usage=True),
            {**ASKED, "stream": True},
            id="usage comes unasked",
        ),
        pytest.param({}, replace(ASK, metadata={"team": "a"}), ASKED, id="metadata stays here"),
        pytest.param(
            {"metadata": True},
            replace(ASK, metadata={"team": "a"}),
            {**ASKED, "metadata": {"team": "a"}},
            id="metadata",
        ),
    ],
)
def test_a_dialect_says_it_its_own_way(quirk: Json, call: ChatCall, expected: Json) -> None:
    assert body(call, replace(PLAIN, **quirk)) == expected


@pytest.mark.parametrize(
    ("quirk", "sent"),
    [
        pytest.param({}, {"role": "assistant", "content": "Noon.", "reasoning_content": "Hm."}, id="DeepSeek's name"),
        pytest.param(
            {"thinking_field": "reasoning"},
            {"role": "assistant", "content": "Noon.", "reasoning": "Hm."},
            id="own name",
        ),
        pytest.param({"thinking_field": None}, {"role": "assistant", "content": "Noon."}, id="not at all"),
    ],
)
def test_earlier_thinking_goes_back_under_the_vendors_name(quirk: Json, sent: Json) -> None:
    call = replace(ASK, messages=(Message("assistant", (Thinking("Hm."), Text("Noon."))),))
    assert body(call, replace(PLAIN, **quirk))["messages"] == [sent]


def test_developer_is_system_where_it_is_not_known() -> None:
    call = replace(ASK, messages=(Message("developer", (Text("Be brief."),)),))
    assert body(call)["messages"] == [{"role": "system", "content": "Be brief."}]
    assert body(call, replace(PLAIN, developer=True))["messages"] == [{"role": "developer", "content": "Be brief."}]


@pytest.mark.parametrize(
    ("quirk", "reasoning", "param"),
    [
        ({"reasoning": "none"}, Reasoning("high"), "reasoning.effort"),
        ({}, Reasoning("high", extra={"max_tokens": 9}), "reasoning.max_tokens"),
    ],
)
def test_what_a_vendor_has_no_word_for_is_refused_by_name_or_left_out_when_allowed(
    quirk: Json, reasoning: Reasoning, param: str
) -> None:
    protocol = OpenAIChat(replace(PLAIN, **quirk))
    with pytest.raises(RequestInvalid, match="vendor has no equivalent") as refused:
        protocol.render(replace(ASK, reasoning=reasoning))
    assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")
    assert protocol.render(replace(ASK, reasoning=reasoning, drop_unsupported=True)).dropped == (param,)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param(
            replace(ASK, tools=(Tool("now"), UnknownTool("web_search", {"type": "web_search", "x": 1}))),
            {**ASKED, "tools": [{"type": "function", "function": {"name": "now"}}, {"type": "web_search", "x": 1}]},
            id="tools of any kind",
        ),
        pytest.param(
            replace(ASK, tools=(Tool("now", extra={"cache_control": {"type": "ephemeral"}}),)),
            {
                **ASKED,
                "tools": [{"type": "function", "function": {"name": "now"}, "cache_control": {"type": "ephemeral"}}],
            },
            id="a tool's own fields",
        ),
        pytest.param(
            replace(ASK, tool_choice=ToolChoice("required")), {**ASKED, "tool_choice": "required"}, id="choice by word"
        ),
        pytest.param(
            replace(ASK, tool_choice=ToolChoice("other", fields={"type": "allowed_tools"})),
            {**ASKED, "tool_choice": {"type": "allowed_tools"}},
            id="choice of another kind",
        ),
        pytest.param(
            replace(ASK, tools=(Tool("now"),), legacy_functions=True, tool_choice=ToolChoice("named", "now")),
            {**ASKED, "functions": [{"name": "now"}], "function_call": {"name": "now"}},
            id="functions, the older form",
        ),
        pytest.param(
            replace(ASK, tools=(Tool("now"),), legacy_functions=True, tool_choice=ToolChoice("auto")),
            {**ASKED, "functions": [{"name": "now"}], "function_call": "auto"},
            id="functions, chosen by word",
        ),
        pytest.param(
            replace(ASK, response_format=ResponseFormat("json_object")),
            {**ASKED, "response_format": {"type": "json_object"}},
            id="json mode",
        ),
        pytest.param(
            replace(ASK, response_format=ResponseFormat("json_schema", SCHEMA)),
            {**ASKED, "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}},
            id="a schema without a name",
        ),
        pytest.param(replace(ASK, extra={"top_k": 5}), {**ASKED, "top_k": 5}, id="unknown parameters pass"),
        pytest.param(
            replace(ASK, temperature=0.0, logprobs=False),
            {**ASKED, "temperature": 0.0, "logprobs": False},
            id="zero and false are said",
        ),
    ],
)
def test_parameters_are_sent_whole(call: ChatCall, expected: Json) -> None:
    assert body(call) == expected


PICTURE = "iVBORw0KGgo="


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Text("a", {"cache_control": {"type": "x"}}), {"type": "text", "text": "a", "cache_control": {"type": "x"}}),
        (
            Media("image", url="https://e.example/a.png", extra={"inner": {"detail": "low"}}),
            {"type": "image_url", "image_url": {"url": "https://e.example/a.png", "detail": "low"}},
        ),
        (
            Media("image", content=PICTURE, media_type="image/png", extra={"cache_control": {"type": "x"}}),
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{PICTURE}"},
                "cache_control": {"type": "x"},
            },
        ),
        (
            Media("video", url="https://e.example/a.mp4"),
            {"type": "video_url", "video_url": {"url": "https://e.example/a.mp4"}},
        ),
        (
            Media("audio", content="UklG", media_type="audio/wav", extra={"inner": {"format": "wav"}}),
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        ),
        (Media("file", file_id="file-1"), {"type": "file", "file": {"file_id": "file-1"}}),
        (
            Media("file", content="JVBE", media_type="application/pdf", name="a.pdf"),
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
        ),
        (Media("file", content="JVBE"), {"type": "file", "file": {"file_data": "JVBE"}}),
        (
            Media("file", url="https://e.example/a.pdf"),
            {"type": "file", "file": {"file_data": "https://e.example/a.pdf"}},
        ),
        (Refusal("No."), {"type": "refusal", "refusal": "No."}),
        (Unknown("document", {"type": "document", "x": 1}), {"type": "document", "x": 1}),
    ],
)
def test_a_part_is_written_as(part: Part, expected: Json) -> None:
    assert message(part, listed=True) == {"role": "user", "content": [expected]}


@pytest.mark.parametrize("part", [Thinking("Hm."), ToolCall("c", "f", "{}"), Media("audio", url="https://e.example/a")])
def test_a_part_that_cannot_be_written_is_refused_with_its_place_even_when_dropping_is_allowed(part: Part) -> None:
    call = replace(ASK, messages=(*ASK.messages, Message("user", (Text("a"), part))), drop_unsupported=True)
    with pytest.raises(RequestInvalid, match=r"messages\[1\]\.content\[1\]") as refused:
        body(call)
    assert (refused.value.param, refused.value.code) == ("messages[1].content[1]", "unsupported_content")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(Message("user", (), listed=True), {"role": "user", "content": []}, id="an empty list"),
        pytest.param(Message("user", (Text(""),)), {"role": "user", "content": ""}, id="an empty text"),
        pytest.param(Message("assistant", ()), {"role": "assistant", "content": ""}, id="an empty answer"),
        pytest.param(
            Message("assistant", (Refusal("No."),)),
            {"role": "assistant", "content": None, "refusal": "No."},
            id="a refusal",
        ),
        pytest.param(
            Message("assistant", (Text("Look"), ToolCall("c", "f", "{}", "s", {"extra_content": {"google": 1}}))),
            {
                "role": "assistant",
                "content": "Look",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": 1},
                    }
                ],
            },
            id="text and a call with its own fields",
        ),
        pytest.param(
            Message(
                "assistant", (Unknown("custom_tool_call", {"id": "c", "type": "custom", "custom": {"name": "f"}}),)
            ),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f"}}],
            },
            id="a call of a custom tool",
        ),
        pytest.param(
            Message("assistant", (ToolCall("", "f", "{}"),), extra={"function_call": {"name": "f", "arguments": "{}"}}),
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            id="function_call, the older form",
        ),
        pytest.param(
            Message("function", (Text("Sunny"),), name="f"),
            {"role": "function", "name": "f", "content": "Sunny"},
            id="a function's result",
        ),
        pytest.param(
            Message("tool", (Text("Sunny"),), tool_call_id="c", listed=True, extra={"cache_control": 1}),
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": [{"type": "text", "text": "Sunny"}],
                "cache_control": 1,
            },
            id="a result as a list",
        ),
        pytest.param(
            Message("assistant", (Text("Noon."),), extra={"reasoning_details": [{"type": "reasoning.text"}]}),
            {"role": "assistant", "content": "Noon."},
            id="seals that are not this vendor's stay here",
        ),
    ],
)
def test_a_message_is_written_as(made: Message, expected: Json) -> None:
    assert body(replace(ASK, messages=(made,)))["messages"] == [expected]


def test_rendering_changes_nothing_of_the_call() -> None:
    before = repr(EVERYTHING)
    body(EVERYTHING)
    assert repr(EVERYTHING) == before
    assert dict(NOTHING) == {}
