"""One running Weir, with a scripted provider behind it, for all tests of a module."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.upstream import Upstream
from tests.weir_process import WeirProcess


@dataclass(frozen=True, slots=True)
class Served:
    """`http` has Weir's URL and key; `upstream` is all the providers that the environment below names."""

    weir: WeirProcess
    upstream: Upstream
    http: httpx.Client

    def log(self, id: str) -> dict[str, object]:
        """What is read back under an id."""
        answer = self.http.get(f"/api/request-logs/{id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, object] = answer.json()
        return body


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data: Path = tmp_path_factory.mktemp("weir")
    with Upstream() as upstream:
        environ = {
            "OPENAI_API_KEY": "canary-openai-key",
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
            "GROQ_API_KEY": "canary-groq-key",
            "GROQ_BASE_URL": upstream.url,
            "ANTHROPIC_API_KEY": "canary-anthropic-key",
            "ANTHROPIC_BASE_URL": upstream.url,
            "GEMINI_API_KEY": "canary-gemini-key",
            "GEMINI_BASE_URL": upstream.url,
            "OWN_VENDOR_API_KEY": "canary-own-key",
            "OWN_VENDOR_BASE_URL": f"{upstream.url}/own",
            "BEDROCK_API_KEY": "canary-bedrock-key",
            "BEDROCK_BASE_URL": upstream.url,
        }
        with (
            WeirProcess(data, environ) as weir,
            httpx.Client(base_url=weir.url, headers={"authorization": f"Bearer {weir.key}"}, timeout=30) as http,
        ):
            yield Served(weir, upstream, http)
