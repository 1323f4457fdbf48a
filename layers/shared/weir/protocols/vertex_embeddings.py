"""Embeddings on Vertex AI, which has three routes for its models.

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api. Which model takes which
route is what Google's own SDK does (google-genai 3.4, models.py, `embed_content`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weir.domain.completion import NOTHING, Usage
from weir.domain.embedding import EmbeddingCall, Embeddings
from weir.domain.errors import ProviderError
from weir.protocols.base import Unsupported, WireRequest
from weir.protocols.embedding import WireReply, in_batches, numbers_of, read_replies, texts_of
from weir.protocols.gemini import model_path
from weir.protocols.gemini_embeddings import BATCH, PARAMETERS, google_fields
from weir.protocols.gemini_error import error_in_body, error_of
from weir.protocols.gemini_metadata import usage_of
from weir.protocols.gemini_request import GeminiDialect

_PARAMETERS: Mapping[str, str] = {**PARAMETERS, "autoTruncate": "autoTruncate", "auto_truncate": "autoTruncate"}
_INSTANCES = 250
"""Texts that one prediction may hold."""
_NAMED = frozenset({"embedding", "embeddings", "predictions", "usageMetadata", "error"})


@dataclass(frozen=True, slots=True)
class VertexEmbeddings:
    dialect: GeminiDialect

    @property
    def name(self) -> str:
        return "vertex_embeddings"

    @property
    def provider(self) -> str:
        return self.dialect.provider

    def render(self, call: EmbeddingCall) -> tuple[WireRequest, ...]:
        unsupported = Unsupported(call, self.provider)
        fields, texts = google_fields(call, _PARAMETERS, unsupported), texts_of(call, self.provider)
        path, dropped = model_path(call.model, self.dialect), tuple(unsupported.dropped)
        return tuple(
            WireRequest(path + verb, body, NOTHING, dropped) for verb, body in _requests(call.model, texts, fields)
        )

    def parse(self, replies: Sequence[WireReply]) -> Embeddings:
        return read_replies(replies, self.provider, self._read)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return error_of(status, headers, body, self.provider)

    def _read(self, reply: Any, raw: WireReply) -> Embeddings:
        if error := error_in_body(reply, raw.body, self.provider):
            raise error
        if "predictions" in reply:
            found = [prediction["embeddings"] for prediction in reply["predictions"]]
        else:
            found = reply["embeddings"] if "embeddings" in reply else [reply["embedding"]]
        return Embeddings(
            tuple(numbers_of(embedding["values"]) for embedding in found),
            None,
            usage_of(reply.get("usageMetadata") or NOTHING) or _counted(found),
            {name: value for name, value in reply.items() if name not in _NAMED} or NOTHING,
        )


def _requests(model: str, texts: Sequence[str], fields: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Route and body of each request. Models of the garden (`-maas`) take one text at a time."""
    name = model.rpartition("/")[2]
    if "maas" not in name and "gemini" not in name:
        return [(":predict", _prediction(batch, fields)) for batch in in_batches(texts, _INSTANCES)]
    contents = [_content(text, fields) for text in texts]
    if "maas" in name or len(contents) == 1:
        return [(":embedContent", content) for content in contents]
    batches = [contents[at : at + BATCH] for at in range(0, len(contents), BATCH)]
    return [(":batchEmbedContents", {"requests": batch}) for batch in batches]


def _content(text: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Parts of one content become one vector: every text is a content of its own."""
    content: dict[str, Any] = {"content": {"role": "user", "parts": [{"text": text}]}}
    return {**content, "embedContentConfig": dict(fields)} if fields else content


def _prediction(texts: Sequence[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A prediction's instances are in snake case, its parameters are not."""
    own = {name: fields[field] for name, field in (("task_type", "taskType"), ("title", "title")) if field in fields}
    shared = {field: fields[field] for field in ("outputDimensionality", "autoTruncate") if field in fields}
    body: dict[str, Any] = {"instances": [{"content": text, **own} for text in texts]}
    return {**body, "parameters": shared} if shared else body


def _counted(found: Sequence[Mapping[str, Any]]) -> Usage | None:
    """What the statistics beside the vectors add up to, when every vector has them."""
    statistics = [embedding.get("statistics") or NOTHING for embedding in found]
    if not all("token_count" in each for each in statistics):
        return None
    return Usage(sum(int(each["token_count"]) for each in statistics), 0)
