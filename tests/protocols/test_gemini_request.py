"""What is sent to Gemini. Bodies are checked whole, and against the vendor's own types where they are installed."""

import importlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

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
from weir.domain.completion import Completion, Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.protocols.gemini import Gemini, GeminiDialect

STUDIO = Gemini(GeminiDialect(provider="gemini"))
VERTEX = Gemini(
    GeminiDialect(
        provider="vertex", platform="vertex", version="v1", project="p-1", location="us-central1", call_ids=False
    )
)

HI = Message("user", (Text("Hi"),))
HI_SENT = {"role": "user", "parts": [{"text": "Hi"}]}
SCHEMA = {"type": "object", "properties": {"city": {"$ref": "#/$defs/c"}}, "$defs": {"c": {"type": ["string", "null"]}}}
WEATHER = Tool("weather", "Tells the weather.", SCHEMA)


try:
    VENDOR: Any = importlib.import_module("google.genai.types")
except ImportError:
    VENDOR = None


def check_with_the_vendors_types(body: Mapping[str, Any]) -> None:
    """google-genai's models refuse fields they do not know."""
    types = {
        "contents": VENDOR.Content,
        "systemInstruction": VENDOR.Content,
        "tools": VENDOR.Tool,
        "toolConfig": VENDOR.ToolConfig,
        "safetySettings": VENDOR.SafetySetting,
        "generationConfig": VENDOR.GenerationConfig,
        "serviceTier": VENDOR.ServiceTier,
        "cachedContent": str,
        "labels": dict[str, str],
    }
    for name, value in json.loads(json.dumps(body)).items():
        for item in value if isinstance(value, list) else [value]:
            TypeAdapter(types[name]).validate_python(item)


def test_the_vendors_types_are_at_hand_and_refuse_what_they_do_not_know() -> None:
    pytest.importorskip("google.genai")
    with pytest.raises(ValidationError):
        check_with_the_vendors_types({"contents": [{"role": "user", "parts": [{"words": "Hi"}]}]})


def sent(call: ChatCall, protocol: Gemini = STUDIO) -> dict[str, Any]:
    request = protocol.render(call)
    assert request.dropped == ()
    if VENDOR is not None:
        check_with_the_vendors_types(request.body)
    return dict(request.body)


def call_with(*messages: Message, model: str = "gemini-2.5-flash", **fields: Any) -> ChatCall:
    return ChatCall(model=model, messages=messages or (HI,), **fields)


def config_of(**fields: Any) -> Any:
    body = sent(call_with(**fields))
    assert body.pop("contents") == [HI_SENT]
    config = body.pop("generationConfig", {})
    assert body == {}
    return config


