"""Which recordings a chat completion can express, and the protocol that speaks each, made as the gateway makes it."""

import json
import re
from collections.abc import Iterable, Mapping

from tests.corpus import Exchange
from tests.protocols.corpus_judge import Judge, Wanted
from weir.protocols.base import WireProtocol
from weir.providers.catalog import CATALOG
from weir.providers.registry import Registry

LABELS = (
    "chat.completions",
    "messages",
    "rawPredict",
    "invoke",
    "generateContent",
    "converse",
    "cohere.v2",
    "cohere.v1",
    "responses",
    "another API",
)
"""The APIs of the recordings, Cohere's two told apart; the last stands for those that no protocol here speaks."""

_SELECTED = {"invoke": "invoke/", "cohere.v1": "v1/", "responses": "responses/"}
"""What selects an API in `provider/<api>/model`; the others are a provider's usual one, or its model's."""


def label_of(exchange: Exchange) -> str:
    if exchange.provider == "cohere" and exchange.api == "chat":
        return "cohere.v1" if "/v1/chat" in exchange.url else "cohere.v2"
    return exchange.api if exchange.api in LABELS else LABELS[-1]


def registry_for(recorded: Iterable[Exchange]) -> Registry:
    """Every provider of the recordings, by its row in the catalogue or else named in the environment."""
    environ = {
        "AWS_ACCESS_KEY_ID": "canary-id",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "VERTEX_PROJECT": "canary-project",
        "VERTEX_LOCATION": "us-central1",
        **{f"{row.variable}_API_KEY": "canary-key" for row in CATALOG},
    }
    for name in {provider_of(exchange) for exchange in recorded} - {row.name for row in CATALOG}:
        variable = name.upper().replace("-", "_")
        environ |= {f"{variable}_API_KEY": "canary-key", f"{variable}_BASE_URL": "https://provider.invalid/v1"}
    return Registry.from_environ(environ)


def provider_of(exchange: Exchange) -> str:
    """Under what name its provider is asked: the OpenAI-like side of one that has an API of its own gets another."""
    if exchange.api == "chat.completions" and exchange.provider in _HAVE_AN_OPENAI_SIDE:
        return f"{exchange.provider}-openai"
    return exchange.provider


_HAVE_AN_OPENAI_SIDE = frozenset({"anthropic", "gemini"})


def protocol_for(exchange: Exchange, registry: Registry) -> WireProtocol:
    model = exchange.model or "a-model"
    target = registry.resolve(f"{provider_of(exchange)}/{_SELECTED.get(label_of(exchange), '')}{model}", {})
    assert target.model == model
    return target.protocol


def served(exchange: Exchange) -> tuple[bytes, bool]:
    """The answer, and whether it is a stream, in the form that our request asks for.

    Some clients took Gemini's stream as one JSON array; `alt=sse`, which we send, gives the same objects as events.
    """
    if ":streamGenerateContent" in exchange.url and isinstance(exchange.recording["response"]["body"], list):
        replies = exchange.recording["response"]["body"]
        return b"".join(b"data: " + json.dumps(reply).encode() + b"\r\n\r\n" for reply in replies), True
    return exchange.body, exchange.streamed


def unspoken(exchange: Exchange) -> str | None:
    """Why no protocol here speaks the API of a recording, if none does."""
    if label_of(exchange) == LABELS[-1]:
        return f"another API than any that Weir speaks ({_OTHERS.get(exchange.provider, 'text completions')})"
    if exchange.api == "invoke" and not _speaks_messages(exchange):
        return "InvokeModel in another format than Messages"
    if "enum-encoding=int" in exchange.url:
        return "enums as numbers, which that client asks for and we do not"
    return None


_OTHERS: Mapping[str, str] = {"ollama": "Ollama's own"}


def _speaks_messages(exchange: Exchange) -> bool:
    request = exchange.request if isinstance(exchange.request, dict) else {}
    return bool(re.search(r"\banthropic\.", exchange.model)) and "messages" in request


def inexpressible(judge: Judge, wanted: Wanted, label: str) -> str | None:
    """What a chat completion cannot say of the answer, from the recording alone.

    What Chat Completions themselves hold beside text (`audio`, `images`) is passed on as it came.
    """
    if wanted["status"] is not None:
        return None
    if judge.calls_other_than_functions(wanted):
        return "the answer calls a tool that is not a function"
    if wanted.get("unfinished"):
        return "a background answer that is not finished"
    if not wanted["choices"] and not wanted["stream_error"]:
        return "the recording holds no answer"
    if (
        label != "chat.completions"
        and wanted["media"]
        and not any(text for choice in wanted["choices"] for text, _ in choice["texts"])
    ):
        return "the answer is media only"
    return None
