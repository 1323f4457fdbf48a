"""Which models the configured providers offer, as they list them themselves."""

import asyncio
from collections.abc import Callable
from typing import Any

from weir.domain.errors import ProviderError
from weir.protocols.openai_chat import OpenAIChat
from weir.providers.catalog import Provider
from weir.providers.client import ProviderClient
from weir.providers.registry import DEMO_MODELS, Registry

_TIMEOUT_S = 5.0
_FRESH_S = 300.0
_PATH_END = "/chat/completions"


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
        providers = [p for p in self._registry.usable if p.auth != "none"]
        found = await asyncio.gather(*[self._of(provider) for provider in providers])
        models = demo + [model for some in found for model in some]
        self._kept = self._clock(), models
        return models

    async def _of(self, provider: Provider) -> list[dict[str, Any]]:
        protocol = provider.protocol
        if not isinstance(protocol, OpenAIChat):
            return []
        path = protocol.path.removesuffix(_PATH_END) + "/models"
        try:
            reply = await self._client.get_json(provider, self._registry.key_of(provider), path, _TIMEOUT_S)
        except ProviderError:
            return []
        entries = reply.get("data") if isinstance(reply, dict) else reply  # Together answers with the bare list
        return [
            {**entry, "id": f"{provider.name}/{entry['id'].removeprefix('models/')}", "object": "model"}
            for entry in entries or ()
            if isinstance(entry, dict) and isinstance(entry.get("id"), str)
        ]
