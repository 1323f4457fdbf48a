"""Models below /api/v1: what the providers offer, and what it costs."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from functions.portal import app as portal
from tests.portal.world import BASE, error
from tests.runtime import INGEST_KEY, Caller, fixed_runtime
from tests.upstream import Reply, Upstream
from weir.prices.compiled import PRICE_VERSION
from weir.services.offered_models import model_id


@pytest.fixture
def weir(tmp_path: Path) -> Iterator[Caller]:
    """OpenAI offers three models; nobody else has a key."""
    names = ("text-embedding-3-small", "gpt-4o", "gpt-of-tomorrow")
    listing = {"object": "list", "data": [{"id": name, "object": "model", "created": 1} for name in names]}
    replies = {"/v1/models": Reply([json.dumps(listing).encode()])}
    with Upstream(replies, keep_alive=False) as upstream:
        environ = {"OPENAI_API_KEY": "canary-own-openai-key", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        runtime = replace(fixed_runtime(tmp_path), environ=environ)
        caller = Caller.of(runtime, [portal.mount])
        caller.post(f"{BASE}/applications", json={"application_name": "shop"})
        caller.post(f"{BASE}/applications/1/intents", json={"action_type": "CHAT"})
        caller.post(f"{BASE}/intent-groups", json={"intent_name": "CHAT"})
        yield caller
        runtime.ledger.close()


def model(name: str, kind: str = "llm", **prices: float) -> dict[str, Any]:
    view = {
        "id": model_id(name),
        "model": name,
        "provider": name.split("/")[0],
        "model_type": kind,
        "status": "ENABLED",
        "finetuned": False,
    }
    return view if not prices else {**view, "prices": prices, "price_version": PRICE_VERSION}


MODELS = [
    model("demo/echo"),
    model("openai/gpt-4o", prompt=2.5, cached=1.25, completion=10.0),
    model("openai/gpt-of-tomorrow"),
    model("openai/text-embedding-3-small", "embedding", prompt=0.02),
]


@pytest.mark.parametrize(
    "path",
    [
        "/models",
        "/models/available",
        "/models/applications/1",
        "/models/intents/1",
        "/models/intent-groups/1",
        "/applications/1/models",
        "/intent-groups/1/models",
    ],
)
def test_what_the_providers_offer_is_listed_with_its_prices(weir: Caller, path: str) -> None:
    answer = weir.get(f"{BASE}{path}")
    assert (answer.status_code, answer.json()) == (
        200,
        {"data": MODELS, "pagination": {"total": 4, "offset": 0, "limit": 4}},
    )


def test_models_are_listed_by_type_and_in_parts(weir: Caller) -> None:
    found = weir.get(f"{BASE}/models?model_type=embedding").json()
    assert found == {"data": MODELS[3:], "pagination": {"total": 1, "offset": 0, "limit": 1}}
    both = weir.get(f"{BASE}/models?model_type=embedding&model_type=llm&offset=1&limit=2").json()
    assert both == {"data": MODELS[1:3], "pagination": {"total": 4, "offset": 1, "limit": 2}}


def test_a_model_is_read_by_its_number(weir: Caller) -> None:
    assert weir.get(f"{BASE}/models/{MODELS[1]['id']}").json() == {"data": MODELS[1]}


@pytest.mark.parametrize(
    ("path", "status", "param"),
    [
        ("/models/1", 404, None),
        ("/models/gpt-4o", 404, None),
        ("/models/applications/2", 404, None),
        ("/models/intents/2", 404, None),
        ("/models/intent-groups/2", 404, None),
        ("/models?model_type=tts", 400, "model_type"),
        ("/models?provider=openai", 400, "provider"),
    ],
)
def test_what_is_not_there_is_refused(weir: Caller, path: str, status: int, param: str | None) -> None:
    answer = weir.get(f"{BASE}{path}")
    assert (answer.status_code, error(answer.json())[::2]) == (status, (status, param))


def test_reading_models_needs_its_scope(weir: Caller) -> None:
    assert weir.with_key(INGEST_KEY).get(f"{BASE}/models").status_code == 403
