"""What holds for every recorded answer, whatever it says."""

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from weir.domain.chat import ChatCall, Tool
from weir.domain.completion import Choice, Completion, Text, Thinking, ToolCall
from weir.domain.errors import ProviderError, RequestInvalid
from weir.domain.events import StreamEvent, collect
from weir.http.chat_messages import to_messages
from weir.http.chat_reply import completion_body
from weir.protocols.base import WireProtocol, decode
from weir.protocols.openai_chat import OpenAIChat

Value = TypeVar("Value")

CUTTINGS = 10
PREFIXES = 60
LAST_EVENTS = 12
"""Before and after so many of a stream's last events its prefixes are read, too."""

AFTER_THE_END = frozenset({"usage", "extra"})
"""What may be lost of an answer whose stream breaks off behind its last finish reason, where a vendor marks no end.

It then cannot be told from a whole one. The counts may be missing, and a vendor's own facts beside them (timings),
never a piece of the answer. Where the vendor marks an end, nothing may.
"""


@dataclass(frozen=True)
class Streamed:
    """A stream as far as it could be read, and the error that ended it, if one did."""

    events: tuple[StreamEvent, ...]
    error: tuple[str, str, int | None] | None
    raised: ProviderError | None = None

    @property
    def said(self) -> tuple[object, object]:
        return self.events, self.error


def read_stream(protocol: WireProtocol, chunks: Iterable[bytes]) -> Streamed:
    events: list[StreamEvent] = []
    try:
        events.extend(decode(protocol.decoder(), chunks))
    except ProviderError as exc:
        return Streamed(tuple(events), (type(exc).__name__, str(exc), exc.status), exc)
    return Streamed(tuple(events), None)


def ended(reading: Callable[[], Value]) -> Value | None:
    try:
        return reading()
    except ProviderError:
        return None


def cutting_faults(
    protocol: WireProtocol, body: bytes, whole: Streamed, dice: random.Random, bytewise: bool
) -> Iterator[str]:
    cuttings = [sorted(dice.randrange(len(body)) for _ in range(40)) for _ in range(CUTTINGS)]
    if bytewise:
        cuttings.append(list(range(1, len(body))))
    for places in cuttings:
        pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
        if read_stream(protocol, pieces).said != whole.said:
            yield "another cutting gives other events"


def prefix_faults(protocol: WireProtocol, body: bytes, whole: Streamed, dice: random.Random) -> Iterator[str]:
    answer = collect(whole.events) if whole.error is None else None
    may_lose = AFTER_THE_END if no_end_mark(protocol) else frozenset()
    for length in sorted({*(dice.randrange(len(body)) for _ in range(PREFIXES)), *_last_ends(body)}):
        part = ended(lambda length=length: collect(decode(protocol.decoder(), [body[:length]])))  # type: ignore[misc]
        if part is None:
            continue
        lost = {field.name for field in fields(part) if getattr(part, field.name) != getattr(answer, field.name, None)}
        if lost - may_lose:
            yield f"the first {length} of {len(body)} bytes pass for an answer without {sorted(lost)}"


def no_end_mark(protocol: WireProtocol) -> bool:
    """Gemini's stream just ends, Converse's counts come in an event of their own behind its stop, and not every
    OpenAI-like vendor is known to send `[DONE]`."""
    if isinstance(protocol, OpenAIChat):
        return not protocol.dialect.ends_with_done
    return protocol.name in ("gemini", "bedrock_converse")


def _last_ends(body: bytes) -> Iterator[int]:
    """The ends of a stream's last lines or frames, just before them, and its last bytes."""
    yield from range(max(1, len(body) - 4), len(body))
    ends = list(_frame_ends(body)) if body.startswith(b"\0") else [end.end() for end in re.finditer(b"\n", body)]
    for end in ends[-2 * LAST_EVENTS :]:
        yield from (end - 1, end) if end < len(body) else (end - 1,)


def _frame_ends(body: bytes) -> Iterator[int]:
    """AWS's event streams begin every frame with its length: four bytes, of which the first is zero."""
    at = 0
    while at < len(body):
        at += int.from_bytes(body[at : at + 4], "big")
        yield at


def order_faults(chunks: list[dict[str, Any]]) -> Iterator[str]:
    """Of the chunks that our caller gets. Beside what the judge looks for."""
    if len({(chunk["id"], chunk["created"]) for chunk in chunks}) != 1:
        yield "more than one id or time"
    if any(chunk["usage"] for chunk in chunks[:-1]) or any(not chunk["choices"] for chunk in chunks[:-1]):
        yield "usage before the end"
    begun: set[int] = set()
    finished: set[int] = set()
    calls: dict[int, int] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice["delta"]
            if (index not in begun) != ("role" in delta):
                yield "the role is not in a choice's first chunk, or again later"
            if index in finished:
                yield "more after the finish reason"
            begun.add(index)
            finished |= {index} if choice["finish_reason"] else set()
            for call in delta.get("tool_calls", ()):
                last = calls.get(index, -1)
                if call["index"] not in (range(last + 2) if "id" not in call else [last + 1]):
                    yield "tool calls out of order"
                calls[index] = max(last, call["index"])
    if begun != finished:
        yield "a choice without a finish reason"


def whole_faults(protocol: WireProtocol, body: bytes, streamed: Completion) -> Iterator[str]:
    """Responses and Cohere's v1 give the whole answer once more in a stream's last event."""
    whole = _whole_in(protocol, body)
    if whole is None:
        return
    parsed = _unsealed(protocol.parse(json.dumps(whole).encode()))
    streamed = _unsealed(streamed)
    for field in fields(parsed):
        if getattr(parsed, field.name) != getattr(streamed, field.name):
            yield f"{field.name} of the stream is another than of the whole answer in its last event"


