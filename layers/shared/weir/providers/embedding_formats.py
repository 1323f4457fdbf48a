"""The formats of embeddings, each imported when the first call needs it."""

from collections.abc import Callable, Mapping
from typing import Any

from weir.protocols.embedding import EmbeddingProtocol

MakeEmbedding = Callable[[Mapping[str, str]], EmbeddingProtocol]
"""As MakeProtocol in the catalogue: out of the environment."""


def embeddings(provider: str, path: str = "/embeddings", **dialect: Any) -> MakeEmbedding:
    """OpenAI's Embeddings; `dialect` are fields of OpenAIEmbeddingDialect."""

    def make(_: Mapping[str, str]) -> EmbeddingProtocol:
        from weir.protocols.openai_embeddings import OpenAIEmbeddingDialect, OpenAIEmbeddings

        return OpenAIEmbeddings(OpenAIEmbeddingDialect(provider=provider, **dialect), path)

    return make


def gemini_embeddings(_: Mapping[str, str]) -> EmbeddingProtocol:
    from weir.protocols.gemini_embeddings import GeminiEmbeddings

    return GeminiEmbeddings()


def bedrock_embeddings(_: Mapping[str, str]) -> EmbeddingProtocol:
    from weir.protocols.bedrock_embeddings import BedrockEmbeddings

    return BedrockEmbeddings()


def cohere_embeddings(_: Mapping[str, str]) -> EmbeddingProtocol:
    from weir.protocols.cohere_embeddings import CohereEmbeddings

    return CohereEmbeddings()
