"""Requests in Converse's form; AWS's own service model must take each of them."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

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
from weir.protocols.base import WireProtocol
from weir.protocols.bedrock_converse import BedrockConverse, BedrockDialect

CONVERSE = BedrockConverse(BedrockDialect())
NOVA = "us.amazon.nova-lite-v1:0"
SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
WEATHER = Tool("weather", "Tells the weather", {"type": "object", "properties": {"city": {"type": "string"}}})
SPEC = {
    "toolSpec": {"name": "weather", "description": "Tells the weather", "inputSchema": {"json": WEATHER.parameters}}
}


def user(*parts: Part | str, **fields: Any) -> Message:
    return Message("user", tuple(Text(p) if isinstance(p, str) else p for p in parts), **fields)


def assistant(*parts: Part, **fields: Any) -> Message:
    return Message("assistant", parts, **fields)


def result(id: str, *parts: Part | str, **fields: Any) -> Message:
    return Message("tool", tuple(Text(p) if isinstance(p, str) else p for p in parts), tool_call_id=id, **fields)


def call(*messages: Message, model: str = NOVA, **fields: Any) -> ChatCall:
    return ChatCall(model=model, messages=messages or (user("Hello"),), **fields)


@cache
def input_shape(operation: str) -> Any:
    return Session().get_service_model("bedrock-runtime").operation_model(operation).input_shape


def rendered(asked: ChatCall, protocol: BedrockConverse = CONVERSE) -> dict[str, Any]:
    """The body as it goes over the wire, once AWS's service model has taken it."""
    body: dict[str, Any] = json.loads(json.dumps(dict(protocol.render(asked).body)))
    shape = input_shape("ConverseStream" if asked.stream else "Converse")
    report = ParamValidator().validate({**body, "modelId": asked.model}, shape)
    assert not report.has_errors(), report.generate_report()
    return body


def said(*messages: Message, **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rendered(call(*messages, **fields))["messages"]
    return found


def refused(asked: ChatCall) -> RequestInvalid:
    with pytest.raises(RequestInvalid) as caught:
        CONVERSE.render(asked)
    return caught.value


def test_it_is_a_wire_protocol() -> None:
    assert isinstance(CONVERSE, WireProtocol)


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        (NOVA, False, "/model/us.amazon.nova-lite-v1%3A0/converse"),
        (NOVA, True, "/model/us.amazon.nova-lite-v1%3A0/converse-stream"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-lite-v1:0",
            False,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.amazon.nova-lite-v1%3A0/converse",
        ),
    ],
)
def test_the_model_is_one_quoted_step_of_the_path(model: str, stream: bool, path: str) -> None:
    assert CONVERSE.render(call(model=model, stream=stream)).path == path


def test_instructions_limits_and_turns_find_their_places() -> None:
    asked = call(
        Message("system", (Text("Be brief."),)),
        Message("developer", (Text("Be kind."), Text(""))),
        user("Hi"),
        user("there"),
        assistant(Text("Hello"), Refusal("No.")),
        user("Go on"),
        max_completion_tokens=64,
        temperature=0.0,
        top_p=0.5,
        stop=("END",),
        service_tier="flex",
        stream=True,
        n=1,
        frequency_penalty=0,
        presence_penalty=0.0,
        logprobs=False,
        logit_bias={},
        parallel_tool_calls=True,
        metadata={"team": "canary"},
    )
    assert rendered(asked) == {
        "system": [{"text": "Be brief."}, {"text": "Be kind."}],
        "messages": [
            {"role": "user", "content": [{"text": "Hi"}, {"text": "there"}]},
            {"role": "assistant", "content": [{"text": "Hello"}, {"text": "No."}]},
            {"role": "user", "content": [{"text": "Go on"}]},
        ],
        "inferenceConfig": {"maxTokens": 64, "temperature": 0.0, "topP": 0.5, "stopSequences": ["END"]},
        "serviceTier": {"type": "flex"},
    }


