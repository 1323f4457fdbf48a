"""What every wire format offers: four verbs, render / parse / decoder / error.

A protocol object is stateless and holds its dialect, the data that says how one vendor departs from the plain format.
A decoder has the state of one response.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from weir.domain.chat import ChatCall
from weir.domain.completion import NOTHING, Completion
from weir.domain.errors import MalformedReply, ProviderError, RequestInvalid
from weir.domain.events import StreamEvent


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What to send: `path` is appended to the provider's base URL, `body` becomes JSON, `headers` go beside the auth.

    `dropped` names the parameters that were left out because the provider cannot express them (only on request).
    """

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = NOTHING
    dropped: tuple[str, ...] = ()


class StreamDecoder(Protocol):
    """One response's bytes, cut anywhere -> domain events."""

    def feed(self, data: bytes) -> Iterator[StreamEvent]:
        """Raises ProviderError for an error inside the stream, MalformedReply for what cannot be read."""
        ...

    def close(self) -> Iterator[StreamEvent]:
        """The bytes have ended. Raises MalformedReply if the provider never said that the answer was whole."""
        ...


@runtime_checkable
class WireProtocol(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def provider(self) -> str: ...

    def render(self, call: ChatCall) -> WireRequest:
        """Raises RequestInvalid, naming the parameter, for what this provider cannot express."""
        ...

    def parse(self, body: bytes) -> Completion:
        """A whole answer. Raises ProviderError or MalformedReply."""
        ...

    def decoder(self) -> StreamDecoder: ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """What an HTTP error of this provider means; its class comes from the status and the provider's code."""
        ...


class Droppable(Protocol):
    """A call that says whether what cannot be expressed may be left out."""

    @property
    def drop_unsupported(self) -> bool: ...


class Unsupported:
    """Gathers what a provider cannot express: refuses the call, or notes what is left out if the caller allowed it."""

    def __init__(self, call: Droppable, provider: str) -> None:
        self._allowed = call.drop_unsupported
        self._provider = provider
        self.dropped: list[str] = []

    def drop(self, param: str, why: str = "") -> None:
        """Raises RequestInvalid unless the caller sent `drop_unsupported`."""
        if not self._allowed:
            raise RequestInvalid(
                f"{self._provider} has no equivalent of '{param}'{': ' + why if why else ''}. "
                "Leave it out, or send drop_unsupported: true to have it left out for you.",
                param=param,
                code="unsupported_parameter",
            )
        self.dropped.append(param)

    def part(self, where: str, kind: str) -> RequestInvalid:
        """The error for a piece of a message that cannot be expressed. Such a piece is never left out."""
        return RequestInvalid(
            f"{self._provider} cannot take {kind} at {where}.", param=where, code="unsupported_content"
        )


def reading(events: Iterable[StreamEvent], provider: str, raw: bytes = b"") -> Iterator[StreamEvent]:
    """Pass events on, turning the surprises of reading somebody else's JSON into MalformedReply."""
    try:
        yield from events
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise not_its_format(exc, provider, raw) from exc


def not_its_format(exc: Exception, provider: str, raw: bytes) -> MalformedReply:
    return MalformedReply(
        f"{provider} sent an answer that is not in its own format ({type(exc).__name__}).", provider=provider, raw=raw
    )


def decode(decoder: StreamDecoder, chunks: Iterable[bytes]) -> Iterator[StreamEvent]:
    """A whole response through a decoder."""
    for chunk in chunks:
        yield from decoder.feed(chunk)
    yield from decoder.close()
