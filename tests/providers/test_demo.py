"""`demo/echo`, through the real client."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from weir.domain.chat import ChatCall, Message, ResponseFormat, Tool, ToolChoice
from weir.domain.completion import Completion, Text, ToolCall, Usage
from weir.domain.events import StreamEvent, collect
from weir.providers.client import Exchange, ProviderClient
from weir.providers.demo import DemoTransport
from weir.providers.registry import Registry

SAID = "This is Weir's demo, no model was called. You said: Good morning"
HI = ChatCall(model="echo", messages=(Message("user", (Text("Good morning"),)),))
WEATHER = Tool(
    "weather",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "minimum": 2},
            "unit": {"enum": ["c", "f"]},
            "at": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "tags": {"type": "array", "items": {"type": "boolean"}},
            "kind": {"const": "forecast"},
            "place": {"$ref": "#/$defs/place"},
            "size": {"type": ["number", "null"]},
        },
        "$defs": {"place": {"properties": {"name": {"type": "string"}}}},
    },
)


def both(call: ChatCall) -> Completion:
    """The whole answer, which the stream must equal."""

    async def ask() -> tuple[Completion, list[StreamEvent]]:
        client, target = ProviderClient(DemoTransport()), Registry.from_environ({}).resolve("demo/echo", {})
        whole = await client.complete(target, call, Exchange())
        events: list[StreamEvent] = []
        async with client.stream(target, replace(call, stream=True), Exchange()) as pieces:
            async for piece in pieces:
                events += piece
        return whole, events

    whole, events = asyncio.run(ask())
    assert collect(events) == whole
    return whole


def test_it_repeats_what_was_said_and_says_that_it_is_a_demo() -> None:
    answer = both(HI)
    (choice,) = answer.choices
    assert (choice.parts, choice.reason, answer.model) == ((Text(SAID),), "stop", "echo")
    assert answer.usage == Usage(2, 12)


def test_it_answers_as_often_as_it_is_asked() -> None:
    assert [(c.index, c.text) for c in both(replace(HI, n=3)).choices] == [(at, SAID) for at in range(3)]


def test_it_calls_a_tool_with_arguments_that_fit() -> None:
    (choice,) = both(replace(HI, tools=(Tool("now"), WEATHER), tool_choice=ToolChoice("named", "weather"))).choices
    (call,) = choice.tool_calls
    assert (call.id, call.name, choice.reason) == ("call_demo_0", "weather", "tool_calls")
    assert json.loads(call.arguments) == {
        "city": "demo",
        "days": 2,
        "unit": "c",
        "at": None,
        "tags": [True],
        "kind": "forecast",
        "place": {"name": "demo"},
        "size": 1,
    }


def test_it_calls_the_first_tool_unless_it_may_not_or_has_the_result() -> None:
    tools = replace(HI, tools=(Tool("now"), WEATHER))
    assert both(tools).choices[0].parts == (ToolCall("call_demo_0", "now", "{}"),)
    assert both(replace(tools, tool_choice=ToolChoice("none"))).choices[0].text == SAID
    result = (*HI.messages, Message("tool", (Text("Noon"),), tool_call_id="call_demo_0"))
    assert both(replace(tools, messages=result)).choices[0].text.endswith("You said: Noon")


@pytest.mark.parametrize(
    ("format", "said"),
    [
        (ResponseFormat("json_object"), {"demo": True, "echo": "Good morning"}),
        (ResponseFormat("json_schema", {"type": "object", "properties": {"n": {"type": "number"}}}), {"n": 1}),
        (ResponseFormat("json_schema", {}), "demo"),
        (ResponseFormat("json_schema"), "demo"),
    ],
)
def test_it_answers_in_the_format_asked_for(format: ResponseFormat, said: Any) -> None:
    assert json.loads(both(replace(HI, response_format=format)).choices[0].text) == said


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://e.example/schema.json"},
        {"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"},
        {"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
        {"type": []},
        {"properties": {"anything": True}},
        {"type": "array", "items": True},
        {"enum": 7},
        {"anyOf": {}},
        {"anyOf": [True]},
        {"properties": []},
    ],
)
def test_a_schema_that_it_cannot_follow_does_not_break_it(schema: dict[str, Any]) -> None:
    both(replace(HI, response_format=ResponseFormat("json_schema", schema)))


def test_it_gives_logprobs() -> None:
    (choice,) = both(replace(HI, logprobs=True, top_logprobs=1)).choices
    assert choice.logprobs is not None
    assert "".join(entry["token"] for entry in choice.logprobs["content"]) == SAID
    assert [len(entry["top_logprobs"]) for entry in choice.logprobs["content"]] == [1] * 12