@pytest.mark.parametrize(
    ("protocol", "model", "stream", "path"),
    [
        (STUDIO, "gemini-2.5-pro", False, "/v1beta/models/gemini-2.5-pro:generateContent"),
        (STUDIO, "gemini-2.5-pro", True, "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        (STUDIO, "models/gemini-2.5-pro", False, "/v1beta/models/gemini-2.5-pro:generateContent"),
        (STUDIO, "tunedModels/mine", False, "/v1beta/tunedModels/mine:generateContent"),
        (STUDIO, "../../x?y", False, "/v1beta/models/..%2F..%2Fx%3Fy:generateContent"),
        (
            VERTEX,
            "gemini-2.5-pro",
            True,
            "/v1/projects/p-1/locations/us-central1/publishers/google/models/gemini-2.5-pro"
            ":streamGenerateContent?alt=sse",
        ),
        (VERTEX, "endpoints/12", False, "/v1/projects/p-1/locations/us-central1/endpoints/12:generateContent"),
    ],
)
def test_the_path_names_model_and_verb(protocol: Gemini, model: str, stream: bool, path: str) -> None:
    assert protocol.render(call_with(model=model, stream=stream)).path == path


def test_system_messages_are_the_instruction_and_turns_of_one_role_are_merged() -> None:
    body = sent(
        call_with(
            Message("system", (Text("Be brief."),)),
            Message("developer", (Text("Be kind."),)),
            Message("user", (Text("A"),)),
            Message("user", (Text("B"), Text("C"))),
            Message("assistant", (Text(""),)),
            Message("assistant", (Text("D"), Refusal("No."))),
            Message("assistant", (Text("E"),)),
            HI,
        )
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "A"}, {"text": "B"}, {"text": "C"}]},
            {"role": "model", "parts": [{"text": "D"}, {"text": "No."}, {"text": "E"}]},
            HI_SENT,
        ],
    }


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            Media("image", content="aW1n", media_type="image/png"),
            {"inlineData": {"mimeType": "image/png", "data": "aW1n"}},
        ),
        (
            Media("image", url="data:image/webp;base64,aW1n"),
            {"inlineData": {"mimeType": "image/webp", "data": "aW1n"}},
        ),
        (
            Media("audio", content="c25k", extra={"inner": {"format": "mp3"}}),
            {"inlineData": {"mimeType": "audio/mp3", "data": "c25k"}},
        ),
        (
            Media("file", content="cGRm", name="a.PDF"),
            {"inlineData": {"mimeType": "application/pdf", "data": "cGRm"}},
        ),
        (
            Media("image", url="https://x.example/a/b.JPG?c=d.png", extra={"inner": {"detail": "auto"}}),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a/b.JPG?c=d.png"}},
        ),
        (
            Media("video", url="https://www.youtube.com/watch?v=abc"),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://www.youtube.com/watch?v=abc"}},
        ),
        (
            Media("image", url="gs://bucket/thing", media_type="image/heic"),
            {"fileData": {"mimeType": "image/heic", "fileUri": "gs://bucket/thing"}},
        ),
        (
            Media("file", file_id="files/abc", name="notes.txt"),
            {
                "fileData": {
                    "mimeType": "text/plain",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                }
            },
        ),
    ],
)
def test_media_go_inline_or_by_address_with_their_type(media: Media, part: dict[str, Any]) -> None:
    body = sent(call_with(Message("user", (Text("See:"), media))))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "See:"}, part]}]}


@pytest.mark.parametrize(
    "part",
    [
        Media("image", url="https://x.example/picture"),
        Media("image", url="https://x.example/picture.exe"),
        Media("file", content="cGRm"),
        Media("file", file_id="files/abc"),
        Media("image", url="data:image/svg+xml,<svg/>"),
        Media("image"),
        Unknown("hologram", {"type": "hologram"}),
        ToolCall("c", "f", "{}"),
        Thinking("Hm"),
    ],
)
def test_a_part_that_cannot_be_expressed_is_refused_and_named_whatever_the_caller_allows(part: Any) -> None:
    with pytest.raises(RequestInvalid) as refused:
        STUDIO.render(call_with(Message("user", (Text("See:"), part)), drop_unsupported=True))
    assert refused.value.param == "messages[0].content[1]"


def test_a_picture_in_a_system_message_is_refused() -> None:
    picture = Media("image", content="aW1n", media_type="image/png")
    with pytest.raises(RequestInvalid) as refused:
        STUDIO.render(call_with(Message("system", (picture,)), HI))
    assert refused.value.param == "messages[0].content[0]"


def test_a_conversation_of_system_messages_alone_is_refused() -> None:
    with pytest.raises(RequestInvalid) as refused:
        STUDIO.render(call_with(Message("system", (Text("Be brief."),))))
    assert refused.value.param == "messages"


LOOP = (
    Message("user", (Text("Weather in Bern and Rome?"),)),
    Message(
        "assistant",
        (
            Text("I look."),
            ToolCall("c1", "weather", '{"city":"Bern"}', "cw=="),
            ToolCall("c2", "weather", '{"city":"Rome"}'),
        ),
    ),
    Message("tool", (Text('{"sun":1}'),), tool_call_id="c1"),
    Message("tool", (Text("ra"), Text("in")), tool_call_id="c2"),
    Message("assistant", (ToolCall("c3", "ping", "", "dA=="),)),
    Message("tool", (), tool_call_id="c3"),
)


