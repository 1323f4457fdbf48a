"""How this process may call Bedrock: the usual AWS variables first, then the SDK's chain of profiles and roles.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from weir.domain.errors import ProviderAuthFailed
from weir.providers.access import Access
from weir.providers.sigv4 import AwsCredentials, sign

SIGNING_NAME = "bedrock"


class BearerAccess:
    """A Bedrock API key, which needs no signature."""

    waits = False

    def __init__(self, key: str) -> None:
        self._key = key

    def headers(self, method: str, url: str, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"}


class SignedAccess:
    """`credentials` is asked at every call: a role's credentials last an hour or so, and fetching them `waits`."""

    def __init__(self, credentials: Callable[[], AwsCredentials | None], region: str, *, waits: bool = False) -> None:
        self.waits = waits
        self._credentials = credentials
        self._region = region

    def headers(self, method: str, url: str, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, str]:
        credentials = self._credentials()
        if credentials is None:
            raise ProviderAuthFailed(
                "No AWS credentials are configured for bedrock: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "AWS_BEARER_TOKEN_BEDROCK, a profile or a role.",
                provider="bedrock",
            )
        return sign(
            method,
            url,
            headers,
            body,
            credentials=credentials,
            region=self._region,
            service=SIGNING_NAME,
            now=now,
        )


def bedrock_access(environ: Mapping[str, str], region: str) -> Access:
    """A bearer key where there is one, as in AWS's SDKs; else a signature."""
    if key := environ.get("AWS_BEARER_TOKEN_BEDROCK"):
        return BearerAccess(key)
    if (credentials := environment_credentials(environ)) is not None:
        return SignedAccess(lambda: credentials, region)
    return SignedAccess(ChainCredentials(), region, waits=True)


def environment_credentials(environ: Mapping[str, str]) -> AwsCredentials | None:
    """What Lambda gives every function, read without an SDK."""
    access_key, secret_key = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    return AwsCredentials(access_key, secret_key, environ.get("AWS_SESSION_TOKEN") or None)


class ChainCredentials:
    """botocore's chain (profile, SSO, container, instance), which is imported and asked at the first call only."""

    def __init__(self, find: Callable[[], Any] | None = None) -> None:
        self._find = find or _botocore_credentials
        self._found: Any = None

    def __call__(self) -> AwsCredentials | None:
        if self._found is None:
            self._found = self._find()
        if self._found is None:
            return None
        frozen = self._found.get_frozen_credentials()  # renews them when they are about to expire
        return AwsCredentials(frozen.access_key, frozen.secret_key, frozen.token or None)


def _botocore_credentials() -> Any:
    from botocore.session import Session

    return Session().get_credentials()


def bedrock_region(environ: Mapping[str, str]) -> str | None:
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None


def bedrock_endpoint(environ: Mapping[str, str], region: str) -> str:
    """The base URL of the runtime API, without a slash at its end."""
    given = environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME")
    return (given or f"https://bedrock-runtime.{region}.{_domain(region)}").rstrip("/")


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