def test_metadata_becomes_request_metadata_where_the_dialect_says_so() -> None:
    body = rendered(call(metadata={"team": "canary"}), BedrockConverse(BedrockDialect(metadata=True)))
    assert body["requestMetadata"] == {"team": "canary"}


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Media("image", content="aGk=", media_type="image/png"),
            {"image": {"format": "png", "source": {"bytes": "aGk="}}},
        ),
        (
            Media("image", url="s3://canary-bucket/cat.JPG", extra={"inner": {"bucketOwner": "123456789012"}}),
            {
                "image": {
                    "format": "jpeg",
                    "source": {"s3Location": {"uri": "s3://canary-bucket/cat.JPG", "bucketOwner": "123456789012"}},
                }
            },
        ),
        (
            Media("image", content="aGk=", media_type="image/webp", extra={"inner": {"detail": "auto"}}),
            {"image": {"format": "webp", "source": {"bytes": "aGk="}}},
        ),
        (
            Media("video", content="aGk=", media_type="video/quicktime"),
            {"video": {"format": "mov", "source": {"bytes": "aGk="}}},
        ),
        (
            Media("audio", content="aGk=", media_type="audio/wav", extra={"inner": {"format": "wav"}}),
            {"audio": {"format": "wav", "source": {"bytes": "aGk="}}},
        ),
        (
            Media("file", content="aGk=", media_type="application/pdf", name="Q3 report_v2 (final).pdf"),
            {"document": {"format": "pdf", "name": "Q3 report v2 (final)", "source": {"bytes": "aGk="}}},
        ),
        (
            Media("file", content="aGk=", name="data.csv", extra={"inner": {"citations": {"enabled": True}}}),
            {
                "document": {
                    "format": "csv",
                    "name": "data",
                    "source": {"bytes": "aGk="},
                    "citations": {"enabled": True},
                }
            },
        ),
        (
            Media("file", url="s3://canary-bucket/a/notes.txt"),
            {
                "document": {
                    "format": "txt",
                    "name": "notes",
                    "source": {"s3Location": {"uri": "s3://canary-bucket/a/notes.txt"}},
                }
            },
        ),
        (
            Unknown("guardContent", {"type": "guardContent", "guardContent": {"text": {"text": "Check me"}}}),
            {"guardContent": {"text": {"text": "Check me"}}},
        ),
    ],
)
def test_media_become_blocks(part: Part, block: dict[str, Any]) -> None:
    assert said(user("Look:", part)) == [{"role": "user", "content": [{"text": "Look:"}, block]}]


def test_documents_of_one_name_are_told_apart() -> None:
    one = Media("file", content="aGk=", media_type="text/plain", name="§§.txt")
    names = [block["document"]["name"] for block in said(user(one, one), user(one))[0]["content"]]
    assert names == ["document", "document 2", "document 3"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Media("image", url="https://example.test/cat.png"), "fetches nothing from the web: at messages[0].content[1]"),
        (Media("file", file_id="file-1"), "keeps no uploads: at messages[0].content[1]"),
        (Media("image", content="aGk=", media_type="image/tiff"), "(image/tiff); it takes gif, jpeg, png, webp"),
        (Unknown("hologram", {"type": "hologram"}), "cannot take a part of type 'hologram' at messages[0].content[1]"),
    ],
)
def test_a_part_that_cannot_be_sent_is_refused_by_its_place(part: Part, words: str) -> None:
    error = refused(call(user("Look:", part), drop_unsupported=True))
    assert words in str(error)
    assert (error.param, error.code) == ("messages[0].content[1]", "unsupported_content")


