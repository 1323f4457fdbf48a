"""OTLP/HTTP: both encodings of the same request are the same spans."""

import base64
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from weir.protocols import otlp

TRACE, SPAN, PARENT = "0102030405060708090a0b0c0d0e0f10", "0102030405060708", "1112131415161718"

EXPORT: dict[str, Any] = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "tracer", "version": "1.2"},
                    "spans": [
                        {
                            "traceId": TRACE,
                            "spanId": SPAN,
                            "parentSpanId": PARENT,
                            "traceState": "a=b",
                            "flags": 256,
                            "name": "chat",
                            "kind": 3,
                            "startTimeUnixNano": "1767323045000000001",
                            "endTimeUnixNano": "1767323046000000002",
                            "attributes": [
                                {"key": "text", "value": {"stringValue": "Grüezi"}},
                                {"key": "count", "value": {"intValue": "9007199254740993"}},
                                {"key": "share", "value": {"doubleValue": 0.5}},
                                {"key": "flag", "value": {"boolValue": False}},
                                {"key": "bytes", "value": {"bytesValue": "AAE="}},
                                {"key": "empty", "value": {}},
                                {
                                    "key": "list",
                                    "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}},
                                },
                                {
                                    "key": "map",
                                    "value": {"kvlistValue": {"values": [{"key": "b", "value": {"boolValue": True}}]}},
                                },
                            ],
                            "events": [
                                {
                                    "timeUnixNano": "1767323045500000000",
                                    "name": "exception",
                                    "attributes": [{"key": "exception.type", "value": {"stringValue": "Oops"}}],
                                }
                            ],
                            "links": [{"traceId": TRACE, "spanId": PARENT}],
                            "status": {"code": 2, "message": "it broke"},
                        }
                    ],
                }
            ],
        }
    ]
}

DOCUMENT: dict[str, Any] = {
    "traceId": TRACE,
    "spanId": SPAN,
    "parentSpanId": PARENT,
    "traceState": "a=b",
    "flags": 256,
    "name": "chat",
    "kind": "client",
    "startTimeUnixNano": "1767323045000000001",
    "endTimeUnixNano": "1767323046000000002",
    "attributes": {
        "text": "Grüezi",
        "count": 9007199254740993,
        "share": 0.5,
        "flag": False,
        "bytes": "AAE=",
        "empty": None,
        "list": ["a", 1],
        "map": {"b": True},
    },
    "events": [{"timeUnixNano": "1767323045500000000", "name": "exception", "attributes": {"exception.type": "Oops"}}],
    "links": [{"traceId": TRACE, "spanId": PARENT}],
    "status": {"code": "error", "message": "it broke"},
    "resource": {"attributes": {"service.name": "shop"}},
    "scope": {"name": "tracer", "version": "1.2"},
}


def in_base64(export: Any) -> Any:
    """The same with its ids in base64, which is how protobuf's own JSON has bytes."""
    if isinstance(export, list):
        return [in_base64(member) for member in export]
    if not isinstance(export, dict):
        return export
    return {
        name: base64.b64encode(bytes.fromhex(value)).decode()
        if name.endswith(("traceId", "panId"))
        else in_base64(value)
        for name, value in export.items()
    }


def binary(export: dict[str, Any]) -> bytes:
    return bytes(ParseDict(in_base64(export), ExportTraceServiceRequest()).SerializeToString())


def one_span(**fields: Any) -> dict[str, Any]:
    span = {"traceId": TRACE, "spanId": SPAN, **fields}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def in_json(export: Any) -> bytes:
    return json.dumps(export).encode()


SPELLINGS: dict[str, bytes] = {
    "hex ids": in_json(EXPORT),
    "base64 ids": in_json(in_base64(EXPORT)),
    "names of enums": in_json(MessageToDict(ExportTraceServiceRequest.FromString(binary(EXPORT)))),
    "names as in the .proto": in_json(
        MessageToDict(ExportTraceServiceRequest.FromString(binary(EXPORT)), preserving_proto_field_name=True)
    ),
    "fields that nobody knows": in_json({**EXPORT, "newer": [{"traceId": "x"}]}),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_json_is_read(spelling: str) -> None:
    assert otlp.parse(SPELLINGS[spelling], "json") == otlp.Export((DOCUMENT,))


def test_the_binary_form_gives_the_same() -> None:
    assert otlp.parse(binary(EXPORT), "protobuf") == otlp.Export((DOCUMENT,))


@pytest.mark.parametrize(("body", "encoding"), [(b"", "protobuf"), (b"{}", "json"), (b'{"resourceSpans": []}', "json")])
def test_a_request_may_hold_nothing(body: bytes, encoding: otlp.Encoding) -> None:
    assert otlp.parse(body, encoding) == otlp.Export(())


@given(trace=st.binary(min_size=16, max_size=16), span=st.binary(min_size=8, max_size=8))
def test_ids_are_hex_whatever_they_came_in(trace: bytes, span: bytes) -> None:
    spellings = [
        (trace.hex(), span.hex()),
        (trace.hex().upper(), span.hex().upper()),
        *(
            (encoded(trace).decode().rstrip(end), encoded(span).decode().rstrip(end))
            for encoded in (base64.b64encode, base64.urlsafe_b64encode)
            for end in ("=", "")
        ),
    ]
    exports = [otlp.parse(in_json(one_span(traceId=t, spanId=s)), "json") for t, s in spellings]
    expected = [{"traceId": trace.hex(), "spanId": span.hex()}] if any(trace) and any(span) else []
    assert [list(export.spans) for export in exports] == [expected] * len(spellings)
    assert [len(export.rejected) for export in exports] == [1 - len(expected)] * len(spellings)


BAD_TRACE = "its trace id is not 16 bytes, or all of them are 0"
BAD_SPAN = "its span id is not 8 bytes, or all of them are 0"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"traceId": ""}, BAD_TRACE),
        ({"traceId": "0" * 32}, BAD_TRACE),
        ({"traceId": "xyz"}, BAD_TRACE),
        ({"traceId": "g" * 32}, BAD_TRACE),
        ({"traceId": SPAN}, BAD_TRACE),
        ({"spanId": ""}, BAD_SPAN),
        ({"spanId": "AAAAAAAAAAA="}, BAD_SPAN),
        ({"spanId": TRACE}, BAD_SPAN),
        ({"parentSpanId": "abc"}, "its parent's span id is not 8 bytes"),
    ],
)
def test_a_span_without_its_ids_is_rejected_and_the_others_are_not(fields: dict[str, Any], reason: str) -> None:
    export = one_span(**fields)
    export["resourceSpans"].append(one_span()["resourceSpans"][0])
    assert otlp.parse(in_json(export), "json") == otlp.Export(
        ({"traceId": TRACE, "spanId": SPAN},), (f"span 0: {reason}",)
    )


