"""Provider keys that callers bring with a call."""

from collections.abc import Mapping
from typing import Any

from weir.domain.completion import NOTHING


def provider_keys(body: Mapping[str, Any]) -> Mapping[str, str]:
    """Keys by provider name, from Maitai's `auth_keys` and Keywords AI's `customer_credentials`.

    `auth_keys.<provider>_api_key` is a text or an object with `key_value`; `customer_credentials.<provider>` an object
    with `api_key`. Empty ones count as absent: Maitai's client sends all of its eight every time, and one of 1.1 as
    `<provider>ApiKey` with `keyValue`.
    """
    keys: dict[str, str] = {}
    for name, value in (body.get("auth_keys") or NOTHING).items():
        key = value.get("key_value") or value.get("keyValue") if isinstance(value, dict) else value
        if isinstance(key, str) and key:
            keys[name.removesuffix("_api_key").removesuffix("ApiKey").replace("_", "-")] = key
    credentials = body.get("customer_credentials")
    for name, value in (credentials if isinstance(credentials, dict) else NOTHING).items():
        key = value.get("api_key") if isinstance(value, dict) else None
        if isinstance(key, str) and key:
            keys[name.replace("_", "-")] = key
    return keys or NOTHING
