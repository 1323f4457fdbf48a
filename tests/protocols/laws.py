"""What holds for every stream of every protocol."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from weir.domain.errors import ProviderError
from weir.domain.events import StreamEvent
from weir.protocols import jsonbytes
from weir.protocols.base import WireProtocol, decode


def sse(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Events as a server sends them, each under the name of its type."""
    return b"".join(
        b"event: " + str(event.get("type", "message")).encode() + b"\ndata: " + jsonbytes.dumps(event) + b"\n\n"
        for event in events
    )


def events_of(protocol: WireProtocol, *chunks: bytes) -> list[StreamEvent]:
    return list(decode(protocol.decoder(), chunks))


def assert_cuts_do_not_matter(protocol: WireProtocol, stream: bytes) -> None:
    whole = events_of(protocol, stream)
    assert events_of(protocol, *(stream[i : i + 1] for i in range(len(stream)))) == whole
    for seed in range(5):
        cuts = sorted(random.Random(seed).choices(range(len(stream)), k=30))
        pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert events_of(protocol, *pieces) == whole


def assert_every_prefix_fails(protocol: WireProtocol, stream: bytes, ends: Sequence[bytes] = ()) -> None:
    """`ends`: what may be missing without harm."""
    for missing in ends:
        stream = stream.removesuffix(missing)
    for length in range(len(stream)):
        with pytest.raises(ProviderError):
            events_of(protocol, stream[:length])
