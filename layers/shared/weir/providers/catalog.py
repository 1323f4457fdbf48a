"""The vendors, a row each: where it is, how it takes a key, which formats it speaks and how it departs from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from weir.domain.completion import NOTHING
from weir.protocols.base import WireProtocol
from weir.protocols.embedding import EmbeddingProtocol
from weir.providers.access import KeyHeader
from weir.providers.embedding_formats import (
    MakeEmbedding,
    bedrock_embeddings,
    cohere_embeddings,
    embeddings,
    gemini_embeddings,
)

Environ = Mapping[str, str]
OPENAI_FIELDS = frozenset({"audio", "refusal"})
"""What of an answer OpenAI takes back under its own name."""
MakeProtocol = Callable[[Environ], WireProtocol]
"""Imports a protocol and gives it its dialect; called when the first call needs it, so that no other call pays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One vendor.

    `base_url` means what it means in the vendor's own SDK; the protocol's path is appended to it. `tail` is what people
    also write at its end (`/v1`) although the path begins with it; it is then not sent twice.
    `apis` are the formats by the name that selects them in `provider/<api>/model`; "" is the usual one. `families`
    sends model names by their beginnings to another than the usual one. `embeddings` is the format of its embeddings,
    None if it has none that we can ask for.
    `key`: the header that carries the key; "aws" is a signature, "google" a token or a key, "none" neither.
    `keyless`: works without a key. `bare` are the beginnings of model names that are routed here without `provider/`.
    `variable` begins its environment variables, `<variable>_API_KEY` and `<variable>_BASE_URL`.
    `models` is the path that lists its models, "" if it has none we can read.
    """

    name: str
    base_url: str
    apis: Mapping[str, MakeProtocol]
    families: Mapping[str, str] = field(default_factory=dict)
    key: KeyHeader | Literal["aws", "google", "none"] = "authorization"
    tail: str = ""
    keyless: bool = False
    bare: tuple[str, ...] = ()
    variable: str
    models: str = "/models"
    embeddings: MakeEmbedding | None = None

    def at(self, base_url: str) -> "Provider":
        """The same vendor at another address."""
        base_url = base_url.rstrip("/")
        return replace(self, base_url=base_url.removesuffix(self.tail) if self.tail else base_url)

    def split(self, name: str) -> tuple[str, str]:
        """The format, named or by the model's family, and the model."""
        api, _, model = name.partition("/")
        if api and model and api in self.apis:
            return api, model
        return next((api for start, api in self.families.items() if name.startswith(start)), ""), name


def chat(provider: str, path: str = "/chat/completions", **dialect: Any) -> MakeProtocol:
    """Chat Completions; `dialect` are fields of OpenAIDialect."""

    def make(_: Environ) -> WireProtocol:
        from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect

        return OpenAIChat(OpenAIDialect(provider=provider, **dialect), path)

    return make


def responses_of(dialect: str, path: str = "/responses") -> MakeProtocol:
    """OpenAI's Responses API in one of the dialects of responses_dialect.py."""

    def make(_: Environ) -> WireProtocol:
        from weir.protocols import responses_dialect
        from weir.protocols.openai_responses import OpenAIResponses

        return OpenAIResponses(getattr(responses_dialect, dialect), path)

    return make


def responses(provider: str, path: str = "/responses", **dialect: Any) -> MakeProtocol:
    """OpenAI's Responses API; `dialect` are fields of ResponsesDialect."""

    def make(_: Environ) -> WireProtocol:
        from weir.protocols.openai_responses import OpenAIResponses
        from weir.protocols.responses_dialect import ResponsesDialect

        return OpenAIResponses(ResponsesDialect(provider=provider, **dialect), path)

    return make


def _anthropic(_: Environ) -> WireProtocol:
    from weir.protocols.anthropic_messages import AnthropicMessages
    from weir.protocols.anthropic_request import ANTHROPIC

    return AnthropicMessages(ANTHROPIC)


