"""Fields of an answer that come back with a history and belong to the protocol that made them, to no other.

Clients give an answer back as they got it, and histories move from one provider to another. Most vendors refuse a
message field that they do not know (Groq, OpenAI), so what one protocol put into its answers must not reach the next.
"""

from collections.abc import Mapping
from typing import Any

ANSWER_FIELDS = frozenset(
    {
        "annotations",
        "audio",
        "citations",
        "content_blocks",  # Anthropic's and Converse's blocks without a name in OpenAI's form
        "content_parts",  # the same of Gemini, Mistral, Cohere and Responses
        "custom_tool_calls",
        "function_call",
        "images",
        "parsed",  # added by OpenAI's own client when it was asked to parse
        "phase",
        "provider_items",  # searches and code runs of Responses
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
    }
)
"""Of a message. What a protocol can send back of its own it takes from here before it leaves the rest out."""

CALL_FIELDS = frozenset({"caller", "extra_content", "namespace", "thought_signature", "toolset_name"})
"""The same of a tool call in it."""


def without(fields: Mapping[str, Any], of_answers: frozenset[str], own: frozenset[str] = frozenset()) -> dict[str, Any]:
    """`fields` without those of other protocols' answers; `own` are this one's, which stay."""
    return {name: value for name, value in fields.items() if name not in of_answers or name in own}