def test_cache_control_becomes_a_cache_point_behind_what_it_marks() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    point = {"cachePoint": {"type": "default"}}
    asked = call(
        Message("system", (Text("Long.", mark),)),
        user(Text("Longer.", {"cache_control": {"type": "ephemeral", "ttl": "1h"}}), "Hi"),
        assistant(ToolCall("t1", "weather", "{}")),
        result("t1", Text("Sunny", mark)),
        user("Well?", extra=mark),
        tools=(replace(WEATHER, extra=mark),),
    )
    body = rendered(asked)
    assert body["system"] == [{"text": "Long."}, point]
    assert body["toolConfig"]["tools"] == [SPEC, point]
    assert [message["content"] for message in body["messages"]] == [
        [{"text": "Longer."}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "Hi"}],
        [{"toolUse": {"toolUseId": "t1", "name": "weather", "input": {}}}],
        [{"toolResult": {"toolUseId": "t1", "content": [{"text": "Sunny"}]}}, point, {"text": "Well?"}, point],
    ]


def test_a_tool_loop_keeps_its_calls_and_results() -> None:
    image = Media("image", content="aGk=", media_type="image/png")
    asked = call(
        user("Weather?"),
        assistant(Text("Let me see."), ToolCall("t1", "weather", '{"city":"Bern"}'), ToolCall("t2", "weather", "")),
        result("t1", "Sunny", image, Unknown("json", {"type": "json", "json": {"wind": 3}})),
        result("t2", "No city", extra={"is_error": True}),
        tools=(replace(WEATHER, strict=True),),
        tool_choice=ToolChoice("auto"),
    )
    body = rendered(asked)
    assert body["toolConfig"] == {
        "tools": [{"toolSpec": {**SPEC["toolSpec"], "strict": True}}],
        "toolChoice": {"auto": {}},
    }
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Bern"}}},
                {"toolUse": {"toolUseId": "t2", "name": "weather", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "t1",
                        "content": [
                            {"text": "Sunny"},
                            {"image": {"format": "png", "source": {"bytes": "aGk="}}},
                            {"json": {"wind": 3}},
                        ],
                    }
                },
                {"toolResult": {"toolUseId": "t2", "content": [{"text": "No city"}], "status": "error"}},
            ],
        },
    ]


def test_a_call_id_that_does_not_fit_is_replaced_in_the_call_and_its_result() -> None:
    id = "call|" + "x" * 80
    turns = said(user("?"), assistant(ToolCall(id, "weather", "{}")), result(id, "Sunny"), tools=(WEATHER,))
    sent = turns[1]["content"][0]["toolUse"]["toolUseId"]
    assert sent == turns[2]["content"][0]["toolResult"]["toolUseId"]
    assert sent.startswith("call_")


def test_deprecated_function_calls_are_tied_to_their_results_by_name() -> None:
    turns = said(
        user("?"),
        assistant(ToolCall("", "weather", "{}")),
        Message("function", (Text("Sunny"),), name="weather"),
        tools=(WEATHER,),
        legacy_functions=True,
    )
    assert turns[1]["content"][0]["toolUse"]["toolUseId"] == "call_1"
    assert turns[2]["content"][0]["toolResult"]["toolUseId"] == "call_1"


@pytest.mark.parametrize("arguments", ["{broken", "[1]", '"text"'])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    error = refused(call(user("?"), assistant(ToolCall("t1", "weather", arguments)), tools=(WEATHER,)))
    assert error.param == "messages[1].tool_calls"


def test_a_history_with_calls_needs_its_tools() -> None:
    assert refused(call(user("?"), assistant(ToolCall("t1", "weather", "{}")), result("t1", "Sunny"))).param == "tools"


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("named", "weather"), {"tool": {"name": "weather"}}),
    ],
)
def test_a_tool_choice_has_converses_form(choice: ToolChoice, sent: dict[str, Any]) -> None:
    assert rendered(call(tools=(WEATHER,), tool_choice=choice))["toolConfig"]["toolChoice"] == sent