def _anthropic_on_vertex(environ: Environ) -> WireProtocol:
    from weir.protocols.anthropic_messages import AnthropicMessages
    from weir.protocols.anthropic_request import vertex

    return AnthropicMessages(vertex(*vertex_place(environ)))


def _anthropic_on_bedrock(_: Environ) -> WireProtocol:
    from weir.protocols.anthropic_messages import AnthropicMessages
    from weir.protocols.anthropic_request import BEDROCK

    return AnthropicMessages(BEDROCK)


def _gemini(_: Environ) -> WireProtocol:
    from weir.protocols.gemini import Gemini
    from weir.protocols.gemini_request import GeminiDialect

    return Gemini(GeminiDialect(provider="gemini"))


def _gemini_on_vertex(environ: Environ) -> WireProtocol:
    from weir.protocols.gemini import Gemini
    from weir.protocols.gemini_request import GeminiDialect

    project, location = vertex_place(environ)
    return Gemini(
        GeminiDialect(provider="vertex", platform="vertex", version="v1beta1", project=project, location=location)
    )


def _converse(_: Environ) -> WireProtocol:
    from weir.protocols.bedrock_converse import BedrockConverse, BedrockDialect

    return BedrockConverse(BedrockDialect())


def _cohere(_: Environ) -> WireProtocol:
    from weir.protocols.cohere_chat import CohereChat, CohereDialect

    return CohereChat(CohereDialect())


def _cohere_v1(_: Environ) -> WireProtocol:
    from weir.protocols.cohere_chat import CohereDialect
    from weir.protocols.cohere_chat_v1 import CohereChatV1

    return CohereChatV1(CohereDialect())


def _azure_chat(environ: Environ) -> WireProtocol:
    """By deployment with a dated api-version, or Azure's v1 API, which has neither."""
    from weir.protocols.openai_chat import OpenAIChat, OpenAIDialect

    version = azure_version(environ)
    by_deployment = f"/openai/deployments/{{model}}/chat/completions?api-version={quote(version)}"
    return OpenAIChat(
        OpenAIDialect(
            provider="azure",
            metadata=True,
            developer=True,
            thinking_field=None,
            own_fields=OPENAI_FIELDS,
            inline_thinking=False,
            ends_with_done=True,
        ),
        "/openai/v1/chat/completions" if version == "v1" else by_deployment,
    )


def _azure_embeddings(environ: Environ) -> EmbeddingProtocol:
    version = azure_version(environ)
    by_deployment = f"/openai/deployments/{{model}}/embeddings?api-version={quote(version)}"
    return embeddings("azure", "/openai/v1/embeddings" if version == "v1" else by_deployment)(environ)


def azure_version(environ: Environ) -> str:
    """`v1`, or a date. 2024-10-21 is the last dated version that Azure calls generally available."""
    return environ.get("AZURE_OPENAI_API_VERSION") or environ.get("OPENAI_API_VERSION") or "2024-10-21"


def vertex_place(environ: Environ) -> tuple[str, str]:
    """Project and location."""
    project = environ.get("VERTEX_PROJECT") or environ.get("GOOGLE_CLOUD_PROJECT") or ""
    return project, environ.get("VERTEX_LOCATION") or environ.get("GOOGLE_CLOUD_LOCATION") or "global"


def vertex_endpoint(environ: Environ) -> str:
    location = vertex_place(environ)[1]
    return f"https://{'' if location == 'global' else location + '-'}aiplatform.googleapis.com"


_ROW = ("keyless", "bare", "tail", "models", "embeddings")


def openai_like(
    name: str, base_url: str, *, prefix: str = "", also: Mapping[str, MakeProtocol] = NOTHING, **fields: Any
) -> Provider:
    """A vendor that follows OpenAI: `fields` of Provider go to the row, all others to its Chat Completions dialect."""
    row = {key: fields.pop(key) for key in _ROW if key in fields}
    return Provider(
        name=name,
        base_url=base_url,
        apis={"": chat(name, prefix + "/chat/completions", **fields), **also},
        variable=name.upper().replace("-", "_"),
        **{"models": prefix + "/models", **row},
    )