def test_a_loop_over_several_turns_keeps_names_ids_and_signatures() -> None:
    assert sent(call_with(*LOOP, model="gemini-3-flash-preview", tools=(WEATHER,))) == {
        "contents": [
            {"role": "user", "parts": [{"text": "Weather in Bern and Rome?"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "I look."},
                    {
                        "functionCall": {"name": "weather", "args": {"city": "Bern"}, "id": "c1"},
                        "thoughtSignature": "cw==",
                    },
                    {"functionCall": {"name": "weather", "args": {"city": "Rome"}, "id": "c2"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "weather", "response": {"output": '{"sun":1}'}, "id": "c1"}},
                    {"functionResponse": {"name": "weather", "response": {"output": "rain"}, "id": "c2"}},
                ],
            },
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "ping", "args": {}, "id": "c3"}, "thoughtSignature": "dA=="}],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "ping", "response": {"output": ""}, "id": "c3"}}],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "weather", "description": "Tells the weather.", "parametersJsonSchema": SCHEMA}
                ]
            }
        ],
    }


def test_vertex_v1_knows_no_call_ids() -> None:
    contents = sent(call_with(*LOOP), VERTEX)["contents"]
    assert contents[3:] == [
        {"role": "model", "parts": [{"functionCall": {"name": "ping", "args": {}}, "thoughtSignature": "dA=="}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "ping", "response": {"output": ""}}}]},
    ]


def test_calls_that_another_model_made_are_marked_for_gemini_3_in_the_current_turn_only() -> None:
    def step(id: str, seal: str | None = None) -> tuple[Message, ...]:
        calls = (ToolCall(id, "f", "{}", seal), ToolCall(f"{id}b", "f", "{}"))
        results = (Message("tool", (Text("1"),), tool_call_id=call.id) for call in calls)
        return (Message("assistant", calls), *results)

    messages = (HI, *step("old"), HI, *step("new"), *step("sealed", "cw=="))

    def signatures(model: str) -> list[str | None]:
        contents = sent(call_with(*messages, model=model))["contents"]
        return [p.get("thoughtSignature") for c in contents if c["role"] == "model" for p in c["parts"]]

    assert signatures("gemini-3-flash-preview") == [None, None, "skip_thought_signature_validator", None, "cw==", None]
    assert signatures("gemini-2.5-flash") == [None, None, None, None, "cw==", None]


def test_a_signature_in_googles_openai_form_is_found() -> None:
    extra = {"index": 0, "extra_content": {"google": {"thought_signature": "cw=="}}}
    contents = sent(call_with(HI, Message("assistant", (ToolCall("c", "f", "{}", extra=extra),))))["contents"]
    assert contents[1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "c"}, "thoughtSignature": "cw=="}]


@pytest.mark.parametrize(
    ("model", "in_result", "beside"),
    [
        ("gemini-3-flash-preview", ["image/png"], ["audio/wav"]),
        ("gemini-2.5-flash", [], ["image/png", "audio/wav"]),
    ],
)
def test_media_in_a_result_stay_with_it(model: str, in_result: list[str], beside: list[str]) -> None:
    def inline(media_type: str) -> dict[str, Any]:
        return {"inlineData": {"mimeType": media_type, "data": "eA=="}}

    media = tuple(Media("image", content="eA==", media_type=m) for m in ("image/png", "audio/wav"))
    result = Message("tool", (Text("See"), *media), tool_call_id="c")
    contents = sent(call_with(HI, Message("assistant", (ToolCall("c", "f", "{}", "cw=="),)), result, model=model))[
        "contents"
    ]
    response: dict[str, Any] = {"name": "f", "response": {"output": "See"}, "id": "c"}
    if in_result:
        response["parts"] = [inline(m) for m in in_result]
    assert contents[2]["parts"] == [{"functionResponse": response}, *(inline(m) for m in beside)]


def test_the_deprecated_function_role_names_its_function() -> None:
    contents = sent(call_with(HI, Message("function", (Text("1"),), name="f")))["contents"]
    assert contents == [
        {"role": "user", "parts": [{"text": "Hi"}, {"functionResponse": {"name": "f", "response": {"output": "1"}}}]}
    ]


