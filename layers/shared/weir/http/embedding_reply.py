"""Embeddings in OpenAI's form, as our callers get them."""

from typing import Any

from weir.domain.embedding import Embeddings, EncodingFormat, to_base64, to_floats
from weir.http.chat_reply import usage_body


def embeddings_body(found: Embeddings, *, model: str, format: EncodingFormat) -> dict[str, Any]:
    """`model` is used where the provider gave none. Raises ValueError for base64 that holds no vector."""
    written = to_base64 if format == "base64" else to_floats
    body: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": written(vector)}
            for at, vector in enumerate(found.vectors)
        ],
        "model": found.model or model,
    }
    if found.usage is not None:
        usage = usage_body(found.usage)
        del usage["completion_tokens"]
        body["usage"] = usage
    for name, value in found.extra.items():
        body.setdefault(name, value)
    return body
