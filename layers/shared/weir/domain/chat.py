"""What a caller asks of a model: one call, free of any provider's format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from weir.domain.completion import NOTHING, Refusal, Text, Thinking, ToolCall

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a sound, a file or a video, in exactly one of three ways.

    `url` is an address to fetch; `content` is base64 text with its `media_type`; `file_id` names an upload at the
    provider. `extra` are the OpenAI-form fields beside it
    (`cache_control`), and under "inner" those of its own object (`detail`, `format`), as they came.
    """

    kind: Literal["image", "audio", "file", "video"]
    url: str | None = None
    content: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    name: str | None = None
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class Unknown:
    """A content part in OpenAI's form whose type has no name here. A protocol passes it on whole or refuses it."""

    type: str
    fields: Mapping[str, Any]


Part = Text | Media | Thinking | Refusal | ToolCall | Unknown


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `tool_call_id` is set on role "tool". `extra` are OpenAI-form fields without a name here.

    `listed` remembers that the caller wrote the content as a list, which some vendors treat differently from a string.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    tool_call_id: str | None = None
    listed: bool = False
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    strict: bool | None = None
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class UnknownTool:
    """A tool in OpenAI's form that is not a function (custom, web search, …)."""

    type: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`mode` "named" asks for the function `name`; "other" carries an OpenAI form without a name here in `fields`."""

    mode: Literal["none", "auto", "required", "named", "other"]
    name: str | None = None
    fields: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """`schema`, `name`, `strict` and `description` belong to "json_schema". `extra` as it came."""

    type: Literal["text", "json_object", "json_schema"]
    schema: Mapping[str, Any] | None = None
    name: str | None = None
    strict: bool | None = None
    description: str | None = None
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How hard to think, and whether to show it. `effort` is the caller's word, from none to xhigh."""

    effort: str | None = None
    summary: bool = False
    extra: Mapping[str, Any] = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall:
    """One request for a completion. None and the empty tuple mean that the caller did not say.

    `model` is the provider's own name. `extra` are parameters without a name here, as they came; a protocol that is
    not OpenAI's refuses them. `drop_unsupported` asks to leave out what the provider cannot express (and to say so)
    instead of refusing the call. `legacy_functions` says that the tools came as the deprecated `functions`, so that the
    answer can be given in that form.
    """

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    stream_options: Mapping[str, Any] = NOTHING
    tools: tuple[Tool | UnknownTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    legacy_functions: bool = False
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: Mapping[str, float] | None = None
    user: str | None = None
    metadata: Mapping[str, Any] | None = None
    service_tier: str | None = None
    drop_unsupported: bool = False
    extra: Mapping[str, Any] = NOTHING

    @property
    def output_limit(self) -> int | None:
        """The limit on generated tokens, under whichever of its two names it came."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
