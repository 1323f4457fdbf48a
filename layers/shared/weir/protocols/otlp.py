"""OTLP/HTTP: spans out of an export request, binary or JSON, and the answers to it.

opentelemetry.io/docs/specs/otlp, sections "OTLP/HTTP Request", "OTLP/HTTP Response" and "JSON Protobuf Encoding". The
messages are those of the package opentelemetry-proto, imported when the first request comes.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from weir.protocols import jsonbytes

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

Encoding = Literal["protobuf", "json"]

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_REASONS_TOLD = 5


class MalformedExport(ValueError):
    """The bytes are no export request; the message never repeats them."""


class TooManySpans(MalformedExport):
    """The request holds more spans than one may."""


@dataclass(frozen=True, slots=True)
class Export:
    """What a request holds: each span as a document, and why others cannot be kept.

    A document has OTLP's JSON names with three departures, all for readers: attributes are an object, ids are hex, and
    kind and status are words. `resource` and `scope` stand in the span. What is not set is left out.
    """

    spans: tuple[dict[str, Any], ...]
    rejected: tuple[str, ...] = ()


def parse(body: bytes, encoding: Encoding, most: int | None = None) -> Export:
    """Raises MalformedExport, or TooManySpans when there are more than `most`."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    if encoding == "json":
        request = _from_json(body)
    else:
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError:
            raise MalformedExport("the body is not an ExportTraceServiceRequest in protobuf") from None
    count = sum(len(of_scope.spans) for of_resource in request.resource_spans for of_scope in of_resource.scope_spans)
    if most is not None and count > most:
        raise TooManySpans(f"the request holds {count} spans, and may hold {most}")
    return _export(request)


def response(rejected: Sequence[str], encoding: Encoding) -> bytes:
    """An ExportTraceServiceResponse; `partial_success` names what was rejected, and is not set when nothing was."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    more = f"; and {len(rejected) - _REASONS_TOLD} more" if len(rejected) > _REASONS_TOLD else ""
    message = "; ".join(rejected[:_REASONS_TOLD]) + more
    if encoding == "json":
        said = {"rejectedSpans": str(len(rejected)), "errorMessage": message} if rejected else {}
        return jsonbytes.dumps({"partialSuccess": said})
    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = len(rejected)
        answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())


def status(code: int, message: str, encoding: Encoding) -> bytes:
    """A google.rpc.Status. Its binary form is two fields: not worth the package that holds the generated message."""
    if encoding == "json":
        return jsonbytes.dumps({"code": code, "message": message})
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _from_json(body: bytes) -> "ExportTraceServiceRequest":
    from google.protobuf.json_format import ParseDict, ParseError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        said = jsonbytes.loads_finite(body)
    except jsonbytes.InvalidJSON as exc:
        raise MalformedExport(f"the body is not valid JSON: {exc}") from None
    if not isinstance(said, dict):
        raise MalformedExport("the body is not a JSON object")
    try:
        request = ExportTraceServiceRequest()
        ParseDict(_with_ids(said), request, ignore_unknown_fields=True)
        return request
    except (ParseError, RecursionError):  # its message quotes the value
        raise MalformedExport("the body is not an ExportTraceServiceRequest in JSON") from None


_IDS = {
    **dict.fromkeys(("traceId", "trace_id"), _TRACE_ID_BYTES),
    **dict.fromkeys(("spanId", "span_id", "parentSpanId", "parent_span_id"), _SPAN_ID_BYTES),
}
_WAY_TO_IDS = frozenset({"resourceSpans", "resource_spans", "scopeSpans", "scope_spans", "spans", "links"})


def _with_ids(message: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON with its ids in base64, as protobuf's own JSON has bytes. OTLP has them in hex; some write base64."""
    changed: dict[str, Any] = {}
    for name, value in message.items():
        if name in _WAY_TO_IDS and isinstance(value, list):
            value = [_with_ids(member) if isinstance(member, dict) else member for member in value]
        elif name in _IDS and isinstance(value, str):
            value = base64.b64encode(_id_bytes(value, _IDS[name])).decode()
        changed[name] = value
    return changed


