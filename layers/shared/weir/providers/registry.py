"""Which providers this installation has, with their keys and addresses, and which of them a model name means."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from weir.domain.errors import ModelUnknown, ProviderAuthFailed, RequestInvalid
from weir.protocols.base import WireProtocol
from weir.protocols.embedding import EmbeddingProtocol
from weir.providers.access import Access, KeyAccess, google_access
from weir.providers.catalog import CATALOG, DEMO, Environ, Provider, named, own_provider, vertex_endpoint, vertex_place

_NOT_PROVIDERS = frozenset({"WEIR", "MAITAI", "KEYWORDSAI", "RESPAN", "AWS"})
DEMO_MODELS = ("demo/echo",)

_KNOWN = 1_000
"""Names whose meaning is remembered; callers may make up any number of them."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where one call goes: a provider, the format to speak, the model's name there, and the proof of who we are."""

    provider: Provider
    protocol: WireProtocol
    model: str
    access: Access


@dataclass(frozen=True, slots=True)
class EmbeddingTarget:
    """A Target for embeddings."""

    provider: Provider
    protocol: EmbeddingProtocol
    model: str
    access: Access


class Registry:
    """Built once from the environment; docs/providers.md says how."""

    def __init__(self, providers: Mapping[str, Provider], keys: Mapping[str, str], environ: Environ) -> None:
        self._providers = dict(providers)
        self._keys = dict(keys)
        self._environ = environ
        self._protocols: dict[tuple[str, str], WireProtocol] = {}
        self._embeddings: dict[str, EmbeddingProtocol] = {}
        self._aws: Access | None = None
        self._known: dict[str, Target] = {}

    @classmethod
    def from_environ(cls, environ: Environ, catalog: tuple[Provider, ...] = CATALOG) -> "Registry":
        """The catalogue at the operator's addresses, and one more for every other `<NAME>_BASE_URL` + `_API_KEY`."""
        providers: dict[str, Provider] = {}
        keys: dict[str, str] = {}
        for provider in catalog:
            base_url = _base_url(provider, environ)
            providers[provider.name] = provider.at(base_url) if base_url else provider
            if key := environ.get(f"{provider.variable}_API_KEY"):
                keys[provider.name] = key
        taken = {provider.variable for provider in catalog} | _NOT_PROVIDERS
        for variable, base_url in environ.items():
            prefix = variable.removesuffix("_BASE_URL")
            if prefix == variable or not prefix or prefix in taken or not base_url:
                continue
            if key := environ.get(f"{prefix}_API_KEY"):
                name = prefix.lower().replace("_", "-")
                providers[name] = own_provider(name, base_url)
                keys[name] = key
        return cls(providers, keys, environ)

    @property
    def providers(self) -> tuple[Provider, ...]:
        return tuple(self._providers.values())

    def has_key(self, provider: Provider) -> bool:
        return provider.name in self._keys

    def access(self, provider: Provider, key: str | None = None) -> Access:
        """By the caller's own `key`, or by the operator's. Raises ProviderAuthFailed when there is neither."""
        key = key or self._keys.get(provider.name)
        if provider.key == "aws":
            return self._aws_access(key)
        if key is None and not provider.keyless:
            raise ProviderAuthFailed(
                f"No API key for {provider.name}: set {provider.variable}_API_KEY where Weir runs, "
                f"or send it with the call as auth_keys.{provider.name}_api_key.",
                provider=provider.name,
                status=401,
                code="provider_key_missing",
                param="model",
            )
        if provider.key == "none":
            return KeyAccess("authorization", None)
        if provider.key == "google":
            return google_access(key or "")
        return KeyAccess(provider.key, key)

    def resolve(self, name: str, keys: Mapping[str, str]) -> Target:
        """What `provider/model`, `provider/<api>/model` or a well-known bare name means. `keys`: the caller's own.

        Raises ModelUnknown with the nearest names, ProviderAuthFailed when no key is at hand.
        """
        if not keys and (known := self._known.get(name)) is not None:
            return known
        provider, model = self._named(name)
        api, rest = provider.split(model)
        target = Target(provider, self._protocol(provider, api), rest, self.access(provider, keys.get(provider.name)))
        if not keys:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[name] = target
        return target

    def resolve_embedding(self, name: str, keys: Mapping[str, str]) -> EmbeddingTarget:
        """As `resolve`, for embeddings. Raises RequestInvalid when the provider has none that we can ask for."""
        provider, model = self._named(name)
        if provider.embeddings is None:
            raise RequestInvalid(
                f"Weir cannot ask {provider.name} for embeddings.", param="model", code="unsupported_endpoint"
            )
        protocol = self._embeddings.get(provider.name)
        if protocol is None:
            self._check_place(provider)
            protocol = self._embeddings[provider.name] = provider.embeddings(self._environ)
        rest = provider.split(model)[1]
        return EmbeddingTarget(provider, protocol, rest, self.access(provider, keys.get(provider.name)))

    def _protocol(self, provider: Provider, api: str) -> WireProtocol:
        protocol = self._protocols.get((provider.name, api))
        if protocol is None:
            self._check_place(provider)
            protocol = self._protocols[provider.name, api] = provider.apis[api](self._environ)
        return protocol

    def _check_place(self, provider: Provider) -> None:
        if provider.name == "vertex" and not vertex_place(self._environ)[0]:
            raise ProviderAuthFailed(
                "Vertex needs a project: set VERTEX_PROJECT (and VERTEX_LOCATION) where Weir runs.",
                provider="vertex",
                status=401,
                code="provider_project_missing",
                param="model",
            )

    def _aws_access(self, key: str | None) -> Access:
        from weir.providers.aws_access import BearerAccess, bedrock_access, bedrock_region

        if key is not None:
            return BearerAccess(key)
        if self._aws is None:
            self._aws = bedrock_access(self._environ, bedrock_region(self._environ) or "us-east-1")
        return self._aws

    def _named(self, name: str) -> tuple[Provider, str]:
        found = named(name, self._providers)
        if found is None:
            prefix, _, rest = name.partition("/")
            hint = "Models are named provider/model, e.g. openai/gpt-4o."
            raise ModelUnknown(name, self._nearest(prefix, rest), hint)
        if found[0].name == DEMO.name and name not in DEMO_MODELS:
            raise ModelUnknown(name, DEMO_MODELS)
        return found

    def _nearest(self, prefix: str, rest: str) -> tuple[str, ...]:
        near = difflib.get_close_matches(prefix.lower(), self._providers, n=3, cutoff=0.6)
        if rest and near:
            return tuple(f"{name}/{rest[:100]}" if name != DEMO.name else DEMO_MODELS[0] for name in near)
        bare = [start for provider in self._providers.values() for start in provider.bare]
        starts = difflib.get_close_matches(prefix.split("-")[0] + "-", bare, n=2, cutoff=0.6)
        return tuple(f"{start.rstrip('-')}-…" for start in starts) or DEMO_MODELS


def _base_url(provider: Provider, environ: Environ) -> str | None:
    given = environ.get(f"{provider.variable}_BASE_URL")
    match provider.name:
        case "bedrock":
            from weir.providers.aws_access import bedrock_endpoint, bedrock_region

            return given or bedrock_endpoint(environ, bedrock_region(environ) or "us-east-1")
        case "vertex":
            return given or vertex_endpoint(environ)
        case "azure":
            return given or environ.get("AZURE_OPENAI_ENDPOINT")
        case _:
            return given
