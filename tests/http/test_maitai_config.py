"""What may be set for calls: every parameter has its place, bad values are refused when they are set, and all hold."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from weir.domain.chat import ChatCall, Reasoning, ResponseFormat, Tool, ToolChoice
from weir.domain.errors import RequestInvalid
from weir.http.chat_request import CallTags, ChatCompletionBody, ChatParams, to_call
from weir.http.maitai_config import ConfigBody, tagged, to_changes, with_defaults
from weir.http.routing import ROUTING_PARAMETERS
from weir.http.scrub import ERASED
from weir.http.validation import validated

MESSAGES = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
NOW = {"type": "function", "function": {"name": "now"}}

HOLDS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "model": ("own", {"model": "own"}),
    "temperature": (0.0, {"temperature": 0.0}),
    "top_p": (0.5, {"top_p": 0.5}),
    "top_k": (3, {"extra": {"top_k": 3}}),
    "min_p": (0.1, {"extra": {"min_p": 0.1}}),
    "n": (2, {"n": 2}),
    "stop": (["x"], {"stop": ("x",)}),
    "seed": (7, {"seed": 7}),
    "max_tokens": (5, {"max_tokens": 5}),
    "max_completion_tokens": (5, {"max_tokens": 5}),
    "presence_penalty": (-1.5, {"presence_penalty": -1.5}),
    "frequency_penalty": (1.5, {"frequency_penalty": 1.5}),
    "repetition_penalty": (1.1, {"extra": {"repetition_penalty": 1.1}}),
    "logit_bias": ({"50256": -100.0}, {"logit_bias": {"50256": -100.0}}),
    "logprobs": (False, {"logprobs": False}),
    "response_format": (FORMAT, {"response_format": ResponseFormat("json_schema", SCHEMA, "answer")}),
    "tools": ([NOW], {"tools": (Tool("now"),)}),
    "reasoning": ({"effort": "low"}, {"reasoning": Reasoning("low")}),
    "reasoning_effort": ("low", {"reasoning": Reasoning("low")}),
    "service_tier": ("flex", {"service_tier": "flex"}),
    "default_chat_template_kwargs": ({"thinking": False}, {"extra": {"chat_template_kwargs": {"thinking": False}}}),
    "extra_body": ({"own": [1]}, {"extra": {"own": [1]}}),
    "drop_unsupported": (True, {"drop_unsupported": True}),
}
"""By itself: the value that is set, and what it changes of a call whose caller says nothing but the messages."""

WITH_OTHERS = {"top_logprobs", "tool_choice", "parallel_tool_calls", "system_prompt", "metadata"}
"""What holds only beside something else, or is not the provider's; each has a test of its own."""

ELSEWHERE = ROUTING_PARAMETERS | {"cache_enabled", "cache_ttl", "cache_options"}
"""What decides how a call is made, not what its provider is asked: see test_routing.py and test_cache.py."""

CLIENTS = {
    "apply_corrections",
    "context_retrieval_enabled",
    "disable_session_update_events",
    "evaluation_enabled",
    "extract_request_metadata",
    "feedback",
    "generating_sentinels",
    "inference_location",
    "intent_stability",
    "prompt_template",
    "safe_mode",
    "sentinel_regeneration_enabled",
    "streaming",
}
"""What Maitai's clients read, and no call through Weir does."""

MAITAI = [
    "inference_location",
    "evaluation_enabled",
    "apply_corrections",
    "model",
    "temperature",
    "streaming",
    "response_format",
    "stop",
    "logprobs",
    "max_tokens",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "timeout",
    "context_retrieval_enabled",
    "fallback_model",
    "intent_stability",
    "safe_mode",
    "feedback",
    "generating_sentinels",
    "sentinel_regeneration_enabled",
    "fallback_config",
    "extract_request_metadata",
    "metadata",
    "system_prompt",
    "reasoning_effort",
    "reasoning",
    "default_chat_template_kwargs",
    "disable_session_update_events",
    "prompt_template",
]
"""Members of Config in maitai-python 1.2.34."""