def test_a_parent_of_zeros_is_no_parent() -> None:
    assert otlp.parse(in_json(one_span(parentSpanId="0" * 16)), "json").spans == ({"traceId": TRACE, "spanId": SPAN},)


def any_value(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [any_value(member) for member in value]}}
        case _:
            pairs = [{"key": name, "value": any_value(member)} for name, member in value.items()]
            return {"kvlistValue": {"values": pairs}}


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_a_value_is_what_it_was(value: Any) -> None:
    export = one_span(attributes=[{"key": "k", "value": any_value(value)}])
    for read in (otlp.parse(in_json(export), "json"), otlp.parse(binary(export), "protobuf")):
        assert read.spans[0]["attributes"] == {"k": value}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_is_null(number: str) -> None:
    export = one_span(attributes=[{"key": "k", "value": {"doubleValue": number}}])
    assert otlp.parse(in_json(export), "json").spans[0]["attributes"] == {"k": None}


def test_kinds_and_states_of_the_future_keep_their_numbers() -> None:
    export = ExportTraceServiceRequest.FromString(binary(one_span()))
    span = export.resource_spans[0].scope_spans[0].spans[0]
    span.kind, span.status.code = 77, 7
    (document,) = otlp.parse(export.SerializeToString(), "protobuf").spans
    assert (document["kind"], document["status"]) == ("77", {"code": "7"})


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"\xff\xff", "protobuf"),
        (binary(EXPORT)[:-3], "protobuf"),
        (b'{"resourceSpans": []}', "protobuf"),
        (b"", "json"),
        (b"[]", "json"),
        (b'{"resourceSpans": [null]}', "json"),
        (b'{"resourceSpans": {}}', "json"),
        (in_json(one_span(attributes=[{"key": "k", "value": {"intValue": "secret text"}}])), "json"),
        (in_json(one_span(attributes=[{"key": "k", "value": {"intValue": str(2**63)}}])), "json"),
        (binary(EXPORT), "json"),
        (b'{"resourceSpans": ' + b"[" * 10_000, "json"),
    ],
)
def test_what_is_no_request_is_refused_without_being_repeated(body: bytes, encoding: otlp.Encoding) -> None:
    with pytest.raises(otlp.MalformedExport) as refused:
        otlp.parse(body, encoding)
    assert "secret" not in str(refused.value)


@given(VALUES | st.binary(), st.sampled_from(["protobuf", "json"]))
def test_nothing_breaks_the_reader(value: Any, encoding: otlp.Encoding) -> None:
    body = value if isinstance(value, bytes) else in_json({"resourceSpans": value})
    with suppress(otlp.MalformedExport):
        otlp.parse(body, encoding)


def test_all_well_is_an_empty_partial_success() -> None:
    assert json.loads(otlp.response((), "json")) == {"partialSuccess": {}}
    assert ExportTraceServiceResponse.FromString(otlp.response((), "protobuf")) == ExportTraceServiceResponse()


@pytest.mark.parametrize(
    ("rejected", "message"),
    [(["a"], "a"), (["a", "b"], "a; b"), ([*"abcdefg"], "a; b; c; d; e; and 2 more")],
)
def test_the_rejected_are_counted_and_named(rejected: Sequence[str], message: str) -> None:
    """Protobuf's JSON has 64-bit numbers as texts."""
    expected = {"partialSuccess": {"rejectedSpans": str(len(rejected)), "errorMessage": message}}
    assert json.loads(otlp.response(rejected, "json")) == expected
    assert MessageToDict(ExportTraceServiceResponse.FromString(otlp.response(rejected, "protobuf"))) == expected


@pytest.mark.parametrize("message", ["", "no such key", "Ä" * 300])
def test_an_error_is_a_status_of_googles(message: str) -> None:
    assert json.loads(otlp.status(3, message, "json")) == {"code": 3, "message": message}
    assert Status.FromString(otlp.status(300, message, "protobuf")) == Status(code=300, message=message)
