"""How hard to think, in the terms of one Claude model: a budget of tokens, or a word."""

from collections.abc import Mapping
from typing import Any

from weir.domain.chat import ChatCall, Reasoning
from weir.protocols.anthropic_models import ModelFacts
from weir.protocols.base import Unsupported

BUDGETS: Mapping[str, int] = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_000}
"""Effort -> tokens for the models that take a budget. The steps are ours; 1024 is the least the API takes."""


def reasoning_of(call: ChatCall, facts: ModelFacts, unsupported: Unsupported) -> tuple[dict[str, Any], dict[str, Any]]:
    """`thinking`, and the part of `output_config` that goes with it."""
    reasoning = call.reasoning
    if reasoning is None or reasoning == Reasoning() or "thinking" in call.extra:
        return {}, {}
    given = dict(reasoning.extra)
    enabled, budget = given.pop("enabled", None), given.pop("max_tokens", None)  # OpenRouter's words for it
    for name in given:
        unsupported.drop(f"reasoning.{name}")
    if reasoning.effort == "none" or enabled is False:
        return _off(facts, unsupported), {}
    if facts.thinking == "none":
        unsupported.drop("reasoning", f"{call.model} does not think")
        return {}, {}
    if facts.thinking == "budget":
        return _budget(reasoning.effort, budget, facts, unsupported), {}
    if budget is not None:
        unsupported.drop("reasoning.max_tokens", f"{call.model} takes an effort, not a number of tokens")
    thinking = {"type": "adaptive"}
    if reasoning.summary and facts.hidden:
        thinking["display"] = "summarized"
    return thinking, _effort(reasoning.effort, facts, unsupported)


def _off(facts: ModelFacts, unsupported: Unsupported) -> dict[str, Any]:
    if facts.off is not None:
        return {"type": facts.off}
    if facts.thinking != "none":
        unsupported.drop("reasoning.effort", "this model always thinks")
    return {}


def _budget(effort: str | None, budget: Any, facts: ModelFacts, unsupported: Unsupported) -> dict[str, Any]:
    tokens = budget if budget is not None else BUDGETS.get(effort or "medium")
    if not isinstance(tokens, int) or tokens >= facts.max_output:
        param = "reasoning.effort" if budget is None else "reasoning.max_tokens"
        unsupported.drop(
            param, f"this model can think at most {facts.max_output - 1} tokens, in the steps {[*BUDGETS]}"
        )
        return {}
    return {"type": "enabled", "budget_tokens": tokens}


def _effort(effort: str | None, facts: ModelFacts, unsupported: Unsupported) -> dict[str, Any]:
    """OpenAI's words mean no fixed amount; one that the model lacks is read as its neighbour."""
    if effort is None:
        return {}
    word = {"minimal": "low"}.get(effort, effort)
    if word == "xhigh" and word not in facts.efforts:
        word = "max"
    if word not in facts.efforts:
        unsupported.drop("reasoning.effort", f"this model's are {', '.join(facts.efforts)}")
        return {}
    return {"effort": word}
