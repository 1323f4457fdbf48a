"""What each model is sent for each word of reasoning effort, found by rendering calls; for docs/providers.md."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weir.domain.chat import ChatCall, Message, Reasoning
from weir.domain.completion import Text
from weir.domain.errors import RequestInvalid
from weir.protocols import anthropic_models, bedrock_models, gemini_models
from weir.protocols.base import WireProtocol
from weir.providers.catalog import CATALOG, Environ
from weir.providers.features import ANY_MODEL

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

NOT_REASONING = frozenset({"max_tokens", "maxTokens"})
"""What changes with the effort without saying it: the room for the answer beside the thinking."""

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

_ANY = (ANY_MODEL,)
_ASKED: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("OpenAI's format", "openai", "", _ANY),
    ("The Responses API", "openai", "responses", _ANY),
    ("OpenRouter", "openrouter", "", _ANY),
    ("Cohere", "cohere", "", _ANY),
    ("Claude (anthropic, vertex/anthropic, bedrock/invoke)", "anthropic", "", tuple(anthropic_models.MODELS)),
    ("Gemini (gemini, vertex)", "gemini", "", tuple(name for name, _ in gemini_models.MODELS)),
    ("Bedrock", "bedrock", "", tuple(name for family in bedrock_models.FAMILIES for name in family.names)),
)
"""Title, provider, format, and the models that its protocol has data of."""


def effort_tables(environ: Environ) -> Iterator[tuple[str, Table]]:
    providers = {provider.name: provider for provider in CATALOG}
    for title, provider, api, models in _ASKED:
        protocol = providers[provider].apis[api](environ)
        alike: dict[tuple[str, ...], list[str]] = {}
        for model in models:
            alike.setdefault(_row(protocol, model), []).append("any" if model == ANY_MODEL else f"`{model}`")
        rows = [(", ".join(names), *cells) for cells, names in alike.items()]
        yield title, (("model", "field", *EFFORTS), rows)


def _row(protocol: WireProtocol, model: str) -> tuple[str, ...]:
    """The field that carries the effort, and its value for each word."""
    fields: set[str] = set()
    cells: list[str] = []
    for effort in EFFORTS:
        sent = _sent(protocol, model, effort)
        if sent is None:
            cells.append("–")
            continue
        # beside a budget or a word, `type` says no more than that there is one
        told = {path: value for path, value in sent.items() if path[-1] != "type"} or sent
        if effort != "none" or told is not sent:
            fields.update(f"`{'.'.join(path[-2:])}`" for path in told)
        cells.append(", ".join(f"{value}" for value in told.values()) or "nothing")
    return (", ".join(sorted(fields)), *cells)


def _sent(protocol: WireProtocol, model: str, effort: str) -> dict[tuple[str, ...], Any] | None:
    """What the effort adds to a request, by its place there; None if the call is refused."""
    call = ChatCall(model=model, messages=(Message("user", (Text("Which?"),)),))
    without = _leaves(protocol.render(call).body)
    try:
        with_effort = protocol.render(_thinking(call, effort)).body
    except RequestInvalid:
        return None
    return {
        path: value
        for path, value in _leaves(with_effort).items()
        if path not in without and path[-1] not in NOT_REASONING
    }


def _thinking(call: ChatCall, effort: str) -> ChatCall:
    return ChatCall(model=call.model, messages=call.messages, reasoning=Reasoning(effort))


def _leaves(body: Mapping[str, Any] | Sequence[Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(body, Mapping):
        return {path: body}
    return {place: value for name, inner in body.items() for place, value in _leaves(inner, (*path, name)).items()}
