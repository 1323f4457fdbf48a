"""Answers in Chat Completions' form, each as a whole body, as a stream, or both, with the completion they mean.

origin = "written": from the vendors' documentation. None of them is recorded.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from weir.domain.completion import (
    AnswerPart,
    Choice,
    Completion,
    FinishReason,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect

ORIGIN = "written"
CREATED = 1_750_000_000
OWN_FIELDS = frozenset({"refusal", "extra_content"})
VENDOR = OpenAIChat(OpenAIDialect(provider="vendor", own_fields=OWN_FIELDS, ends_with_done=True))
WITHOUT_DONE = OpenAIChat(OpenAIDialect(provider="vendor", own_fields=OWN_FIELDS))
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
COUNTS = Usage(9, 4)

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`body` and `stream` mean the same where both are given."""

    name: str
    completion: Completion
    body: bytes | None = None
    stream: bytes | None = None
    protocol: OpenAIChat = VENDOR


def whole(*choices: Json, usage: Json | None = USAGE, **top: Any) -> bytes:
    frame = {"id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": "m-1"}
    return json.dumps({**frame, "choices": choices, **({"usage": usage} if usage else {}), **top}).encode()


def said(content: Any, reason: str | None = "stop", index: int = 0, **message: Any) -> Json:
    body = {"role": "assistant", "content": content, **message}
    return {"index": index, "message": body, "logprobs": None, "finish_reason": reason}


def delta(reason: str | None = None, index: int = 0, **fields: Any) -> Json:
    return chunk({"index": index, "delta": fields, "logprobs": None, "finish_reason": reason})


def chunk(*choices: Json, **top: Any) -> Json:
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": "m-1"}
    return {**frame, "choices": choices, **top}


COUNTED = chunk(usage=USAGE)
FIRST = delta(role="assistant", content="")
HELLO = (FIRST, delta(content="Hel"), delta(content="lo"), delta("stop"))


def streamed(*chunks: Json, done: bool = True) -> bytes:
    events = [b"data: " + json.dumps(c, ensure_ascii=False).encode() + b"\n\n" for c in chunks]
    return b"".join(events) + (b"data: [DONE]\n\n" if done else b"")


def answer(
    *parts: AnswerPart,
    reason: FinishReason | None = "stop",
    raw: str | None = None,
    usage: Usage | None = COUNTS,
    **top: Any,
) -> Completion:
    choice = Choice(0, parts, reason, raw or reason)
    return Completion("chatcmpl-1", "m-1", (choice,), usage, CREATED, **top)


def function(name: str, arguments: Any, id: str | None = None, **fields: Any) -> Json:
    call: Json = {"type": "function", "function": {"name": name, "arguments": arguments}, **fields}
    return call if id is None else {"id": id, **call}


def begun(index: int, id: str, name: str, **fields: Any) -> Json:
    return delta(tool_calls=[{"index": index, **function(name, "", id), **fields}])


def more(index: int, arguments: str) -> Json:
    return delta(tool_calls=[{"index": index, "function": {"arguments": arguments}}])


def counted(usage: Json) -> bytes:
    return whole(said("Noon."), usage=usage)


