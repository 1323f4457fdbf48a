"""OpenAI's Embeddings, as its own servers and the vendors that follow it speak it.

https://platform.openai.com/docs/api-reference/embeddings. Departures of single vendors are data, in
`OpenAIEmbeddingDialect`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from weir.domain.completion import NOTHING, Usage
from weir.domain.embedding import EmbeddingCall, Embeddings, Vector
from weir.domain.errors import ProviderError
from weir.protocols.base import Unsupported, WireRequest
from weir.protocols.embedding import WireReply, numbers_of, read_replies, texts_of
from weir.protocols.openai_error import error_in_body, error_of
from weir.protocols.openai_usage import usage_of

_TOP = frozenset({"object", "data", "model", "usage"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIEmbeddingDialect:
    """How one vendor departs from OpenAI's Embeddings.

    `base64`: whether it knows `encoding_format`; where it does not, floats come, and we encode them.
    `tokens`: whether it takes tokens in place of texts. `user`: whether it takes OpenAI's `user`.
    `dimensions_field`: its name for `dimensions`, None if it has no such parameter.
    """

    provider: str
    base64: bool = True
    tokens: bool = True
    user: bool = True
    dimensions_field: str | None = "dimensions"


@dataclass(frozen=True, slots=True)
class OpenAIEmbeddings:
    """Embeddings in one vendor's dialect. `path` may hold `{model}`, the name quoted (Azure's deployments)."""

    dialect: OpenAIEmbeddingDialect
    path: str = "/embeddings"

    @property
    def name(self) -> str:
        return "openai_embeddings"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: EmbeddingCall) -> tuple[WireRequest, ...]:
        dialect = self.dialect
        unsupported = Unsupported(call, dialect.provider)
        inputs = call.inputs if dialect.tokens else texts_of(call, dialect.provider)
        body: dict[str, Any] = {"model": call.model, "input": list(inputs)}
        if call.encoding_format is not None and dialect.base64:
            body["encoding_format"] = call.encoding_format
        if call.dimensions is not None:
            if dialect.dimensions_field is None:
                unsupported.drop("dimensions")
            else:
                body[dialect.dimensions_field] = call.dimensions
        if call.user is not None:
            if dialect.user:
                body["user"] = call.user
            else:
                unsupported.drop("user")
        body |= call.extra
        path = self.path.replace("{model}", quote(call.model, safe=""))
        return (WireRequest(path, body, NOTHING, tuple(unsupported.dropped)),)

    def parse(self, replies: Sequence[WireReply]) -> Embeddings:
        return read_replies(replies, self.provider, self._read)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _read(self, reply: Any, raw: WireReply) -> Embeddings:
        if error := error_in_body(reply, raw.body, self.provider):
            raise error
        items = reply["data"]
        places = [item.get("index", at) for at, item in enumerate(items)]
        if sorted(places) != list(range(len(items))):
            raise ValueError("index")
        vectors = dict(zip(places, (_vector(item["embedding"]) for item in items), strict=True))
        return Embeddings(
            tuple(vectors[at] for at in range(len(items))),
            model if isinstance(model := reply.get("model"), str) else None,
            _usage(reply.get("usage")),
            {name: value for name, value in reply.items() if name not in _TOP and value is not None} or NOTHING,
        )


def _vector(value: Any) -> Vector:
    return value if isinstance(value, str) and value else numbers_of(value)


def _usage(usage: Any) -> Usage | None:
    """Nothing is generated, and most do not say so."""
    if not isinstance(usage, dict):
        return None
    return usage_of({**usage, "completion_tokens": usage.get("completion_tokens") or 0})
