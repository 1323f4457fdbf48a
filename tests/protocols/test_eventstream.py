"""AWS event streams: every cut gives the same messages, and a broken stream never passes for a whole one."""

import itertools
import struct
import uuid
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from weir.protocols.eventstream import (
    MAX_PAYLOAD,
    EventStreamMessage,
    EventStreamParser,
    InvalidEventStream,
)


def string(name: str, value: str) -> bytes:
    return header(name, 7, struct.pack(">H", len(value.encode())) + value.encode())


def header(name: str, type: int, value: bytes) -> bytes:
    return bytes([len(name.encode())]) + name.encode() + bytes([type]) + value


def frame(headers: bytes, payload: bytes) -> bytes:
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    begun = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return begun + struct.pack(">I", zlib.crc32(begun))


def read(*pieces: bytes) -> list[EventStreamMessage]:
    parser = EventStreamParser()
    return [message for piece in pieces for message in parser.feed(piece)]


FIRST = frame(string(":event-type", "first") + string(":message-type", "event"), b'{"n":1}')
SECOND = frame(string(":event-type", "second"), b'{"n":2}')

names = st.text(min_size=1, max_size=20)
messages = st.lists(st.tuples(st.dictionaries(names, st.text(max_size=40), max_size=4), st.binary(max_size=200)))


def framed(contents: list[tuple[dict[str, str], bytes]]) -> bytes:
    return b"".join(frame(b"".join(string(k, v) for k, v in headers.items()), payload) for headers, payload in contents)


@given(messages, st.lists(st.integers(min_value=0, max_value=2000)))
def test_any_cut_gives_the_same_messages(contents: list[tuple[dict[str, str], bytes]], cuts: list[int]) -> None:
    stream = framed(contents)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert read(*pieces) == [EventStreamMessage(*content) for content in contents]


@given(messages)
def test_botocore_reads_the_same_messages(contents: list[tuple[dict[str, str], bytes]]) -> None:
    stream = framed(contents)
    theirs = EventStreamBuffer()
    theirs.add_data(stream)
    assert read(stream) == [EventStreamMessage(m.headers, m.payload) for m in theirs]


def test_a_stream_may_come_byte_by_byte() -> None:
    stream = FIRST + SECOND
    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == read(stream)


def test_bytes_of_an_unfinished_message_are_pending() -> None:
    parser = EventStreamParser()
    assert parser.feed(FIRST + SECOND[:30]) == read(FIRST)
    assert parser.pending == SECOND[:30]
    assert parser.feed(SECOND[30:]) == read(SECOND)
    assert parser.pending == b""


@given(st.integers(min_value=0, max_value=len(FIRST) * 8 - 1))
def test_one_flipped_bit_is_never_read_as_a_message(bit: int) -> None:
    broken = bytearray(FIRST)
    broken[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidEventStream):
        read(bytes(broken) + SECOND, b"")


@given(st.binary(max_size=400))
def test_foreign_bytes_raise_nothing_but_invalid_event_stream(data: bytes) -> None:
    try:
        assert read(data) == []
    except InvalidEventStream:
        assert len(data) >= 12


@given(st.binary(max_size=120))
def test_foreign_headers_raise_nothing_but_invalid_event_stream(block: bytes) -> None:
    try:
        (message,) = read(frame(block, b""))
    except InvalidEventStream:
        return
    assert all(isinstance(value, str) for value in message.headers.values())


def test_messages_before_a_broken_one_are_given_first() -> None:
    parser = EventStreamParser()
    assert parser.feed(FIRST + b"<html>Bad Gateway</html>") == read(FIRST)
    for _ in range(2):
        with pytest.raises(InvalidEventStream, match="prelude"):
            parser.feed(b"")


@pytest.mark.parametrize(
    ("type", "encoded", "text"),
    [
        (0, b"", "true"),
        (1, b"", "false"),
        (2, struct.pack(">b", -7), "-7"),
        (3, struct.pack(">h", -30000), "-30000"),
        (4, struct.pack(">i", -(2**31)), "-2147483648"),
        (5, struct.pack(">q", 2**62), "4611686018427387904"),
        (6, b"\x00\x03\x00\xff\x10", "AP8Q"),
        (7, b"\x00\x03\xe2\x82\xac", "€"),
        (8, struct.pack(">q", 1_700_000_000_123), "1700000000123"),
        (9, uuid.UUID("018f0000-0000-7000-8000-000000000001").bytes, "018f0000-0000-7000-8000-000000000001"),
    ],
)
def test_every_type_of_header_value_is_read(type: int, encoded: bytes, text: str) -> None:
    block = header("x", type, encoded) + string("after", "it")
    assert read(frame(block, b"p")) == [EventStreamMessage({"x": text, "after": "it"}, b"p")]


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (FIRST[:8] + b"\0\0\0\0" + FIRST[12:], "prelude"),
        (FIRST[:-1] + bytes([FIRST[-1] ^ 1]), "checksum of an event does"),
        (FIRST[:40] + b"?" + FIRST[41:], "checksum of an event does"),
        (frame(header("x", 10, b""), b""), "unknown type 10"),
        (frame(string("x", "1") + string("x", "2"), b""), "'x' twice"),
        (frame(b"\x09x", b""), "cannot be read"),
        (frame(b"\x01x\x07\x00\x09short", b""), "cannot be read"),
        (frame(b"\x01x\x04\x00\x00", b""), "cannot be read"),
        (frame(b"\x01x\x07\x00\x01\xff", b""), "cannot be read"),
        (frame(b"\x01x", b""), "cannot be read"),
    ],
)
def test_a_broken_message_says_what_is_wrong_with_it(stream: bytes, why: str) -> None:
    with pytest.raises(InvalidEventStream, match=why):
        read(stream)


@pytest.mark.parametrize(
    ("length", "headers", "why"),
    [(15, 0, "cannot hold"), (20, 8, "cannot hold"), (2**31, 200_000, "allowed"), (MAX_PAYLOAD + 17, 0, "allowed")],
)
def test_an_impossible_length_is_refused_before_its_bytes_are_waited_for(length: int, headers: int, why: str) -> None:
    lengths = struct.pack(">II", length, headers)
    with pytest.raises(InvalidEventStream, match=why):
        read(lengths + struct.pack(">I", zlib.crc32(lengths)))
