"""Reading a provider's own answer that somebody else got. Protocols are imported when the first one is read."""

from collections.abc import Mapping
from typing import Any

from weir.domain.completion import NOTHING, Completion
from weir.http.camel_case import camel_cased
from weir.protocols import jsonbytes

_GOOGLE = frozenset({"gemini", "google", "vertex", "vertexai", "google-genai"})
_FREE = ("args", "response", "parsed")
"""Members of Gemini's objects whose own members are named by the caller."""


def read_answer(provider: str, response: Mapping[str, Any]) -> Completion:
    """`provider` is Maitai's word, or any; what is not known is taken to speak OpenAI's format.

    Raises ProviderError for an answer that is an error, MalformedReply for one that is not in its provider's format.
    """
    from weir.providers.catalog import CATALOG, openai_like

    name = provider.lower()
    if name in _GOOGLE:
        # Its Python client dumps snake_case, its API speaks camelCase.
        name, response = "gemini", camel_cased(response, _FREE)
    row = next((row for row in CATALOG if row.name == name), None)
    if row is None or name in ("azure", "vertex"):
        row = openai_like(name, "https://logged.invalid")
    api = "responses" if response.get("object") == "response" else ""
    make = row.apis.get(api) or next(r for r in CATALOG if r.name == "openai").apis[api]
    return make(NOTHING).parse(jsonbytes.dumps(response))
