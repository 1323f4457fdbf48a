"""Messages in OpenAI's form: what each means, and where a mistake is."""

from typing import Any

import pytest

from weir.domain.chat import Media, Message, Part, Unknown
from weir.domain.completion import Refusal, Text, Thinking, ToolCall
from weir.domain.errors import RequestInvalid
from weir.http.chat_messages import to_messages

Json = dict[str, Any]

CALL = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "system", "content": "Be kind."}, Message("system", (Text("Be kind."),))),
        ({"role": "developer", "content": "Be kind."}, Message("developer", (Text("Be kind."),))),
        ({"role": "user", "content": ""}, Message("user", (Text(""),))),
        ({"role": "user", "content": "Hi", "name": "ann", "x": None}, Message("user", (Text("Hi"),), name="ann")),
        ({"role": "user", "content": []}, Message("user", (), listed=True)),
        ({"role": "user", "content": ["a", "b"]}, Message("user", (Text("a"), Text("b")), listed=True)),
        (
            {"role": "tool", "tool_call_id": "call_a", "content": "Sunny", "cache_control": {"type": "x"}},
            Message("tool", (Text("Sunny"),), tool_call_id="call_a", extra={"cache_control": {"type": "x"}}),
        ),
        ({"role": "function", "name": "f", "content": "Sunny"}, Message("function", (Text("Sunny"),), name="f")),
        ({"role": "assistant", "content": None}, Message("assistant", ())),
        ({"role": "assistant"}, Message("assistant", ())),
        (
            {"role": "assistant", "content": "Look", "tool_calls": [CALL]},
            Message("assistant", (Text("Look"), ToolCall("call_a", "f", "{}"))),
        ),
        (
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            Message("assistant", (ToolCall("call_a", "f", "{}"),)),
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]},
            Message("assistant", (ToolCall("", "f", ""),)),
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "x"}}],
            },
            Message(
                "assistant",
                (Unknown("custom_tool_call", {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "x"}}),),
            ),
        ),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "s"}}}]},
            Message(
                "assistant",
                (ToolCall("call_a", "f", "{}", "s", {"extra_content": {"google": {"thought_signature": "s"}}}),),
            ),
        ),
        ({"role": "assistant", "content": None, "refusal": "No."}, Message("assistant", (Refusal("No."),))),
        (
            {"role": "assistant", "content": "Noon.", "reasoning_content": "Hm."},
            Message("assistant", (Thinking("Hm."), Text("Noon."))),
        ),
        (
            {"role": "assistant", "content": "Noon.", "reasoning": "Hm."},
            Message("assistant", (Thinking("Hm."), Text("Noon."))),
        ),
        ({"role": "user", "content": "Noon.", "reasoning": "Hm."}, Message("user", (Text("Noon."),))),
    ],
)
def test_a_message_means(message: Json, expected: Message) -> None:
    assert to_messages([message]) == (expected,)


def test_a_function_call_in_the_older_form_is_a_call_and_stays_as_it_came() -> None:
    function = {"name": "f", "arguments": "{}"}
    assert to_messages([{"role": "assistant", "content": None, "function_call": function}]) == (
        Message("assistant", (ToolCall("", "f", "{}"),), extra={"function_call": function}),
    )


def test_sealed_thinking_is_read_from_its_details_and_stays_as_it_came() -> None:
    details = [
        {"type": "reasoning.text", "text": "Hm.", "signature": "s1", "id": "r1", "format": "anthropic-claude-v1"},
        {"type": "reasoning.summary", "summary": "So."},
        {"type": "reasoning.encrypted", "data": "s2"},
    ]
    (message,) = to_messages(
        [{"role": "assistant", "content": "Noon.", "reasoning": "Hm.", "reasoning_details": details}]
    )
    assert message == Message(
        "assistant",
        (
            Thinking("Hm.", "s1", False, "r1", "anthropic-claude-v1"),
            Thinking("So."),
            Thinking("", "s2", True),
            Text("Noon."),
        ),
        extra={"reasoning_details": details},
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        ({"type": "text", "text": "a", "cache_control": {"type": "x"}}, Text("a", {"cache_control": {"type": "x"}})),
        ({"type": "refusal", "refusal": "No."}, Refusal("No.")),
        (
            {"type": "image_url", "image_url": {"url": "https://e.example/a.png"}},
            Media("image", "https://e.example/a.png"),
        ),
        ({"type": "image_url", "image_url": "https://e.example/a.png"}, Media("image", "https://e.example/a.png")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO", "detail": "low"}, "x": 1},
            Media("image", content="iVBO", media_type="image/png", extra={"x": 1, "inner": {"detail": "low"}}),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}},
            Media("image", "data:image/svg+xml,<svg/>"),
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://e.example/a.mp4"}},
            Media("video", "https://e.example/a.mp4"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
            Media("audio", content="UklG", media_type="audio/wav", extra={"inner": {"format": "wav"}}),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Media("file", file_id="file-1")),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
            Media("file", content="JVBE", media_type="application/pdf", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": "JVBE"}}, Media("file", content="JVBE")),
        ({"type": "file", "file": {"file_data": "https://e.example/a.pdf"}}, Media("file", "https://e.example/a.pdf")),
        ({"type": "thinking", "thinking": "Hm.", "signature": "s"}, Thinking("Hm.", "s", provider="anthropic")),
        ({"type": "document", "source": {}}, Unknown("document", {"type": "document", "source": {}})),
    ],
)
def test_a_part_means(part: Json, expected: Part) -> None:
    assert to_messages([{"role": "assistant", "content": [part]}])[0].parts == (expected,)


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({}, "role"),
        ({"role": "boss", "content": "x"}, "role"),
        ({"role": [], "content": "x"}, "role"),
        ({"role": "user"}, "content"),
        ({"role": "user", "content": None}, "content"),
        ({"role": "user", "content": 7}, "content"),
        ({"role": "assistant", "content": {"a": 1}}, "content"),
        ({"role": "user", "content": "x", "name": 7}, "name"),
        ({"role": "tool", "content": "x", "tool_call_id": 7}, "tool_call_id"),
        ({"role": "user", "content": [7]}, "content[0].type"),
        ({"role": "user", "content": ["a", {"text": "b"}]}, "content[1].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "content[0].image_url"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "content[0].image_url.url"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "content[0].input_audio.data"),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "content[0].file.file_data"),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "f", "filename": 7}}]},
            "content[0].file.filename",
        ),
        ({"role": "assistant", "tool_calls": {"a": 1}}, "tool_calls"),
        ({"role": "assistant", "tool_calls": [7]}, "tool_calls[0].function.name"),
        ({"role": "assistant", "tool_calls": [CALL, {"function": {}}]}, "tool_calls[1].function.name"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            "tool_calls[0].function.arguments",
        ),
    ],
)
def test_a_mistake_names_its_place(message: Json, place: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        to_messages([{"role": "user", "content": "Hi"}, message])
    assert refused.value.param == f"messages[1].{place}"
    assert f"'messages[1].{place}'" in str(refused.value)
