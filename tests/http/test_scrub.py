import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from weir.domain.record import Record
from weir.http.scrub import ERASED, erase, erase_record, find_secrets, scrubbed

KEY = "canary-key-0123456789"


def clean(raw: str, *secrets: str) -> Any:
    body = json.loads(raw)
    return json.loads(scrubbed(raw.encode(), body, {*secrets, *find_secrets(body)}))


def test_a_body_without_keys_is_kept_to_the_letter() -> None:
    raw = b'{ "model" : "m", "temperature": 1.0, "note": "caf\xc3\xa9" }'
    assert scrubbed(raw, json.loads(raw), {KEY}) is raw


@pytest.mark.parametrize(
    "raw",
    [
        '{"api_key": "%s"}',
        '{"metadata": {"note": "it is %s"}, "auth_keys": {"openai_api_key": {"key_value": "%s"}}}',
        '{"extra_headers": {"x-anything": "%s"}, "messages": [{"role": "user", "content": "%s"}]}',
        '{"headers": {"Authorization": "Bearer %s"}, "input": "Authorization: %s"}',
        '{"api\\u005fkey": "%s"}',
        '{"api\\u005fkey": "%s", "api\\u005fkey": "another"}',
        '{"%s": 1, "list": [{"secret": "%s"}]}',
        '{"api_key": ["%s"], "secrets": {"any": {"name": "%s"}}}',
        '{"tools": [{"type": "mcp", "authorization": "%s", "headers": {"any": "%s"}}]}',
    ],
)
def test_a_key_is_nowhere_in_what_is_kept(raw: str) -> None:
    raw = raw.replace("%s", KEY)
    body = json.loads(raw)
    assert KEY.encode() not in scrubbed(raw.encode(), body, find_secrets(body))


def test_a_key_is_found_behind_escapes_that_json_does_not_need() -> None:
    key = "canary/with/slashes"
    assert clean('{"note": "canary\\/with\\/slashes"}', key) == {"note": ERASED}


def test_erasing_never_breaks_json_nor_its_numbers() -> None:
    raw = '{"created": 1234567890, "headers": {"x-tenant": "123456"}, "note": "tenant 123456"}'
    assert clean(raw) == {"created": 1234567890, "headers": {"x-tenant": ERASED}, "note": f"tenant {ERASED}"}


def test_a_short_word_among_the_headers_does_not_rename_fields() -> None:
    raw = '{"extra_headers": {"x-feature": "prompt"}, "prompt_tokens": 3}'
    assert clean(raw) == {"extra_headers": {"x-feature": ERASED}, "prompt_tokens": 3}


def test_what_every_request_has_in_its_headers_is_no_secret_elsewhere() -> None:
    raw = '{"headers": {"Content-Type": "application/json"}, "note": "send application/json"}'
    assert clean(raw) == {"headers": {"Content-Type": ERASED}, "note": "send application/json"}


def test_the_parameters_of_a_tool_are_no_credentials_whatever_their_names() -> None:
    schema = {
        "type": "object",
        "properties": {
            "headers": {"type": "object"},
            "api_key": {"type": "string", "description": "which key to press"},
        },
        "$defs": {"Secret": {"type": "object", "properties": {"value": {"type": "string"}}}},
        "required": ["api_key"],
    }
    body = {"tools": [{"type": "function", "function": {"name": "press", "parameters": schema}}]}
    assert (find_secrets(body), clean(json.dumps(body))) == (set(), body)


@pytest.mark.parametrize("written", ["canary-a/b", "canary-a\\/b", "canary-a\\u002fb", "\\u0063anary-a\\u002Fb"])
def test_a_key_is_erased_from_a_reply_however_it_is_written(written: str) -> None:
    raw = b'data: {"id": "it is %s"}' % written.encode()
    assert erase(raw, {"canary-a/b"}) == b'data: {"id": "it is [erased]"}'


def test_a_record_holds_no_key_in_what_others_wrote() -> None:
    record = Record(
        id="01a1fc6c-fba4-7cbe-bde4-d3db0459dca6",
        workspace="default",
        environment="prod",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin="completion",
        inference_location="SERVER",
        session_id=f"s-{KEY}",
        answered_model=KEY,
        metadata={"note": [KEY], "count": 1},
    )
    cleaned = replace(record, session_id=f"s-{ERASED}", answered_model=ERASED, metadata={"note": [ERASED], "count": 1})
    assert (erase_record(record, {KEY}), erase_record(record, {"another"})) == (cleaned, record)
