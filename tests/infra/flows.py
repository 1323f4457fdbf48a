"""What the functions do, each as Lambda runs it, on moto: the usual ways and those on which something is refused."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from weir.runtime.lambda_handler import Handler, lambda_handler

import boto3
import pytest
from moto import mock_aws

from functions.completion import app as completion
from functions.portal import app as portal
from functions.projector import app as projector
from functions.request_log import app as request_log
from functions.storage import app as storage
from functions.upkeep import app as upkeep
from tests.functions.test_lambda import KEY, body_of, event, with_key
from tests.infra import template
from tests.infra.aws_calls import Recording, recorded
from weir.http.app import DirectRoute

REGION = "eu-central-1"
NOISE = " ".join(str(number * 7919 % 1_000_003) for number in range(60_000))
"""Too long, when it is packed, to lie beside its record."""

MESSAGES = [{"role": "user", "content": "Grüezi"}]
SERVING = {"Completion": completion, "Storage": storage, "RequestLog": request_log, "Portal": portal}


class World:
    """A stack's functions, by the names that template.yaml gives them."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.handlers: Mapping[str, Handler] = {
            name: lambda_handler(name, app.mount, name) for name, app in SERVING.items()
        }
        self.aws = {service: boto3.client(service) for service in ("dynamodb", "s3", "sqs")}

    def ask(
        self, function: str, method: str, path: str, body: Any = None, *, key: str = KEY, **query: str
    ) -> Mapping[str, Any]:
        several = {name: [value] for name, value in query.items()}
        asked = event(
            "storage",
            httpMethod=method,
            path=path,
            body=None if body is None else json.dumps(body),
            queryStringParameters=query or None,
            multiValueQueryStringParameters=several or None,
        )
        with self.recording.of(function):
            answer: Mapping[str, Any] = self.handlers[function](with_key(asked, key), None)
        return answer

    def done(self, *arguments: Any, status: int = 200, **named: Any) -> Any:
        """The answer's body."""
        answer = self.ask(*arguments, **named)
        assert answer["statusCode"] == status, answer["body"]
        return json.loads(body_of(answer) or "null")

    def routes(self, function: str) -> Iterator[tuple[str, str]]:
        """Method and path of each."""
        app: Any = self.handlers[function].adapter()
        for route in app.app.routes:
            if isinstance(route, DirectRoute):
                yield from ((method, route.path) for method in sorted(route.methods or ()))

    def complete(self, text: str = "Grüezi", **more: Any) -> Mapping[str, Any]:
        message = {"role": "user", "content": text}
        return self.ask(
            "Completion", "POST", "/v1/chat/completions", {"model": "demo/echo", "messages": [message]} | more
        )

    def project(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        with self.recording.of("Projector"):
            return projector.handler(dict(found), None)

    def check(self, later: timedelta) -> None:
        """As if so much time had passed."""
        at = datetime.now(UTC) + later
        projector._projector()._projection.completeness._now = lambda: at
        self.project({"task": projector.CHECK})

    def key_of_a_tenant(self) -> str:
        asked = {"name": "CI", "tenant": "acme"}
        key: str = self.done("Portal", "POST", "/api/v1/api-keys", asked, status=201)["data"]["key"]
        return key

    def keep_up(self, now: datetime | None = None) -> None:
        def run() -> None:  # where no event loop of the others is
            upkeep._upkeep()._now = lambda: now or datetime.now(UTC)
            upkeep.handler({}, None)

        with self.recording.of("Upkeep"), ThreadPoolExecutor(1) as another:
            another.submit(run).result()

    def stream(self, *, payloads: bool) -> dict[str, Any]:
        """Everything that lies in the table, as its stream would have told it."""
        found = []
        for number, item in enumerate(self.aws["dynamodb"].scan(TableName="ledger")["Items"]):
            if item["sk"]["S"].startswith("r#") or (payloads and item["sk"]["S"].startswith("p#")):
                keys = {"pk": item["pk"], "sk": item["sk"]}
                image = {name: each for name, each in item.items() if "B" not in each}
                change = {"Keys": keys, "NewImage": image, "SequenceNumber": str(number)}
                found.append({"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": change})
        return {"Records": found}

    @contextmanager
    def without_the_table(self) -> Iterator[None]:
        """It is empty afterwards."""
        self.aws["dynamodb"].delete_table(TableName="ledger")
        yield
        self.aws["dynamodb"].create_table(TableName="ledger", **template.table_definition())


@contextmanager
def world(patch: pytest.MonkeyPatch, **more: str) -> Iterator[World]:
    environ = {
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-access-key",
        "AWS_DEFAULT_REGION": REGION,
        "WEIR_ENGINE": "dynamodb",
        "WEIR_TABLE": "ledger",
        "WEIR_BUCKET": "payloads",
        "WEIR_API_KEY": KEY,
    }
    for name, value in {**environ, **more}.items():
        patch.setenv(name, value)
    loops: list[asyncio.AbstractEventLoop] = []
    made = asyncio.new_event_loop

    def remembered() -> asyncio.AbstractEventLoop:
        loops.append(made())
        return loops[-1]

    patch.setattr(asyncio, "new_event_loop", remembered)
    with mock_aws(), recorded() as recording:
        boto3.client("dynamodb").create_table(TableName="ledger", **template.table_definition())
        boto3.client("s3").create_bucket(Bucket="payloads", CreateBucketConfiguration={"LocationConstraint": REGION})
        patch.setenv("WEIR_DEAD_LETTERS", boto3.client("sqs").create_queue(QueueName="dead")["QueueUrl"])
        projector._projector.cache_clear()
        upkeep._upkeep.cache_clear()
        yield World(recording)
        projector._projector.cache_clear()
        upkeep._upkeep.cache_clear()
    for loop in loops:
        loop.close()
    asyncio.set_event_loop(None)