DEMO = replace(
    openai_like(
        "demo",
        "http://demo.invalid",
        keyless=True,
        models="",
        embeddings=embeddings("demo", base64=False, tokens=False),
        inline_thinking=False,
        ends_with_done=True,
    ),
    key="none",
)
"""Never leaves the process: providers/demo.py answers."""

CATALOG: tuple[Provider, ...] = (
    DEMO,
    openai_like(
        "openai",
        "https://api.openai.com/v1",
        also={"responses": responses_of("OPENAI")},
        bare=("gpt-", "chatgpt-", "o1", "o3", "o4", "text-embedding-3-", "text-embedding-ada-"),
        embeddings=embeddings("openai"),
        metadata=True,
        developer=True,
        thinking_field=None,
        own_fields=OPENAI_FIELDS,
        inline_thinking=False,
        ends_with_done=True,
    ),
    Provider(
        name="azure",
        base_url="https://azure-openai.invalid",
        apis={"": _azure_chat, "responses": responses_of("AZURE", "/openai/v1/responses")},
        key="api-key",
        tail="/openai/v1",
        variable="AZURE_OPENAI",
        models="",
        embeddings=_azure_embeddings,
    ),
    Provider(
        name="anthropic",
        base_url="https://api.anthropic.com",
        apis={"": _anthropic},
        key="x-api-key",
        tail="/v1",
        bare=("claude-",),
        variable="ANTHROPIC",
        models="/v1/models?limit=1000",
    ),
    Provider(
        name="gemini",
        base_url="https://generativelanguage.googleapis.com",
        apis={"": _gemini},
        key="x-goog-api-key",
        bare=("gemini-",),
        variable="GEMINI",
        models="/v1beta/models?pageSize=1000",
        embeddings=gemini_embeddings,
    ),
    Provider(
        name="vertex",
        base_url="https://aiplatform.googleapis.com",
        apis={"": _gemini_on_vertex, "anthropic": _anthropic_on_vertex},
        families={"claude": "anthropic"},
        key="google",
        variable="VERTEX",
        models="",
    ),
    Provider(
        name="bedrock",
        base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
        apis={"": _converse, "invoke": _anthropic_on_bedrock},
        key="aws",
        variable="BEDROCK",
        models="",
        embeddings=bedrock_embeddings,
    ),
    Provider(
        name="cohere",
        base_url="https://api.cohere.com",
        apis={"": _cohere, "v1": _cohere_v1},
        bare=("command-", "c4ai-", "embed-"),
        variable="COHERE",
        models="/v1/models?page_size=1000",
        embeddings=cohere_embeddings,
    ),
    openai_like(
        "groq",
        "https://api.groq.com",
        prefix="/openai/v1",
        tail="/openai/v1",
        thinking_field="reasoning",
        ends_with_done=True,
    ),
    openai_like(
        "deepseek",
        "https://api.deepseek.com",
        also={"responses": responses_of("DEEPSEEK")},
        bare=("deepseek-",),
        max_tokens_field="max_tokens",
        inline_thinking=False,
        ends_with_done=True,
    ),
    openai_like(
        "mistral",
        "https://api.mistral.ai",
        prefix="/v1",
        tail="/v1",
        bare=("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "pixtral-", "open-mi"),
        embeddings=embeddings(
            "mistral", "/v1/embeddings", tokens=False, user=False, dimensions_field="output_dimension"
        ),
        max_tokens_field="max_tokens",
        seed_field="random_seed",
        unsupported=frozenset({"user", "logit_bias", "service_tier"}),
        functions=False,
        call_id_length=9,
        metadata=True,
        stream_options=False,
        thinking_field=None,
        inline_thinking=False,
        ends_with_done=True,
    ),
    openai_like(
        "xai",
        "https://api.x.ai/v1",
        also={"responses": responses_of("XAI")},
        bare=("grok-",),
        inline_thinking=False,
        ends_with_done=True,
    ),
    openai_like(
        "together",
        "https://api.together.xyz/v1",
        embeddings=embeddings("together", base64=False, tokens=False, user=False, dimensions_field=None),
        max_tokens_field="max_tokens",
        ends_with_done=True,
    ),
    openai_like(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        bare=("accounts/",),
        embeddings=embeddings("fireworks", base64=False),
        ends_with_done=True,
    ),
    openai_like(
        "openrouter",
        "https://openrouter.ai/api/v1",
        also={"responses": responses_of("OPENROUTER")},
        embeddings=embeddings("openrouter"),
        reasoning="object",
        thinking_field="reasoning",
        thinking_details=True,
        own_fields=OPENAI_FIELDS | {"images"},
        ends_with_done=True,
    ),
    openai_like("cerebras", "https://api.cerebras.ai", prefix="/v1", tail="/v1", thinking_field="reasoning"),
    openai_like("sambanova", "https://api.sambanova.ai/v1", max_tokens_field="max_tokens", ends_with_done=True),
    openai_like(
        "perplexity",
        "https://api.perplexity.ai",
        bare=("sonar",),
        models="",
        max_tokens_field="max_tokens",
        stream_options=False,
        thinking_field=None,
    ),
    openai_like(
        "ollama",
        "http://localhost:11434/v1",
        keyless=True,
        embeddings=embeddings("ollama", base64=False, tokens=False, user=False),
        max_tokens_field="max_tokens",
        thinking_field="reasoning",
        ends_with_done=True,
    ),
    openai_like("vllm", "http://localhost:8000/v1", keyless=True, embeddings=embeddings("vllm"), ends_with_done=True),
)


def named(name: str, providers: Mapping[str, Provider]) -> tuple[Provider, str] | None:
    """Whose `provider/model` or well-known bare name this is, and what it names there: `model` or `<api>/model`."""
    prefix, slash, rest = name.partition("/")
    if rest and (provider := providers.get(prefix)) is not None:
        return provider, rest
    for provider in providers.values():
        if any(name.startswith(start) for start in provider.bare if "/" in start or not slash):
            return provider, name
    return None


_OWN_RESPONSES = {
    "copilot": "COPILOT",
    "bedrock-mantle": "BEDROCK_MANTLE",
    "llamacpp": "LLAMACPP",
    "mistralrs": "MISTRALRS",
}
"""Servers that people name in the environment and whose Responses API is known to depart from OpenAI's."""


_OWN_CHAT: Mapping[str, Mapping[str, Any]] = {
    **{
        key: {"ends_with_done": True, "inline_thinking": key in ("hyperbolic", "llamacpp", "mistralrs")}
        for key in (
            "cloudflare",
            "copilot",
            "databricks",
            "doubleword",
            "hyperbolic",
            "llamacpp",
            "mistralrs",
            "venice",
            "zai",
        )
    },
    # both serve Claude behind this format and hand its signatures on
    **{key: {"ends_with_done": True, "thinking_details": True} for key in ("snowflake", "vercel-gateway")},
}
"""The same for Chat Completions."""


def own_provider(name: str, base_url: str) -> Provider:
    """A provider that the operator names in the environment; it speaks OpenAI's formats, to the letter."""
    known = _OWN_RESPONSES.get(name)
    also = responses_of(known) if known else responses(name, metadata=True, developer=True)
    departures = {
        "metadata": True,
        "developer": True,
        "inline_thinking": False,
        "own_fields": OPENAI_FIELDS | {"extra_content"},  # Google's OpenAI endpoint wants its seals back in it
        **_OWN_CHAT.get(name, NOTHING),
    }
    return openai_like(
        name,
        base_url.rstrip("/"),
        also={"responses": also},
        keyless=True,
        embeddings=embeddings(name),
        **departures,
    )
