"""AWS Signature Version 4, and the credentials it signs with.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. Written out here because it
is a page of hashing, while botocore's signer costs about 80 ms of a cold start; botocore is the judge in its tests.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import SplitResult, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "date",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amz-date",
        "x-amz-security-token",
        "x-amzn-trace-id",
    }
)
"""Headers that proxies and clients change on the way, and those that signing itself sets."""
_DEFAULT_PORTS = {"https": 443, "http": 80}
_SLASHES = re.compile(r"/{2,}")


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """`token` comes with temporary credentials: those of a role, such as a Lambda function's."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    credentials: AwsCredentials,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """The headers to add. `headers` are signed too, so they must be sent as they are given; `url` as it is sent.

    The service refuses a signature whose `now` (an aware datetime) is more than five minutes off.
    """
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"X-Amz-Date": moment}
    if credentials.token is not None:
        added["X-Amz-Security-Token"] = credentials.token
    parts = urlsplit(url)
    signed = {name.lower(): value for name, value in headers.items() if name.lower() not in _UNSIGNED}
    signed |= {name.lower(): value for name, value in added.items()}
    signed.setdefault("host", _host(parts))
    names = sorted(signed)
    request = "\n".join(
        (
            method.upper(),
            _canonical_path(parts.path),
            "&".join("=".join(pair) for pair in sorted(_pairs(parts.query))),
            *(f"{name}:{' '.join(signed[name].split())}" for name in names),
            "",
            ";".join(names),
            sha256(body).hexdigest(),
        )
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, moment, scope, sha256(request.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_key}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    added["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return added


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:  # an IPv6 address
        host = f"[{host}]"
    if parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme):
        return host
    return f"{host}:{parts.port}"


def _canonical_path(path: str) -> str:
    """Every service but S3 signs the path quoted once more than it is sent, without empty, `.` and `..` segments."""
    kept: list[str] = []
    for segment in _SLASHES.sub("/", path).split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment and segment != ".":
            kept.append(segment)
    trailing = "/" if path.endswith("/") and kept else ""
    return quote(f"/{'/'.join(kept)}{trailing}", safe="/~")


def _pairs(query: str) -> list[tuple[str, str]]:
    """A query's parameters as they are sent, in pairs."""
    found = (pair.partition("=") for pair in query.split("&")) if query else ()
    return [(name, value) for name, _, value in found]
