"""AWS event streams (application/vnd.amazon.eventstream) out of bytes cut anywhere.

https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html. All numbers are big-endian. One message is
total length u32, headers length u32, CRC-32 of those eight bytes; the headers; the payload; CRC-32 of all before it.
"""

import base64
import uuid
from collections.abc import Mapping
from struct import Struct
from typing import NamedTuple
from zlib import crc32

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_SHORT = Struct(">H")
_FRAME = _PRELUDE.size + _CRC.size

MAX_HEADERS = 128 * 1024
MAX_PAYLOAD = 24 * 1024 * 1024
"""Both limits are botocore's: a longer length is a stream that cannot be trusted, not one worth waiting for."""


class InvalidEventStream(ValueError):
    """The bytes are not an event stream; the message gives the reason and never their text."""


class EventStreamMessage(NamedTuple):
    """Header values are given as text: numbers in decimal, timestamps as milliseconds since 1970, bytes in base64."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamParser:
    """One stream's bytes -> its messages. A message counts only when all of it has come and its checksums agree."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._length = 0

    def feed(self, data: bytes) -> list[EventStreamMessage]:
        """Whole messages so far. Raises InvalidEventStream.

        Messages before a broken one are given first and the error is raised by the next call, which may bring no bytes:
        however the stream is cut, the same messages come before the same error.
        """
        rest = self._rest
        rest += data
        messages: list[EventStreamMessage] = []
        at = 0
        try:
            while True:
                if not self._length:
                    if len(rest) - at < _PRELUDE.size:
                        break
                    self._length = _message_length(rest, at)
                if len(rest) - at < self._length:
                    break
                messages.append(_message(bytes(rest[at : at + self._length])))
                at += self._length
                self._length = 0
        except InvalidEventStream:
            if not messages:
                raise
        if at:
            del rest[:at]
        return messages

    @property
    def pending(self) -> bytes:
        """Bytes that have come and are not part of a whole message yet."""
        return bytes(self._rest)


def _message_length(data: bytearray, at: int) -> int:
    """The length of the message that begins at `at`; its prelude has come whole."""
    length, headers, checksum = _PRELUDE.unpack_from(data, at)
    if crc32(data[at : at + 8]) != checksum:
        raise InvalidEventStream("the checksum of an event's prelude does not agree with it")
    payload = length - headers - _FRAME
    if payload < 0:
        raise InvalidEventStream(f"an event of {length} bytes cannot hold {headers} bytes of headers")
    if headers > MAX_HEADERS or payload > MAX_PAYLOAD:
        raise InvalidEventStream(f"an event has {headers} bytes of headers and {payload} of payload, more than allowed")
    return int(length)


def _message(frame: bytes) -> EventStreamMessage:
    end = len(frame) - _CRC.size
    if crc32(frame[:end]) != _CRC.unpack_from(frame, end)[0]:
        raise InvalidEventStream("the checksum of an event does not agree with it")
    payload = _PRELUDE.size + _PRELUDE.unpack_from(frame)[1]
    return EventStreamMessage(_headers(frame[_PRELUDE.size : payload]), frame[payload:end])


def _headers(block: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            end = at + 1 + block[at]
            name = str(_exactly(block, at + 1, end), "utf-8")
            if name in headers:
                raise InvalidEventStream(f"an event has the header {name[:64]!r} twice")
            headers[name], at = _value(block[end], block, end + 1)
    except (IndexError, UnicodeDecodeError) as exc:
        raise InvalidEventStream("the headers of an event cannot be read") from exc
    return headers


_INTEGER_SIZES: Mapping[int, int] = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8}
"""Type -> bytes of a signed number: byte, short, integer, long, timestamp."""


def _value(type: int, block: bytes, at: int) -> tuple[str, int]:
    """A header's value as text, and where it ends."""
    match type:
        case 7 | 6:  # string, byte array: behind their length
            start = at + _SHORT.size
            end = start + int.from_bytes(_exactly(block, at, start), "big")
            value = _exactly(block, start, end)
            return (str(value, "utf-8") if type == 7 else base64.b64encode(value).decode()), end
        case 0:
            return "true", at
        case 1:
            return "false", at
        case 2 | 3 | 4 | 5 | 8:
            end = at + _INTEGER_SIZES[type]
            return str(int.from_bytes(_exactly(block, at, end), "big", signed=True)), end
        case 9:
            return str(uuid.UUID(bytes=_exactly(block, at, at + 16))), at + 16
        case _:
            raise InvalidEventStream(f"an event has a header of the unknown type {type}")


def _exactly(block: bytes, start: int, end: int) -> bytes:
    """Raises IndexError where a plain slice would be shorter than asked for."""
    if end > len(block):
        raise IndexError("past the end of the headers")
    return block[start:end]