def test_forbidding_tools_is_claudes_own_field_and_refused_elsewhere() -> None:
    forbidden: dict[str, Any] = {"tools": (WEATHER,), "tool_choice": ToolChoice("none")}
    body = rendered(call(model=SONNET_45, **forbidden))
    assert body["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}
    assert body["toolConfig"] == {"tools": [SPEC]}
    assert refused(call(**forbidden)).param == "tool_choice"


def test_converses_own_tools_pass() -> None:
    tool = UnknownTool("systemTool", {"type": "systemTool", "systemTool": {"name": "nova_grounding"}})
    assert rendered(call(tools=(tool,)))["toolConfig"] == {"tools": [{"systemTool": {"name": "nova_grounding"}}]}


def test_a_schema_for_the_answer_travels_as_text() -> None:
    format = ResponseFormat("json_schema", {"type": "object"}, "city", True, "A city")
    assert rendered(call(response_format=format))["outputConfig"] == {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "city", "description": "A city"}},
        }
    }


def test_parameters_of_converse_and_of_the_model_go_to_their_own_places() -> None:
    guard = {"guardrailIdentifier": "abc", "guardrailVersion": "1", "trace": "enabled"}
    body = rendered(
        call(
            model=SONNET_45,
            extra={
                "guardrailConfig": guard,
                "performanceConfig": {"latency": "optimized"},
                "requestMetadata": {"team": "canary"},
                "additionalModelResponseFieldPaths": ["/stop_sequence"],
                "additionalModelRequestFields": {"anthropic_beta": ["canary"]},
                "top_k": 5,
                "store": False,
                "verbosity": None,
            },
        )
    )
    del body["messages"]
    assert body == {
        "guardrailConfig": guard,
        "performanceConfig": {"latency": "optimized"},
        "requestMetadata": {"team": "canary"},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "additionalModelRequestFields": {"anthropic_beta": ["canary"], "top_k": 5},
    }


def test_nova_has_its_own_place_for_top_k() -> None:
    body = rendered(call(extra={"top_k": 5}))
    assert body["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("seed", {"seed": 0}),
        ("logprobs", {"logprobs": True}),
        ("top_logprobs", {"top_logprobs": 2}),
        ("frequency_penalty", {"frequency_penalty": 0.5}),
        ("presence_penalty", {"presence_penalty": -1}),
        ("logit_bias", {"logit_bias": {"50256": -100}}),
        ("user", {"user": "canary"}),
        ("n", {"n": 2}),
        ("parallel_tool_calls", {"parallel_tool_calls": False, "tools": (WEATHER,)}),
        ("service_tier", {"service_tier": "scale"}),
        ("response_format", {"response_format": ResponseFormat("json_object")}),
        ("tools[0]", {"tools": (UnknownTool("custom", {"type": "custom"}),)}),
        ("prediction", {"extra": {"prediction": {"type": "content"}}}),
        ("reasoning.effort", {"reasoning": Reasoning("high")}),
        ("reasoning.exclude", {"reasoning": Reasoning("none", extra={"exclude": True})}),
        ("messages[0].name", {"messages": (user("Hi", name="ann"),)}),
        ("messages[0].mood", {"messages": (user("Hi", extra={"mood": "good"}),)}),
        (
            "messages[0].content[0].detail",
            {
                "messages": (
                    user(Media("image", content="aGk=", media_type="image/png", extra={"inner": {"detail": "high"}})),
                )
            },
        ),
    ],
)
def test_what_has_no_equivalent_is_refused_by_name_or_left_out_on_request(param: str, fields: dict[str, Any]) -> None:
    asked = replace(call(), **fields)
    error = refused(asked)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    allowed = replace(asked, drop_unsupported=True)
    assert CONVERSE.render(allowed).dropped == (param,)
    rendered(allowed)


HAIKU_45, OPUS_46, OPUS_5 = (
    "anthropic.claude-haiku-4-5-20251001-v1:0",
    "anthropic.claude-opus-4-6-v1",
    "anthropic.claude-opus-5",
)


