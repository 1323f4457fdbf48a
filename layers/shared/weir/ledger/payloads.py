"""Payloads as one compressed JSON object: `request`, `response`, and `reply` or `reply_base64`.

A small one is a zlib stream made with CHAT_WORDS at hand, whose checksum its header holds (RFC 1950, FDICT): a text of
2 KB comes out a third smaller, one of 8 KB a fifth. For large ones, whose own words repeat, it is a gzip member.
"""

import base64
import functools
import gzip
import zlib
from typing import Any

from weir.domain.record import Payload
from weir.ledger.chat_words import CHAT_WORDS
from weir.protocols import jsonbytes

FAST = 1
"""Compression for who pays in processor time."""
SMALL = 5
"""Compression for who pays by the kilobyte: 15% smaller than FAST, at twice the time."""

_GZIP = 16 + zlib.MAX_WBITS
_FIXED_HEADER = b"\x1f\x8b"


def to_bytes(payload: Payload, level: int = FAST) -> bytes:
    """A small one, to be put beside its record."""
    packer = _primed(level).copy()
    return b"".join([packer.compress(_to_json(payload)), packer.flush()])


def to_gzip(payload: Payload, level: int = FAST) -> bytes:
    """One that is large, or whose reader may be anybody."""
    packer = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    return b"".join([packer.compress(_to_json(payload)), packer.flush()])


def unpacked(content: bytes) -> bytes:
    """The JSON text of what to_bytes or to_gzip made. Raises ValueError when it is not that, or not all of it."""
    try:
        if content.startswith(_FIXED_HEADER):
            return gzip.decompress(content)
        reader = zlib.decompressobj(zdict=CHAT_WORDS)
        text = reader.decompress(content) + reader.flush()
    except (EOFError, OSError, zlib.error) as exc:
        raise ValueError("not a payload, or not a whole one") from exc
    if not reader.eof:
        raise ValueError("not a whole payload")
    return text


def from_bytes(content: bytes) -> Payload:
    """Raises ValueError when the bytes are not a payload."""
    fields = jsonbytes.loads(unpacked(content))
    reply = fields.get("reply")
    raw = reply.encode() if reply is not None else None
    if "reply_base64" in fields:
        raw = base64.b64decode(fields["reply_base64"])
    response = jsonbytes.dumps(fields["response"]) if "response" in fields else None
    return Payload(jsonbytes.dumps(fields["request"]), response, raw)


def _to_json(payload: Payload) -> bytes:
    """The JSON texts inside are joined, not parsed again."""
    parts = [b'{"request":', payload.request]
    if payload.response is not None:
        parts += [b',"response":', payload.response]
    if payload.reply is not None:
        try:
            parts += [b',"reply":', jsonbytes.dumps(payload.reply.decode())]
        except UnicodeDecodeError:
            parts += [b',"reply_base64":"', base64.b64encode(payload.reply), b'"']
    parts.append(b"}")
    return b"".join(parts)


@functools.cache
def _primed(level: int) -> Any:
    """Has read the words once; a copy of it takes a tenth of the time that reading them does."""
    return zlib.compressobj(
        level, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY, CHAT_WORDS
    )
