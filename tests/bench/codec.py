"""What a chunk costs inside the process: reading the provider's, writing the caller's."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.provider import stream_events
from weir.domain.events import StreamEvent
from weir.http.chat_reply import ChunkEncoder
from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect

_PROTOCOL = OpenAIChat(OpenAIDialect(provider="openai", ends_with_done=True))


@dataclass(frozen=True, slots=True)
class Codec:
    """Microseconds a chunk, when every chunk comes by itself: the least disturbed of all rounds."""

    decode_us: float
    encode_us: float


def measure(seconds: float) -> Codec:
    chunks = stream_events()
    pieces = [list(events) for events in _decoded(chunks)]
    share = seconds / 2
    return Codec(
        decode_us=_best(lambda: _decoded(chunks), share) / len(chunks),
        encode_us=_best(lambda: _encoded(pieces), share) / len(chunks),
    )


def _decoded(chunks: list[bytes]) -> list[list[StreamEvent]]:
    decoder = _PROTOCOL.decoder()
    return [list(decoder.feed(chunk)) for chunk in chunks]


def _encoded(pieces: list[list[StreamEvent]]) -> list[bytes]:
    encoder = ChunkEncoder(id="chatcmpl-bench", created=1_760_000_000, model="bench-1", include_usage=True)
    return [encoder.encode(events) for events in pieces]


def _best(once: Callable[[], object], seconds: float) -> float:
    """Microseconds of the fastest round."""
    best = float("inf")
    stop = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < stop:
        once()
        best = min(best, time.perf_counter() - begun)
    return best * 1e6