def test_a_result_of_no_call_is_refused() -> None:
    with pytest.raises(RequestInvalid) as refused:
        STUDIO.render(call_with(HI, Message("tool", (Text("1"),), tool_call_id="lost")))
    assert refused.value.param == "messages[1].tool_call_id"


@pytest.mark.parametrize("arguments", ["{", "[1]", "null", '"x"'])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        STUDIO.render(call_with(HI, Message("assistant", (ToolCall("c", "f", arguments),))))
    assert refused.value.param == "messages[1].tool_calls.function.arguments"


def answered(*parts: Mapping[str, Any]) -> Completion:
    content = {"role": "model", "parts": list(parts)}
    reply = {"candidates": [{"content": content, "finishReason": "STOP"}], "responseId": "r", "modelVersion": "m"}
    return STUDIO.parse(json.dumps(reply).encode())


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([{"text": "Hi", "thoughtSignature": "cw=="}], id="text"),
        pytest.param([{"text": "Hi"}, {"text": "", "thoughtSignature": "cw=="}], id="empty text"),
        pytest.param([{"text": "A"}, {"text": "B", "thoughtSignature": "cw=="}], id="second text"),
        pytest.param([{"text": "Hm", "thought": True, "thoughtSignature": "cw=="}, {"text": "Hi"}], id="thought"),
        pytest.param([{"text": "", "thought": True, "thoughtSignature": "cw=="}, {"text": "Hi"}], id="hidden thought"),
        pytest.param(
            [
                {"text": "Hm", "thought": True},
                {"text": "", "thoughtSignature": "YQ=="},
                {"functionCall": {"id": "1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "Yg=="},
                {"functionCall": {"id": "2", "name": "g", "args": {}}},
                {"text": "", "thoughtSignature": "Yw=="},
            ],
            id="calls",
        ),
        pytest.param(
            [
                {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "YQ=="},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                {"text": "One.", "thoughtSignature": "Yg=="},
            ],
            id="code",
        ),
    ],
)
def test_an_answer_goes_back_as_it_came(parts: list[dict[str, Any]]) -> None:
    (choice,) = answered(*parts).choices
    message = Message("assistant", choice.parts, extra=choice.message_extra)
    assert sent(call_with(HI, message, HI))["contents"] == [HI_SENT, {"role": "model", "parts": parts}, HI_SENT]


def test_thinking_of_another_provider_goes_without_its_seal() -> None:
    parts = (Thinking("Hm", "canary-seal", provider="anthropic"), Thinking("", "canary-seal", True), Text("Hi"))
    assert sent(call_with(HI, Message("assistant", parts), HI))["contents"][1]["parts"] == [
        {"text": "Hm", "thought": True},
        {"text": "Hi"},
    ]


def test_what_describes_an_earlier_answer_is_not_sent() -> None:
    extra = {"annotations": [{"type": "url_citation"}], "refusal": None, "function_call": {"name": "f"}}
    contents = sent(call_with(HI, Message("assistant", (Text("A"),), extra=extra)))["contents"]
    assert contents[1] == {"role": "model", "parts": [{"text": "A"}]}


def test_parameters_take_geminis_names() -> None:
    config = config_of(
        temperature=0.0,
        top_p=0.9,
        seed=0,
        n=2,
        stop=("END",),
        max_completion_tokens=50,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        logprobs=True,
        top_logprobs=3,
        metadata={"a": "b"},
        stream_options={"include_usage": True},
        parallel_tool_calls=True,
    )
    assert config == {
        "temperature": 0.0,
        "topP": 0.9,
        "seed": 0,
        "candidateCount": 2,
        "stopSequences": ["END"],
        "maxOutputTokens": 50,
        "frequencyPenalty": 0.5,
        "presencePenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 3,
    }


