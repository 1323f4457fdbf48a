"""What single Gemini models take, and how a wish for reasoning is put to each.

Levels: https://ai.google.dev/gemini-api/docs/generate-content/thinking (table "Thinking levels").
Budgets: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking (table of minimum and maximum amounts).
OpenAI's efforts: https://ai.google.dev/gemini-api/docs/openai (section "Thinking"), Google's own translation of them;
it is used wherever it speaks of a model, and nothing is invented where it is silent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from weir.domain.chat import Reasoning
from weir.protocols.base import Unsupported


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One family of models.

    `thinking`: which field says how hard to think; "none": the model does not think. `efforts`: OpenAI's word -> level
    or tokens; None: not known, so the word is sent as a level and the API decides. `can_stop`: a budget of 0 switches
    thinking off. `signs_calls`: the API refuses a function call of the current turn without its thought signature.
    `media_in_results`: a function's result may hold images and documents itself.
    """

    thinking: Literal["level", "budget", "none"]
    efforts: Mapping[str, str | int] | None = None
    can_stop: bool = False
    signs_calls: bool = False
    media_in_results: bool = False


def _levels(**efforts: str) -> ModelFacts:
    return ModelFacts("level", MappingProxyType(efforts), signs_calls=True, media_in_results=True)


_BUDGETS: Mapping[str, str | int] = MappingProxyType({"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576})
_NOT_THINKING = ModelFacts("none")
_FOUR_LEVELS = _levels(minimal="MINIMAL", low="LOW", medium="MEDIUM", high="HIGH")
_THREE_LEVELS = _levels(low="LOW", medium="MEDIUM", high="HIGH")
_IMAGE_LEVELS = _levels(minimal="MINIMAL", high="HIGH")
_NEWER_GEMINI = ModelFacts("level", signs_calls=True, media_in_results=True)
_OTHER = ModelFacts("level")

MODELS: tuple[tuple[str, ModelFacts], ...] = (
    ("gemini-1.", _NOT_THINKING),
    ("gemini-2.0-", _NOT_THINKING),
    ("gemini-2.5-flash-image", _NOT_THINKING),
    ("gemini-2.5-pro", ModelFacts("budget", _BUDGETS)),
    ("gemini-2.5-", ModelFacts("budget", _BUDGETS, can_stop=True)),
    ("gemini-3-pro-image", _NEWER_GEMINI),
    ("gemini-3-pro", _levels(minimal="LOW", low="LOW", medium="HIGH", high="HIGH")),
    ("gemini-3.1-pro", _levels(minimal="LOW", low="LOW", medium="MEDIUM", high="HIGH")),
    ("gemini-3.1-flash-lite-image", _IMAGE_LEVELS),
    ("gemini-3.1-flash-image", _IMAGE_LEVELS),
    ("gemini-3-flash", _FOUR_LEVELS),
    ("gemini-3.1-flash-lite", _FOUR_LEVELS),
    ("gemini-3.5-flash", _FOUR_LEVELS),
    ("gemini-3.6-flash", _FOUR_LEVELS),
    ("gemini-3.7-flash", _THREE_LEVELS),  # "minimal" is an error
    ("gemini-3.8-flash", _THREE_LEVELS),
    ("gemma-", ModelFacts("level", MappingProxyType({"minimal": "MINIMAL", "high": "HIGH"}))),
    ("gemini-", _NEWER_GEMINI),  # later families and the moving names (gemini-flash-latest)
)
"""Beginnings of names; the first that fits counts."""


def facts_of(model: str) -> ModelFacts:
    name = model.rpartition("/")[2]
    return next((facts for beginning, facts in MODELS if name.startswith(beginning)), _OTHER)


def thinking_config(reasoning: Reasoning, facts: ModelFacts, unsupported: Unsupported) -> dict[str, Any]:
    """Thoughts are shown only when a summary is asked for, which is also what the API does when nobody says."""
    if facts.thinking == "none":
        if reasoning.summary or reasoning.effort not in (None, "none"):
            unsupported.drop("reasoning", "this model does not think")
        return {}
    config: dict[str, Any] = {}
    if reasoning.effort is not None:
        config.update(_effort(reasoning.effort, facts, unsupported))
    for name, value in reasoning.extra.items():
        if name == "max_tokens" and isinstance(value, int):  # OpenRouter's word for a budget
            if "thinkingLevel" in config or "thinkingBudget" in config:  # the API takes one of the two
                unsupported.drop("reasoning.max_tokens", "reasoning.effort is given as well")
            else:
                config["thinkingBudget"] = value
        elif value:
            unsupported.drop(f"reasoning.{name}")
    if reasoning.summary:
        config["includeThoughts"] = True
    return config


def _effort(effort: str, facts: ModelFacts, unsupported: Unsupported) -> dict[str, Any]:
    if effort == "none":
        if facts.can_stop:
            return {"thinkingBudget": 0}
        unsupported.drop("reasoning.effort", "this model cannot be kept from thinking")
        return {}
    if facts.efforts is None:
        return {"thinkingLevel": effort.upper()}
    value = facts.efforts.get(effort)
    if value is None:
        unsupported.drop("reasoning.effort", f"this model knows {', '.join(facts.efforts)}, not {effort[:50]!r}")
        return {}
    return {"thinkingLevel" if isinstance(value, str) else "thinkingBudget": value}
