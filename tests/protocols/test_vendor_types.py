"""One request, every feature, every format: what we send is what the vendor's own types take, or is refused by name.

The table of refusals is written out, so that a change in what a vendor can express is seen here.
"""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import botocore.session
import cohere
import pytest
from anthropic.types import MessageCreateParams
from botocore.validate import ParamValidator
from google.genai import types as gemini
from mistralai.client.models import ChatCompletionRequest
from openai.types.chat.completion_create_params import CompletionCreateParams
from openai.types.responses.response_create_params import ResponseCreateParams
from pydantic import TypeAdapter

from weir.domain.errors import RequestInvalid
from weir.http.chat_request import ChatParams, to_call
from weir.http.validation import validated
from weir.providers.registry import Registry

REGISTRY = Registry.from_environ(
    {
        "AWS_ACCESS_KEY_ID": "canary",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "VERTEX_PROJECT": "project",
        **{
            f"{name}_API_KEY": "canary"
            for name in ("OPENAI", "AZURE_OPENAI", "ANTHROPIC", "GEMINI", "VERTEX", "COHERE", "MISTRAL", "GROQ")
        },
    }
)
MODELS = {
    "openai": "openai/gpt-5",
    "azure": "azure/gpt-5",
    "responses": "openai/responses/gpt-5",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "vertex": "vertex/gemini-2.5-flash",
    "converse": "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "cohere/command-a-03-2025",
    "mistral": "mistral/mistral-large-latest",
}

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA}}
STRICT = {"type": "function", "function": {**WEATHER["function"], "strict": True}}  # type: ignore[dict-item]
CALLED = {
    "role": "assistant",
    "content": "Let me look.",
    "tool_calls": [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Chur"}'}},
    ],
}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


HI = {"role": "user", "content": "Hi"}
RESULTS = [{"role": "tool", "tool_call_id": id, "content": "Sunny"} for id in ("call_a", "call_b")]
SEEN = [
    {"role": "tool", "tool_call_id": "call_a", "content": [text("As seen"), image(f"data:image/png;base64,{PIXEL}")]},
    RESULTS[1],
]

FEATURES: Mapping[str, dict[str, Any]] = {
    "plain": {},
    "stream": {"stream": True, "stream_options": {"include_usage": True}},
    "system and developer": {
        "messages": [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, HI]
    },
    "multi-turn": {"messages": [HI, {"role": "assistant", "content": "Hello"}, HI, HI]},
    "image url": {"messages": [user(text("See"), image("https://example.com/a.png"))]},
    "image data": {"messages": [user(text("See"), image(f"data:image/png;base64,{PIXEL}"))]},
    "file data": {
        "messages": [
            user(
                text("Read"),
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
            )
        ]
    },
    "audio": {"messages": [user({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}})]},
    "tools": {"tools": [WEATHER]},
    "strict tool": {"tools": [STRICT]},
    "parallel off": {"tools": [WEATHER], "parallel_tool_calls": False},
    "tool choice none": {"tools": [WEATHER], "tool_choice": "none"},
    "tool choice auto": {"tools": [WEATHER], "tool_choice": "auto"},
    "tool choice required": {"tools": [WEATHER], "tool_choice": "required"},
    "tool choice named": {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    "tool results": {"tools": [WEATHER], "messages": [HI, CALLED, *RESULTS]},
    "tool result with image": {"tools": [WEATHER], "messages": [HI, CALLED, *SEEN]},
    "legacy functions": {
        "functions": [WEATHER["function"]],
        "function_call": {"name": "weather"},
        "messages": [
            HI,
            {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
            {"role": "function", "name": "weather", "content": "Sunny"},
        ],
    },
    "response format text": {"response_format": {"type": "text"}},
    "json object": {"response_format": {"type": "json_object"}},
    "json schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}}
    },
    "stop": {"stop": ["END", "STOP"]},
    "seed": {"seed": 7},
    "n": {"n": 2},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "penalties": {"frequency_penalty": 0.5, "presence_penalty": 0.5},
    "logit bias": {"logit_bias": {"50256": -100}},
    "max tokens": {"max_tokens": 2048},
    "max completion tokens": {"max_completion_tokens": 2048},
    "temperature and top_p": {"temperature": 0.5},
    "user": {"user": "u-1"},
    "effort": {"reasoning_effort": "low"},
    "reasoning": {"reasoning": {"effort": "high", "summary": True}},
    "nothing": {"n": 1, "frequency_penalty": 0, "presence_penalty": 0, "logprobs": False, "logit_bias": {}},
}

