"""What a model name means here."""

import pytest

from weir.domain.errors import ModelUnknown, ProviderAuthFailed, RequestInvalid
from weir.protocols.openai_chat import OpenAIChat
from weir.providers.access import KeyAccess
from weir.providers.catalog import CATALOG
from weir.providers.registry import Registry, Target

KEYS = {f"{provider.variable}_API_KEY": f"canary-{provider.name}" for provider in CATALOG if not provider.keyless}


def registry(**environ: str) -> Registry:
    return Registry.from_environ({**KEYS, **environ})


def meant(name: str, of: Registry | None = None) -> tuple[str, str, str | None]:
    target = (of or registry()).resolve(name, {})
    return target.provider.name, target.model, key_of(target)


def key_of(target: Target) -> str | None:
    return target.access.key if isinstance(target.access, KeyAccess) else None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openai/gpt-4o", ("openai", "gpt-4o", "canary-openai")),
        ("groq/openai/gpt-oss-120b", ("groq", "openai/gpt-oss-120b", "canary-groq")),
        ("together/deepseek-ai/DeepSeek-V3", ("together", "deepseek-ai/DeepSeek-V3", "canary-together")),
        ("ollama/qwen3:8b", ("ollama", "qwen3:8b", None)),
        ("demo/echo", ("demo", "echo", None)),
        ("gpt-4o", ("openai", "gpt-4o", "canary-openai")),
        ("o3-mini", ("openai", "o3-mini", "canary-openai")),
        ("deepseek-chat", ("deepseek", "deepseek-chat", "canary-deepseek")),
        ("magistral-small-latest", ("mistral", "magistral-small-latest", "canary-mistral")),
        ("grok-4", ("xai", "grok-4", "canary-xai")),
        ("sonar-pro", ("perplexity", "sonar-pro", "canary-perplexity")),
        (
            "accounts/fireworks/models/llama",
            ("fireworks", "accounts/fireworks/models/llama", "canary-fireworks"),
        ),
    ],
)
def test_a_name_means(name: str, expected: tuple[str, str, str | None]) -> None:
    assert meant(name) == expected


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("opnai/gpt-4o", ("openai/gpt-4o",)),
        ("OpenAI/gpt-4o", ("openai/gpt-4o",)),
        ("mistal/large", ("mistral/large",)),
        ("gpt4-turbo", ("gpt-…",)),
        ("", ("demo/echo",)),
        ("/", ("demo/echo",)),
        ("openai/", None),
        ("demo/other", ("demo/echo",)),
        ("deepseek-ai/DeepSeek-V3", None),
        ("nonsense-of-mine", None),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, nearest: tuple[str, ...] | None) -> None:
    with pytest.raises(ModelUnknown) as unknown:
        registry().resolve(name, {})
    assert (unknown.value.param, unknown.value.code) == ("model", "model_not_found")
    if nearest is not None:
        assert unknown.value.nearest[: len(nearest)] == nearest


def test_a_callers_own_key_comes_first() -> None:
    assert key_of(registry().resolve("openai/gpt-4o", {"openai": "canary-own", "groq": "x"})) == "canary-own"
    assert key_of(Registry.from_environ({}).resolve("openai/gpt-4o", {"openai": "canary-own"})) == "canary-own"


def test_a_callers_own_key_is_for_its_own_calls() -> None:
    both = registry()
    keys = [{}, {"openai": "canary-own"}, {}, {"openai": "canary-other"}, {"groq": "x"}]
    resolved = [key_of(both.resolve("openai/gpt-4o", each)) for each in keys]
    assert resolved == [resolved[0], "canary-own", resolved[0], "canary-other", resolved[0]]


def test_a_missing_key_is_said_in_terms_of_what_to_do() -> None:
    with pytest.raises(ProviderAuthFailed, match="set OPENAI_API_KEY where Weir runs") as refused:
        Registry.from_environ({"OPENAI_API_KEY": ""}).resolve("gpt-4o", {})
    assert (refused.value.provider, refused.value.status, refused.value.code, refused.value.param) == (
        "openai",
        401,
        "provider_key_missing",
        "model",
    )


def test_other_pairs_in_the_environment_are_providers_of_openais_format() -> None:
    own = registry(MY_LAB_BASE_URL="https://lab.example/v1/", MY_LAB_API_KEY="canary-lab")
    target = own.resolve("my-lab/some/model", {})
    assert (target.provider.base_url, target.model, key_of(target)) == (
        "https://lab.example/v1",
        "some/model",
        "canary-lab",
    )
    assert isinstance(target.protocol, OpenAIChat)
    assert target.protocol.provider == "my-lab"