@pytest.mark.parametrize(
    ("model", "reasoning", "sent"),
    [
        (SONNET_45, Reasoning("minimal"), {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (SONNET_45, Reasoning("high", True), {"thinking": {"type": "enabled", "budget_tokens": 16384}}),
        (HAIKU_45, Reasoning(summary=True), {"thinking": {"type": "enabled", "budget_tokens": 2048}}),
        (HAIKU_45, Reasoning(extra={"max_tokens": 5000}), {"thinking": {"type": "enabled", "budget_tokens": 5000}}),
        (HAIKU_45, Reasoning("none"), None),
        (HAIKU_45, Reasoning(), None),
        (OPUS_46, Reasoning("low", True), {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        (OPUS_46, Reasoning("none"), None),
        (
            OPUS_5,
            Reasoning("xhigh", True),
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
        ),
        (OPUS_5, Reasoning(summary=True), {"thinking": {"type": "adaptive", "display": "summarized"}}),
        (OPUS_5, Reasoning("none"), {"thinking": {"type": "disabled"}}),
        (
            "us.amazon.nova-2-lite-v1:0",
            Reasoning("medium", True),
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
        ),
        ("us.amazon.nova-2-lite-v1:0", Reasoning("none"), None),
        ("openai.gpt-oss-120b-1:0", Reasoning("medium"), {"reasoning_effort": "medium"}),
        ("us.openai.gpt-6-sol", Reasoning("none"), {"reasoning": {"effort": "none"}}),
        ("qwen.qwen3-32b-v1:0", Reasoning("high"), {"reasoning_config": "high"}),
        ("deepseek.v3.2", Reasoning("none"), {"reasoning_effort": "none"}),
        ("zai.glm-5.3", Reasoning("max"), {"reasoning_effort": "max"}),
        ("us.xai.grok-4.6", Reasoning("low"), {"reasoning": {"effort": "low"}}),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.openai.gpt-oss-20b-1:0",
            Reasoning("low"),
            {"reasoning_effort": "low"},
        ),
        (NOVA, Reasoning("none"), None),
    ],
)
def test_reasoning_is_asked_for_in_the_familys_own_way(model: str, reasoning: Reasoning, sent: Any) -> None:
    assert rendered(call(model=model, reasoning=reasoning)).get("additionalModelRequestFields") == sent


@pytest.mark.parametrize(
    ("model", "reasoning"),
    [
        (SONNET_45, Reasoning("xhigh")),
        ("anthropic.claude-fable-5", Reasoning("none")),
        ("anthropic.claude-3-haiku-20240307-v1:0", Reasoning("low")),
        ("openai.gpt-oss-120b-1:0", Reasoning("none")),
        ("us.deepseek.r1-v1:0", Reasoning("none")),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc", Reasoning("low")),
    ],
)
def test_an_effort_that_the_model_does_not_know_is_refused(model: str, reasoning: Reasoning) -> None:
    assert refused(call(model=model, reasoning=reasoning)).param == "reasoning.effort"


def test_a_model_that_always_reasons_is_called_and_the_effort_noted_as_left_out() -> None:
    wire = CONVERSE.render(call(model="us.deepseek.r1-v1:0", reasoning=Reasoning("medium", True)))
    assert (wire.dropped, "additionalModelRequestFields" in wire.body) == (("reasoning.effort",), False)


@pytest.mark.parametrize(("limit", "budget"), [(None, 8192), (9000, 8192), (8000, 4000), (1100, 1024)])
def test_a_thinking_budget_leaves_room_for_the_answer(limit: int | None, budget: int) -> None:
    body = rendered(call(model=SONNET_45, reasoning=Reasoning("medium"), max_tokens=limit))
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == budget
    assert body["inferenceConfig"]["maxTokens"] == (limit or 8192 + 8192)


def test_a_limit_below_the_least_budget_is_refused() -> None:
    assert refused(call(model=SONNET_45, reasoning=Reasoning("low"), max_tokens=1024)).param == "reasoning.effort"


def test_only_sealed_thinking_goes_back() -> None:
    thoughts = (
        Thinking("unsealed"),
        Thinking("foreign", "canary", provider="openai"),
        Thinking("Claude's own", "canary", provider="anthropic"),
    )
    assert said(user("?"), assistant(*thoughts, Text("Yes")), user("!"))[1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Claude's own", "signature": "canary"}}},
        {"text": "Yes"},
    ]
