"""Cohere's embeddings, version 2 (https://docs.cohere.com/reference/embed), and what Bedrock's door shares with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.embedding import EmbeddingCall, Embeddings, Vector
from weir.domain.errors import ProviderError
from weir.protocols.base import Unsupported, WireRequest
from weir.protocols.cohere_chat import cohere_error, failure, usage_of
from weir.protocols.embedding import WireReply, in_batches, numbers_of, read_replies, texts_of

DEFAULT_INPUT_TYPE = "search_document"
"""Cohere wants to know what a text is for, and OpenAI's callers cannot say: what most of them embed is what they store.
A query for it should be sent with `input_type: "search_query"`."""

_PARAMETERS = ("input_type", "truncate", "max_tokens", "priority")
_BATCH = 96
"""Texts that one request may hold, by the reference."""


@dataclass(frozen=True, slots=True)
class CohereEmbeddings:
    @property
    def name(self) -> str:
        return "cohere_embeddings"

    @property
    def provider(self) -> str:
        return "cohere"

    def render(self, call: EmbeddingCall) -> tuple[WireRequest, ...]:
        unsupported = Unsupported(call, self.provider)
        fields = {"model": call.model, **cohere_fields(call, unsupported, _PARAMETERS)}
        return tuple(
            WireRequest("/v2/embed", {**fields, "texts": list(batch)}, NOTHING, tuple(unsupported.dropped))
            for batch in in_batches(texts_of(call, self.provider), _BATCH)
        )

    def parse(self, replies: Sequence[WireReply]) -> Embeddings:
        return read_replies(replies, self.provider, self._read)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return cohere_error(status, headers, body, self.provider)

    def _read(self, reply: Any, raw: WireReply) -> Embeddings:
        if "embeddings" not in reply and isinstance(reply.get("message"), str):
            raise failure(reply, 500, raw.body, self.provider)
        meta = reply.get("meta") or NOTHING
        return Embeddings(float_vectors(reply["embeddings"]), None, usage_of(meta))


def cohere_fields(call: EmbeddingCall, unsupported: Unsupported, parameters: Sequence[str]) -> dict[str, Any]:
    """All but the texts and the model. Floats are asked for whatever the caller wants: every model has them."""
    fields: dict[str, Any] = {"input_type": DEFAULT_INPUT_TYPE, "embedding_types": ["float"]}
    if call.dimensions is not None:
        fields["output_dimension"] = call.dimensions
    if call.user is not None:
        unsupported.drop("user")
    for name, value in call.extra.items():
        if name in parameters:
            fields[name] = value
        else:
            unsupported.drop(name)
    return fields


def float_vectors(embeddings: Any) -> tuple[Vector, ...]:
    """By type, or the bare list that Bedrock's models answer with when one type is asked for."""
    vectors = embeddings["float"] if isinstance(embeddings, dict) else embeddings
    return tuple(numbers_of(vector) for vector in vectors)
