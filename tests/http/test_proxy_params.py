"""Keywords AI's parameters: which place goes first, what is read of them, and what of them has no effect."""

import base64
import json
from typing import Any

import pytest

from weir.domain.errors import RequestInvalid
from weir.http.chat_request import KEYWORDS_PARAMETERS, unnamed
from weir.http.chat_request import ChatCompletionBody as Body
from weir.http.proxy_params import ProxyParams, effective, to_params, with_header, without_words
from weir.http.validation import validated

HEADER, OLD_HEADER = b"x-data-respan-params", b"x-data-keywordsai-params"
CALL = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def encoded(fields: Any) -> bytes:
    return base64.b64encode(json.dumps(fields, ensure_ascii=False).encode())


def told(body: dict[str, Any], *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    raw = json.dumps(body).encode()
    kept, parsed = with_header(raw, body, headers)
    assert json.loads(kept) == parsed
    return dict(effective(parsed))


def test_a_body_without_any_of_them_stays_as_it_is() -> None:
    raw = json.dumps(CALL).encode()
    kept, body = with_header(raw, CALL, [(b"authorization", b"Bearer x"), (b"x-data-other", b"{")])
    assert kept is raw
    assert body is CALL
    assert effective(CALL | {"metadata": {"a": 1}, "customer_identifier": "c"}) == {}


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"note": "top"}, {}, "top"),
        ({"note": "top"}, {HEADER: {"note": "header"}}, "header"),
        ({"note": "top", "respan_params": {"note": "member"}}, {HEADER: {"note": "header"}}, "member"),
        ({"note": "top", "respan_params": '{"note": "text"}'}, {HEADER: {"note": "header"}}, "text"),
        ({"respan_params": '{"note": "text"}'}, {}, "text"),
        ({"keywordsai_params": {"note": "old member"}}, {HEADER: {"note": "header"}}, "old member"),
        ({"keywordsai_params": {"note": "old"}, "respan_params": {"note": "new"}}, {}, "new"),
        ({}, {OLD_HEADER: {"note": "old header"}}, "old header"),
        ({}, {OLD_HEADER: {"note": "old"}, HEADER: {"note": "new"}}, "new"),
        ({"note": "top", "respan_params": {"note": None}}, {HEADER: {"note": None}}, "top"),
        ({"note": "top", "respan_params": None}, {}, "top"),
        ({"note": "top", "respan_params": " "}, {}, "top"),
    ],
)
def test_the_member_goes_before_the_header_and_both_before_the_top(
    body: dict[str, Any], headers: dict[bytes, Any], expected: str
) -> None:
    found = told(CALL | body, *((name, encoded(value)) for name, value in headers.items()))
    assert found["note"] == expected


def test_variables_are_merged_and_there_the_top_goes_first() -> None:
    body = {"variables": {"a": "top"}, "respan_params": {"variables": {"a": "member", "b": "member"}}}
    header = (HEADER, encoded({"variables": {"c": "header"}}))
    assert told(body)["variables"] == {"a": "top", "b": "member"}
    assert told(body, header)["variables"] == {"a": "top", "b": "member"}
    assert told({"variables": {"a": "top"}}, header)["variables"] == {"a": "top", "c": "header"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"session_identifier": 7}, 7),
        ({"session_identifier": "older", "thread_identifier": "newer"}, "newer"),
        ({"thread_identifier": "top", "respan_params": {"session_identifier": "member"}}, "member"),
        ({"session_id": "ours", "thread_identifier": "theirs"}, "ours"),
        ({"session_id": "ours", "respan_params": {"thread_identifier": "member"}}, "member"),
        ({"session_id": "", "thread_identifier": "theirs"}, "theirs"),
    ],
)
def test_a_thread_has_one_name_in_each_place(body: dict[str, Any], expected: str | int) -> None:
    assert told(CALL | body)["thread_identifier"] == expected


@pytest.mark.parametrize(
    "value",
    [
        encoded({"note": "ünïcode ✓?>"}),
        encoded({"note": "ünïcode ✓?>"}).rstrip(b"="),
        base64.urlsafe_b64encode(json.dumps({"note": "ünïcode ✓?>"}).encode()),
        json.dumps({"note": "ünïcode ✓?>"}).encode(),
    ],
    ids=["standard", "unpadded", "url-safe", "plain"],
)
def test_a_header_is_read_in_every_alphabet(value: bytes) -> None:
    assert told(CALL, (HEADER, value)) == {"note": "ünïcode ✓?>"}


