"""What single Claude models take and refuse, as data.

Sources: https://platform.claude.com/docs/en/about-claude/models/overview (limits),
https://platform.claude.com/docs/en/build-with-claude/thinking and /effort (which kind of thinking, its words and its
display), /structured-outputs, and /agents-and-tools/tool-use/define-tools (forced tools).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model's limits.

    `thinking`: "budget" takes a number of tokens, "adaptive" takes words of `efforts`, "none" does not think.
    `off`: what turns thinking off; None where nothing needs to or can be sent: it never thinks, or it always does.
    `hidden`: it keeps the text of its thinking back unless `display` asks for it.
    `sampling`: whether temperature and top_p may be sent together, one of them only, or nothing but the defaults.
    `forced_tools`: whether a tool call can be demanded. `structured`: whether it keeps to a JSON schema by itself.
    `default_output`: the limit that is sent when the caller named none (the API wants one always).
    """

    thinking: Literal["none", "budget", "adaptive"] = "adaptive"
    efforts: tuple[str, ...] = ("low", "medium", "high", "xhigh", "max")
    off: Literal["disabled", "between_tools"] | None = "disabled"
    hidden: bool = True
    sampling: Literal["both", "either", "defaults"] = "defaults"
    forced_tools: bool = True
    structured: bool = True
    max_output: int = 128_000
    default_output: int = 128_000


UNKNOWN_MODEL = ModelFacts(sampling="both", default_output=32_000)
"""A model without a row: taken for one of the newest, and left to say itself what it refuses."""

# The models before 4.5 answer 400 when prompt and max_tokens together exceed the context window, so their default is
# low; later ones stop at the window (stop reason model_context_window_exceeded), so they may write all they can.
_UNTHINKING = ModelFacts(
    thinking="none",
    efforts=(),
    off=None,
    hidden=False,
    sampling="both",
    structured=False,
    max_output=4096,
    default_output=4096,
)
_LONGER = replace(_UNTHINKING, max_output=8192)
_BUDGET = replace(
    _UNTHINKING,
    thinking="budget",
    off="disabled",
    max_output=64_000,
    default_output=8192,
)
_OPUS_4 = replace(_BUDGET, max_output=32_000)
_4_5 = replace(_BUDGET, sampling="either", structured=True, default_output=64_000)
_4_6 = ModelFacts(efforts=("low", "medium", "high", "max"), hidden=False, sampling="either")
_4_7 = ModelFacts()
_ALWAYS = replace(_4_7, off=None)
_UNFORCED = replace(_ALWAYS, forced_tools=False)

MODELS: Mapping[str, ModelFacts] = {
    "claude": _UNTHINKING,  # Bedrock's claude-v2
    "claude-instant": _UNTHINKING,
    "claude-2.0": _UNTHINKING,
    "claude-2.1": _UNTHINKING,
    "claude-3-haiku": _UNTHINKING,
    "claude-3-sonnet": _UNTHINKING,
    "claude-3-opus": _UNTHINKING,
    "claude-3-5-haiku": _LONGER,
    "claude-3-5-sonnet": _LONGER,
    "claude-3-7-sonnet": _BUDGET,
    "claude-4-sonnet": _BUDGET,
    "claude-sonnet-4": _BUDGET,
    "claude-4-opus": _OPUS_4,
    "claude-opus-4": _OPUS_4,
    "claude-opus-4-1": replace(_OPUS_4, sampling="either", structured=True),
    "claude-sonnet-4-5": _4_5,
    "claude-haiku-4-5": _4_5,
    "claude-opus-4-5": _4_5,
    "claude-opus-4-6": _4_6,
    "claude-sonnet-4-6": _4_6,
    "claude-mythos-preview": replace(_ALWAYS, sampling="both", structured=False),
    "claude-opus-4-7": _4_7,
    "claude-opus-4-8": _4_7,
    "claude-opus-5": _4_7,
    "claude-sonnet-5": _4_7,
    "claude-haiku-5-5": _4_7,
    "claude-sonnet-5-5": replace(_4_7, off="between_tools", forced_tools=False),
    "claude-opus-5-5": _UNFORCED,
    "claude-fable-5": _ALWAYS,
    "claude-mythos-5": _ALWAYS,
    "claude-fable-5-1": _UNFORCED,
    "claude-mythos-5-1": _UNFORCED,
    "claude-fable-5-2": _UNFORCED,
    "claude-mythos-5-2": _UNFORCED,
}

_VERSION = re.compile(r"(?:[-@]\d{8})?(?:-v\d+(?::\d+)?)?$|-latest$|-0$")
"""What follows a model's own name: a date, Bedrock's version, or the alias of the newest."""


def facts_of(model: str, unknown: ModelFacts = UNKNOWN_MODEL) -> ModelFacts:
    """The facts of a model under any platform's name for it (`us.anthropic.claude-opus-4-6-v1`, `…@20250219`)."""
    at = model.rfind("claude")
    return MODELS.get(_VERSION.sub("", model[at:], count=1), unknown) if at >= 0 else unknown
