"""Embeddings on Bedrock, by InvokeModel: Amazon's Titan and Cohere's Embed, each in its own format.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from weir.domain.completion import NOTHING, Usage
from weir.domain.embedding import EmbeddingCall, Embeddings, Vector
from weir.domain.errors import ProviderError, RequestInvalid
from weir.protocols.base import Unsupported, WireRequest
from weir.protocols.bedrock_error import error_of
from weir.protocols.cohere_embeddings import cohere_fields, float_vectors
from weir.protocols.embedding import WireReply, in_batches, numbers_of, read_replies, texts_of

_TITAN_V2 = "titan-embed-text-v2"
_TITAN = (_TITAN_V2, "titan-embed-text-v1", "titan-embed-g1-text")
_COHERE = "cohere.embed"
_COHERE_PARAMETERS = ("input_type", "truncate", "max_tokens")
_COHERE_BATCH = 96
_INPUT_TOKENS = "x-amzn-bedrock-input-token-count"
"""InvokeModel's header with the count; Cohere's body has none there."""


@dataclass(frozen=True, slots=True)
class BedrockEmbeddings:
    @property
    def name(self) -> str:
        return "bedrock_embeddings"

    @property
    def provider(self) -> str:
        return "bedrock"

    def render(self, call: EmbeddingCall) -> tuple[WireRequest, ...]:
        """The models are told by their names, which regional profiles (`eu.…`) and their ARNs hold, too."""
        unsupported = Unsupported(call, self.provider)
        if any(name in call.model for name in _TITAN):
            bodies = _titan(call, unsupported)
        elif _COHERE in call.model:
            bodies = _cohere(call, unsupported)
        else:
            raise RequestInvalid(
                f"Weir does not know how to ask {call.model!r} on Bedrock for embeddings: it knows "
                "amazon.titan-embed-text-v1 and -v2 and cohere.embed-*.",
                param="model",
                code="unsupported_model",
            )
        path, dropped = f"/model/{quote(call.model, safe='')}/invoke", tuple(unsupported.dropped)
        return tuple(WireRequest(path, body, NOTHING, dropped) for body in bodies)

    def parse(self, replies: Sequence[WireReply]) -> Embeddings:
        return read_replies(replies, self.provider, _read)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)


def _titan(call: EmbeddingCall, unsupported: Unsupported) -> list[dict[str, Any]]:
    """One text a request. The first version has no parameters."""
    second = _TITAN_V2 in call.model
    fields: dict[str, Any] = {}
    if call.dimensions is not None:
        if second:
            fields["dimensions"] = call.dimensions
        else:
            unsupported.drop("dimensions", f"{call.model} has one size only")
    if call.user is not None:
        unsupported.drop("user")
    for name, value in call.extra.items():
        if name == "normalize" and second:
            fields[name] = value
        else:
            unsupported.drop(name)
    return [{"inputText": text, **fields} for text in texts_of(call, "bedrock")]


def _cohere(call: EmbeddingCall, unsupported: Unsupported) -> list[dict[str, Any]]:
    fields = cohere_fields(call, unsupported, _COHERE_PARAMETERS)
    if "-v3" in call.model and fields.pop("output_dimension", None) is not None:
        unsupported.drop("dimensions", f"{call.model} has one size only")
    return [{**fields, "texts": list(batch)} for batch in in_batches(texts_of(call, "bedrock"), _COHERE_BATCH)]


def _read(reply: Any, raw: WireReply) -> Embeddings:
    if "embedding" in reply:
        count = reply.get("inputTextTokenCount")
        vectors: tuple[Vector, ...] = (numbers_of(reply["embedding"]),)
    else:
        count = raw.headers.get(_INPUT_TOKENS)
        vectors = float_vectors(reply["embeddings"])
    return Embeddings(vectors, None, Usage(int(count), 0) if count is not None else None)
