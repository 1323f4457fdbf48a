"""What the model families on Bedrock take beside Converse's own parameters: reasoning, `top_k`, a ban on tool calls.

Converse has no common parameter for these; they travel in `additionalModelRequestFields`, and a model answers 400 to
one that it does not know. A new family is a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ReasoningStyle = Literal[
    "budget",  # thinking: {type: enabled, budget_tokens}
    "adaptive",  # thinking: {type: adaptive} beside output_config: {effort}
    "nova",  # reasoningConfig: {type: enabled, maxReasoningEffort}
    "reasoning_effort",  # reasoning_effort: word
    "reasoning_config",  # reasoning_config: word
    "reasoning",  # reasoning: {effort: word}
    "always",  # reasons always, and has no parameter for it
    "none",  # cannot reason, or nobody has said how to ask for it
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models whose names begin alike, and what they take.

    `efforts` are the words it accepts; none of them stands for another, so an effort without a row is refused.
    `off` is what effort "none" is sent as under `thinking`; an empty text: nothing, because it does not think unasked;
    None: it cannot be turned off. (Families with an effort word have "none" among `efforts`, or cannot be turned off.)
    `hides`: its thinking is left out of the answer unless a summary is asked for. `anthropic`: it takes Anthropic's own
    request fields. `nova`: it takes Nova's.
    """

    names: tuple[str, ...]
    style: ReasoningStyle
    efforts: tuple[str, ...] = ()
    off: str | None = ""
    hides: bool = False

    @property
    def anthropic(self) -> bool:
        return self.names[0].startswith("anthropic.")

    @property
    def nova(self) -> bool:
        return self.names[0].startswith("amazon.nova")


BUDGET_TOKENS: Mapping[str, int] = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384}
"""Ours: no vendor says which budget an effort stands for. 1024 is the least that Anthropic accepts."""

ANSWER_TOKENS = 8192
"""Room for the answer beside a thinking budget, where the caller gave no limit: the budget counts towards `maxTokens`,
whose default is below the larger budgets on some models. With the largest budget it stays under every model's maximum.
"""

_WORDS = ("low", "medium", "high")

FAMILIES: tuple[Family, ...] = (
    # https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html, and the profiles in
    # pydantic-ai 2.68 (profiles/anthropic.py, providers/bedrock.py), which its authors checked against the service.
    Family(
        names=("anthropic.claude-fable-5", "anthropic.claude-mythos-5", "anthropic.claude-opus-5-5"),
        style="adaptive",
        efforts=(*_WORDS, "xhigh", "max"),
        off=None,
        hides=True,
    ),
    Family(
        names=("anthropic.claude-mythos-preview",), style="adaptive", efforts=(*_WORDS, "max"), off=None, hides=True
    ),
    Family(
        names=("anthropic.claude-sonnet-5-5",),
        style="adaptive",
        efforts=(*_WORDS, "xhigh", "max"),
        off="between_tools",
        hides=True,
    ),
    Family(
        names=("anthropic.claude-opus-5", "anthropic.claude-sonnet-5", "anthropic.claude-haiku-5-5"),
        style="adaptive",
        efforts=(*_WORDS, "xhigh", "max"),
        off="disabled",
        hides=True,
    ),
    Family(
        names=("anthropic.claude-opus-4-7", "anthropic.claude-opus-4-8"),
        style="adaptive",
        efforts=(*_WORDS, "xhigh", "max"),
        hides=True,
    ),
    Family(
        names=("anthropic.claude-opus-4-6", "anthropic.claude-sonnet-4-6"), style="adaptive", efforts=(*_WORDS, "max")
    ),
    Family(
        names=(
            "anthropic.claude-3-7-sonnet",
            "anthropic.claude-sonnet-4",
            "anthropic.claude-opus-4",
            "anthropic.claude-haiku-4",
        ),
        style="budget",
        efforts=tuple(BUDGET_TOKENS),
    ),
    Family(names=("anthropic.",), style="none"),
    # https://docs.aws.amazon.com/nova/latest/nova2-userguide/reasoning-capabilities.html
    Family(names=("amazon.nova-2",), style="nova", efforts=_WORDS),
    Family(names=("amazon.nova",), style="none"),
    # The rest: pydantic-ai 2.68, models/bedrock.py. Qwen, DeepSeek V3.2 and GLM before 5.3 accept every word but were
    # only seen to reason at "high".
    Family(names=("openai.gpt-oss",), style="reasoning_effort", efforts=_WORDS, off=None),
    Family(names=("openai.gpt-",), style="reasoning", efforts=("none", *_WORDS, "xhigh"), off=None),
    Family(names=("qwen.qwen3-coder",), style="none"),
    Family(names=("qwen.qwen3",), style="reasoning_config", efforts=("none", *_WORDS), off=None),
    Family(names=("deepseek.v3.2",), style="reasoning_effort", efforts=("none", *_WORDS), off=None),
    Family(names=("zai.glm-5.3",), style="reasoning_effort", efforts=(*_WORDS, "xhigh", "max"), off=None),
    Family(names=("zai.glm-",), style="reasoning_effort", efforts=("none", *_WORDS), off=None),
    Family(names=("xai.grok-",), style="reasoning", efforts=(*_WORDS, "xhigh"), off=None),
    # https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-deepseek.html
    Family(names=("deepseek.r1", "moonshot.kimi-k2-thinking"), style="always", off=None),
)
"""The first row whose name fits counts."""

_UNKNOWN = Family(names=("",), style="none")


def family_of(model: str) -> Family:
    """The family of a model id, an inference profile (`us.anthropic.…`) or the ARN of either.

    The ARN of an application inference profile or an imported model does not say which model is behind it.
    """
    name = model.rpartition("/")[2]
    within_region = name.partition(".")[2]
    for family in FAMILIES:
        if name.startswith(family.names) or within_region.startswith(family.names):
            return family
    return _UNKNOWN
