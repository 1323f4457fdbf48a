"""Older and foreign spellings of tool calls, as stricter vendors want them."""

from weir.domain.chat import Message
from weir.domain.completion import Text, ToolCall
from weir.protocols.openai_history import with_short_ids, with_tool_calls


def test_functions_become_tool_calls_and_each_result_finds_its_call() -> None:
    history = (
        Message("user", (Text("Hi"),)),
        Message("assistant", (ToolCall("", "weather", "{}"),), extra={"function_call": {"name": "weather"}}),
        Message("function", (Text("Sunny"),), name="weather"),
    )
    assert with_tool_calls(history) == (
        history[0],
        Message("assistant", (ToolCall("call_1", "weather", "{}"),)),
        Message("tool", (Text("Sunny"),), tool_call_id="call_1"),
    )


def test_a_long_id_is_respelled_alike_in_call_and_result_and_a_fitting_one_is_kept() -> None:
    history = (
        Message("assistant", (ToolCall("call_long_one", "a", "{}"), ToolCall("abcdefgh9", "b", "{}"))),
        Message("tool", (Text("1"),), tool_call_id="call_long_one"),
        Message("tool", (Text("2"),), tool_call_id="abcdefgh9"),
    )
    calls, first, second = with_short_ids(history, 9)
    (long, fitting) = calls.parts
    assert isinstance(long, ToolCall)
    assert long.id == first.tool_call_id
    assert len(long.id) == 9
    assert long.id.isalnum()
    assert fitting == ToolCall("abcdefgh9", "b", "{}")
    assert second.tool_call_id == "abcdefgh9"