def _id_bytes(text: str, size: int) -> bytes:
    """An id in hex or base64, which its length tells apart. One that is neither gives a byte, the size of no id."""
    if not text:
        return b""
    try:
        read = bytes.fromhex(text) if len(text) == 2 * size else base64.b64decode(_padded(text), validate=True)
    except (ValueError, binascii.Error):
        return b"?"
    return read if len(read) == size else b"?"


def _padded(text: str) -> str:
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    return bare + "=" * (-len(bare) % 4)


def _export(request: "ExportTraceServiceRequest") -> Export:
    spans: list[dict[str, Any]] = []
    rejected: list[str] = []
    for of_resource in request.resource_spans:
        resource = _set(attributes=_attributes(of_resource.resource.attributes))
        for of_scope in of_resource.scope_spans:
            scope = _set(
                name=of_scope.scope.name,
                version=of_scope.scope.version,
                attributes=_attributes(of_scope.scope.attributes),
            )
            for span in of_scope.spans:
                problem = _problem(span)
                if problem is None:
                    spans.append(_document(span, resource, scope))
                else:
                    rejected.append(f"span {len(spans) + len(rejected)}: {problem}")
    return Export(tuple(spans), tuple(rejected))


def _problem(span: "Span") -> str | None:
    """Without its ids a span has no place in a trace, and could not be told from itself when it is sent again."""
    if len(span.trace_id) != _TRACE_ID_BYTES or not any(span.trace_id):
        return "its trace id is not 16 bytes, or all of them are 0"
    if len(span.span_id) != _SPAN_ID_BYTES or not any(span.span_id):
        return "its span id is not 8 bytes, or all of them are 0"
    if len(span.parent_span_id) not in (0, _SPAN_ID_BYTES):
        return "its parent's span id is not 8 bytes"
    return None


def _document(span: "Span", resource: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        **_set(
            parentSpanId=span.parent_span_id.hex() if any(span.parent_span_id) else "",
            traceState=span.trace_state,
            flags=span.flags,
            name=span.name,
            kind=_word(_KINDS, span.kind),
            startTimeUnixNano=_nanoseconds(span.start_time_unix_nano),
            endTimeUnixNano=_nanoseconds(span.end_time_unix_nano),
            attributes=_attributes(span.attributes),
            droppedAttributesCount=span.dropped_attributes_count,
            events=[
                _set(
                    timeUnixNano=_nanoseconds(event.time_unix_nano),
                    name=event.name,
                    attributes=_attributes(event.attributes),
                )
                for event in span.events
            ],
            droppedEventsCount=span.dropped_events_count,
            links=[
                _set(traceId=link.trace_id.hex(), spanId=link.span_id.hex(), attributes=_attributes(link.attributes))
                for link in span.links
            ],
            droppedLinksCount=span.dropped_links_count,
            status=_set(code=_word(_STATUSES, span.status.code), message=span.status.message),
            resource=resource,
            scope=scope,
        ),
    }


def _set(**fields: Any) -> dict[str, Any]:
    """Without those that are not set: protobuf does not tell an empty field from an absent one."""
    return {name: value for name, value in fields.items() if value}


def _word(words: Sequence[str], number: int) -> str:
    return "" if number == 0 else words[number] if 0 < number < len(words) else str(number)


def _nanoseconds(count: int) -> str:
    """As OTLP's JSON has it: many readers of JSON lose the last digits of such a number."""
    return str(count) if count else ""


def _attributes(pairs: "Iterable[KeyValue]") -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: "AnyValue") -> Any:
    """Bytes are base64, as in OTLP's JSON; a number that is none (NaN, infinity) has no JSON form and is null."""
    match value.WhichOneof("value"):
        case "array_value":
            return [_value(member) for member in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "double_value":
            number = value.double_value
            return number if number - number == 0 else None
        case None:
            return None
        case name:
            return getattr(value, name)
