"""Every recording whose API a protocol here speaks, through that protocol, and the answer our caller gets, read anew.

Replays `../shared/exchanges/open`, which is no part of the project. Another protocol is one more row in SPOKEN.
"""

import json
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

from tests.corpus import ABSENT, Exchange, exchanges
from tests.protocols import openai_chat_reading
from tests.protocols.openai_chat_reading import Reading, read_replies
from weir.domain.completion import Completion
from weir.domain.errors import ProviderError
from weir.domain.events import StreamEvent, collect
from weir.http.chat_reply import DONE, ChunkEncoder, completion_body
from weir.protocols import jsonbytes
from weir.protocols.base import WireProtocol, decode
from weir.protocols.openai_chat import OpenAIChat
from weir.providers.catalog import CATALOG, own_provider

Value = TypeVar("Value")
logger = logging.getLogger(__name__)

CUTTINGS = 10
PREFIXES = 60
BYTEWISE = 3
"""Every how many streams one is also read byte by byte."""

VENDOR_WORDS = frozenset({"service_tier", "annotations"})
"""Fields that openai's types close to its own words, where a vendor's own word is passed on."""


@dataclass(frozen=True)
class Spoken:
    """How an API of the recordings is spoken here, and a second reading of its answers.

    `tolerated` is how many recordings in a hundred may fail: none, unless the reasons are known and written beside it.
    """

    protocol: Callable[[Exchange], WireProtocol]
    read: Callable[[Exchange], Reading]
    tolerated: int = 0


def openai_like(exchange: Exchange) -> WireProtocol:
    """The vendor's own dialect; to the letter for those whose usual API is another one."""
    known = {vendor.name: vendor for vendor in CATALOG}
    vendor = known.get(exchange.provider)
    usual = vendor.apis[""]({}) if vendor is not None else None
    return usual if isinstance(usual, OpenAIChat) else own_provider(exchange.provider, exchange.url).apis[""]({})


SPOKEN = {"chat.completions": Spoken(openai_like, openai_chat_reading.read)}


def out_of_scope(exchange: Exchange, reading: Reading) -> str | None:
    """Decided from the recording alone."""
    if not reading.error and not reading.choices:
        return "the recording holds no answer"
    if b'"type": "custom"' in exchange.body and b'"custom": {' in exchange.body:
        return "the answer calls a tool that is not a function"
    return None


def faults(exchange: Exchange, spoken: Spoken, reading: Reading, dice: random.Random, bytewise: bool) -> Iterator[str]:
    protocol = spoken.protocol(exchange)
    if exchange.status >= 400:
        if protocol.error(exchange.status, exchange.headers, exchange.body).status != exchange.status:
            yield "another status"
        return
    legacy = isinstance(exchange.request, dict) and "functions" in exchange.request
    if not exchange.streamed:
        completion = ended(lambda: protocol.parse(exchange.body))
        if reading.error != (completion is None):
            yield "an error is no error, or the other way round"
        if completion is not None:
            yield from whole_faults(completion, reading, legacy)
        return
    events = ended(lambda: list(decode(protocol.decoder(), [exchange.body])))
    if reading.error != (events is None):
        yield "an error is no error, or the other way round"
    if events is not None:
        yield from chunk_faults(events, reading, legacy)
    yield from cutting_faults(protocol, exchange.body, events, dice, bytewise)
    yield from prefix_faults(protocol, exchange.body, events, dice)


def ended(reading: Callable[[], Value]) -> Value | None:
    try:
        return reading()
    except ProviderError:
        return None


def whole_faults(completion: Completion, reading: Reading, legacy: bool) -> Iterator[str]:
    body = jsonbytes.dumps(completion_body(completion, id="chatcmpl-x", created=1, model="m", legacy=legacy))
    yield from type_faults(ChatCompletion, body)
    if (seen := read_replies(body, streamed=False)) != reading:
        yield f"the caller reads {seen}, the recording says {reading}"