NO_DEFAULT = {
    "what is said and to whom": {"messages", "application", "application_id", "application_ref_name", "action_type"},
    "what one call is about": {"intent", "context_query", "request_id", "client_params", "timing_metrics"},
    "who is calling": {"session_id", "reference_id", "user_id", "customer_identifier", "user", "from_workflow"},
    "what only the caller can know how to read": {"stream", "stream_options", "return_evaluation", "return_request"},
    "older names": {"functions", "function_call", "autocorrect", "assistant", "callback"},
    "what holds keys": {"auth_keys", "extra_headers"},
    "`inference_location` by another name": {"server_side_inference"},
}


def config(changes: Any) -> dict[str, Any]:
    return dict(to_changes(validated(ConfigBody, changes)))


def call(config: Mapping[str, Any], **said: Any) -> ChatCall:
    """The call that a provider gets of a request to `m` that says `said`."""
    request = validated(ChatCompletionBody, {"messages": MESSAGES, **said})
    params, tags = with_defaults(request, config), tagged(request, config)
    return to_call(params, params.model or "m", drop_unsupported=bool(tags.drop_unsupported))


def refusal(changes: Any) -> tuple[str, str | None]:
    with pytest.raises(RequestInvalid) as refused:
        config(changes)
    return str(refused.value), refused.value.param


def test_every_parameter_has_a_default_or_a_reason_to_have_none() -> None:
    without = set().union(*NO_DEFAULT.values())
    settable = set(ConfigBody.model_fields)
    asked = {*ChatParams.model_fields, *CallTags.model_fields, *MAITAI}
    assert without & settable == set()
    assert asked - settable - without == set()
    assert {*HOLDS, *WITH_OTHERS, *ELSEWHERE, *CLIENTS} == settable
    assert without <= asked


@pytest.mark.parametrize("name", HOLDS)
def test_what_is_set_holds_where_the_caller_says_nothing(name: str) -> None:
    value, changes = HOLDS[name]
    assert vars_of(call(config({name: value}))) == vars_of(call({})) | dict(changes)


def vars_of(call: ChatCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in ChatCall.__dataclass_fields__}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model", {"model": "said"}),
        ("temperature", {"temperature": 1.0}),
        ("top_k", {"top_k": 9}),
        ("top_k", {"extra_body": {"top_k": 9}}),
        ("stop", {"stop": []}),
        ("max_tokens", {"max_tokens": 9}),
        ("max_tokens", {"max_completion_tokens": 9}),
        ("logprobs", {"logprobs": True}),
        ("response_format", {"response_format": {"type": "text"}}),
        ("tools", {"tools": []}),
        ("tools", {"functions": [{"name": "f"}]}),
        ("reasoning", {"reasoning_effort": "high"}),
        ("reasoning_effort", {"reasoning": {"effort": "high"}}),
        ("extra_body", {"own": 2}),
        ("extra_body", {"extra_body": {"own": 2}}),
        ("drop_unsupported", {"drop_unsupported": False}),
    ],
)
def test_what_the_caller_says_goes_first(name: str, said: Any) -> None:
    assert call(config({name: HOLDS[name][0]}), **said) == call({}, **said)


def test_parameters_of_one_provider_are_put_together() -> None:
    assert call({"extra_body": {"a": 1, "b": 1, "c": 1}}, extra_body={"b": 2}, c=3).extra == {"a": 1, "b": 2, "c": 3}


def test_logprobs_are_as_many_as_is_set_where_there_are_any() -> None:
    assert call({"top_logprobs": 3}).top_logprobs is None
    assert call({"top_logprobs": 3}, logprobs=False).top_logprobs is None
    assert call({"top_logprobs": 3}, logprobs=True).top_logprobs == 3
    assert call({"top_logprobs": 3, "logprobs": True}).top_logprobs == 3


def test_how_tools_are_used_holds_where_there_are_any() -> None:
    how = config({"tool_choice": "required", "parallel_tool_calls": False})
    assert call(how) == call({})
    for with_tools in (call(how, tools=[NOW]), call({**how, "tools": [NOW]})):
        assert (with_tools.tool_choice, with_tools.parallel_tool_calls) == (ToolChoice("required"), False)
    named = {"tool_choice": {"type": "function", "function": {"name": "now"}}}
    assert call({**named, "tools": [NOW]}).tool_choice == ToolChoice("named", "now")
    assert call({**named, "tools": [NOW]}, tools=[NOW]).tool_choice is None
    assert call({**how, "tools": [NOW]}, tool_choice="none").tool_choice == ToolChoice("none")


