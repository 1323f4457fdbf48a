"""Which models the configured providers offer, as they list them themselves."""

import asyncio
from collections.abc import Callable
from typing import Any

from weir.domain.errors import ProviderError
from weir.providers.catalog import Provider
from weir.providers.client import ProviderClient
from weir.providers.registry import DEMO_MODELS, Registry

_TIMEOUT_S = 5.0
_FRESH_S = 300.0


class ModelList:
    """Asks every usable provider at once and keeps the answer for five minutes. Who does not answer is left out."""

    def __init__(self, registry: Registry, client: ProviderClient, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._client = client
        self._clock = clock
        self._kept: tuple[float, list[dict[str, Any]]] | None = None

    async def offered(self) -> list[dict[str, Any]]:
        """OpenAI's model objects, ids in the form `provider/model`."""
        if self._kept is not None and self._clock() - self._kept[0] < _FRESH_S:
            return self._kept[1]
        demo = [{"id": name, "object": "model", "created": 0, "owned_by": "weir"} for name in DEMO_MODELS]
        listing = [p for p in self._registry.providers if p.models and self._registry.has_key(p)]
        found = await asyncio.gather(*[self._of(provider) for provider in listing])
        models = demo + [model for some in found for model in some]
        self._kept = self._clock(), models
        return models

    async def _of(self, provider: Provider) -> list[dict[str, Any]]:
        try:
            access = self._registry.access(provider)
            reply = await self._client.get_json(provider, access, provider.models, _TIMEOUT_S)
        except ProviderError:
            return []
        if isinstance(reply, dict):  # Together answers with the bare list; Google and Cohere call it models
            reply = reply.get("data") or reply.get("models")
        return [
            {**entry, "id": f"{provider.name}/{id.removeprefix('models/')}", "object": "model"}
            for entry in reply or ()
            if isinstance(entry, dict) and isinstance(id := entry.get("id") or entry.get("name"), str)
        ]
