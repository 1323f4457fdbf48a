"""Gemini's batchEmbedContents (https://ai.google.dev/api/embeddings), through AI Studio."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from weir.domain.completion import NOTHING
from weir.domain.embedding import EmbeddingCall, Embeddings
from weir.domain.errors import ProviderError
from weir.protocols.base import Unsupported, WireRequest
from weir.protocols.embedding import WireReply, in_batches, numbers_of, read_replies, texts_of
from weir.protocols.gemini_error import error_in_body, error_of
from weir.protocols.gemini_metadata import usage_of

_PARAMETERS: Mapping[str, str] = {"taskType": "taskType", "task_type": "taskType", "title": "title"}
"""What else a caller may send, under Google's name or that of its Python SDK -> Google's name."""

_BATCH = 100
"""Texts that one request may hold; the API refuses more."""


@dataclass(frozen=True, slots=True)
class GeminiEmbeddings:
    @property
    def name(self) -> str:
        return "gemini_embeddings"

    @property
    def provider(self) -> str:
        return "gemini"

    def render(self, call: EmbeddingCall) -> tuple[WireRequest, ...]:
        unsupported = Unsupported(call, self.provider)
        texts = texts_of(call, self.provider)
        model = call.model.removeprefix("models/")
        fields: dict[str, Any] = {"model": f"models/{model}"}
        for name, value in call.extra.items():
            if name in _PARAMETERS:
                fields[_PARAMETERS[name]] = value
            else:
                unsupported.drop(name)
        if call.user is not None:
            unsupported.drop("user")
        if call.dimensions is not None:
            fields["outputDimensionality"] = call.dimensions
        path, dropped = f"/v1beta/models/{quote(model, safe='')}:batchEmbedContents", tuple(unsupported.dropped)
        return tuple(
            WireRequest(
                path,
                {"requests": [{**fields, "content": {"parts": [{"text": text}]}} for text in batch]},
                NOTHING,
                dropped,
            )
            for batch in in_batches(texts, _BATCH)
        )

    def parse(self, replies: Sequence[WireReply]) -> Embeddings:
        return read_replies(replies, self.provider, self._read)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _read(self, reply: Any, raw: WireReply) -> Embeddings:
        """Older models do not say how many tokens they read; then nobody does."""
        if error := error_in_body(reply, raw.body, self.provider):
            raise error
        vectors = tuple(numbers_of(item["values"]) for item in reply["embeddings"])
        return Embeddings(vectors, None, usage_of(reply.get("usageMetadata") or NOTHING))