def test_values_that_mean_nothing_count_as_absent() -> None:
    assert (
        config_of(
            n=1,
            frequency_penalty=0.0,
            presence_penalty=0,
            logprobs=False,
            top_logprobs=0,
            logit_bias={},
            stop=(),
            parallel_tool_calls=False,
            tool_choice=ToolChoice("none"),
            response_format=ResponseFormat("text"),
            service_tier="auto",
            stream_options={"include_obfuscation": False},
            extra={"top_k": None, "safety_settings": [], "prediction": None, "web_search_options": {}},
        )
        == {}
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"user": "canary-user"}, "user"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"parallel_tool_calls": False, "tools": (WEATHER,)}, "parallel_tool_calls"),
        ({"tools": (UnknownTool("custom", {"type": "custom", "custom": {}}),)}, "tools[0]"),
        ({"tools": (Tool("f", extra={"cache_control": {"type": "ephemeral"}}),)}, "tools[0].cache_control"),
        ({"tool_choice": ToolChoice("other", fields={"type": "custom"})}, "tool_choice"),
        ({"response_format": ResponseFormat("json_object", extra={"grammar": "x"})}, "response_format.grammar"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"extra": {"prediction": {"type": "content"}}}, "prediction"),
        ({"extra": {"audio_timestamp": True}}, "audio_timestamp"),
        ({"extra": {"google": {"shape": "round"}}}, "shape"),
        ({"reasoning": Reasoning(extra={"exclude": True})}, "reasoning.exclude"),
        ({"reasoning": Reasoning("xhigh")}, "reasoning.effort"),
        ({"messages": (Message("user", (Text("Hi"),), name="Ann"),)}, "messages[0].name"),
        ({"messages": (Message("user", (Text("Hi"),), extra={"prefix": True}),)}, "messages[0].prefix"),
        ({"messages": (Message("user", (Text("Hi", {"cache_control": 1}),)),)}, "messages[0].content[0].cache_control"),
        (
            {
                "messages": (
                    Message(
                        "user", (Media("image", content="", media_type="a/b", extra={"inner": {"detail": "low"}}),)
                    ),
                )
            },
            "messages[0].content[0].detail",
        ),
    ],
)
def test_what_gemini_cannot_express_is_refused_or_dropped_by_name(fields: dict[str, Any], param: str) -> None:
    whole = {"model": "gemini-2.5-flash", "messages": (HI,), **fields}
    with pytest.raises(RequestInvalid) as refused:
        STUDIO.render(ChatCall(**whole))
    assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")
    assert STUDIO.render(ChatCall(**whole, drop_unsupported=True)).dropped == (param,)


def test_a_schema_is_sent_as_json_schema_with_its_description() -> None:
    format = ResponseFormat("json_schema", SCHEMA, "answer", True, "The city.")
    assert config_of(response_format=format) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {**SCHEMA, "description": "The city."},
    }
    assert config_of(response_format=ResponseFormat("json_object")) == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(("tier", "sent_tier"), [("default", "standard"), ("flex", "flex"), ("priority", "priority")])
def test_service_tiers_are_translated(tier: str, sent_tier: str) -> None:
    assert sent(call_with(service_tier=tier)) == {"contents": [HI_SENT], "serviceTier": sent_tier}