def _unsealed(completion: Completion) -> Completion:
    """OpenAI encrypts a thought anew for each event that holds it: the seals differ, and each of them is good."""
    choices = [
        replace(
            choice,
            parts=tuple(
                replace(part, seal="sealed") if isinstance(part, Thinking) and part.seal else part
                for part in choice.parts
            ),
        )
        for choice in completion.choices
    ]
    return replace(completion, choices=tuple(choices))


def _whole_in(protocol: WireProtocol, body: bytes) -> Mapping[str, Any] | None:
    if protocol.name not in ("openai_responses", "cohere_chat_v1"):
        return None
    lines = [line.removeprefix(b"data:").strip() for line in body.splitlines() if b'"response"' in line]
    last = json.loads(lines[-1]) if lines else {}
    if last.get("event_type") == "stream-end":
        return {**last["response"], "finish_reason": last["finish_reason"]}
    if last.get("type") in ("response.completed", "response.incomplete") and last["response"].get("output"):
        response: Mapping[str, Any] = last["response"]
        return response
    return None


def history_faults(protocol: WireProtocol, completion: Completion) -> Iterator[str]:
    """The answer, as our caller got it, in the history of the next call: text, calls and seals are kept."""
    choice = completion.choices[0]
    body = completion_body(completion, id="chatcmpl-x", created=1, model="m")
    message = body["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "done"} for call in choice.tool_calls]
    turns = [{"role": "user", "content": "Go."}, message, *(results or [{"role": "user", "content": "On."}])]
    messages = to_messages(turns)
    details = choice.message_extra.get("reasoning_details")
    if _told(messages[1].parts, details) != _told(choice.parts, details):
        yield "the answer comes back from its caller as another"
    if messages[1].extra.get("reasoning_details") != message.get("reasoning_details"):
        yield "the vendor's own seals come back from the caller as others"
    call = ChatCall(
        model=completion.model or "m",
        messages=messages,
        tools=tuple(Tool(name) for name in sorted({call.name for call in choice.tool_calls})),
        drop_unsupported=True,
    )
    try:
        sent = list(leaves(protocol.render(call).body))
    except RequestInvalid as exc:
        yield f"the answer is refused as history: {exc}"
        return
    yield from _unsent(protocol, choice, message.get("reasoning_details"), sent)


def _unsent(protocol: WireProtocol, choice: Choice, details: object, sent: list[object]) -> Iterator[str]:
    """`details` are those that the caller got, the pieces of a stream put together."""
    texts = [leaf for leaf in sent if isinstance(leaf, str)]
    if choice.text.strip() and choice.text.strip() not in {text.strip() for text in texts}:
        yield "the text is not sent back"
    for call in choice.tool_calls:
        if call.name not in texts or not any(_same(call.arguments, leaf) for leaf in sent):
            yield f"the call of {call.name} is not sent back"
    for part in choice.parts:
        seal = part.seal if isinstance(part, Thinking | ToolCall) else None
        if seal and seal not in texts:
            yield "a seal is not sent back"
    if details and _takes_details(protocol) and details not in sent:
        yield "the vendor's own seals are not sent back"


def _numbered(messages: list[Any]) -> str:
    """The same with call ids numbered as they come: a vendor may want them spelled otherwise."""
    text = json.dumps(messages, sort_keys=True)
    found = dict.fromkeys(re.findall(r'"(?:tool_call_id|id)": "([^"]+)"', text))
    for at, id in enumerate(sorted(found, key=text.index)):
        text = text.replace(f'"{id}"', f'"#{at}"')
    return text


def _takes_details(protocol: WireProtocol) -> bool:
    return isinstance(protocol, OpenAIChat) and protocol.dialect.thinking_details


def _told(parts: Iterable[object], details: object) -> tuple[object, ...]:
    """Text, calls and seals; `details` are an OpenAI-like vendor's own seals, which stay beside the parts."""
    said = list(parts)
    return (
        "".join(part.text for part in said if isinstance(part, Text)),
        [(part.id, part.name, part.arguments, part.seal) for part in said if isinstance(part, ToolCall)],
        [part.seal for part in said if isinstance(part, Thinking) and part.seal and not details],
    )


def request_faults(protocol: WireProtocol, request: Mapping[str, Any], model: str) -> Iterator[str]:
    """A recorded Chat Completions request, as if our caller had sent it: its history reaches the vendor unchanged."""
    try:
        sent = protocol.render(ChatCall(model=model, messages=to_messages(request["messages"]))).body["messages"]
    except RequestInvalid as exc:
        yield f"the recorded history is refused: {exc}"
        return
    if _numbered([_essence(message) for message in sent]) != _numbered([_essence(m) for m in request["messages"]]):
        yield "the recorded history reaches the vendor as another"


def _essence(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message without the empty fields some clients write, and without its reasoning, whose field the row names."""
    told = {name: value for name, value in message.items() if value and not name.startswith("reasoning")}
    if calls := told.get("tool_calls"):
        told["tool_calls"] = [
            {"id": call.get("id") or "", "type": call["type"], "function": call.get("function")} for call in calls
        ]
    if isinstance(parts := told.get("content"), list):
        told["content"] = [
            {**part, "image_url": {"url": part["image_url"]}} if isinstance(part.get("image_url"), str) else part
            for part in parts
        ]
    return told


def leaves(value: object) -> Iterator[object]:
    """Every value inside a body, containers too."""
    yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from leaves(inner)


def _same(arguments: str, leaf: object) -> bool:
    try:
        said: object = json.loads(arguments) if arguments.strip() else {}
        return leaf in (said, arguments) or (isinstance(leaf, str) and json.loads(leaf) == said)
    except ValueError:
        return leaf == arguments
