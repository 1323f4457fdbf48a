"""What every wire format for embeddings offers, render / parse / error, and what they share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from weir.domain.completion import NOTHING, Usage
from weir.domain.embedding import EmbeddingCall, Embeddings
from weir.domain.errors import ProviderError, RequestInvalid
from weir.protocols import jsonbytes
from weir.protocols.base import WireRequest, not_its_format


@dataclass(frozen=True, slots=True)
class WireReply:
    """What a request was answered; header names are lower case, or the mapping does not mind."""

    body: bytes
    headers: Mapping[str, str] = NOTHING


class EmbeddingProtocol(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> str: ...

    def render(self, call: EmbeddingCall) -> tuple[WireRequest, ...]:
        """As many requests as it takes, the inputs in order. Raises RequestInvalid for what cannot be expressed."""
        ...

    def parse(self, replies: Sequence[WireReply]) -> Embeddings:
        """The answers to all the requests, in their order. Raises ProviderError or MalformedReply."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """What an HTTP error of this provider means."""
        ...


def texts_of(call: EmbeddingCall, provider: str) -> tuple[str, ...]:
    """The inputs of a call to a provider that takes no tokens. Raises RequestInvalid that names the first."""
    texts: list[str] = []
    for at, given in enumerate(call.inputs):
        if not isinstance(given, str):
            raise RequestInvalid(
                f"{provider} cannot take tokens at input[{at}]: send the text.",
                param=f"input[{at}]",
                code="unsupported_content",
            )
        texts.append(given)
    return tuple(texts)


def in_batches(texts: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (texts[at : at + size] for at in range(0, len(texts), size))


def numbers_of(vector: Sequence[Any]) -> tuple[float, ...]:
    """Raises TypeError or ValueError for what is no vector."""
    if isinstance(vector, str):
        raise TypeError("vector")
    numbers = tuple(map(float, vector))
    if not numbers or not all(map(isfinite, numbers)):
        raise ValueError("vector")
    return numbers


def read_replies(
    replies: Sequence[WireReply], provider: str, read: Callable[[Any, WireReply], Embeddings]
) -> Embeddings:
    """The answers as one. Raises MalformedReply for one that `read` cannot read."""
    parts: list[Embeddings] = []
    for reply in replies:
        try:
            parts.append(read(jsonbytes.loads(reply.body), reply))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
            raise not_its_format(exc, provider, reply.body) from exc
    if len(parts) == 1:
        return parts[0]
    return Embeddings(
        tuple(vector for part in parts for vector in part.vectors),
        parts[0].model,
        _sum([part.usage for part in parts]),
        parts[0].extra,
    )


def _sum(usages: Sequence[Usage | None]) -> Usage | None:
    """None if any of the answers did not say. What has no name in Usage is a single answer's, and left to its bytes."""
    prompt = 0
    for usage in usages:
        if usage is None:
            return None
        prompt += usage.prompt
    return Usage(prompt, 0)
