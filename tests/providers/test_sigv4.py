"""Signature Version 4: botocore's signer is the judge."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from weir.providers.sigv4 import AwsCredentials, sign

NOW = datetime(2026, 3, 9, 23, 59, 58, tzinfo=UTC)
LASTING = AwsCredentials("AKIACANARY", "canary-secret/with+signs")
OF_A_ROLE = AwsCredentials("ASIACANARY", "canary-secret", "canary-session-token==")
URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"


def ours(
    method: str, url: str, headers: Mapping[str, str], body: bytes, credentials: AwsCredentials, now: datetime = NOW
) -> dict[str, str]:
    return sign(method, url, headers, body, credentials=credentials, region="eu-west-1", service="bedrock", now=now)


def theirs(
    method: str, url: str, headers: Mapping[str, str], body: bytes, credentials: AwsCredentials
) -> dict[str, str]:
    request = AWSRequest(method, url, dict(headers), body)
    signer = SigV4Auth(
        Credentials(credentials.access_key, credentials.secret_key, credentials.token), "bedrock", "eu-west-1"
    )
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        signer.add_auth(request)
    names = ("X-Amz-Date", "X-Amz-Security-Token", "Authorization")
    return {name: request.headers[name] for name in names if name in request.headers}


@pytest.mark.parametrize("credentials", [LASTING, OF_A_ROLE])
@pytest.mark.parametrize(
    ("method", "url", "headers", "body"),
    [
        ("POST", URL, {"content-type": "application/json"}, b'{"messages":[]}'),
        ("POST", URL + "-stream", {"Content-Type": "application/json", "Accept": "*/*"}, "{“ä”}".encode()),
        ("POST", URL.replace("us.anthropic", "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fus"), {}, b""),
        ("POST", "http://127.0.0.1:9099/bedrock/model/a%20b~c/converse", {}, b"{}"),
        ("POST", "https://gateway.test:443/model/m/converse", {}, b"{}"),
        ("POST", "http://[::1]:8080/model/m/converse", {}, b"{}"),
        ("GET", "https://gateway.test", {}, b""),
        ("GET", "https://gateway.test/a/./b/../c//d/", {}, b""),
        ("GET", "https://gateway.test/list?b=2&a=1&b=1&flag&empty=", {}, b""),
        ("POST", URL, {"X-Two": "  spaces \t inside  it ", "User-Agent": "x", "Connection": "close", "TE": "x"}, b"1"),
        ("POST", URL, {"Host": "elsewhere.test", "Traceparent": "00", "X-Amzn-Trace-Id": "Root=1"}, b"1"),
    ],
)
def test_the_signature_is_botocores(
    method: str, url: str, headers: dict[str, str], body: bytes, credentials: AwsCredentials
) -> None:
    assert ours(method, url, headers, body, credentials) == theirs(method, url, headers, body, credentials)


@given(
    st.text(st.characters(codec="ascii", categories=("L", "N")) | st.sampled_from("-_.~%:/"), max_size=30),
    st.dictionaries(
        st.from_regex(r"x-[a-z]{1,8}", fullmatch=True),
        st.text(st.characters(codec="ascii", min_codepoint=32), max_size=20),
        max_size=4,
    ),
    st.binary(max_size=50),
)
def test_any_request_is_signed_as_botocore_signs_it(path: str, headers: dict[str, str], body: bytes) -> None:
    url = f"https://gateway.test/{path}"
    assert ours("POST", url, headers, body, OF_A_ROLE) == theirs("POST", url, headers, body, OF_A_ROLE)


def test_the_moment_may_come_from_any_time_zone() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert ours("POST", URL, {}, b"", LASTING, elsewhere) == ours("POST", URL, {}, b"", LASTING)


def test_a_changed_body_changes_the_signature() -> None:
    assert ours("POST", URL, {}, b"1", LASTING) != ours("POST", URL, {}, b"2", LASTING)


def test_credentials_do_not_show_their_secrets() -> None:
    assert repr(OF_A_ROLE) == "AwsCredentials(access_key='ASIACANARY')"
