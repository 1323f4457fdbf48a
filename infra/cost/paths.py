"""One call of each kind through the functions, on moto, and what it put."""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from moto import mock_aws

from functions.local import build
from infra.cost.units import Counted, write_units
from tests.infra.template import table_definition
from weir.ledger import aws, payloads
from weir.ledger.dynamodb import DynamoDBRecordStore
from weir.ledger.dynamodb_answers import DynamoDBAnswerStore
from weir.ledger.keys import Index
from weir.ledger.ledger import Ledger
from weir.ledger.s3 import S3BlobStore
from weir.runtime.bootstrap import Runtime, bootstrap

SAMPLE = (Path(__file__).parent / "sample.txt").read_text(encoding="utf-8")
"""A conversation, then documentation as a model is given it to read; written for this project."""

_KEY = "key-of-the-cost-model"
_CLOSE_ENOUGH = 64
_ATTEMPTS = 8

Body = Callable[[str], tuple[str, str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What one call put: write units by purpose, puts of S3, and the payload's bytes as JSON and compressed."""

    units: Counter[str]
    s3_puts: int
    payload: int
    compressed: int


class Stack:
    """The functions over a table and a bucket of their own."""

    def __init__(self, runtime: Runtime, dynamodb: Counted, s3: Counted) -> None:
        self._dynamodb, self._s3 = dynamodb, s3
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(build(runtime)),
            base_url="http://weir.invalid",
            headers={"authorization": f"Bearer {_KEY}"},
        )
        self._indexes = table_definition()["GlobalSecondaryIndexes"]

    async def keep(self, body: Body, size: int) -> Kept:
        """A call whose payload is a text of `size` bytes, give or take a few. The first ones warm up."""
        length = size
        kept = await self._kept(*body(SAMPLE[:length]))
        for _ in range(_ATTEMPTS):
            if 0 <= size - kept.payload < _CLOSE_ENOUGH and not kept.units["other"]:
                break
            length += size - kept.payload
            if not 0 < length <= len(SAMPLE):
                raise ValueError("the sample is too short")
            kept = await self._kept(*body(SAMPLE[:length]))
        return kept

    async def send(self, method: str, path: str, body: dict[str, Any]) -> Counter[str]:
        """Write units by purpose."""
        self._dynamodb.clear()
        self._s3.clear()
        await self.ask(method, path, body)
        items = (write_units(put["Item"], self._indexes) for put in self._dynamodb.puts)
        return sum(items, Counter(self._dynamodb.updated))

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """What is answered. Raises httpx.HTTPStatusError."""
        answer = await self._client.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def _kept(self, method: str, path: str, body: dict[str, Any]) -> Kept:
        units = await self.send(method, path, body)
        items = [put["Item"] for put in self._dynamodb.puts]
        contents = [item["content"]["B"] for item in items if "content" in item]
        contents += [put["Body"] for put in self._s3.puts]
        return Kept(
            units=units,
            s3_puts=len(self._s3.puts),
            payload=sum(len(payloads.unpacked(content)) for content in contents),
            compressed=sum(map(len, contents)),
        )


def messages(text: str) -> list[dict[str, str]]:
    """A text's paragraphs by turns, the last one the user's."""
    parts = [part for part in text.split("\n") if part] or [text]
    return [{"role": ("user", "assistant")[(len(parts) - 1 - n) % 2], "content": part} for n, part in enumerate(parts)]


def stored(text: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
    *history, answer = messages(text)
    return (
        "PUT",
        "/chat/completions/response",
        {
            "chat_completion_request": {
                "application_ref_name": "support-desk",
                "action_type": "ANSWER_QUESTION",
                "session_id": f"session-{secrets.token_hex(8)}",
                "params": {"model": "gpt-4o-mini", "messages": history, "temperature": 0.2, "max_tokens": 1024},
                **more,
            },
            "chat_completion_response": {
                "id": f"chatcmpl-{secrets.token_hex(14)}",
                "object": "chat.completion",
                "created": 1_795_230_245,
                "model": "gpt-4o-mini-2024-07-18",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": answer["content"]},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 1812, "completion_tokens": 164, "total_tokens": 1976},
            },
        },
    )


def stored_with_id(text: str) -> tuple[str, str, dict[str, Any]]:
    return stored(text, request_id=f"request-{secrets.token_hex(8)}")


def logged(text: str) -> tuple[str, str, dict[str, Any]]:
    *history, answer = messages(text)
    return (
        "POST",
        "/api/request-logs/create/",
        {
            "model": "gpt-4o-mini",
            "prompt_messages": history,
            "completion_message": {"role": "assistant", "content": answer["content"]},
            "prompt_tokens": 1812,
            "completion_tokens": 164,
            "latency": 2.31,
            "customer_identifier": f"customer-{secrets.token_hex(4)}",
            "metadata": {"feature": "answers"},
        },
    )


def completed(text: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
    """The demo's answer repeats the last message, which is short, as most answers are."""
    question = {"role": "user", "content": "Which of these steps matters most, and what happens if it is left out?"}
    return (
        "POST",
        "/v1/chat/completions",
        {"model": "demo/echo", "messages": [*messages(text), question], "max_tokens": 1024, **more},
    )


PATHS: Mapping[str, Body] = {
    "store-only": stored,
    "store-only, id chosen by the caller": stored_with_id,
    "request log": logged,
    "completion": completed,
}


def measure(sizes: tuple[int, ...], indexes: frozenset[Index]) -> dict[tuple[str, int], Kept]:
    async def all_of(stack: Stack) -> dict[tuple[str, int], Kept]:
        return {(name, size): await stack.keep(body, size) for name, body in PATHS.items() for size in sizes}

    with open_stack(indexes) as stack:
        return asyncio.run(all_of(stack))


@contextmanager
def open_stack(indexes: frozenset[Index]) -> Iterator[Stack]:
    name = f"weir-{secrets.token_hex(4)}"
    environ = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": name,
        "WEIR_BUCKET": name,
        "WEIR_API_KEY": _KEY,
    }
    before = {name: os.environ.get(name) for name in environ}
    os.environ.update(environ)
    try:
        with mock_aws():
            dynamodb = Counted(aws.client("dynamodb", connections=16))
            s3 = Counted(aws.client("s3", connections=16))
            dynamodb.create_table(TableName=name, **table_definition())
            s3.create_bucket(Bucket=name)
            runtime = bootstrap(environ)
            records = DynamoDBRecordStore(dynamodb, name, indexes=indexes)
            answers = DynamoDBAnswerStore(dynamodb, name)
            ledger = Ledger(records, S3BlobStore(s3, name), level=payloads.SMALL, answers=answers)
            runtime.ledger.close()
            yield Stack(replace(runtime, ledger=ledger), dynamodb, s3)
            ledger.close()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
