"""What comes in by OTLP: packed bodies, and keys in attributes."""

import gzip
import json
import zlib
from typing import Any

import pytest

from weir.domain.errors import FormatUnsupported, RequestInvalid, RequestTooLarge
from weir.http.scrub import ERASED
from weir.http.span_intake import unpacked
from weir.http.span_scrub import without_keys

TEXT = b"what a tracer sends " * 100
PACKED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT, mtime=0),
    "x-gzip": gzip.compress(TEXT, mtime=0),
    "deflate": zlib.compress(TEXT),
}


@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_body_is_unpacked(packing: str) -> None:
    assert unpacked(PACKED[packing], packing) == TEXT


def test_gzip_may_come_in_several_members() -> None:
    assert unpacked(gzip.compress(TEXT) + gzip.compress(b"more"), "gzip") == TEXT + b"more"


def test_a_body_that_was_unpacked_on_the_way_is_read_as_it_is() -> None:
    assert unpacked(TEXT, "gzip") == TEXT


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
def test_unpacking_stops_at_the_limit(packing: str) -> None:
    assert unpacked(PACKED[packing], packing, len(TEXT)) == TEXT
    with pytest.raises(RequestTooLarge, match="when it is unpacked"):
        unpacked(PACKED[packing], packing, len(TEXT) - 1)


def test_a_bomb_in_many_members_is_one_too() -> None:
    with pytest.raises(RequestTooLarge):
        unpacked(gzip.compress(TEXT) * 3, "gzip", 2 * len(TEXT))


@pytest.mark.parametrize(
    ("body", "packing"),
    [
        (PACKED["gzip"][:-4], "gzip"),
        (PACKED["gzip"][:15] + b"\xff" * 20, "gzip"),
        (PACKED["gzip"] + b"rest", "gzip"),
        (TEXT, "deflate"),
        (PACKED["deflate"][:-1], "deflate"),
    ],
)
def test_a_damaged_body_is_refused(body: bytes, packing: str) -> None:
    with pytest.raises(RequestInvalid):
        unpacked(body, packing)


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip"])
def test_another_packing_is_not_read(packing: str) -> None:
    with pytest.raises(FormatUnsupported):
        unpacked(TEXT, packing)


CANARY = "canary-key-17"
MESSAGES = json.dumps([{"role": "user", "parts": [{"type": "tool_call", "arguments": {"password": CANARY}}]}])


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("openai.api_key", CANARY, ERASED),
        ("llm.headers", CANARY, ERASED),
        ("http.request.header.authorization", [f"Bearer {CANARY}"], [ERASED]),
        ("http.request.header.x-any-name", [CANARY], [ERASED]),
        ("http.request.header.content-type", ["application/json"], [ERASED]),
        ("traceloop.entity.input", json.dumps({"kwargs": {"api_key": CANARY}}), '{"kwargs":{"api_key":"[erased]"}}'),
        (
            "llm.invocation_parameters",
            f'{{"extra_headers":{{"x-any":"{CANARY}"}}}}',
            f'{{"extra_headers":{{"x-any":"{ERASED}"}}}}',
        ),
    ],
)
def test_a_place_of_keys_is_emptied(name: str, value: Any, kept: Any) -> None:
    holders: list[dict[str, Any]] = [
        {"attributes": {name: value}},
        {"resource": {"attributes": {name: value}}},
        {"events": [{"name": "e", "attributes": {name: value}}]},
    ]
    secrets = {CANARY, f"Bearer {CANARY}"} if name.endswith("authorization") else {CANARY}
    for holder in holders:
        cleaned, found = without_keys(holder)
        assert cleaned == json.loads(json.dumps(holder).replace(json.dumps(value), json.dumps(kept)))
        assert found == (set() if name.endswith("content-type") else secrets)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen_ai.input.messages", MESSAGES),
        ("gen_ai.prompt.0.content", '{"password": "of a story"}'),
        ("traceloop.entity.input", '{ "kwargs" : {"text": "spaces stay"} }'),
        ("traceloop.entity.output", "{no JSON"),
        ("gen_ai.usage.input_tokens", 12),
    ],
)
def test_everything_else_is_kept_to_the_letter(name: str, value: Any) -> None:
    span = {"attributes": {name: value}}
    assert without_keys(span) == (span, set())
