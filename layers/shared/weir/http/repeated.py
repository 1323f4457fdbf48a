"""The answer to a call that was made before, to whom it is asked for again."""

from collections.abc import Iterator, Mapping
from typing import Any

from weir.domain.events import Ended, StreamEvent
from weir.http.chat_request import KEYWORDS_PARAMETERS, CallTags
from weir.http.proxy_params import WITHHELD
from weir.protocols import jsonbytes
from weir.protocols.openai_chat import OpenAIChatDecoder, OpenAIDialect

_NOT_ASKED = KEYWORDS_PARAMETERS | CallTags.model_fields.keys() | {"stream", "stream_options", "extra_headers"}
"""What may differ between two calls that ask the same: whose they are, by which key, and how the answer is to come."""


def same_question(earlier: bytes, later: bytes) -> bool:
    """Whether two bodies as they are kept ask the same of a model. Of one without its words nothing is known: yes."""
    before, now = _question(earlier), _question(later)
    return before == now or not WITHHELD & before.keys()


def _question(request: bytes) -> dict[str, Any]:
    body: Mapping[str, Any] = jsonbytes.loads(request)
    params = body.get("params")
    asked = params if isinstance(params, dict) else body
    return {name: value for name, value in asked.items() if value is not None and name not in _NOT_ASKED}


def events_of(response: Mapping[str, Any]) -> Iterator[StreamEvent]:
    """A chat.completion of ours as the events of a stream: all at once, and to its letter."""
    decoder = OpenAIChatDecoder(OpenAIDialect(provider="weir"))
    yield from decoder.reply(response, "message")
    yield Ended(decoder.usage)
