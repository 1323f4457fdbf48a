"""How a call proves to a provider whose it is: the headers that carry a key, or a signature."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

KeyHeader = Literal["authorization", "x-api-key", "api-key", "x-goog-api-key"]


class Access(Protocol):
    @property
    def waits(self) -> bool:
        """Whether `headers` may wait for something, and must then be called off the event loop."""
        ...

    def headers(self, method: str, url: str, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, str]:
        """What to add to a request. Raises ProviderAuthFailed when there is nothing to prove it with."""
        ...


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """A key in a header, "authorization" as a Bearer token; no key, no header."""

    header: KeyHeader
    key: str | None = field(repr=False)
    waits: bool = False

    def headers(self, method: str, url: str, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, str]:
        if self.key is None:
            return {}
        return {self.header: f"Bearer {self.key}" if self.header == "authorization" else self.key}


def google_access(key: str) -> KeyAccess:
    """Vertex takes API keys and OAuth tokens; Google's API keys are told by their first letters."""
    return KeyAccess("x-goog-api-key" if key.startswith(("AIza", "AQ.")) else "authorization", key)