def chunk_faults(events: list[StreamEvent], reading: Reading, legacy: bool) -> Iterator[str]:
    encoder = ChunkEncoder(id="chatcmpl-x", created=1, model="m", include_usage=True, legacy=legacy)
    stream = encoder.encode(events) + DONE
    lines = [line.removeprefix(b"data: ") for line in stream.split(b"\n\n")]
    if lines[-2:] != [b"[DONE]", b""]:
        yield "no end mark"
    for line in lines[:-2]:
        yield from type_faults(ChatCompletionChunk, line)
    yield from order_faults([json.loads(line) for line in lines[:-2]])
    if (seen := read_replies(stream, streamed=True)) != reading:
        yield f"the caller reads {seen}, the recording says {reading}"


def order_faults(chunks: list[dict[str, object]]) -> Iterator[str]:
    if len({(chunk["id"], chunk["created"]) for chunk in chunks}) != 1:
        yield "more than one id or time"
    if any(chunk["usage"] for chunk in chunks[:-1]) or any(not chunk["choices"] for chunk in chunks[:-1]):
        yield "usage before the end"
    begun: set[int] = set()
    finished: set[int] = set()
    calls: dict[int, int] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:  # type: ignore[attr-defined]
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


def type_faults(model: type[ChatCompletion | ChatCompletionChunk], body: bytes) -> Iterator[str]:
    try:
        model.model_validate_json(body)
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_input=False):
            if VENDOR_WORDS.isdisjoint(error["loc"]):
                yield f"openai's types refuse it: {error['loc']} {error['msg']}"


def cutting_faults(
    protocol: WireProtocol, body: bytes, expected: list[StreamEvent] | None, dice: random.Random, bytewise: bool
) -> Iterator[str]:
    cuttings = [sorted(dice.randrange(len(body)) for _ in range(40)) for _ in range(CUTTINGS)]
    if bytewise:
        cuttings.append(list(range(1, len(body))))
    for places in cuttings:
        chunks = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
        if ended(lambda chunks=chunks: list(decode(protocol.decoder(), chunks))) != expected:  # type: ignore[misc]
            yield "another cutting gives other events"


def prefix_faults(
    protocol: WireProtocol, body: bytes, events: list[StreamEvent] | None, dice: random.Random
) -> Iterator[str]:
    """Without an end mark a stream may lose what follows its finish reasons, which is never a piece of the answer."""
    answer = events and collect(events).choices
    for length in sorted(dice.randrange(len(body)) for _ in range(PREFIXES)):
        part = ended(lambda length=length: collect(decode(protocol.decoder(), [body[:length]])))  # type: ignore[misc]
        if part is not None and part.choices != answer:
            yield f"the first {length} of {len(body)} bytes pass for an answer"


@pytest.mark.parametrize("api", SPOKEN)
def test_recorded_answers_reach_the_caller_as_they_were_given(api: str) -> None:
    recorded = [exchange for exchange in exchanges() if exchange.api == api]
    if not recorded:
        pytest.skip(ABSENT)
    dice = random.Random(7)
    left_out: list[str] = []
    failed: dict[str, list[str]] = {}
    for at, exchange in enumerate(recorded):
        reading = SPOKEN[api].read(exchange)
        if reason := out_of_scope(exchange, reading):
            left_out.append(f"{exchange.id}: {reason}")
        elif found := list(faults(exchange, SPOKEN[api], reading, dice, at % BYTEWISE == 0)):
            failed[exchange.id] = found
    asked = len(recorded) - len(left_out)
    told = f"{asked - len(failed)} of {asked} recordings of {api} pass, {len(left_out)} are out of scope"
    logger.info(told)
    assert len(failed) <= asked * SPOKEN[api].tolerated / 100, (
        told + "\n" + "\n".join(f"{id}: {found[0][:400]}" for id, found in failed.items())
    )
