"""Requests as callers send them: every parameter arrives, every mistake is named."""

import re
from typing import Any

import pytest

from weir.domain.chat import ChatCall, Message, Reasoning, ResponseFormat, Tool, ToolChoice, UnknownTool
from weir.domain.completion import Text
from weir.domain.errors import RequestInvalid
from weir.http.app import parse_json
from weir.http.chat_request import ChatCompletionBody, SerializedBody, to_call
from weir.http.validation import validated

Json = dict[str, Any]

MESSAGES = [{"role": "user", "content": "Hi"}]
HI = (Message("user", (Text("Hi"),)),)
SCHEMA = {"type": "object", "properties": {}}
NOW = {"type": "function", "function": {"name": "now"}}


def call(body: Json) -> ChatCall:
    request = validated(ChatCompletionBody, {"model": "m", "messages": MESSAGES, **body})
    return to_call(request, request.model or "", metadata=request.metadata)


def refusal(body: Any) -> tuple[str, str | None, str | None]:
    with pytest.raises(RequestInvalid) as refused:
        call(body)
    return str(refused.value), refused.value.param, refused.value.code


def test_a_plain_request() -> None:
    assert call({}) == ChatCall(model="m", messages=HI)


def test_every_parameter_reaches_the_call() -> None:
    assert call(
        {
            "stream": True,
            "stream_options": {"include_usage": True, "include_obfuscation": False},
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
                },
                {"type": "web_search", "x": 1},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": False,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "description": "d", "schema": SCHEMA, "strict": True},
            },
            "reasoning": {"effort": "low", "summary": True, "exclude": False},
            "max_tokens": 5,
            "max_completion_tokens": 6,
            "temperature": 0,
            "top_p": 0.5,
            "n": 2,
            "stop": ["a", "b"],
            "seed": 0,
            "logprobs": True,
            "top_logprobs": 3,
            "frequency_penalty": 0.1,
            "presence_penalty": -0.1,
            "logit_bias": {"50256": -100},
            "user": "u-1",
            "metadata": {"team": "a"},
            "service_tier": "flex",
            "store": False,
            "prompt_cache_key": "k",
            "extra_body": {"top_k": 5},
            "extra_headers": {"x-a": "b"},
        }
    ) == ChatCall(
        model="m",
        messages=HI,
        stream=True,
        include_usage=True,
        stream_options={"include_obfuscation": False},
        tools=(Tool("f", "d", SCHEMA, True), UnknownTool("web_search", {"type": "web_search", "x": 1})),
        tool_choice=ToolChoice("named", "f"),
        parallel_tool_calls=False,
        response_format=ResponseFormat("json_schema", SCHEMA, "answer", True, "d"),
        reasoning=Reasoning("low", True, {"exclude": False}),
        max_tokens=5,
        max_completion_tokens=6,
        temperature=0,
        top_p=0.5,
        n=2,
        stop=("a", "b"),
        seed=0,
        logprobs=True,
        top_logprobs=3,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        logit_bias={"50256": -100},
        user="u-1",
        metadata={"team": "a"},
        service_tier="flex",
        extra={"store": False, "prompt_cache_key": "k", "top_k": 5},
    )


def test_a_parameter_that_is_null_was_not_sent() -> None:
    names = ChatCompletionBody.model_fields.keys() - {"model", "messages"}
    assert call({**dict.fromkeys(names), "somebody_elses": None}) == ChatCall(model="m", messages=HI)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"stop": "END"}, {"stop": ("END",)}),
        ({"max_tokens": 24.0, "seed": 7.0, "n": 2.0}, {"max_tokens": 24, "seed": 7, "n": 2}),
        ({"stop": []}, {"stop": ()}),
        ({"reasoning_effort": "high"}, {"reasoning": Reasoning("high")}),
        ({"reasoning": {"summary": "auto"}, "reasoning_effort": "low"}, {"reasoning": Reasoning("low", True)}),
        ({"reasoning": {}}, {"reasoning": Reasoning()}),
        ({"tool_choice": "any"}, {"tool_choice": ToolChoice("required")}),
        ({"tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
        ({"tool_choice": {"name": "f"}}, {"tool_choice": ToolChoice("named", "f")}),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": []}},
            {"tool_choice": ToolChoice("other", fields={"type": "allowed_tools", "tools": []})},
        ),
        ({"tools": [{"function": {"name": "f"}}]}, {"tools": (Tool("f"),)}),
        (
            {"tools": [{**NOW, "cache_control": {"type": "x"}}]},
            {"tools": (Tool("now", extra={"cache_control": {"type": "x"}}),)},
        ),
        (
            {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
            {"tools": (Tool("f"),), "legacy_functions": True, "tool_choice": ToolChoice("named", "f")},
        ),
        ({"functions": [{"name": "f"}], "tools": [NOW], "function_call": "auto"}, {"tools": (Tool("now"),)}),
        ({"response_format": {"type": "json_object"}}, {"response_format": ResponseFormat("json_object")}),
        ({"fallback_models": ["x"], "thread_identifier": "t"}, {}),
        ({"session_id": 7, "application": "a", "intent": "i", "safe_mode": True}, {}),
    ],
)
def test_other_spellings_mean(body: Json, expected: Json) -> None:
    assert call(body) == ChatCall(**{"model": "m", "messages": HI, **expected})