def logprob(token: str) -> Json:
    return {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": []}


def thinking_in(field: str) -> Case:
    shown: Json = {field: "Noon, I think."}
    first: Json = {"role": "assistant", field: "Noon, "}
    then: Json = {"content": None, field: "I think."}
    return Case(
        f"thinking in {field}",
        answer(Thinking("Noon, I think."), Text("Noon.")),
        whole({"index": 0, "message": {"role": "assistant", **shown, "content": "Noon."}, "finish_reason": "stop"}),
        streamed(delta(**first), delta(**then), delta(content="Noon."), delta("stop"), COUNTED),
    )


def finishing(raw: str, reason: FinishReason) -> Case:
    return Case(
        f"finish reason {raw}",
        answer(Text("Hello"), reason=reason, raw=raw),
        whole(said("Hello", raw)),
        streamed(*HELLO[:-1], delta(raw), COUNTED),
    )


TWO_CALLS = answer(
    ToolCall("call_a", "weather", '{"city":"Rome"}'),
    ToolCall("call_b", "weather", '{"city":"Oslo"}'),
    reason="tool_calls",
)
TWO_WHOLE_CALLS = [function("weather", '{"city":"Rome"}', "call_a"), function("weather", '{"city":"Oslo"}', "call_b")]

CASES = [
    Case("plain", answer(Text("Hello")), whole(said("Hello")), streamed(*HELLO, COUNTED)),
    Case(
        "unicode",
        answer(Text("Grüße, 世界 🙂")),
        whole(said("Grüße, 世界 🙂")),
        streamed(FIRST, delta(content="Grüße, 世"), delta(content="界 🙂"), delta("stop"), COUNTED),
    ),
    Case(
        "two parallel calls",
        TWO_CALLS,
        whole(said(None, "tool_calls", tool_calls=TWO_WHOLE_CALLS)),
        streamed(
            FIRST,
            begun(0, "call_a", "weather"),
            more(0, '{"city":'),
            more(0, '"Rome"}'),
            begun(1, "call_b", "weather"),
            more(1, '{"city":"Oslo"}'),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "calls that grow by turns",
        TWO_CALLS,
        None,
        streamed(
            begun(0, "call_a", "weather"),
            begun(1, "call_b", "weather"),
            more(1, '{"city":'),
            more(0, '{"city":"Rome"}'),
            more(1, '"Oslo"}'),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "text, then a call",
        answer(Text("Let me look."), ToolCall("call_a", "look", "{}"), reason="tool_calls"),
        whole(said("Let me look.", "tool_calls", tool_calls=[function("look", "{}", "call_a")])),
        streamed(
            FIRST,
            delta(content="Let me "),
            delta(content="look."),
            begun(0, "call_a", "look"),
            more(0, "{}"),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "arguments that are not JSON are kept to the letter",
        answer(ToolCall("call_a", "look", '{"at": sky'), reason="tool_calls"),
        whole(said(None, "tool_calls", tool_calls=[function("look", '{"at": sky', "call_a")])),
        streamed(begun(0, "call_a", "look"), more(0, '{"at": sky'), delta("tool_calls"), COUNTED),
    ),
    *(thinking_in(field) for field in ("reasoning_content", "reasoning", "reasoning_text")),
    Case(
        "the same thinking under two names counts once",
        answer(Thinking("Hm."), Text("Noon.")),
        None,
        streamed(delta(reasoning="Hm.", reasoning_content="Hm."), delta(content="Noon."), delta("stop"), COUNTED),
    ),
    Case(
        "refusal",
        answer(Refusal("I cannot help with that.")),
        whole(said(None, refusal="I cannot help with that.")),
        streamed(FIRST, delta(refusal="I cannot "), delta(refusal="help with that."), delta("stop"), COUNTED),
    ),
    Case(
        "cut by the filter",
        answer(reason="content_filter"),
        whole(said("", "content_filter")),
        streamed(FIRST, delta("content_filter"), COUNTED),
    ),
    Case(
        "cut by the limit",
        answer(Text("Hel"), reason="length"),
        whole(said("Hel", "length")),
        streamed(FIRST, delta(content="Hel"), delta("length"), COUNTED),
    ),
    Case("empty content", answer(), whole(said("")), streamed(FIRST, delta("stop"), COUNTED)),
    Case(
        "null content",
        answer(),
        whole(said(None)),
        streamed(delta(role="assistant", content=None), delta("stop"), COUNTED),
    ),
    Case(
        "unknown finish reason",
        answer(Text("Hello"), reason=None, raw="bored"),
        whole(said("Hello", "bored")),
        streamed(*HELLO[:-1], delta("bored"), COUNTED),
    ),
    Case("no usage", answer(Text("Hello"), usage=None), whole(said("Hello"), usage=None), streamed(*HELLO)),
    Case(
        "two answers",
        Completion(
            "chatcmpl-1",
            "m-1",
            (Choice(0, (Text("ab"),), "stop", "stop"), Choice(1, (Text("cd"),), "length", "length")),
            Usage(9, 4),
            CREATED,
        ),
        whole(said("ab"), said("cd", "length", 1)),
        streamed(
            delta(role="assistant", content="a"),
            delta(index=1, role="assistant", content="c"),
            delta(index=1, content="d"),
            delta(content="b"),
            delta("stop"),
            delta("length", 1),
            COUNTED,
        ),
    ),
    Case(
        "logprobs",
        Completion(
            "chatcmpl-1",
            "m-1",
            (Choice(0, (Text("ab"),), "stop", "stop", {"content": [logprob("a"), logprob("b")], "refusal": None}),),
            Usage(9, 4),
            CREATED,
        ),
        whole({**said("ab"), "logprobs": {"content": [logprob("a"), logprob("b")], "refusal": None}}),
        streamed(
            *(
                chunk({"index": 0, "delta": {"content": t}, "logprobs": {"content": [logprob(t)], "refusal": None}})
                for t in "ab"
            ),
            delta("stop"),
            COUNTED,
        ),
    ),
    Case(
        "facts about the answer",
        answer(Text("Hello"), system_fingerprint="fp_1", service_tier="flex", extra={"provider": "Someone"}),
        whole(said("Hello"), system_fingerprint="fp_1", service_tier="flex", provider="Someone"),
        streamed(
            *({**c, "system_fingerprint": "fp_1", "service_tier": "flex", "provider": "Someone"} for c in HELLO),
            COUNTED,
        ),
    ),
    Case(
        "fields without a name here",
        Completion(
            "chatcmpl-1",
            "m-1",
            (
                Choice(
                    0,
                    (Text("Hello"),),
                    "stop",
                    "stop",
                    None,
                    {"annotations": [{"type": "url_citation"}]},
                    {"content_filter_results": {"hate": {"filtered": False}}},
                ),
            ),
            Usage(9, 4),
            CREATED,
        ),
        whole(
            {
                **said("Hello", annotations=[{"type": "url_citation"}]),
                "content_filter_results": {"hate": {"filtered": False}},
            }
        ),
        streamed(
            *HELLO[:3],
            delta(annotations=[{"type": "url_citation"}]),
            chunk(
                {
                    "index": 0,
                    "delta": {},
                    "finish_reason": "stop",
                    "content_filter_results": {"hate": {"filtered": False}},
                }
            ),
            COUNTED,
        ),
    ),
    Case(
        "comments keep the line open",
        answer(Text("Hello")),
        None,
        b": PROCESSING\n\n" + streamed(*HELLO[:2], done=False) + b": PROCESSING\n\n" + streamed(*HELLO[2:], COUNTED),
    ),
    Case("carriage returns", answer(Text("Hello")), None, streamed(*HELLO, COUNTED).replace(b"\n", b"\r\n")),
    Case(
        "a first chunk without choices (Azure)",
        answer(Text("Hello"), extra={"prompt_filter_results": [{"prompt_index": 0}]}),
        None,
        streamed(chunk(id="", model="", created=0, prompt_filter_results=[{"prompt_index": 0}]), *HELLO, COUNTED),
    ),
    Case(
        "usage with every chunk, cumulative",
        answer(Text("Hello")),
        None,
        streamed(*({**c, "usage": {"prompt_tokens": 9, "completion_tokens": i}} for i, c in enumerate(HELLO)), COUNTED),
    ),
    Case(
        "usage beside the last choice",
        answer(Text("Hello")),
        None,
        streamed(*HELLO[:-1], {**HELLO[-1], "usage": USAGE}),
    ),
    Case(
        "usage in x_groq",
        answer(Text("Hello"), extra={"x_groq": {"id": "req_1", "usage": USAGE}}),
        None,
        streamed(*HELLO[:-1], {**HELLO[-1], "x_groq": {"id": "req_1", "usage": USAGE}}),
    ),
    Case(
        "every tool index is 0",
        TWO_CALLS,
        None,
        streamed(*(delta(tool_calls=[{"index": 0, **call}]) for call in TWO_WHOLE_CALLS), delta("tool_calls"), COUNTED),
    ),
    Case(
        "no tool index (Mistral)",
        TWO_CALLS,
        whole(said("", "tool_calls", tool_calls=TWO_WHOLE_CALLS)),
        streamed(delta("tool_calls", content="", tool_calls=TWO_WHOLE_CALLS), COUNTED),
    ),
    Case(
        "no tool index, in pieces",
        TWO_CALLS,
        None,
        streamed(
            delta(tool_calls=[function("weather", "", "call_a")]),
            delta(tool_calls=[{"function": {"arguments": '{"city":"Rome"}'}}]),
            delta(tool_calls=[function("weather", "", "call_b")]),
            delta(tool_calls=[{"function": {"arguments": '{"city":"Oslo"}'}}]),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "tool ids repeated in every delta",
        TWO_CALLS,
        None,
        streamed(
            begun(0, "call_a", "weather"),
            delta(tool_calls=[{"index": 0, "id": "call_a", "function": {"arguments": '{"city":"Rome"}'}}]),
            begun(1, "call_b", "weather"),
            delta(tool_calls=[{"index": 1, "id": "call_b", "function": {"arguments": '{"city":"Oslo"}'}}]),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "tool indexes that begin at 1",
        TWO_CALLS,
        None,
        streamed(
            begun(1, "call_a", "weather"),
            more(1, '{"city":"Rome"}'),
            begun(2, "call_b", "weather"),
            more(2, '{"city":"Oslo"}'),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "arguments as an object",
        answer(ToolCall("call_a", "weather", '{"city":"Rome"}'), reason="tool_calls"),
        whole(said(None, "tool_calls", tool_calls=[function("weather", {"city": "Rome"}, "call_a")])),
        streamed(
            delta(tool_calls=[{"index": 0, **function("weather", {"city": "Rome"}, "call_a")}]),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "no arguments",
        answer(ToolCall("call_a", "now", ""), reason="tool_calls"),
        whole(said(None, "tool_calls", tool_calls=[{"id": "call_a", "type": "function", "function": {"name": "now"}}])),
        streamed(
            delta(tool_calls=[{"index": 0, "id": "call_a", "function": {"name": "now"}}]), delta("tool_calls"), COUNTED
        ),
    ),
    Case(
        "calls without ids are given some",
        answer(
            ToolCall("call_chatcmpl-1_0_0", "now", "{}"),
            ToolCall("call_chatcmpl-1_0_1", "here", "{}"),
            reason="tool_calls",
        ),
        whole(said(None, "tool_calls", tool_calls=[function("now", "{}"), function("here", "{}", "")])),
        streamed(
            delta(tool_calls=[{"index": 0, **function("now", "{}")}, {"index": 1, **function("here", "{}")}]),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "fields of a call without a name here",
        answer(
            ToolCall("call_a", "now", "{}", extra={"extra_content": {"google": {"thought_signature": "s"}}}),
            reason="tool_calls",
        ),
        whole(
            said(
                None,
                "tool_calls",
                tool_calls=[function("now", "{}", "call_a", extra_content={"google": {"thought_signature": "s"}})],
            )
        ),
        streamed(
            begun(0, "call_a", "now", extra_content={"google": {"thought_signature": "s"}}),
            more(0, "{}"),
            delta("tool_calls"),
            COUNTED,
        ),
    ),
    Case(
        "function_call, the older form",
        answer(ToolCall("call_chatcmpl-1_0_0", "now", "{}"), reason="function_call"),
        whole(said(None, "function_call", function_call={"name": "now", "arguments": "{}"})),
        streamed(
            delta(function_call={"name": "now", "arguments": ""}),
            delta(function_call={"arguments": "{}"}),
            delta("function_call"),
            COUNTED,
        ),
    ),
    Case(
        "every field filled with nothing (Snowflake)",
        answer(Text("Hello")),
        whole(
            said("Hello", tool_calls=[], function_call={"name": "", "arguments": ""}, refusal="", reasoning_content="")
        ),
        streamed(
            delta(content="Hello", tool_calls=[], function_call={"name": "", "arguments": ""}), delta("stop"), COUNTED
        ),
    ),
    Case(
        "content as a list (Mistral)",
        answer(Thinking("Hm."), Text("Noon.")),
        whole(
            said(
                [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Noon."}]
            )
        ),
        streamed(
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]),
            delta(content="Noon."),
            delta("stop"),
            COUNTED,
        ),
    ),
    Case(
        "references in the content (Mistral)",
        Completion(
            "chatcmpl-1",
            "m-1",
            (
                Choice(
                    0,
                    (Text("Noon."),),
                    "stop",
                    "stop",
                    None,
                    {"content_parts": [{"type": "reference", "reference_ids": [1]}]},
                ),
            ),
            Usage(9, 4),
            CREATED,
        ),
        whole(
            said(
                [
                    {"type": "text", "text": "Noon"},
                    {"type": "reference", "reference_ids": [1]},
                    {"type": "text", "text": "."},
                ]
            )
        ),
    ),
    Case(
        "content as an object (Cloudflare)",
        answer(Text('{"hour":12}')),
        whole(said({"hour": 12})),
        streamed(delta(content={"hour": 12}), delta("stop"), COUNTED),
    ),
    Case(
        "no end mark, where the vendor sends none",
        answer(Text("Hello")),
        None,
        streamed(*HELLO, COUNTED, done=False),
        WITHOUT_DONE,
    ),
    Case("an end mark without a reason", answer(Text("Hello"), reason=None), None, streamed(*HELLO[:-1], COUNTED)),
    Case(
        "fractions in created (SambaNova)",
        answer(Text("Hello")),
        whole(said("Hello"), created=CREATED + 0.75),
        streamed(*({**c, "created": CREATED + 0.75} for c in HELLO), COUNTED),
    ),
    Case(
        "the vendor's own word for the end",
        answer(Text("Hello"), raw="end_turn"),
        whole({**said("Hello"), "native_finish_reason": "end_turn"}),
        None,
    ),
    finishing("eos", "stop"),
    finishing("model_length", "length"),
    finishing("insufficient_system_resource", "length"),
]

USAGES: Mapping[str, tuple[Json, Usage | None]] = {
    "plain": (USAGE, Usage(9, 4)),
    "zeros are zeros": (
        {"prompt_tokens": 9, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}},
        Usage(9, 0, cached=0),
    ),
    "every detail": (
        {
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 2, "cache_write_tokens": 3},
            "completion_tokens_details": {
                "reasoning_tokens": 1,
                "audio_tokens": 2,
                "accepted_prediction_tokens": 3,
                "rejected_prediction_tokens": 4,
            },
        },
        Usage(9, 4, 1, 3, 1, 2, 2, 3, 4),
    ),
    "details that are null": (
        {**USAGE, "prompt_tokens_details": None, "completion_tokens_details": {"reasoning_tokens": None}},
        Usage(9, 4),
    ),
    "cached as DeepSeek says it": (
        {**USAGE, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 3},
        Usage(9, 4, cached=6, extra={"prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 3}),
    ),
    "cached as Moonshot says it": ({**USAGE, "cached_tokens": 6}, Usage(9, 4, cached=6, extra={"cached_tokens": 6})),
    "reasoning within the completion": (
        {**USAGE, "completion_tokens_details": {"reasoning_tokens": 3}},
        Usage(9, 4, reasoning=3),
    ),
    "reasoning beside the completion (xAI)": (
        {**USAGE, "total_tokens": 113, "completion_tokens_details": {"reasoning_tokens": 100}},
        Usage(9, 104, reasoning=100),
    ),
    "a cost (OpenRouter)": (
        {**USAGE, "cost": 0.00014, "is_byok": False},
        Usage(9, 4, cost=Decimal("0.00014"), extra={"cost": 0.00014, "is_byok": False}),
    ),
    "a cost in items (Perplexity)": (
        {**USAGE, "cost": {"request_cost": 0.005, "total_cost": 0.006}},
        Usage(9, 4, cost=Decimal("0.006"), extra={"cost": {"request_cost": 0.005, "total_cost": 0.006}}),
    ),
    "counts without a name here": (
        {**USAGE, "queue_time": 0.1, "prompt_tokens_details": {"image_tokens": 5, "cached_tokens": 1}},
        Usage(9, 4, cached=1, extra={"queue_time": 0.1, "prompt_tokens_details": {"image_tokens": 5}}),
    ),
    "counts that are no numbers": (
        {**USAGE, "prompt_tokens_details": [1], "completion_tokens_details": {"reasoning_tokens": "few"}},
        Usage(9, 4),
    ),
    "no number of prompt tokens": ({"prompt_tokens": "many", "completion_tokens": 4}, None),
    "no prompt count": ({"completion_tokens": 4}, None),
    "no completion count": ({"prompt_tokens": 9}, None),
}