@pytest.mark.parametrize(
    "environ",
    [
        {"MY_LAB_BASE_URL": "https://lab.example"},
        {"MY_LAB_API_KEY": "canary-lab"},
        {"MY_LAB_BASE_URL": "", "MY_LAB_API_KEY": "canary-lab"},
        {"MY_LAB_BASE_URL": "https://lab.example", "MY_LAB_API_KEY": ""},
    ],
)
def test_half_a_pair_is_no_provider(environ: dict[str, str]) -> None:
    with pytest.raises(ModelUnknown):
        registry(**environ).resolve("my-lab/model", {})


@pytest.mark.parametrize("name", ["WEIR", "MAITAI", "KEYWORDSAI", "RESPAN", "AWS"])
def test_our_own_variables_name_no_provider(name: str) -> None:
    own = registry(**{f"{name}_BASE_URL": "https://e.example", f"{name}_API_KEY": "canary"})
    with pytest.raises(ModelUnknown):
        own.resolve(f"{name.lower()}/model", {})


@pytest.mark.parametrize(
    ("variable", "base_url", "url"),
    [
        ("OPENAI", "https://proxy.example/v1/", "https://proxy.example/v1/chat/completions"),
        ("OPENAI", "https://proxy.example", "https://proxy.example/chat/completions"),
        ("MISTRAL", "https://proxy.example", "https://proxy.example/v1/chat/completions"),
        ("MISTRAL", "https://proxy.example/v1", "https://proxy.example/v1/chat/completions"),
        ("MISTRAL", "https://proxy.example/v1/", "https://proxy.example/v1/chat/completions"),
        ("GROQ", "https://proxy.example", "https://proxy.example/openai/v1/chat/completions"),
        ("GROQ", "https://proxy.example/openai/v1", "https://proxy.example/openai/v1/chat/completions"),
        ("CEREBRAS", "https://proxy.example/v1", "https://proxy.example/v1/chat/completions"),
        ("DEEPSEEK", "", "https://api.deepseek.com/chat/completions"),
    ],
)
def test_a_base_url_means_what_it_means_to_the_vendors_sdk(variable: str, base_url: str, url: str) -> None:
    target = registry(**{f"{variable}_BASE_URL": base_url}).resolve(f"{variable.lower()}/m", {})
    assert isinstance(target.protocol, OpenAIChat)
    assert target.provider.base_url + target.protocol.path == url


def test_the_rows_of_the_catalogue_agree_with_themselves() -> None:
    assert len({provider.name for provider in CATALOG}) == len(CATALOG)
    for provider in CATALOG:
        for make in provider.apis.values():
            assert make({"VERTEX_PROJECT": "p"}).provider == provider.name
        assert provider.name == provider.name.lower()
        assert provider.at(provider.base_url) == provider


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text-embedding-3-small", ("openai", "openai_embeddings", "text-embedding-3-small")),
        ("mistral-embed", ("mistral", "openai_embeddings", "mistral-embed")),
        ("gemini-embedding-001", ("gemini", "gemini_embeddings", "gemini-embedding-001")),
        ("embed-v4.0", ("cohere", "cohere_embeddings", "embed-v4.0")),
        ("bedrock/amazon.titan-embed-text-v1", ("bedrock", "bedrock_embeddings", "amazon.titan-embed-text-v1")),
        ("azure/my-deployment", ("azure", "openai_embeddings", "my-deployment")),
        ("own-vendor/m", ("own-vendor", "openai_embeddings", "m")),
        ("demo/echo", ("demo", "openai_embeddings", "echo")),
    ],
)
def test_a_name_means_the_same_for_embeddings(name: str, expected: tuple[str, str, str]) -> None:
    keys = {f"{variable}_API_KEY": "canary" for variable in ("OPENAI", "MISTRAL", "GEMINI", "COHERE", "BEDROCK")}
    azure = {"AZURE_OPENAI_API_KEY": "canary", "OWN_VENDOR_API_KEY": "canary", "OWN_VENDOR_BASE_URL": "http://own"}
    target = Registry.from_environ(keys | azure).resolve_embedding(name, {})
    assert (target.provider.name, target.protocol.name, target.model) == expected


@pytest.mark.parametrize("name", ["anthropic/m", "deepseek/m", "groq/m"])
def test_a_provider_without_embeddings_is_refused_by_name(name: str) -> None:
    with pytest.raises(RequestInvalid, match=name.partition("/")[0]) as refused:
        Registry.from_environ({}).resolve_embedding(name, {})
    assert refused.value.param == "model"


def test_embeddings_on_vertex_need_a_project_too() -> None:
    with pytest.raises(ProviderAuthFailed, match="VERTEX_PROJECT"):
        registry().resolve_embedding("vertex/text-embedding-005", {})
    found = registry(VERTEX_PROJECT="p-1").resolve_embedding("vertex/text-embedding-005", {})
    assert (found.protocol.name, found.model) == ("vertex_embeddings", "text-embedding-005")
