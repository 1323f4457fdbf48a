"""What a call becomes on Anthropic's wire, whole bodies at a time."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

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
from weir.domain.completion import Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols.anthropic_messages import ANTHROPIC, BEDROCK, AnthropicDialect, AnthropicMessages, vertex
from weir.protocols.anthropic_models import MODELS, UNKNOWN_MODEL, facts_of
from weir.protocols.base import WireRequest

NEW, BUDGET, OLD = "claude-opus-4-8", "claude-haiku-4-5-20251001", "claude-3-haiku-20240307"
HELLO = (Message("user", (Text("hello"),)),)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather", "The weather in a city", SCHEMA)
MARK = {"cache_control": {"type": "ephemeral"}}


def render(dialect: AnthropicDialect = ANTHROPIC, **fields: Any) -> WireRequest:
    return AnthropicMessages(dialect).render(
        ChatCall(**{"model": BUDGET, "messages": HELLO, "max_tokens": 100, **fields})
    )


def body(dialect: AnthropicDialect = ANTHROPIC, **fields: Any) -> dict[str, Any]:
    """What is sent beyond the plain hello."""
    sent = dict(render(dialect, **fields).body)
    plain = {"model": BUDGET, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}
    return {name: value for name, value in sent.items() if name not in plain or value != plain[name]}


def turns(*messages: Message, **fields: Any) -> Any:
    return render(messages=messages, **fields).body["messages"]


def content(*parts: Part, **fields: Any) -> Any:
    return turns(Message("user", parts, listed=True), **fields)[0]["content"]


def refusal(**fields: Any) -> str | None:
    with pytest.raises(RequestInvalid) as caught:
        render(**fields)
    return caught.value.param


def test_a_plain_call_on_every_platform() -> None:
    said = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}
    assert render() == WireRequest("/v1/messages", {"model": BUDGET, **said}, {"anthropic-version": "2023-06-01"})
    assert render(vertex("my project", "us-east5"), model="claude-haiku-4-5@20251001") == WireRequest(
        "/v1/projects/my%20project/locations/us-east5/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict",
        {"anthropic_version": "vertex-2023-10-16", **said},
    )
    assert render(BEDROCK, model="us.anthropic.claude-haiku-4-5-20251001-v1:0") == WireRequest(
        "/model/us.anthropic.claude-haiku-4-5-20251001-v1:0/invoke",
        {"anthropic_version": "bedrock-2023-05-31", **said},
    )


def test_a_stream_is_asked_for_in_the_way_of_the_platform() -> None:
    asked = [render(dialect, stream=True) for dialect in (ANTHROPIC, vertex("p", "global"), BEDROCK)]
    assert [(r.path.rpartition("/")[2], r.body.get("stream")) for r in asked] == [
        ("messages", True),
        (f"{BUDGET}:streamRawPredict", True),
        ("invoke-with-response-stream", None),
    ]


@pytest.mark.parametrize("model", ["", ".", ".."])
def test_a_model_name_cannot_lead_to_another_path(model: str) -> None:
    assert refusal(dialect=BEDROCK, model=model) == "model"
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/../x?y"
    assert render(BEDROCK, model=arn).path == (
        "/model/arn:aws:bedrock:us-east-1:1:inference-profile%2F..%2Fx%3Fy/invoke"
    )


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"stop": ("END", "\n\n")}, {"stop_sequences": ["END", "\n\n"]}),
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"temperature": 0.0, "top_p": 1.0}, {"temperature": 0.0}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"model": NEW, "temperature": 1.0, "top_p": 1.0}, {"model": NEW}),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"max_tokens": None, "max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"metadata": {"team": "blue"}}, {}),
        ({"response_format": ResponseFormat("text")}, {}),
        ({"extra": {"top_k": 5, "container": "c-1", "speed": "fast", **MARK}},
         {"top_k": 5, "container": "c-1", "speed": "fast", **MARK}),
        ({"extra": {"output_config": {"effort": "low"}}}, {"output_config": {"effort": "low"}}),
        ({"extra": {"store": False, "modalities": ["text"], "prediction": None, "web_search_options": {}}}, {}),
        ({"n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logprobs": False, "top_logprobs": 0,
          "logit_bias": {}}, {}),
    ],
)  # fmt: skip
def test_a_parameter_has_its_equivalent_or_means_nothing(fields: dict[str, Any], sent: dict[str, Any]) -> None:
    assert body(**fields) == sent


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"seed": 0}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"presence_penalty": -0.1}, "presence_penalty"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"temperature": 1.5}, "temperature"),
        ({"temperature": 0.5, "top_p": 0.5}, "top_p"),
        ({"model": NEW, "temperature": 0.5}, "temperature"),
        ({"model": NEW, "top_p": 0.5}, "top_p"),
        ({"model": NEW, "extra": {"top_k": 5}}, "top_k"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"service_tier": "default", "dialect": BEDROCK}, "service_tier"),
        ({"response_format": ResponseFormat("json_object")}, "response_format"),
        ({"model": OLD, "response_format": ResponseFormat("json_schema", SCHEMA)}, "response_format"),
        ({"response_format": ResponseFormat("json_schema")}, "response_format"),
        ({"extra": {"prediction": {"type": "content"}}}, "prediction"),
        ({"tools": (UnknownTool("custom", {"type": "custom", "custom": {"name": "x"}}),)}, "tools[0]"),
        ({"model": OLD, "tools": (Tool("t", strict=True),)}, "tools[0].function.strict"),
        ({"tools": (Tool("t", extra={"colour": "red"}),)}, "tools[0].colour"),
        ({"tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"tools": (WEATHER,), "tool_choice": ToolChoice("other", fields={"type": "allowed_tools"})}, "tool_choice"),
        ({"model": "claude-opus-5-5", "tools": (WEATHER,), "tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"messages": (Message("user", (Text("hi"),), name="bob"),)}, "messages[0].name"),
        ({"messages": (Message("user", (Text("hi"),), extra={"colour": "red"}),)}, "messages[0].colour"),
        ({"messages": (Message("tool", (Text("hi"),)),)}, "messages[0].tool_call_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields) == param


def test_what_cannot_be_expressed_is_left_out_where_the_caller_asks_for_that() -> None:
    sent = render(
        seed=7,
        temperature=0.4,
        reasoning=Reasoning("low"),
        tools=(WEATHER, UnknownTool("web_search", {"type": "web_search"})),
        tool_choice=ToolChoice("named", "weather"),
        extra={"verbosity": "low", "top_k": 3},
        drop_unsupported=True,
    )
    assert sent.dropped == ("tools[1]", "tool_choice", "temperature", "top_k", "seed", "verbosity")
    assert {name: sent.body[name] for name in sent.body if name not in ("messages", "model", "tools")} == {
        "max_tokens": 2148,
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }


def test_betas_are_a_header_or_stand_in_the_body() -> None:
    extra = {"betas": ["a-1", "b-2"], "mcp_servers": [{"type": "url", "name": "m", "url": "https://mcp.example"}]}
    sent = render(extra=extra)
    assert sent.headers == {"anthropic-version": "2023-06-01", "anthropic-beta": "a-1,b-2"}
    assert sent.body["mcp_servers"] == extra["mcp_servers"]
    assert body(BEDROCK, extra={"betas": ["a-1"]}) == {
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["a-1"],
    }


@pytest.mark.parametrize(
    ("model", "limit"),
    [(OLD, 4096), ("claude-sonnet-4-0", 8192), (BUDGET, 64_000), (NEW, 128_000), ("claude-opus-9", 32_000)],
)
def test_without_a_limit_the_model_may_write_what_it_can(model: str, limit: int) -> None:
    assert render(model=model, max_tokens=None).body["max_tokens"] == limit
    assert render(BEDROCK, model=f"us.anthropic.{model}", max_tokens=None).body["max_tokens"] == min(limit, 16_384)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("claude-3-7-sonnet@20250219", "claude-3-7-sonnet"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("us.anthropic.claude-opus-4-6-v1", "claude-opus-4-6"),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", "claude-3-5-sonnet"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-5", "claude-sonnet-5"),
        ("anthropic.claude-v2:1", "claude"),
    ],
)
def test_a_model_is_known_under_every_platforms_name(name: str, row: str) -> None:
    assert facts_of(name) is MODELS[row]


@pytest.mark.parametrize("name", ["claude-opus-4-9", "claude-opus-41", "kimi-k2"])
def test_a_model_without_a_row_is_not_taken_for_its_neighbour(name: str) -> None:
    assert facts_of(name) is UNKNOWN_MODEL


def test_system_and_developer_texts_stand_apart_in_their_order() -> None:
    sent = render(
        messages=(
            Message("system", (Text("Be brief."),)),
            Message("developer", (Text("Answer in French.", MARK),)),
            *HELLO,
            Message("system", (Text("Now be rude."),), extra=MARK),
        )
    )
    assert sent.body["system"] == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "Answer in French.", **MARK},
        {"type": "text", "text": "Now be rude.", **MARK},
    ]
    assert sent.body["messages"] == [{"role": "user", "content": "hello"}]
    assert body(messages=(Message("system", (Text("Be brief."),)), *HELLO)) == {"system": "Be brief."}


def test_turns_of_one_side_become_one_and_results_come_first() -> None:
    assert turns(
        Message("user", (Text("a"),)),
        Message("user", (Text("b"),)),
        Message("assistant", (Text("c"),)),
        Message("assistant", (ToolCall("t1", "weather", '{"city": "Oslo"}'), ToolCall("t2", "clock", ""))),
        Message("user", (Text("wait"),)),
        Message("tool", (Text("12 °C"),), tool_call_id="t1"),
        Message("tool", (Text("broken"),), tool_call_id="t2", extra={"is_error": True, **MARK}),
        Message("user", (Text("and?"),)),
    ) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "c"},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo"}},
                {"type": "tool_use", "id": "t2", "name": "clock", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "12 °C"},
                {"type": "tool_result", "tool_use_id": "t2", "content": "broken", "is_error": True, **MARK},
                {"type": "text", "text": "wait"},
                {"type": "text", "text": "and?"},
            ],
        },
    ]


def test_a_tool_loop_of_several_turns() -> None:
    loop = turns(
        *HELLO,
        Message("assistant", (Thinking("hm", "s1", provider="anthropic"), ToolCall("t1", "weather", "{}"))),
        Message("tool", (Text("cold"),), tool_call_id="t1"),
        Message("assistant", (Thinking("", "s2", True, provider="anthropic"), ToolCall("t2", "weather", "{}"))),
        Message("tool", (Media("image", content="aGk=", media_type="image/png"),), tool_call_id="t2", listed=True),
        Message("assistant", (Text("It is cold."),)),
    )
    assert loop[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s1"},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "cold"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "redacted_thinking", "data": "s2"},
                {"type": "tool_use", "id": "t2", "name": "weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t2",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                        }
                    ],
                }
            ],
        },
        {"role": "assistant", "content": "It is cold."},
    ]


def test_the_deprecated_functions_are_answered_by_name() -> None:
    call = ToolCall("", "weather", "{}")
    assert turns(
        *HELLO,
        Message("assistant", (call,), extra={"function_call": {"name": "weather", "arguments": "{}"}}),
        Message("function", (Text("cold"),), name="weather"),
    )[1:] == [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1_0", "name": "weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1_0", "content": "cold"}]},
    ]


def test_ids_of_other_vendors_are_spelled_as_the_api_takes_them() -> None:
    sent = turns(
        *HELLO,
        Message("assistant", (ToolCall("functions.weather:0", "weather", "{}"),)),
        Message("tool", (Text("cold"),), tool_call_id="functions.weather:0"),
    )
    assert sent[1]["content"][0]["id"] == sent[2]["content"][0]["tool_use_id"] == "functions_weather_0"


@pytest.mark.parametrize("arguments", ['{"city": "Os', "[1]", '"text"', "NaN"])
def test_broken_arguments_are_shown_to_the_model_as_such(arguments: str) -> None:
    sent = turns(*HELLO, Message("assistant", (ToolCall("t", "weather", arguments),)))
    assert sent[1]["content"][0]["input"] == {"INVALID_JSON": arguments}


def test_thinking_begins_its_turn_and_foreign_thinking_stays_out() -> None:
    assert turns(
        *HELLO,
        Message(
            "assistant",
            (
                Text("Let me see."),
                Thinking("unsigned"),
                Thinking("of another", "seal", provider="gemini"),
                Thinking("mine", "sig", provider="anthropic"),
                Thinking("by way of OpenRouter", "sig2", provider="anthropic-claude-v1"),
                ToolCall("t", "weather", "{}"),
            ),
        ),
    )[1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "sig"},
        {"type": "thinking", "thinking": "by way of OpenRouter", "signature": "sig2"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "t", "name": "weather", "input": {}},
    ]


def test_interleaved_thinking_keeps_its_places() -> None:
    first, second = (Thinking(text, "sig", provider="anthropic") for text in "ab")
    sent = turns(*HELLO, Message("assistant", (first, Text("one"), second, ToolCall("t", "weather", "{}"))))
    assert [block["type"] for block in sent[1]["content"]] == ["thinking", "text", "thinking", "tool_use"]


def test_blocks_of_server_tools_are_given_back_before_the_text() -> None:
    use = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []}
    message = Message(
        "assistant",
        (Thinking("hm", "sig", provider="anthropic"), Text("Found.")),
        extra={"content_blocks": [use, found], "annotations": [{"type": "url_citation"}], "reasoning_details": [{}]},
    )
    assert turns(*HELLO, message)[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        use,
        found,
        {"type": "text", "text": "Found."},
    ]
    bad = Message("assistant", (Text("x"),), extra={"content_blocks": [{"kind": "shell"}]})
    assert refusal(messages=(*HELLO, bad)) == "messages[1].content_blocks"


def test_an_empty_text_says_nothing() -> None:
    assert turns(*HELLO, Message("assistant", (Text(""),)), Message("user", (Text(""), Text("well?")))) == [
        {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "well?"}]}
    ]


def test_a_models_refusal_is_given_back_as_its_words() -> None:
    assert turns(*HELLO, Message("assistant", (Refusal("I won't."),)))[1]["content"] == "I won't."


PDF = base64.b64encode(b"%PDF-1.4 ...").decode()
NOTE = base64.b64encode("naïve".encode()).decode()


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Media("image", "https://img.example/a.png", extra={"inner": {"detail": "auto"}, **MARK}),
            {"type": "image", "source": {"type": "url", "url": "https://img.example/a.png"}, **MARK},
        ),
        (
            Media("image", content="aGk=", media_type="image/jpg"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}},
        ),
        (
            Media("file", file_id="file_1", extra={"citations": {"enabled": True}}),
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "citations": {"enabled": True}},
        ),
        (
            Media("file", "https://docs.example/a.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://docs.example/a.pdf"}},
        ),
        (
            Media("file", content=PDF, name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            Media("file", content=NOTE, media_type="text/markdown"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "naïve"}},
        ),
        (
            Media("file", content="aGk=", media_type="image/webp"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "aGk="}},
        ),
        (
            Unknown("search_result", {"type": "search_result", "title": "t", "source": "s", "content": []}),
            {"type": "search_result", "title": "t", "source": "s", "content": []},
        ),
    ],
)
def test_a_part_becomes_its_block(part: Part, block: dict[str, Any]) -> None:
    assert content(part) == [block]


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", content="aGk=", media_type="audio/wav"),
        Media("video", "https://v.example/a.mp4"),
        Media("image", content="aGk=", media_type="image/bmp"),
        Media("image", content="aGk="),
        Media("file", content="aGk=", media_type="application/zip"),
        Media("file", content="!", media_type="text/plain"),
        Media("image"),
        Unknown("input_video", {}),
        Thinking("hm"),
        ToolCall("t", "weather", "{}"),
    ],
)
def test_a_part_that_cannot_be_expressed_is_refused_even_where_parameters_may_be_dropped(part: Part) -> None:
    assert refusal(messages=(Message("user", (Text("x"), part)),), drop_unsupported=True) == "messages[0].content[1]"


def test_the_clouds_do_not_fetch_addresses() -> None:
    picture = (Message("user", (Media("image", "https://img.example/a.png"),)),)
    assert refusal(messages=picture, dialect=BEDROCK) == "messages[0].content[0]"
    assert refusal(messages=picture, dialect=vertex("p", "l")) == "messages[0].content[0]"


def test_a_system_text_is_only_text() -> None:
    assert refusal(messages=(Message("system", (Media("image", "https://x.example"),)),)) == "messages[0].content[0]"


def test_fields_of_parts_without_an_equivalent_are_refused() -> None:
    detailed = Media("image", "https://x.example", extra={"inner": {"detail": "low"}})
    assert refusal(messages=(Message("user", (detailed,)),)) == "messages[0].content[0].detail"


def test_tools_in_either_form() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    assert body(
        tools=(
            Tool("weather", "The weather in a city", SCHEMA, True, MARK),
            Tool("now"),
            Tool("loose", parameters={"properties": {"a": {}}}, strict=False),
            UnknownTool("web_search_20250305", search),
        )
    ) == {
        "tools": [
            {
                "name": "weather",
                "description": "The weather in a city",
                "input_schema": SCHEMA,
                "strict": True,
                **MARK,
            },
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
            {"name": "loose", "input_schema": {"type": "object", "properties": {"a": {}}}},
            search,
        ]
    }


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("auto"), True, {"type": "auto"}),
        (ToolChoice("required"), None, {"type": "any"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("named", "weather"), None, {"type": "tool", "name": "weather"}),
        (ToolChoice("other", fields={"type": "any"}), None, {"type": "any"}),
    ],
)
def test_the_choice_of_tools(choice: ToolChoice | None, parallel: bool | None, sent: dict[str, Any] | None) -> None:
    assert body(tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=parallel).get("tool_choice") == sent


def test_without_tools_there_is_nothing_to_choose() -> None:
    assert body(tool_choice=ToolChoice("auto"), parallel_tool_calls=False) == {}


def test_a_schema_for_the_answer() -> None:
    format = ResponseFormat("json_schema", SCHEMA, "place", True, "Where")
    assert body(response_format=format, extra={"output_config": {"task_budget": 5}}) == {
        "output_config": {
            "format": {"type": "json_schema", "schema": {**SCHEMA, "description": "Where"}},
            "task_budget": 5,
        }
    }


@pytest.mark.parametrize(
    ("model", "reasoning", "sent"),
    [
        (BUDGET, Reasoning("minimal"), {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (BUDGET, Reasoning("high", True), {"thinking": {"type": "enabled", "budget_tokens": 16_384}}),
        (BUDGET, Reasoning(None, True), {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        (BUDGET, Reasoning(extra={"max_tokens": 3000}), {"thinking": {"type": "enabled", "budget_tokens": 3000}}),
        (BUDGET, Reasoning("none"), {"thinking": {"type": "disabled"}}),
        (BUDGET, Reasoning("high", extra={"enabled": False}), {"thinking": {"type": "disabled"}}),
        (BUDGET, Reasoning(), {}),
        (OLD, Reasoning("none"), {}),
        ("claude-opus-4-6", Reasoning("xhigh", True),
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        (NEW, Reasoning("minimal"), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        (NEW, Reasoning("xhigh", True),
         {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}}),
        (NEW, Reasoning(summary=True), {"thinking": {"type": "adaptive", "display": "summarized"}}),
        (NEW, Reasoning("none"), {"thinking": {"type": "disabled"}}),
        ("claude-sonnet-5-5", Reasoning("none"), {"thinking": {"type": "between_tools"}}),
    ],
)  # fmt: skip
def test_effort_in_the_terms_of_the_model(model: str, reasoning: Reasoning, sent: dict[str, Any]) -> None:
    got = body(model=model, reasoning=reasoning, max_tokens=60_000)
    assert {name: got[name] for name in ("thinking", "output_config") if name in got} == sent


@pytest.mark.parametrize(
    ("model", "reasoning", "param"),
    [
        (OLD, Reasoning("low"), "reasoning"),
        (BUDGET, Reasoning("gigantic"), "reasoning.effort"),
        ("claude-opus-4-1", Reasoning("xhigh"), "reasoning.effort"),
        (BUDGET, Reasoning(extra={"max_tokens": 64_000}), "reasoning.max_tokens"),
        (NEW, Reasoning(extra={"max_tokens": 3000}), "reasoning.max_tokens"),
        (NEW, Reasoning("gigantic"), "reasoning.effort"),
        (NEW, Reasoning("low", extra={"exclude": True}), "reasoning.exclude"),
        ("claude-fable-5", Reasoning("none"), "reasoning.effort"),
    ],
)
def test_effort_that_the_model_does_not_take_is_refused(model: str, reasoning: Reasoning, param: str) -> None:
    assert refusal(model=model, reasoning=reasoning) == param


@pytest.mark.parametrize(
    ("limit", "sent"), [(100, 16_484), (16_384, 32_768), (16_385, 16_385), (20_000, 20_000), (None, 64_000)]
)
def test_the_limit_is_raised_so_that_the_budget_fits_below_it(limit: int | None, sent: int) -> None:
    assert render(reasoning=Reasoning("high"), max_tokens=limit).body["max_tokens"] == sent


def test_the_raised_limit_stays_within_the_model() -> None:
    raised = render(model="claude-opus-4-1", reasoning=Reasoning("high"), max_tokens=16_000).body
    assert (raised["max_tokens"], raised["thinking"]["budget_tokens"]) == (32_000, 16_384)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 0.5}, "temperature"),
        ({"top_p": 0.5}, "top_p"),
        ({"extra": {"top_k": 5}}, "top_k"),
        ({"tools": (WEATHER,), "tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"tools": (WEATHER,), "tool_choice": ToolChoice("named", "weather")}, "tool_choice"),
    ],
)
def test_thinking_forbids_what_would_steer_the_answer(fields: dict[str, Any], param: str) -> None:
    assert refusal(reasoning=Reasoning("low"), **fields) == param


def test_thinking_allows_the_defaults_and_adaptive_thinking_a_forced_call() -> None:
    assert "temperature" not in body(reasoning=Reasoning("low"), temperature=1)
    assert body(reasoning=Reasoning("low"), top_p=0.97)["top_p"] == 0.97
    forced = body(model=NEW, reasoning=Reasoning("low"), tools=(WEATHER,), tool_choice=ToolChoice("required"))
    assert forced["tool_choice"] == {"type": "any"}


def test_the_callers_own_thinking_wins() -> None:
    own = {"type": "enabled", "budget_tokens": 2000}
    assert body(extra={"thinking": own}, reasoning=Reasoning("high"), max_tokens=4000) == {
        "thinking": own,
        "max_tokens": 4000,
    }


def _eager(schema: Any) -> Any:
    """pydantic checks an Iterable only when it is walked: read it as a list."""
    if isinstance(schema, list | tuple):
        return type(schema)(_eager(item) for item in schema)
    if not isinstance(schema, Mapping):
        return schema
    read = {k: v if k == "metadata" else _eager(v) for k, v in schema.items() if k != "serialization"}
    return {**read, "type": "list"} if read.get("type") == "generator" else read


def test_requests_are_of_the_vendors_own_type() -> None:
    types = pytest.importorskip("anthropic.types")
    check = SchemaValidator(_eager(TypeAdapter(types.MessageCreateParams).core_schema))
    parts: list[Part] = [
        Text("look", MARK),
        Media("image", "https://img.example/a.png"),
        Media("image", content="aGk=", media_type="image/png"),
        Media("file", content=PDF, name="a.pdf"),
        Media("file", content=NOTE, media_type="text/plain"),
    ]
    conversation = (
        Message("system", (Text("Be brief.", MARK),)),
        Message("user", tuple(parts), listed=True),
        Message(
            "assistant",
            (Thinking("hm", "sig", provider="anthropic"), Text("ok"), ToolCall("t1", "weather", '{"city": "Oslo"}')),
        ),
        Message("tool", (Text("cold"), parts[2]), tool_call_id="t1", listed=True, extra={"is_error": False}),
    )
    for model in (OLD, BUDGET, NEW):
        facts = facts_of(model)
        sent = render(
            model=model,
            messages=conversation,
            tools=(WEATHER, UnknownTool("web_search_20250305", {"type": "web_search_20250305", "name": "web_search"})),
            tool_choice=ToolChoice("auto"),
            parallel_tool_calls=False,
            reasoning=Reasoning("high", True) if facts.thinking != "none" else None,
            response_format=ResponseFormat("json_schema", SCHEMA) if facts.structured else None,
            stop=("END",),
            user="u-1",
            service_tier="auto",
            stream=True,
        )
        check.validate_python(dict(sent.body))
