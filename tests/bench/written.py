"""One answer in every format: the same pieces of thinking, of text and of a call's arguments, a chunk each."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weir.protocols.anthropic_messages import ANTHROPIC, BEDROCK, AnthropicMessages
from weir.protocols.base import WireProtocol
from weir.protocols.bedrock_converse import BedrockConverse, BedrockDialect
from weir.protocols.cohere_chat import CohereChat, CohereDialect
from weir.protocols.cohere_chat_v1 import CohereChatV1
from weir.protocols.gemini import Gemini, GeminiDialect
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect
from weir.protocols.openai_responses import OpenAIResponses
from weir.protocols.responses_dialect import OPENAI

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """A whole answer in the order of its fields.

    `thoughts`, `texts` and `arguments` are runs of chunks that hold one piece each; empty where the format does not
    stream such pieces. What must come between them is in the others.
    """

    protocol: WireProtocol
    begin: Sequence[bytes]
    thoughts: Sequence[bytes]
    open_text: Sequence[bytes]
    texts: Sequence[bytes]
    open_call: Sequence[bytes]
    arguments: Sequence[bytes]
    end: Sequence[bytes]

    @property
    def chunks(self) -> list[bytes]:
        runs = (self.begin, self.thoughts, self.open_text, self.texts, self.open_call, self.arguments, self.end)
        return [chunk for run in runs for chunk in run]


def streams(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Iterator[Stream]:
    for written in (_chat, _responses, _anthropic, _anthropic_on_bedrock, _gemini, _converse, _cohere, _cohere_v1):
        yield written(thoughts, texts, arguments)


def _chat(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    top = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": "bench-1"}

    def chunk(delta: Json, reason: str | None = None) -> bytes:
        return _sse({**top, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]})

    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "gauge", "arguments": ""}}
    usage = {"prompt_tokens": 60, "completion_tokens": 120, "total_tokens": 180}
    return Stream(
        OpenAIChat(OpenAIDialect(provider="deepseek", ends_with_done=True)),
        [chunk({"role": "assistant", "content": ""})],
        [chunk({"reasoning_content": piece}) for piece in thoughts],
        [],
        [chunk({"content": piece}) for piece in texts],
        [chunk({"tool_calls": [call]})],
        [chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in arguments],
        [chunk({}, "tool_calls"), _sse({**top, "choices": [], "usage": usage}), b"data: [DONE]\n\n"],
    )


def _responses(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    numbers = iter(range(10**6))

    def event(type: str, **fields: Any) -> bytes:
        return _sse({"type": type, "sequence_number": next(numbers), **fields}, type)

    def item(at: int, **fields: Any) -> Json:
        return {"output_index": at, "item": fields}

    thought: Json = {"type": "reasoning", "id": "rs_1"}
    said: Json = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    called: Json = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "gauge"}
    output: list[Json] = [
        {**thought, "summary": [{"type": "summary_text", "text": "".join(thoughts)}], "encrypted_content": "seal"},
        {**said, "content": [{"type": "output_text", "text": "".join(texts), "annotations": []}]},
        {**called, "arguments": "".join(arguments), "status": "completed"},
    ]
    response = {"id": "resp_1", "object": "response", "created_at": 1_760_000_000, "model": "bench-1"}
    usage = {"input_tokens": 60, "output_tokens": 120, "total_tokens": 180}
    return Stream(
        OpenAIResponses(OPENAI),
        [
            event("response.created", response={**response, "status": "in_progress", "output": []}),
            event("response.output_item.added", **item(0, **thought, summary=[])),
        ],
        [
            event("response.reasoning_summary_text.delta", item_id="rs_1", output_index=0, summary_index=0, delta=piece)
            for piece in thoughts
        ],
        [],
        [
            event(
                "response.output_text.delta", item_id="msg_1", output_index=1, content_index=0, delta=piece, logprobs=[]
            )
            for piece in texts
        ],
        [event("response.output_item.added", **item(2, **called, arguments="", status="in_progress"))],
        [
            event("response.function_call_arguments.delta", item_id="fc_1", output_index=2, delta=piece)
            for piece in arguments
        ],
        [
            *(event("response.output_item.done", **item(at, **done)) for at, done in enumerate(output)),
            event("response.completed", response={**response, "status": "completed", "output": output, "usage": usage}),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Messages:
    """The events of a Messages stream, which Anthropic and Bedrock frame in different ways.

    `open_text` ends the thinking and begins the text.
    """

    begin: Sequence[Json]
    thoughts: Sequence[Json]
    open_text: Sequence[Json]
    texts: Sequence[Json]
    open_call: Sequence[Json]
    arguments: Sequence[Json]
    end: Sequence[Json]


def _messages(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> _Messages:
    def start(at: int, **block: Any) -> Json:
        return {"type": "content_block_start", "index": at, "content_block": block}

    def delta(at: int, **delta: Any) -> Json:
        return {"type": "content_block_delta", "index": at, "delta": delta}

    def stop(at: int) -> Json:
        return {"type": "content_block_stop", "index": at}

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "bench-1", "content": []}
    return _Messages(
        [
            {"type": "message_start", "message": {**message, "usage": {"input_tokens": 60, "output_tokens": 1}}},
            start(0, type="thinking", thinking="", signature=""),
        ],
        [delta(0, type="thinking_delta", thinking=piece) for piece in thoughts],
        [delta(0, type="signature_delta", signature="seal"), stop(0), start(1, type="text", text="")],
        [delta(1, type="text_delta", text=piece) for piece in texts],
        [stop(1), start(2, type="tool_use", id="toolu_1", name="gauge", input={})],
        [delta(2, type="input_json_delta", partial_json=piece) for piece in arguments],
        [
            stop(2),
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 120}},
            {"type": "message_stop"},
        ],
    )


def _anthropic(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    return _framed_messages(AnthropicMessages(ANTHROPIC), thoughts, texts, arguments)


def _anthropic_on_bedrock(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    return _framed_messages(AnthropicMessages(BEDROCK), thoughts, texts, arguments)


def _framed_messages(
    protocol: AnthropicMessages, thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]
) -> Stream:
    def framed(events: Sequence[Json]) -> list[bytes]:
        if protocol.dialect.framing == "sse":
            return [_sse(event, event["type"]) for event in events]
        return [_frame("chunk", {"bytes": base64.b64encode(_json(event)).decode()}) for event in events]

    written = _messages(thoughts, texts, arguments)
    return Stream(
        protocol,
        framed(written.begin),
        framed(written.thoughts),
        framed(written.open_text),
        framed(written.texts),
        framed(written.open_call),
        framed(written.arguments),
        framed(written.end),
    )


def _gemini(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    def chunk(part: Json, reason: str | None = None) -> bytes:
        candidate: Json = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if reason is not None:
            candidate["finishReason"] = reason
        usage = {"promptTokenCount": 60, "candidatesTokenCount": 120, "totalTokenCount": 180}
        return _sse(
            {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "bench-1", "responseId": "r-1"},
            end="\r\n",
        )

    call = {"id": "call_1", "name": "gauge", "args": json.loads("".join(arguments))}
    return Stream(
        Gemini(GeminiDialect(provider="gemini")),
        [],
        [chunk({"text": piece, "thought": True}) for piece in thoughts],
        [],
        [chunk({"text": piece}) for piece in texts],
        [chunk({"functionCall": call, "thoughtSignature": "seal"}, "STOP")],  # calls come whole
        [],
        [],
    )


def _converse(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    def delta(at: int, **delta: Any) -> bytes:
        return _frame("contentBlockDelta", {"contentBlockIndex": at, "delta": delta, "p": "abcdefgh"})

    def stop(at: int) -> bytes:
        return _frame("contentBlockStop", {"contentBlockIndex": at, "p": "abc"})

    call = {"toolUse": {"toolUseId": "tooluse_1", "name": "gauge"}}
    usage = {"inputTokens": 60, "outputTokens": 120, "totalTokens": 180}
    return Stream(
        BedrockConverse(BedrockDialect()),
        [_frame("messageStart", {"role": "assistant"})],
        [delta(0, reasoningContent={"text": piece}) for piece in thoughts],
        [],
        [delta(1, text=piece) for piece in texts],
        [stop(1), _frame("contentBlockStart", {"contentBlockIndex": 2, "start": call})],
        [delta(2, toolUse={"input": piece}) for piece in arguments],
        [
            stop(2),
            _frame("messageStop", {"stopReason": "tool_use"}),
            _frame("metadata", {"usage": usage, "metrics": {"latencyMs": 900}}),
        ],
    )


def _cohere(thoughts: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    def event(type: str, at: int, **message: Any) -> bytes:
        return _sse({"type": type, "index": at, "delta": {"message": message}}, type)

    call = {"id": "call_1", "type": "function", "function": {"name": "gauge", "arguments": ""}}
    usage = {"tokens": {"input_tokens": 60, "output_tokens": 120}}
    return Stream(
        CohereChat(CohereDialect()),
        [_sse({"type": "message-start", "id": "m-1", "delta": {"message": {"role": "assistant", "content": []}}})],
        [event("content-delta", 0, content={"thinking": piece}) for piece in thoughts],
        [],
        [event("content-delta", 1, content={"text": piece}) for piece in texts],
        [event("tool-call-start", 0, tool_calls=call)],
        [event("tool-call-delta", 0, tool_calls={"function": {"arguments": piece}}) for piece in arguments],
        [_sse({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}}, "message-end")],
    )


def _cohere_v1(_: Sequence[str], texts: Sequence[str], arguments: Sequence[str]) -> Stream:
    def line(event_type: str, **fields: Any) -> bytes:
        return _json({"is_finished": False, "event_type": event_type, **fields}) + b"\n"

    calls = [{"name": "gauge", "parameters": json.loads("".join(arguments))}]
    response = {"text": "".join(texts), "generation_id": "g-1", "finish_reason": "COMPLETE", "tool_calls": calls}
    return Stream(
        CohereChatV1(CohereDialect()),
        [line("stream-start", generation_id="g-1")],
        [],
        [],
        [line("text-generation", text=piece) for piece in texts],
        [line("tool-calls-generation", tool_calls=calls)],
        [],
        [line("stream-end", response=response, finish_reason="COMPLETE")],
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _sse(body: Mapping[str, Any], name: str | None = None, end: str = "\n") -> bytes:
    event = f"event: {name}{end}" if name is not None else ""
    return event.encode() + b"data: " + _json(body) + (end * 2).encode()


def _frame(kind: str, payload: Mapping[str, Any]) -> bytes:
    """One message of an AWS event stream."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in named.items()
    )
    body = _json(payload)
    lengths = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    begun = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + body
    return begun + struct.pack(">I", zlib.crc32(begun))