STRICT = Tool("f", strict=True)
ALLOWED = {"tools": [{"type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("tools", "choice", "calling"),
    [
        ((WEATHER,), None, None),
        ((WEATHER,), ToolChoice("auto"), None),
        ((STRICT,), ToolChoice("auto"), {"mode": "VALIDATED"}),
        ((WEATHER,), ToolChoice("none"), {"mode": "NONE"}),
        ((STRICT,), ToolChoice("required"), {"mode": "ANY"}),
        ((WEATHER,), ToolChoice("named", "weather"), {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (
            (WEATHER,),
            ToolChoice("other", fields={"allowed_tools": {"mode": "required", **ALLOWED}}),
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            (WEATHER,),
            ToolChoice("other", fields={"allowed_tools": {"mode": "auto", **ALLOWED}}),
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choices_are_calling_modes(tools: Any, choice: ToolChoice | None, calling: Any) -> None:
    body = sent(call_with(tools=tools, tool_choice=choice))
    assert body.get("toolConfig") == (calling and {"functionCallingConfig": calling})


def test_geminis_own_tools_pass_beside_functions() -> None:
    tools = (
        UnknownTool("google_search", {"type": "google_search"}),
        UnknownTool("urlContext", {"urlContext": {}}),
        Tool("f", parameters={}),
    )
    assert sent(call_with(tools=tools))["tools"] == [
        {"functionDeclarations": [{"name": "f"}]},
        {"googleSearch": {}},
        {"urlContext": {}},
    ]


def test_parameters_of_geminis_own_pass_in_its_spelling() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    body = sent(
        call_with(
            reasoning=Reasoning("low", summary=True),
            tools=(WEATHER,),
            tool_choice=ToolChoice("required"),
            extra={
                "safety_settings": safety,
                "cachedContent": "cachedContents/1",
                "labels": {"team": "a"},
                "top_k": 40,
                "modalities": ["text", "image"],
                "google": {"thinking_config": {"thinking_budget": 7}},
                "generation_config": {"media_resolution": "MEDIA_RESOLUTION_LOW"},
                "tool_config": {"function_calling_config": {"allowed_function_names": ["weather"]}},
            },
        )
    )
    del body["contents"], body["tools"]
    assert body == {
        "safetySettings": safety,
        "cachedContent": "cachedContents/1",
        "labels": {"team": "a"},
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "topK": 40,
            "responseModalities": ["TEXT", "IMAGE"],
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "thinkingConfig": {"thinkingBudget": 7, "includeThoughts": True},
        },
    }


def test_vertex_takes_fields_that_ai_studio_does_not() -> None:
    assert sent(call_with(extra={"audio_timestamp": True}), VERTEX)["generationConfig"] == {"audioTimestamp": True}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking"),
    [
        ("gemini-2.5-flash", Reasoning("minimal"), {"thinkingBudget": 1024}),
        ("gemini-2.5-flash", Reasoning("low"), {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", Reasoning("medium"), {"thinkingBudget": 8192}),
        ("gemini-2.5-flash-lite", Reasoning("high", summary=True), {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning("none"), {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Reasoning(summary=True), {"includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(extra={"max_tokens": 99}), {"thinkingBudget": 99}),
        ("models/gemini-3-pro-preview", Reasoning("medium"), {"thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", Reasoning("medium"), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-flash-preview", Reasoning("minimal"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", Reasoning("low"), {"thinkingLevel": "LOW"}),
        ("gemini-4-of-tomorrow", Reasoning("xhigh"), {"thinkingLevel": "XHIGH"}),
        ("gemini-flash-latest", Reasoning("low"), {"thinkingLevel": "LOW"}),
        ("gemini-2.0-flash", Reasoning("none"), None),
        ("gemini-3-flash-preview", Reasoning(), None),
    ],
)
def test_reasoning_is_a_level_or_a_budget_as_the_model_takes_it(
    model: str, reasoning: Reasoning, thinking: Any
) -> None:
    body = sent(call_with(model=model, reasoning=reasoning))
    assert body == {"contents": [HI_SENT], **({"generationConfig": {"thinkingConfig": thinking}} if thinking else {})}


@pytest.mark.parametrize(
    ("model", "reasoning", "param"),
    [
        ("gemini-2.5-pro", Reasoning("none"), "reasoning.effort"),
        ("gemini-3-flash-preview", Reasoning("none"), "reasoning.effort"),
        ("gemini-3.7-flash", Reasoning("minimal"), "reasoning.effort"),
        ("gemini-3.1-flash-image-preview", Reasoning("low"), "reasoning.effort"),
        ("gemini-2.0-flash", Reasoning("low"), "reasoning"),
        ("gemini-2.0-flash", Reasoning(summary=True), "reasoning"),
        ("gemini-2.5-flash", Reasoning("low", extra={"max_tokens": 99}), "reasoning.max_tokens"),
    ],
)
def test_reasoning_a_model_cannot_do_is_refused(model: str, reasoning: Reasoning, param: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        STUDIO.render(call_with(model=model, reasoning=reasoning))
    assert refused.value.param == param
    assert STUDIO.render(call_with(model=model, reasoning=reasoning, drop_unsupported=True)).dropped == (param,)
