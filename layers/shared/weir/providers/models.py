"""Which models the configured providers offer, as they list them themselves."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from weir.domain.completion import NOTHING
from weir.domain.errors import ProviderError
from weir.providers.catalog import Provider
from weir.providers.client import ProviderClient
from weir.providers.registry import DEMO_MODELS, Registry

_TIMEOUT_S = 5.0
_FRESH_S = 300.0
_CACHED = 1_000


class ModelList:
    """Asks every usable provider at once and keeps its answer, by the key that was shown to it, for five minutes.

    Who does not answer is left out.
    """

    def __init__(self, registry: Registry, client: ProviderClient, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._client = client
        self._clock = clock
        self._kept: dict[tuple[str, str | None], tuple[float, list[dict[str, Any]]]] = {}

    async def offered(self, keys: Mapping[str, str | None] = NOTHING) -> list[dict[str, Any]]:
        """OpenAI's model objects, ids in the form `provider/model`.

        `keys` are shown in place of the operator's, by provider; one that is None cannot be read, and is not replaced.
        """
        demo = [{"id": name, "object": "model", "created": 0, "owned_by": "weir"} for name in DEMO_MODELS]
        asked = [
            (provider, keys.get(provider.name))
            for provider in self._registry.providers
            if provider.models and (keys.get(provider.name) or self._is_the_operators(provider, keys))
        ]
        found = await asyncio.gather(*[self._of(provider, key) for provider, key in asked])
        return demo + [model for some in found for model in some]

    def _is_the_operators(self, provider: Provider, keys: Mapping[str, str | None]) -> bool:
        return provider.name not in keys and self._registry.has_key(provider)

    async def _of(self, provider: Provider, key: str | None) -> list[dict[str, Any]]:
        kept = self._kept.get((provider.name, key))
        if kept is not None and self._clock() - kept[0] < _FRESH_S:
            return kept[1]
        models = await self._listed(provider, key)
        if len(self._kept) >= _CACHED:
            self._kept.clear()
        self._kept[provider.name, key] = self._clock(), models
        return models

    async def _listed(self, provider: Provider, key: str | None) -> list[dict[str, Any]]:
        try:
            access = self._registry.access(provider, key)
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
