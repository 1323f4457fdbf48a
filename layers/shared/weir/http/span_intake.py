"""Spans out of a request by OTLP/HTTP, without keys, and the answers in the caller's own encoding."""

import asyncio
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import FormatUnsupported, RequestInvalid, RequestTooLarge, WeirError
from weir.http.app import read_body
from weir.http.auth import Keyring, Principal, presented_key
from weir.http.errors import one_line, status_of
from weir.http.scrub import scrubbed
from weir.http.span_fields import SpanLog, to_log
from weir.http.span_scrub import without_keys
from weir.protocols import jsonbytes, otlp

UNPACKED_LIMIT = 16_000_000
"""Bytes of a compressed request when it is unpacked; a few kilobytes can hold gigabytes."""

SPANS_LIMIT = 5_000
"""Spans of one request, which are on disk before it is answered. Exporters send 512 at once unless told otherwise."""

_OFF_LOOP = 65_536
_MEDIA_TYPES: Mapping[str, otlp.Encoding] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's: 16 more than the largest window means gzip's frame around it."""

_GZIP_MAGIC = b"\x1f\x8b"

_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 415: 3, 503: 14}
"""google.rpc.Code by HTTP status: INVALID_ARGUMENT, UNAUTHENTICATED, …, UNAVAILABLE."""
_INTERNAL = 13


@dataclass(frozen=True, slots=True)
class SpanIntake:
    """Each span's log with the span's text that is to be kept; `rejected` are the reasons why others cannot be."""

    principal: Principal
    spans: tuple[tuple[SpanLog, bytes], ...]
    rejected: tuple[str, ...]


def encoding_of(request: Request) -> otlp.Encoding:
    """Raises FormatUnsupported."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise FormatUnsupported(f"The content type must be {' or '.join(_MEDIA_TYPES)}.")
    return _MEDIA_TYPES[media_type]


async def take_spans(request: Request, keyring: Keyring, secrets: Iterable[str], limit: int) -> SpanIntake:
    """Raises Unauthorized, FormatUnsupported, RequestTooLarge or RequestInvalid."""
    principal = keyring.authenticate(request.headers, "ingest")
    encoding = encoding_of(request)
    body = await read_body(request, limit)
    packing = request.headers.get("content-encoding", "").strip().lower()
    key = presented_key(request.headers)
    known = frozenset({*secrets, *([key] if key else ())})
    if len(body) > _OFF_LOOP or packing:
        return await asyncio.to_thread(_intake, principal, body, packing, encoding, known)
    return _intake(principal, body, packing, encoding, known)


def export_reply(request: Request, rejected: Sequence[str]) -> Response:
    encoding = encoding_of(request)
    return _reply(otlp.response(rejected, encoding), 200, encoding)


def error_reply(request: Request, error: WeirError) -> Response:
    """In JSON where the caller's own encoding is none that we know."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = _MEDIA_TYPES.get(media_type, "json")
    status = status_of(error)
    return _reply(otlp.status(_CODES.get(status, _INTERNAL), one_line(error), encoding), status, encoding)


def unpacked(body: bytes, packing: str, limit: int = UNPACKED_LIMIT) -> bytes:
    """Raises FormatUnsupported, RequestTooLarge or RequestInvalid."""
    if packing in ("", "identity"):
        return body
    if packing not in _WINDOW_BITS:
        raise FormatUnsupported(f"The content encoding must be {', '.join(_WINDOW_BITS)} or none.")
    if packing != "deflate" and not body.startswith(_GZIP_MAGIC):
        # API Gateway unpacks bodies itself ("Payload compression for REST APIs" in its guide); the header may stay.
        return body
    found = bytearray()
    while body:
        member = zlib.decompressobj(_WINDOW_BITS[packing])
        try:
            found += member.decompress(body, limit + 1 - len(found))
        except zlib.error:
            raise RequestInvalid(f"The body is not {packing}.") from None
        if len(found) > limit:
            raise RequestTooLarge(f"The body is larger than {limit // 1_000_000} MB when it is unpacked.")
        if not member.eof:
            raise RequestInvalid(f"The {packing} body breaks off.")
        body = member.unused_data  # gzip files may be joined end to end (RFC 1952, section 2.2)
    return bytes(found)


def _intake(
    principal: Principal, body: bytes, packing: str, encoding: otlp.Encoding, secrets: frozenset[str]
) -> SpanIntake:
    try:
        export = otlp.parse(unpacked(body, packing), encoding, SPANS_LIMIT)
    except otlp.TooManySpans as exc:
        raise RequestTooLarge(f"Too much at once: {exc}.") from None
    except otlp.MalformedExport as exc:
        raise RequestInvalid(f"Malformed request: {exc}.") from None
    cleaned = [without_keys(span) for span in export.spans]
    known = secrets.union(*(found for _, found in cleaned))
    spans: list[tuple[SpanLog, bytes]] = []
    rejected = list(export.rejected)
    for span, _ in cleaned:
        raw = jsonbytes.dumps(span)
        kept = scrubbed(raw, span, known)
        try:
            spans.append((to_log(span if kept is raw else jsonbytes.loads(kept)), kept))
        except RequestInvalid as exc:
            rejected.append(f"span {span['spanId']}: {one_line(exc)}")
    return SpanIntake(principal, tuple(spans), tuple(rejected))


def _reply(content: bytes, status: int, encoding: otlp.Encoding) -> Response:
    media_type = next(name for name, value in _MEDIA_TYPES.items() if value == encoding)
    return Response(content, status, media_type=media_type)
