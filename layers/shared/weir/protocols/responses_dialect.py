"""What the vendors of the Responses API do differently, as data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesDialect:
    """How one vendor departs from OpenAI's Responses API.

    `seals`: when to ask for encrypted reasoning, without which a stateless conversation loses the model's thoughts:
    "always"; "asked" with every call that names its reasoning, for vendors whose model names do not tell whether a
    model reasons; "never". `unsealed_models` are beginnings of model names that refuse it under "always" unless asked.
    `stateless`: whether the vendor keeps answers unless told `store: false`.
    `open_reasoning`: whether it takes reasoning back as plain text, without a seal.
    `logprobs`: through `include` (OpenAI), as a parameter of its own (xAI), or not at all.
    `also`: Chat Completions parameters that it takes here, too, under the same names.
    `metadata`: whether it takes OpenAI's `metadata` (elsewhere that word is only Weir's tags).
    `developer`: whether it knows the role "developer"; otherwise "system" is sent, which means the same to it.
    `audio`: whether it takes sounds and videos as input.
    """

    provider: str
    seals: Literal["always", "asked", "never"] = "asked"
    unsealed_models: tuple[str, ...] = ()
    stateless: bool = True
    open_reasoning: bool = False
    logprobs: Literal["include", "parameter", "none"] = "include"
    also: frozenset[str] = frozenset()
    metadata: bool = False
    developer: bool = False
    audio: bool = False


OPENAI = ResponsesDialect(
    provider="openai",
    seals="always",
    # "Encrypted content is not supported with this model", says the API of these. Later models all reason.
    unsealed_models=("gpt-3.5", "gpt-4", "chatgpt-4o", "gpt-5-chat", "gpt-5.1-chat", "gpt-5.2-chat", "gpt-5.3-chat"),
    metadata=True,
    developer=True,
)
AZURE = ResponsesDialect(provider="azure", metadata=True, developer=True)  # its model names are the customer's own
XAI = ResponsesDialect(provider="xai", seals="always", unsealed_models=("grok-2", "grok-3"), logprobs="parameter")
DEEPSEEK = ResponsesDialect(provider="deepseek", seals="never", open_reasoning=True)
OPENROUTER = ResponsesDialect(  # openrouter's SDK, components/responsesrequest.py and easyinputmessage.py
    provider="openrouter",
    also=frozenset({"stop", "frequency_penalty", "presence_penalty"}),
    metadata=True,
    developer=True,
    audio=True,
)
COPILOT = ResponsesDialect(provider="copilot", developer=True)
BEDROCK_MANTLE = ResponsesDialect(provider="bedrock-mantle", developer=True)
LLAMACPP = ResponsesDialect(provider="llamacpp", seals="never", stateless=False, open_reasoning=True, logprobs="none")
MISTRALRS = ResponsesDialect(provider="mistralrs", seals="never", stateless=False, logprobs="none")
