"""What a caller is told of a wrong member: what it must be, never what it was."""

from typing import Any

import pytest
from pydantic import BaseModel

from weir.domain.errors import RequestInvalid
from weir.http.chat_request import ChatCompletionBody
from weir.http.embedding_request import EmbeddingBody
from weir.http.limits import LimitBody, LimitChangeBody
from weir.http.maitai_config import ConfigBody
from weir.http.routing import RoutingBody
from weir.http.validation import validated

MESSAGES = [{"role": "user", "content": "Hi"}]
CHAT = {"messages": MESSAGES}
LIMIT = {"per": "key", "measure": "requests_per_minute"}
LONG = "canary" * 100


@pytest.mark.parametrize(
    ("model", "body", "message", "param", "code"),
    [
        (ChatCompletionBody, {}, "'messages' is required.", "messages", "missing_required_parameter"),
        (ChatCompletionBody, {"messages": "Hi"}, "'messages' must be an array.", "messages", "invalid_type"),
        (ChatCompletionBody, {"messages": []}, "'messages' must hold at least 1 element.", "messages", "empty_array"),
        (ChatCompletionBody, CHAT | {"n": 0}, "'n' must be at least 1.", "n", "integer_below_min_value"),
        (ChatCompletionBody, CHAT | {"n": 129}, "'n' must be at most 128.", "n", "integer_above_max_value"),
        (ChatCompletionBody, CHAT | {"n": 1.5}, "'n' must be a whole number.", "n", "invalid_type"),
        (ChatCompletionBody, CHAT | {"n": "2"}, "'n' must be a whole number.", "n", "invalid_type"),
        (
            ConfigBody,
            {"temperature": 2.5},
            "'temperature' must be at most 2.",
            "temperature",
            "decimal_above_max_value",
        ),
        (
            ConfigBody,
            {"presence_penalty": -2.5},
            "'presence_penalty' must be at least -2.",
            "presence_penalty",
            "decimal_below_min_value",
        ),
        (ChatCompletionBody, CHAT | {"top_p": "high"}, "'top_p' must be a number.", "top_p", "invalid_type"),
        (ChatCompletionBody, CHAT | {"stream": "yes"}, "'stream' must be true or false.", "stream", "invalid_type"),
        (
            ChatCompletionBody,
            CHAT | {"model": LONG},
            "'model' must be at most 256 characters long.",
            "model",
            "string_above_max_length",
        ),
        (
            EmbeddingBody,
            {"input": "a", "encoding_format": "int8"},
            "'encoding_format' must be one of 'float' or 'base64'.",
            "encoding_format",
            "invalid_value",
        ),
        (RoutingBody, {"retry_params": "often"}, "'retry_params' must be an object.", "retry_params", "invalid_type"),
        (
            RoutingBody,
            {"fallback_models": ["m"] * 1000},
            "'fallback_models' must hold at most 10 elements.",
            "fallback_models",
            "array_above_max_length",
        ),
        (
            RoutingBody,
            {"load_balance_models": [{"model": "m", "weight": 0}]},
            "'load_balance_models[0].weight' must be above 0.",
            "load_balance_models[0].weight",
            "integer_below_min_value",
        ),
        (
            RoutingBody,
            {"load_balance_models": [{"model": "m", "weight": float("inf")}]},
            "'load_balance_models[0].weight' must be a finite number.",
            "load_balance_models[0].weight",
            "invalid_value",
        ),
        (ChatCompletionBody, CHAT | {"stop": 5}, "'stop' must be a text or an array.", "stop", "invalid_type"),
        (ChatCompletionBody, CHAT | {"stop": ["a", 5]}, "'stop[1]' must be a text.", "stop[1]", "invalid_type"),
        (
            ChatCompletionBody,
            CHAT | {"tool_choice": 5},
            "'tool_choice' must be a text or an object.",
            "tool_choice",
            "invalid_type",
        ),
        (
            ChatCompletionBody,
            CHAT | {"session_id": 1.5},
            "'session_id' must be a text or a whole number.",
            "session_id",
            "invalid_type",
        ),
        (
            ChatCompletionBody,
            CHAT | {"logit_bias": {"50256": "never"}},
            "'logit_bias.50256' must be a number.",
            "logit_bias.50256",
            "invalid_type",
        ),
        (LimitBody, LIMIT | {"limit": True}, "'limit' must be a text or a number.", "limit", "invalid_type"),
        (LimitChangeBody, {"limits": 5}, "'limits' is not known here.", "limits", "unknown_parameter"),
        (
            ConfigBody,
            {"response_format": "xml"},
            "'response_format' must be one of 'text' or 'json_object' or an object.",
            "response_format",
            "invalid_value",
        ),
        (LimitBody, LIMIT | {LONG: 5}, "A member of the body is not known here.", None, "unknown_parameter"),
        (LimitBody, LIMIT | {"name": ""}, "'name' must not be empty.", "name", "empty_string"),
        (ConfigBody, {"metadata": "shop"}, "'metadata' must be an object.", "metadata", "invalid_type"),
    ],
)
def test_a_wrong_member_is_told(model: type[BaseModel], body: Any, message: str, param: str | None, code: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        validated(model, body)
    assert (str(refused.value), refused.value.param, refused.value.code) == (message, param, code)


@pytest.mark.parametrize("model", [ChatCompletionBody, EmbeddingBody, RoutingBody, LimitBody, ConfigBody])
@pytest.mark.parametrize("value", ["canary", ["canary"], {"a": "canary"}, 10**30, -1, 0.5, True, None, LONG])
def test_nothing_of_what_was_sent_is_repeated(model: type[BaseModel], value: Any) -> None:
    told = ""
    for name in model.model_fields:
        try:
            validated(model, {**CHAT, **LIMIT, "input": "a", name: value})
        except RequestInvalid as exc:
            told += str(exc)
    assert [shown for shown in ("canary", str(10**30), model.__name__) if shown in told] == []
