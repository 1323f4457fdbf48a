"""Which providers this installation has, with their keys and addresses, and which of them a model name means."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from weir.domain.errors import ModelUnknown, ProviderAuthFailed
from weir.providers.catalog import CATALOG, Provider, own_provider

_NOT_PROVIDERS = frozenset({"WEIR", "MAITAI", "KEYWORDSAI", "RESPAN", "AWS"})
DEMO_MODELS = ("demo/echo",)


@dataclass(frozen=True, slots=True)
class Target:
    """Where one call goes: a provider, the model's name there, and the key (None for a keyless provider)."""

    provider: Provider
    model: str
    key: str | None


class Registry:
    """Built once from the environment; see the local contract in docs/providers.md."""

    def __init__(self, providers: Mapping[str, Provider], keys: Mapping[str, str]) -> None:
        self._providers = dict(providers)
        self._keys = dict(keys)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], catalog: tuple[Provider, ...] = CATALOG) -> "Registry":
        """The catalogue at the operator's addresses, and one more for every other `<NAME>_BASE_URL` + `_API_KEY`."""
        providers: dict[str, Provider] = {}
        keys: dict[str, str] = {}
        for provider in catalog:
            base_url = environ.get(f"{provider.variable}_BASE_URL")
            providers[provider.name] = provider.at(base_url) if base_url else provider
            if key := environ.get(f"{provider.variable}_API_KEY"):
                keys[provider.name] = key
        for variable, base_url in environ.items():
            prefix = variable.removesuffix("_BASE_URL")
            name = prefix.lower().replace("_", "-")
            if prefix == variable or prefix in _NOT_PROVIDERS or name in providers or not base_url:
                continue
            if key := environ.get(f"{prefix}_API_KEY"):
                providers[name] = own_provider(name, base_url)
                keys[name] = key
        return cls(providers, keys)

    @property
    def usable(self) -> tuple[Provider, ...]:
        """The providers that can be called: with a key, or at work without one at an address the operator gave."""
        return tuple(p for p in self._providers.values() if p.name in self._keys or p.auth == "none")

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(self._keys.values())

    def key_of(self, provider: Provider) -> str | None:
        return self._keys.get(provider.name)

    def resolve(self, name: str, keys: Mapping[str, str]) -> Target:
        """What `provider/model`, or a well-known bare name, means. `keys` are the caller's own, by provider name.

        Raises ModelUnknown with the nearest names, ProviderAuthFailed when no key is at hand.
        """
        provider, model = self._named(name)
        key = keys.get(provider.name) or self._keys.get(provider.name)
        if key is None and not provider.keyless:
            raise ProviderAuthFailed(
                f"No API key for {provider.name}: set {provider.variable}_API_KEY where Weir runs, "
                f"or send it with the call as auth_keys.{provider.name}_api_key.",
                provider=provider.name,
                status=401,
                code="provider_key_missing",
                param="model",
            )
        return Target(provider, model, None if provider.auth == "none" else key)

    def _named(self, name: str) -> tuple[Provider, str]:
        prefix, slash, rest = name.partition("/")
        provider = self._providers.get(prefix)
        if provider is not None and slash and rest:
            if provider.name == "demo" and name not in DEMO_MODELS:
                raise ModelUnknown(name, DEMO_MODELS)
            return provider, rest
        for provider in self._providers.values():
            if any(name.startswith(start) for start in provider.bare if "/" in start or not slash):
                return provider, name
        raise ModelUnknown(name, self._nearest(prefix, rest), "Models are named provider/model, e.g. openai/gpt-4o.")

    def _nearest(self, prefix: str, rest: str) -> tuple[str, ...]:
        near = difflib.get_close_matches(prefix.lower(), self._providers, n=3, cutoff=0.6)
        if rest and near:
            return tuple(f"{name}/{rest[:100]}" if name != "demo" else DEMO_MODELS[0] for name in near)
        bare = [start for provider in self._providers.values() for start in provider.bare]
        starts = difflib.get_close_matches(prefix.split("-")[0] + "-", bare, n=2, cutoff=0.6)
        return tuple(f"{start.rstrip('-')}-…" for start in starts) or DEMO_MODELS
