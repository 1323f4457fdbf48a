"""The vendors, a row each: where it is, how it takes a key, which format it speaks and how it departs from it."""

from dataclasses import dataclass, replace
from typing import Literal

from weir.protocols.base import WireProtocol
from weir.protocols.openai_chat import OpenAIChat
from weir.protocols.openai_request import OpenAIDialect

Auth = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One vendor.

    `base_url` means what it means in the vendor's own SDK; the protocol's path is appended to it. `tail` is what people
    also write at its end (`/v1`) although the path begins with it; it is then not sent twice. `keyless`: works without
    a key. `bare` are the beginnings of model names that are routed here without `provider/` before them.
    """

    name: str
    base_url: str
    protocol: WireProtocol
    auth: Auth = "bearer"
    tail: str = ""
    keyless: bool = False
    bare: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The beginning of its environment variables: `<variable>_API_KEY` and `<variable>_BASE_URL`."""
        return self.name.upper().replace("-", "_")

    def at(self, base_url: str) -> "Provider":
        """The same vendor at another address."""
        base_url = base_url.rstrip("/")
        return replace(self, base_url=base_url.removesuffix(self.tail) if self.tail else base_url)


DEMO = Provider(
    name="demo",
    base_url="http://demo.invalid",  # never leaves the process: providers/demo.py answers
    protocol=OpenAIChat(OpenAIDialect(provider="demo", ends_with_done=True)),
    auth="none",
    keyless=True,
)

CATALOG: tuple[Provider, ...] = (
    DEMO,
    Provider(
        name="openai",
        base_url="https://api.openai.com/v1",
        protocol=OpenAIChat(
            OpenAIDialect(provider="openai", metadata=True, developer=True, thinking_field=None, ends_with_done=True)
        ),
        bare=("gpt-", "chatgpt-", "o1", "o3", "o4"),
    ),
    Provider(
        name="groq",
        base_url="https://api.groq.com",
        protocol=OpenAIChat(
            OpenAIDialect(provider="groq", thinking_field="reasoning", ends_with_done=True),
            "/openai/v1/chat/completions",
        ),
        tail="/openai/v1",
    ),
    Provider(
        name="deepseek",
        base_url="https://api.deepseek.com",
        protocol=OpenAIChat(OpenAIDialect(provider="deepseek", max_tokens_field="max_tokens", ends_with_done=True)),
        bare=("deepseek-",),
    ),
    Provider(
        name="mistral",
        base_url="https://api.mistral.ai",
        protocol=OpenAIChat(
            OpenAIDialect(
                provider="mistral",
                max_tokens_field="max_tokens",
                seed_field="random_seed",
                metadata=True,
                stream_options=False,
                thinking_field=None,
                ends_with_done=True,
            ),
            "/v1/chat/completions",
        ),
        tail="/v1",
        bare=("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "pixtral-", "open-mi"),
    ),
    Provider(
        name="xai",
        base_url="https://api.x.ai/v1",
        protocol=OpenAIChat(OpenAIDialect(provider="xai", ends_with_done=True)),
        bare=("grok-",),
    ),
    Provider(
        name="together",
        base_url="https://api.together.xyz/v1",
        protocol=OpenAIChat(OpenAIDialect(provider="together", max_tokens_field="max_tokens", ends_with_done=True)),
    ),
    Provider(
        name="fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        protocol=OpenAIChat(OpenAIDialect(provider="fireworks", ends_with_done=True)),
        bare=("accounts/",),
    ),
    Provider(
        name="openrouter",
        base_url="https://openrouter.ai/api/v1",
        protocol=OpenAIChat(
            OpenAIDialect(
                provider="openrouter",
                reasoning="object",
                thinking_field="reasoning",
                thinking_details=True,
                ends_with_done=True,
            )
        ),
    ),
    Provider(
        name="cerebras",
        base_url="https://api.cerebras.ai",
        protocol=OpenAIChat(OpenAIDialect(provider="cerebras", thinking_field="reasoning"), "/v1/chat/completions"),
        tail="/v1",
    ),
    Provider(
        name="sambanova",
        base_url="https://api.sambanova.ai/v1",
        protocol=OpenAIChat(OpenAIDialect(provider="sambanova", max_tokens_field="max_tokens", ends_with_done=True)),
    ),
    Provider(
        name="perplexity",
        base_url="https://api.perplexity.ai",
        protocol=OpenAIChat(
            OpenAIDialect(
                provider="perplexity", max_tokens_field="max_tokens", stream_options=False, thinking_field=None
            )
        ),
        bare=("sonar",),
    ),
    Provider(
        name="ollama",
        base_url="http://localhost:11434/v1",
        protocol=OpenAIChat(
            OpenAIDialect(
                provider="ollama", max_tokens_field="max_tokens", thinking_field="reasoning", ends_with_done=True
            )
        ),
        keyless=True,
    ),
    Provider(
        name="vllm",
        base_url="http://localhost:8000/v1",
        protocol=OpenAIChat(OpenAIDialect(provider="vllm", ends_with_done=True)),
        keyless=True,
    ),
)


def own_provider(name: str, base_url: str) -> Provider:
    """A provider that the operator names in the environment; it speaks OpenAI's format, to the letter."""
    return Provider(
        name=name,
        base_url=base_url.rstrip("/"),
        protocol=OpenAIChat(OpenAIDialect(provider=name, metadata=True, developer=True)),
        keyless=True,
    )
