"""The fields of the dialects in words, for docs/providers.md."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from weir.protocols.anthropic_request import AnthropicDialect
from weir.protocols.bedrock_request import BedrockDialect
from weir.protocols.cohere_request import CohereDialect
from weir.protocols.gemini_request import GeminiDialect
from weir.protocols.openai_request import OpenAIDialect
from weir.protocols.responses_dialect import ResponsesDialect
from weir.providers.features import Format

Phrases = Mapping[str, Callable[[Any], str]]
"""Field of a dialect -> what a value other than the default says; an empty text if there is nothing to tell."""


def _untold(_: Any) -> str:
    """Of fields that show elsewhere on the page, or nowhere to a caller."""
    return ""


def _fixed(text: str) -> Callable[[Any], str]:
    return lambda _: text


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


_METADATA = _fixed("takes OpenAI's `metadata`")
_DEVELOPER = _fixed("knows the role `developer` (others are sent `system`)")

PHRASES: Mapping[type, Phrases] = {
    OpenAIDialect: {
        "provider": _untold,
        "max_tokens_field": lambda name: f"the output limit is sent as `{name}`",
        "reasoning": lambda form: (
            "reasoning is asked for with OpenRouter's `reasoning` object"
            if form == "object"
            else "has no parameter for reasoning"
        ),
        "thinking_field": lambda name: (
            f"earlier thinking goes back as `{name}`" if name else "earlier thinking does not go back"
        ),
        "thinking_details": _fixed("takes `reasoning_details` back, with their seals"),
        "stream_options": _fixed("is sent no `stream_options`, and gives usage with every stream"),
        "seed_field": lambda name: f"`seed` is sent as `{name}`",
        "metadata": _METADATA,
        "developer": _DEVELOPER,
        "unsupported": lambda names: f"has no {_names(names)}",
        "functions": _fixed("knows no deprecated `functions`: they are sent as tools"),
        "inline_thinking": _fixed("thinking that its models write into the text as `<think>` is told apart"),
        "own_fields": lambda names: f"takes back {_names(names)} of its answers",
        "call_id_length": lambda length: f"ids of tool calls are made to have {length} letters and digits",
        "ends_with_done": _fixed("a stream without `[DONE]` at its end counts as cut off"),
    },
    ResponsesDialect: {
        "provider": _untold,
        "seals": lambda when: {
            "always": "encrypted reasoning is always asked for",
            "never": "has no encrypted reasoning",
        }[when],
        "unsealed_models": lambda models: f"not of {', '.join(f'`{start}…`' for start in models)}",
        "stateless": _fixed("keeps no answers, so it is not told not to"),
        "open_reasoning": _fixed("takes earlier reasoning back as plain text"),
        "logprobs": lambda how: {
            "parameter": "`logprobs` is a parameter of its own",
            "none": "has no `logprobs`",
        }[how],
        "also": lambda names: f"takes {_names(names)}, too",
        "metadata": _METADATA,
        "developer": _DEVELOPER,
        "audio": _fixed("takes sounds and videos"),
    },
    AnthropicDialect: {
        "provider": _untold,
        "path": _untold,
        "stream_path": _untold,
        "in_path": _fixed("the model is part of the path"),
        "version": _untold,
        "body_version": lambda version: f"the body says `anthropic_version: {version}`",
        "betas": _fixed("names of betas go into the body"),
        "stream_field": _fixed("a stream is asked for by the path"),
        "framing": _fixed("streams come in AWS's event stream encoding"),
        "media_urls": _fixed("images and documents are taken by data only"),
        "service_tier": _fixed("has no service tiers"),
        "most_default_output": lambda limit: f"the output limit is at most {limit} when the caller names none",
        "unknown": _untold,
    },
    GeminiDialect: {
        "provider": _untold,
        "platform": _fixed("takes some of Vertex's own parameters instead of AI Studio's"),
        "version": lambda version: f"speaks {version}",
        "project": _fixed("project and location are part of the path"),
        "location": _untold,
        "call_ids": _fixed("function calls have no ids"),
    },
    BedrockDialect: {
        "provider": _untold,
        "metadata": _fixed("`metadata` is sent as `requestMetadata`"),
    },
    CohereDialect: {"provider": _untold},
}


def format_names(formats: Iterable[Format]) -> str:
    """As the beginnings of model names; the provider alone where that is its usual format."""
    names = [f"{each.provider}/{each.api}" if each.api else each.provider for each in formats]
    return ", ".join(f"`{name}`" for name in names)