@pytest.mark.parametrize("name", [HEADER, OLD_HEADER])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"canary!", "is not base64"),
        (b"Y2FuYXJ5", "does not hold JSON"),
        (b"{canary", "does not hold JSON"),
        (base64.b64encode(b"\xff\xfe"), "does not hold JSON"),
        (encoded(["canary"]), "must hold a JSON object"),
        (encoded("canary"), "must hold a JSON object"),
        (encoded(None), "must hold a JSON object"),
        (b"{" + b'"a":{' * 192 + b"}" * 193, "nested too deeply"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_by_its_name(name: bytes, value: bytes, why: str) -> None:
    with pytest.raises(RequestInvalid, match=why) as caught:
        with_header(b"{}", {}, [(name, value)])
    assert "canary" not in str(caught.value)
    if "nested" not in why:
        assert caught.value.param == name.decode().title()


@pytest.mark.parametrize("value", [1, [], "no JSON", '"text"', "[]", True])
def test_a_member_that_is_no_object_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(RequestInvalid, match="'respan_params' must be an object"):
        told({"respan_params": value})


def test_every_parameter_with_a_meaning_is_read() -> None:
    found = to_params(
        effective(
            {
                "customer_params": {"customer_identifier": 12, "name": "Ann", "email": "a@example.com"},
                "thread_identifier": 5,
                "metadata": {"team": "a"},
                "custom_identifier": 7,
                "group_identifier": "g",
                "trace_unique_id": "t",
                "span_unique_id": "s",
                "span_parent_id": "p",
                "span_name": "a step",
                "span_workflow_name": "a flow",
                "prompt_id": "pr",
                "prompt_name": "greeting",
                "deployment_name": "eu",
                "note": "seen",
                "positive_feedback": False,
                "log_type": "agent",
                "properties": {"n": 1},
                "category": "c",
                "disable_fallback": True,
                "delimiter": "\n\n",
                "cache_enabled": False,
            }
        )
    )
    assert found == ProxyParams(
        labels={
            "log_type": "agent",
            "custom_identifier": "7",
            "group_identifier": "g",
            "trace_id": "t",
            "span_id": "s",
            "parent_span_id": "p",
            "span_name": "a step",
            "workflow_name": "a flow",
            "prompt_id": "pr",
            "prompt_name": "greeting",
            "deployment": "eu",
            "note": "seen",
            "positive_feedback": False,
        },
        customer_identifier="12",
        thread_identifier="5",
        metadata={"team": "a"},
    )


def test_what_has_no_effect_is_said_by_its_name() -> None:
    found = to_params(
        effective(
            {
                "fallback_models": ["b"],
                "cache_enabled": True,
                "retry_params": {"num_retries": 2},
                "first_token_timeout": 3,
                "timeout": 60,
                "respan_params": {
                    "unheard_of": 1,
                    "load_balance_models": [{"model": "b", "weight": 1, "credentials": {"api_key": "[erased]"}}],
                },
                "prompt": {"prompt_id": "pr", "variables": {}},
                "customer_params": {"rate_limit": 3},
                "customer_credentials": {"openai": {"api_key": "[erased]", "api_base": "[erased]"}},
            }
        )
    )
    assert found.labels == {"prompt_id": "pr"}
    assert sorted(found.warnings) == sorted(
        f"{name} is recorded and has no effect"
        for name in (
            "cache_enabled",
            "unheard_of",
            "load_balance_models.credentials",
            "prompt",
            "customer_params.rate_limit",
            "customer_credentials.openai.api_base",
        )
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"thread_identifier": {"a": 1}}, "thread_identifier"),
        ({"note": 3}, "note"),
        ({"custom_identifier": "x" * 257}, "custom_identifier"),
        ({"customer_params": "c"}, "customer_params"),
        ({"respan_params": {"metadata": "c"}}, "metadata"),
    ],
)
def test_a_wrong_parameter_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        to_params(effective(fields))
    assert caught.value.param == param


def test_none_of_them_goes_to_a_provider_but_openais_own_prompt() -> None:
    everything: dict[str, Any] = dict.fromkeys(KEYWORDS_PARAMETERS, "x")
    assert unnamed(validated(Body, CALL | everything | {"top_k": 4})) == {"top_k": 4}
    prompt = {"id": "pmpt_1", "version": "2"}
    assert unnamed(validated(Body, CALL | {"prompt": prompt})) == {"prompt": prompt}
    assert effective(CALL | {"prompt": prompt}) == {}
    assert unnamed(validated(Body, CALL | {"prompt": {"prompt_id": "p"}})) == {}


def test_a_call_without_its_words_keeps_the_rest() -> None:
    body = CALL | {"tools": [1], "input": "i", "temperature": 1}
    assert json.loads(without_words(body)) == {"model": "m", "temperature": 1}
    assert json.loads(without_words({"params": body, "note": "n"})) == {
        "params": {"model": "m", "temperature": 1},
        "note": "n",
    }
