import json
from typing import Any

import pytest
from weir.http.scrub import ERASED, find_secrets, scrubbed

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
