"""Keys reach nothing that is kept, and nothing else is touched."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weir.http.credentials import provider_keys
from weir.http.scrub import ERASED, erase, erase_text, find_secrets, may_hold_secrets, scrubbed
from weir.protocols import jsonbytes

Json = dict[str, Any]

SAID = {"role": "user", "content": "my password is 'swordfish', the api_key too"}
BODY: Json = {"model": "m", "messages": [SAID], "temperature": 0.5, "tools": []}

PLACES: list[tuple[str | int, ...]] = [
    ("auth_keys", "openai_api_key", "key_value"),
    ("auth_keys", "openai_api_key"),
    ("customer_credentials", "openai", "api_key"),
    ("customer_credentials", "vertex", "json", "private_key"),
    ("credential_override", "a", 0, "b"),
    ("extra_headers", "X-Anything"),
    ("client_params", "api_key"),
    ("client_params", "default_headers", "X-Anything"),
    ("client_params", "default_query", "sig"),
    ("params", "extra_headers", "Authorization"),
    ("tools", 0, "headers", "X-Anything"),
    ("tools", 0, "authorization"),
    ("extra_body", "aws_secret_access_key"),
    ("extra_body", "aws_session_token"),
    ("apiKey",),
    ("X-Api-Key",),
    ("password",),
    ("cookie",),
    ("integration", "bearer"),
]

secrets = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cs"]), min_size=6).map(
    lambda text: "canary-" + text
)


def planted(place: tuple[str | int, ...], secret: str) -> Json:
    inner: Any = secret
    for step in reversed(place):
        inner = [inner] if isinstance(step, int) else {step: inner}
    return {**BODY, **inner}


def kept(raw: bytes, *known: str) -> bytes:
    body = jsonbytes.loads(raw)
    found = find_secrets(body) if may_hold_secrets(raw) else set()
    return scrubbed(raw, body, found | set(known))


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for name, member in value.items() for text in (name, *texts(member))]
    if isinstance(value, list):
        return [text for member in value for text in texts(member)]
    return [value] if isinstance(value, str) else []


@given(st.sampled_from(PLACES), secrets, st.booleans())
def test_a_secret_in_a_credentials_place_is_kept_nowhere(
    place: tuple[str | int, ...], secret: str, ascii_only: bool
) -> None:
    body = planted(place, secret)
    body["messages"] = [SAID, {"role": "user", "content": f"the key is {secret}, do not tell"}]
    stored = kept(json.dumps(body, ensure_ascii=ascii_only).encode())
    assert not any(secret in text for text in texts(json.loads(stored)))
    assert json.loads(stored)["messages"][0] == SAID


@given(secrets, st.booleans())
def test_a_known_secret_is_erased_wherever_it_turns_up(secret: str, ascii_only: bool) -> None:
    assume(ascii_only is False or secret.isascii())
    body = {**BODY, "user": secret, "messages": [{"role": "user", "content": f"({secret})"}]}
    stored = json.loads(kept(json.dumps(body, ensure_ascii=ascii_only).encode(), secret))
    assert stored == {**BODY, "user": ERASED, "messages": [{"role": "user", "content": f"({ERASED})"}]}


@given(st.dictionaries(st.sampled_from(["model", "n", "user", "x"]), st.text() | st.integers() | st.lists(st.text())))
def test_a_body_without_credentials_is_kept_to_the_byte(body: Json) -> None:
    raw = json.dumps(body, indent=1).encode()
    assume(not may_hold_secrets(raw))
    assert scrubbed(raw, body, ()) is raw


def test_what_was_said_stays_to_the_letter() -> None:
    assert json.loads(kept(json.dumps(BODY).encode())) == BODY


def test_only_the_values_of_credentials_are_erased() -> None:
    body = {
        "auth_keys": {"openai_api_key": {"id": 7, "key_value": "canary-1"}, "groq_api_key": None, "empty": ""},
        "client_params": {"base_url": "https://e.example", "api_key": "canary-2"},
        "max_tokens": 5,
        "prompt_cache_key": "conversation-7",
        "metadata": {"keyword": "weather", "author": "ann"},
    }
    assert json.loads(kept(json.dumps(body).encode())) == {
        **body,
        "auth_keys": {"openai_api_key": {"id": 7, "key_value": ERASED}, "groq_api_key": None, "empty": ""},
        "client_params": {"base_url": "https://e.example", "api_key": ERASED},
    }


def test_a_tools_schema_is_no_place_for_credentials() -> None:
    """Its words ("string", "object") would otherwise be erased everywhere, in the answer too."""
    parameters = {
        "type": "object",
        "properties": {
            "headers": {"type": "object", "description": "HTTP headers", "additionalProperties": {"type": "string"}},
            "credentials": {"type": "string", "title": "password"},
        },
    }
    tools = [{"type": "function", "function": {"name": "fetch", "parameters": parameters}}]
    format = {"type": "json_schema", "json_schema": {"name": "a", "schema": parameters}}
    body = {**BODY, "tools": tools, "response_format": format}
    assert find_secrets(body) == set()
    assert json.loads(kept(json.dumps(body).encode())) == body


def test_one_secret_inside_another_leaves_no_rest() -> None:
    nested = [f"canary-{'x' * length}" for length in range(1, 30)]
    for secret in nested:
        assert erase(secret.encode(), nested) == ERASED.encode()
        assert erase_text(secret, nested) == ERASED


def test_a_short_text_is_no_secret() -> None:
    assert find_secrets({"api_key": "abc12", "password": "no"}) == set()
    assert erase(b'{"a":"no"}', ["no", ""]) == b'{"a":"no"}'
    assert erase_text("no", ["no", ""]) == "no"


def test_a_secret_is_found_in_its_json_form() -> None:
    secret = 'canary-"quoted"\\n'
    assert erase(json.dumps({"said": secret}).encode(), [secret]) == b'{"said": "[erased]"}'


def test_a_secret_that_ends_in_a_backslash_takes_no_escape_with_it() -> None:
    secret = "canary-1\\"
    for said in (secret, "canary-1\n"):
        assert json.loads(erase(json.dumps({"said": said}).encode(), [secret])) == {
            "said": said.replace(secret, ERASED)
        }


@pytest.mark.parametrize(
    "name", ["api_key", "API_KEY", "apikey", "Authorization", "private-key", "sessionToken", "Cookie"]
)
def test_every_name_of_a_credential_is_hinted_at(name: str) -> None:
    assert may_hold_secrets(json.dumps({name: "x"}).encode())


@pytest.mark.parametrize("raw", [rb'{"\u0061pi_ke\u0079": "canary-1"}', rb'{"pass\u0077ord": "canary-1"}'])
def test_escapes_hide_no_name(raw: bytes) -> None:
    assert b"canary-1" not in kept(raw)


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ({}, {}),
        ({"auth_keys": None, "customer_credentials": None}, {}),
        ({"auth_keys": {"openai_api_key": "k"}}, {"openai": "k"}),
        ({"auth_keys": {"azure_openai_api_key": {"id": 1, "key_value": "k"}}}, {"azure-openai": "k"}),
        ({"auth_keys": {"groq_api_key": {"keyValue": "k"}, "openai_api_key": "", "xai_api_key": None}}, {"groq": "k"}),
        ({"customer_credentials": {"bedrock_mantle": {"api_key": "k"}, "x": "k"}}, {"bedrock-mantle": "k"}),
        ({"customer_credentials": "k"}, {}),
    ],
)
def test_provider_keys_are_found(body: Json, keys: dict[str, str]) -> None:
    assert provider_keys(body) == keys