def test_a_system_prompt_is_for_requests_without_one() -> None:
    assert [message.role for message in call({"system_prompt": "s"}).messages] == ["system", "user"]
    own = [{"role": "developer", "content": "d"}, *MESSAGES]
    assert call({"system_prompt": "s"}, messages=own) == call({}, messages=own)


def test_metadata_are_tags_of_the_record_and_not_the_providers() -> None:
    tags = {"team": "a"}
    assert tagged(CallTags(), {"metadata": tags}).metadata == tags
    assert tagged(CallTags(metadata={}), {"metadata": tags}).metadata == tags
    assert tagged(CallTags(metadata={"b": 1}), {"metadata": tags}).metadata == {"b": 1}
    assert call({"metadata": tags}).metadata is None


def test_a_format_that_a_client_cannot_know_goes_before_the_text_that_it_sends() -> None:
    text = ChatParams(messages=MESSAGES, response_format={"type": "text"})
    assert with_defaults(text, {"response_format": FORMAT}, text_is_unsaid=True).response_format == FORMAT
    assert with_defaults(text, {"response_format": "json_object"}, text_is_unsaid=True) == text
    assert with_defaults(text, {"response_format": FORMAT}) == text


def test_values_are_kept_in_one_form() -> None:
    given = {
        "temperature": 1,
        "n": 2.0,
        "inference_location": "CLIENT",
        "max_completion_tokens": 5,
        "fallback_config": {"model": "m", "strategy": None, "timeout": 2},
        "reasoning": {"effort": None, "summary": None},
        "cache_options": {"tool_calls": None, "truncated": True},
        "model": None,
    }
    assert config(given) == {
        "temperature": 1.0,
        "n": 2,
        "inference_location": 0,
        "max_tokens": 5,
        "fallback_config": {"model": "m", "timeout": 2.0},
        "reasoning": {},
        "cache_options": {"truncated": True},
        "model": None,
    }
    assert [type(config(given)[name]) for name in ("temperature", "n")] == [float, int]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"n": 0}, "n"),
        ({"n": 1.5}, "n"),
        ({"model": ""}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_completion_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"logit_bias": {"1": "x"}}, "logit_bias.1"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"response_format": "xml"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"fallback_config": {"strategy": "magic"}}, "fallback_config.strategy"),
        ({"fallback_config": {"timeout": -1}}, "fallback_config.timeout"),
        ({"fallback_config": {"modle": "m"}}, "fallback_config.modle"),
        ({"cache_options": {"tool_cals": True}}, "cache_options.tool_cals"),
        ({"cache_ttl": -1}, "cache_ttl"),
        ({"inference_location": "MOON"}, "inference_location"),
        ({"extra_body": {"temperature": 1}}, "extra_body.temperature"),
        ({"extra_body": {"stream": True}}, "extra_body.stream"),
        ({"extra_body": {"top_k": 1}}, "extra_body.top_k"),
        ({"extra_body": {"x": [None]}}, "extra_body.x[0]"),
        ({"extra_body": {"x": float("inf")}}, "extra_body.x"),
        ({"extra_body": {"x": date(2026, 1, 1)}}, "extra_body.x"),
        ({"metadata": {"a": None}}, "metadata.a"),
        ({"metadata": {"a": "x" * 5_000}}, "metadata.a"),
        ({"metadata": {"a": ERASED}}, "metadata.a"),
        ({"metadata": {ERASED: 1}}, "metadata"),
        ({"extra_headers": {"x": "y"}}, "extra_headers"),
        ({"messages": MESSAGES}, "messages"),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_set_and_named(changes: Any, param: str) -> None:
    assert refusal(changes)[1] == param


def test_what_is_no_parameter_is_refused_with_the_nearest_that_is() -> None:
    beside = "Others that a provider knows go into 'extra_body'."
    assert refusal({"temprature": 1})[0] == (
        f"'temprature' is no parameter that can be set. Did you mean 'temperature'? {beside}"
    )
    assert refusal({"zzz": 1})[0] == f"'zzz' is no parameter that can be set. {beside}"
    assert config({"zzz": None}) == {"zzz": None}