@pytest.mark.parametrize("param", ["tools[0].function.name", "messages[0].role"])
def test_an_envelope_names_the_place_within_it(param: str) -> None:
    params = {"model": "m", "messages": MESSAGES, "tools": [{"function": {}}]}
    if param.startswith("messages"):
        params["messages"] = [{"role": "boss", "content": "x"}]
    request = validated(SerializedBody, {"params": params})
    with pytest.raises(RequestInvalid) as refused:
        to_call(request.params, "m", where="params.")
    assert refused.value.param == f"params.{param}"


WRONG_TYPES: list[tuple[str, Any]] = [
    ("model", 7),
    ("messages", "Hi"),
    ("messages[0]", ["Hi"]),
    ("stream", "yes"),
    ("stream", 1),
    ("stream_options", True),
    ("temperature", "0.5"),
    ("temperature", True),
    ("top_p", []),
    ("n", 1.5),
    ("n", 0),
    ("n", True),
    ("stop", 7),
    ("stop", [7]),
    ("seed", "7"),
    ("max_tokens", -1),
    ("max_tokens", 24.5),
    ("max_tokens", "5"),
    ("max_completion_tokens", 5.5),
    ("frequency_penalty", "0"),
    ("presence_penalty", {}),
    ("logit_bias", [1]),
    ("logit_bias", {"50256": "no"}),
    ("logprobs", "yes"),
    ("top_logprobs", -1),
    ("user", 7),
    ("service_tier", 7),
    ("tools", {}),
    ("tools[0]", [7]),
    ("tool_choice", 7),
    ("parallel_tool_calls", "no"),
    ("functions", {}),
    ("function_call", 7),
    ("response_format", "json"),
    ("reasoning", "high"),
    ("reasoning_effort", 7),
    ("extra_headers", []),
    ("extra_body", []),
    ("metadata", "a"),
    ("session_id", {}),
    ("application", 7),
    ("safe_mode", "yes"),
    ("drop_unsupported", 1),
]


@pytest.mark.parametrize(("param", "value"), WRONG_TYPES)
def test_a_value_of_the_wrong_type_is_refused_by_name(param: str, value: Any) -> None:
    message, named, _ = refusal({param.split("[")[0]: value})
    assert named is not None
    assert (re.split(r"[.\[]", named)[0], param in named or named in param) == (param.split("[")[0], True)
    assert f"'{named}'" in message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": None}, ("messages", "invalid_type")),
        ({"messages": []}, ("messages", "empty_array")),
        ({"stream_options": {"include_usage": True}}, ("stream_options", None)),
        ({"top_logprobs": 1}, ("top_logprobs", None)),
        ({"tool_choice": "sometimes"}, ("tool_choice", None)),
        ({"tool_choice": {}}, ("tool_choice", None)),
        ({"tools": [{"type": "function"}]}, ("tools[0].function.name", "missing_required_parameter")),
        ({"tools": [NOW, {"function": {"name": 7}}]}, ("tools[1].function.name", "missing_required_parameter")),
        ({"tools": [{"type": 7}]}, ("tools[0].type", None)),
        ({"tools": [{"function": {"name": "f", "parameters": "{}"}}]}, ("tools[0].function.parameters", None)),
        ({"tools": [{"function": {"name": "f", "description": 7}}]}, ("tools[0].function.description", None)),
        ({"tools": [{"function": {"name": "f", "strict": "yes"}}]}, ("tools[0].function.strict", None)),
        ({"functions": [{}]}, ("functions[0].name", "missing_required_parameter")),
        ({"functions": [{"name": "f"}], "function_call": {}}, ("function_call", None)),
        ({"response_format": {}}, ("response_format.type", None)),
        ({"response_format": {"type": "xml"}}, ("response_format.type", None)),
        ({"response_format": {"type": "json_schema"}}, ("response_format.json_schema", None)),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": "x"}}},
            ("response_format.json_schema.schema", None),
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": 7}}},
            ("response_format.json_schema.name", None),
        ),
        ({"reasoning": {"effort": 7}}, ("reasoning.effort", None)),
        ({"reasoning": {"summary": 7}}, ("reasoning.summary", None)),
        ({"session_id": "x" * 257}, ("session_id", None)),
        ({"model": "x" * 257}, ("model", "string_above_max_length")),
        ({"metadata": {"a": "x" * 4097}}, ("metadata.a", None)),
        ({"metadata": {"a": ["x" * 4097]}}, ("metadata.a", None)),
        ({"metadata": {"a" * 257: 1}}, (f"metadata.{'a' * 80}", None)),
        ({"metadata": {str(i): i for i in range(65)}}, ("metadata", None)),
    ],
)
def test_a_mistake_is_refused_by_name(body: Json, expected: tuple[str, str | None]) -> None:
    assert refusal(body)[1:] == expected


@pytest.mark.parametrize("body", [None, [], "hello", 7])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(RequestInvalid, match="must be a JSON object"):
        validated(ChatCompletionBody, body)


def test_messages_are_required() -> None:
    with pytest.raises(RequestInvalid, match="'messages' is required") as refused:
        validated(ChatCompletionBody, {"model": "m"})
    assert (refused.value.param, refused.value.code) == ("messages", "missing_required_parameter")


@pytest.mark.parametrize("raw", [b"", b"{", b'{"temperature": NaN}', b'{"temperature": 1e999}', b'{"a": "\xff"}'])
def test_a_body_that_is_not_json_is_refused_without_repeating_it(raw: bytes) -> None:
    with pytest.raises(RequestInvalid, match="The request body is not valid JSON: ") as refused:
        parse_json(raw)
    assert (refused.value.code, "temperature" in str(refused.value)) == ("invalid_json", False)