SAMPLING = {"seed", "n", "logit bias"}
REFUSED: Mapping[str, set[str]] = {
    "responses": SAMPLING | {"audio", "stop", "penalties"},
    "anthropic": SAMPLING | {"audio", "json object", "logprobs", "penalties"},
    "gemini": {"parallel off", "logit bias", "user"},
    "vertex": {"parallel off", "logit bias", "user"},
    "converse": SAMPLING | {"image url", "parallel off", "json object", "logprobs", "penalties", "user"},
    "cohere": {
        "audio",
        "file data",
        "tool result with image",
        "parallel off",
        "n",
        "logprobs",
        "logit bias",
        "user",
    },
    "mistral": {"logit bias", "user"},
}


@cache
def adapter(of: Any) -> TypeAdapter[Any]:
    return TypeAdapter(of)


def takes_chat(body: dict[str, Any]) -> None:
    adapter(CompletionCreateParams).validate_python(body)


def takes_azure(body: dict[str, Any]) -> None:
    takes_chat(body)


def takes_responses(body: dict[str, Any]) -> None:
    adapter(ResponseCreateParams).validate_python(body)


def takes_messages(body: dict[str, Any]) -> None:
    adapter(MessageCreateParams).validate_python(body)


def takes_gemini(body: dict[str, Any]) -> None:
    members = {
        "contents": list[gemini.Content],
        "systemInstruction": gemini.Content,
        "tools": list[gemini.Tool],
        "toolConfig": gemini.ToolConfig,
        "generationConfig": gemini.GenerationConfig,
    }
    assert body.keys() <= members.keys()
    for name, value in body.items():
        adapter(members[name]).validate_python(value)


def takes_converse(body: dict[str, Any]) -> None:
    model = botocore.session.Session().get_service_model("bedrock-runtime").operation_model("Converse")
    report = ParamValidator().validate({**in_bytes(body), "modelId": "m"}, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def in_bytes(value: Any) -> Any:
    """The wire's base64 as the SDK has it."""
    if isinstance(value, dict):
        return {
            k: base64.b64decode(v) if k == "bytes" and isinstance(v, str) else in_bytes(v) for k, v in value.items()
        }
    return [in_bytes(member) for member in value] if isinstance(value, list) else value


def takes_cohere(body: dict[str, Any]) -> None:
    adapter(list[cohere.ChatMessageV2]).validate_python(body["messages"])
    adapter(list[cohere.ToolV2]).validate_python(body.get("tools", []))


def takes_mistral(body: dict[str, Any]) -> None:
    adapter(ChatCompletionRequest).validate_python(body)
    assert body.keys() <= ChatCompletionRequest.model_fields.keys()


TAKES: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "openai": takes_chat,
    "azure": takes_azure,
    "responses": takes_responses,
    "anthropic": takes_messages,
    "gemini": takes_gemini,
    "vertex": takes_gemini,
    "converse": takes_converse,
    "cohere": takes_cohere,
    "mistral": takes_mistral,
}


@pytest.mark.parametrize("format", MODELS)
@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_reaches_the_vendor_in_its_own_types_or_is_refused_by_name(format: str, feature: str) -> None:
    target = REGISTRY.resolve(MODELS[format], {})
    params = validated(ChatParams, {"model": MODELS[format], "messages": [HI], **FEATURES[feature]})
    if feature in REFUSED.get(format, set()):
        with pytest.raises(RequestInvalid) as refused:
            target.protocol.render(to_call(params, target.model))
        assert refused.value.param
        return
    body = dict(target.protocol.render(to_call(params, target.model)).body)
    TAKES[format](body)
    if feature == "nothing":
        plain = validated(ChatParams, {"model": MODELS[format], "messages": [HI]})
        absent = {"n", "frequency_penalty", "presence_penalty", "logprobs", "logit_bias"}
        assert {k: v for k, v in body.items() if k not in absent} == target.protocol.render(
            to_call(plain, target.model)
        ).body
