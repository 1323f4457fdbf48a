"""What each provider's formats can express, found by asking the protocol itself: a small call is rendered per feature.

Nothing here says what a provider can do. A feature is "sent" when the request changes with it, "refused" when the
protocol raises RequestInvalid or leaves it out, and "kept here" when the call goes through but the provider is told
nothing (Weir's own tags). Whether the model behind a format honours what it is sent is the vendor's to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from weir.domain.chat import ChatCall, Media, Message, Part, Reasoning, ResponseFormat, Tool, ToolChoice
from weir.domain.completion import Text
from weir.domain.errors import RequestInvalid
from weir.protocols.base import WireProtocol, WireRequest
from weir.providers.catalog import Environ, Provider

Answer = Literal["sent", "refused", "kept here"]

_QUESTION = Text("Which?")
_ASKED = ChatCall(model="", messages=(Message("user", (_QUESTION,), listed=True),))
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
_TOOLS = (
    Tool("first", "The first.", _SCHEMA),
    Tool("second", "The second.", _SCHEMA),
)  # two: to name one says something
_WITH_TOOLS = replace(_ASKED, tools=_TOOLS)
_CONTENT = "AAAA"  # of no importance: nothing is sent


def _showing(part: Part) -> ChatCall:
    return replace(_ASKED, messages=(Message("user", (_QUESTION, part), listed=True),))


def _media(kind: Literal["image", "audio", "file", "video"], media_type: str, ending: str) -> tuple[ChatCall, ChatCall]:
    inner = {"inner": {"format": ending}} if kind == "audio" else {}
    return (
        _showing(Media(kind, url=f"https://example.com/a.{ending}", media_type=media_type, extra=inner)),
        _showing(Media(kind, content=_CONTENT, media_type=media_type, name=f"a.{ending}", extra=inner)),
    )


_IMAGES, _FILES, _SOUNDS, _VIDEOS = (
    _media("image", "image/png", "png"),
    _media("file", "application/pdf", "pdf"),
    _media("audio", "audio/wav", "wav"),
    _media("video", "video/mp4", "mp4"),
)

PROBES: Mapping[str, tuple[ChatCall, ChatCall]] = {
    "streaming": (_ASKED, replace(_ASKED, stream=True)),
    "images by URL": (_ASKED, _IMAGES[0]),
    "images by data": (_ASKED, _IMAGES[1]),
    "files by URL": (_ASKED, _FILES[0]),
    "files by data": (_ASKED, _FILES[1]),
    "audio": (_ASKED, _SOUNDS[1]),
    "video by URL": (_ASKED, _VIDEOS[0]),
    "video by data": (_ASKED, _VIDEOS[1]),
    "tools": (_ASKED, _WITH_TOOLS),
    "strict tools": (_WITH_TOOLS, replace(_ASKED, tools=tuple(replace(tool, strict=True) for tool in _TOOLS))),
    "tool_choice required": (_WITH_TOOLS, replace(_WITH_TOOLS, tool_choice=ToolChoice("required"))),
    "tool_choice named": (_WITH_TOOLS, replace(_WITH_TOOLS, tool_choice=ToolChoice("named", "first"))),
    "tool_choice none": (_WITH_TOOLS, replace(_WITH_TOOLS, tool_choice=ToolChoice("none"))),
    "parallel_tool_calls false": (_WITH_TOOLS, replace(_WITH_TOOLS, parallel_tool_calls=False)),
    "json_object": (_ASKED, replace(_ASKED, response_format=ResponseFormat("json_object"))),
    "json_schema": (_ASKED, replace(_ASKED, response_format=ResponseFormat("json_schema", _SCHEMA, "answer", True))),
    "reasoning effort": (_ASKED, replace(_ASKED, reasoning=Reasoning("high"))),
    "max_tokens": (_ASKED, replace(_ASKED, max_tokens=7)),
    "temperature": (_ASKED, replace(_ASKED, temperature=0.5)),
    "top_p": (_ASKED, replace(_ASKED, top_p=0.5)),
    "n": (_ASKED, replace(_ASKED, n=2)),
    "stop": (_ASKED, replace(_ASKED, stop=("END",))),
    "seed": (_ASKED, replace(_ASKED, seed=7)),
    "frequency_penalty": (_ASKED, replace(_ASKED, frequency_penalty=0.5)),
    "presence_penalty": (_ASKED, replace(_ASKED, presence_penalty=0.5)),
    "logit_bias": (_ASKED, replace(_ASKED, logit_bias={"50256": -100})),
    "logprobs": (_ASKED, replace(_ASKED, logprobs=True)),
    "top_logprobs": (_ASKED, replace(_ASKED, logprobs=True, top_logprobs=2)),
    "user": (_ASKED, replace(_ASKED, user="u-1")),
    "metadata": (_ASKED, replace(_ASKED, metadata={"team": "search"})),
    "service_tier flex": (_ASKED, replace(_ASKED, service_tier="flex")),
}
"""Feature -> the same call without and with it."""

MODELS: Mapping[tuple[str, str], str] = {
    ("anthropic", ""): "claude-sonnet-4-6",
    ("vertex", ""): "gemini-3.1-pro-preview",
    ("vertex", "anthropic"): "claude-sonnet-4-6",
    ("gemini", ""): "gemini-3.1-pro-preview",
    ("bedrock", ""): "anthropic.claude-sonnet-4-6",
    ("bedrock", "invoke"): "anthropic.claude-sonnet-4-6",
}
"""Provider and format -> the model to ask for, where what may be asked depends on it."""

ANY_MODEL = "a-model"


@dataclass(frozen=True, slots=True)
class Format:
    """One of a provider's formats: `api` selects it in `provider/<api>/model`, "" is the usual one.

    `model` is the one that was asked for, None if the answers are the same for every model.
    """

    provider: str
    api: str
    protocol: WireProtocol
    model: str | None
    features: Mapping[str, Answer]


def formats(provider: Provider, environ: Environ) -> tuple[Format, ...]:
    """Every format of the provider with what it can express."""
    found: list[Format] = []
    for api, make in provider.apis.items():
        protocol = make(environ)
        model = MODELS.get((provider.name, api))
        features = {name: ask(protocol, *probe, model or ANY_MODEL) for name, probe in PROBES.items()}
        found.append(Format(provider.name, api, protocol, model, features))
    return tuple(found)


def ask(protocol: WireProtocol, without: ChatCall, call: ChatCall, model: str) -> Answer:
    """What becomes of that by which `call` differs from `without`."""
    try:
        sent = protocol.render(replace(call, model=model))
    except RequestInvalid:
        return "refused"
    if sent.dropped:
        return "refused"
    return "sent" if _content(sent) != _content(protocol.render(replace(without, model=model))) else "kept here"


def _content(request: WireRequest) -> tuple[object, ...]:
    return request.path, request.body, request.headers
