"""What the functions tell CloudWatch: figures of every invocation, log lines, and no words or keys in either."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from weir.runtime.lambda_handler import Handler, lambda_handler

import boto3
import pytest

from functions.projector import app as projector
from functions.upkeep import app as upkeep
from infra.emulator import Ending
from tests.functions import test_lambda as deployed
from tests.functions import test_limits_of_lambda as limits
from tests.functions import test_streaming_runtime as streaming
from tests.functions.test_lambda import FUNCTIONS, event
from tests.functions.test_limits_of_lambda import with_model
from tests.functions.test_streaming_runtime import Deployed
from tests.upstream import SSE_TYPE, Reply, completion_reply, error_reply, events, stream_reply
from weir.domain.errors import LedgerUnavailable, MalformedReply
from weir.domain.figures import FIGURES, Figures
from weir.providers import deadline
from weir.runtime import metrics
from weir.runtime.lambda_logs import Entries

handlers, throttle, run = deployed.handlers, limits.throttle, streaming.run
NOISE = " ".join(f"canary-words {number * 2_654_435_761 % 2**64:x}" for number in range(20_000))
"""Enough not to fit beside its record."""
SECRETS = ("canary-words", "canary-openai-key", "canary-key-of-the-event", "canary-said")


def figures(lines: list[str]) -> list[dict[str, float]]:
    """Name and value of each line of metrics; their form is checked on the way."""
    found = []
    for line in lines:
        told = json.loads(line)
        if "_aws" not in told:
            continue
        (directive,) = told["_aws"]["CloudWatchMetrics"]
        units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
        assert (directive["Namespace"], directive["Dimensions"]) == ("Weir", [["service"]])
        assert told["service"] in {"completion", "storage", "request_log", "portal", "projector", "upkeep"}
        assert units == {name: metrics.UNITS[name] for name in units}
        assert told.keys() == {"_aws", "service", *units}
        found.append({name: told[name][0] for name in units})
    return found


def test_a_stream_tells_its_times_and_one_line_is_all(run: Callable[..., None]) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["m"] = stream_reply("Hello")
        answer = weir.ask("openai/m")
        assert await answer.ending() == Ending(streamed=True)
        record = await weir.record(answer)

        (told,) = figures(await logged(weir, 1))

        assert record is not None
        assert told.keys() == {"Requests", "OverheadMs", "FirstTokenMs", "StoreMs"}
        assert (told["Requests"], told["FirstTokenMs"]) == (1, record.first_token_ms)
        assert 0 < told["StoreMs"] < told["OverheadMs"]

    run(scene)


async def logged(weir: Deployed, invocations: int) -> list[str]:
    """The lines of so many invocations."""
    await weir.emulator.wrote('"_aws"', invocations)
    return list(weir.emulator.log)


@pytest.mark.parametrize(
    ("reply", "status", "counted"),
    [
        (error_reply(429, "slow down"), 429, {"ProviderErrors": 1}),
        (error_reply(500, "failed"), 502, {"ProviderErrors": 1}),
        (error_reply(401, "no such key"), 401, {"ProviderErrors": 1}),
        (error_reply(400, "no such parameter"), 400, {}),
        (Reply(events("some")[:2], headers=SSE_TYPE, drop=True), 200, {"ProviderErrors": 1}),
    ],
)
def test_a_providers_failure_is_counted_as_its_own(
    run: Callable[..., None], reply: Reply, status: int, counted: dict[str, int]
) -> None:
    async def scene(weir: Deployed) -> None:
        weir.upstream.replies["failing"] = reply
        answer = weir.ask("openai/failing")
        assert (await answer.metadata())["statusCode"] == status
        await answer.ending()

        (told,) = figures(await logged(weir, 1))

        assert {name: told[name] for name in ("Errors", "ProviderErrors") if name in told} == counted

    run(scene)


@pytest.fixture
def observed(throttle: limits._Throttle, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Handler]]:
    """Handlers that tell, as in Lambda, over the same table and bucket."""
    root, own = logging.getLogger(), logging.getLogger("weir")
    before = (root.handlers[:], root.level, own.level)
    monkeypatch.setattr("weir.runtime.lambda_handler._IN_LAMBDA", True)
    for function in (upkeep._upkeep, upkeep._observer, projector._projector, projector._observer):
        function.cache_clear()
    monkeypatch.setenv("WEIR_DEAD_LETTERS", "https://sqs.eu-central-1.amazonaws.com/111122223333/letters")
    yield {name: lambda_handler(name, app.mount, name.replace("-", "_")) for name, app in FUNCTIONS.items()}
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    own.setLevel(own_level)


class Context:
    aws_request_id = "invocation-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def told_of(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    (told,) = figures(capsys.readouterr().out.splitlines())
    return told


def test_what_is_put_aside_and_what_is_lost_is_counted(
    observed: dict[str, Handler], throttle: limits._Throttle, capsys: pytest.CaptureFixture[str]
) -> None:
    throttle.on = True
    assert observed["completion"](event("completion"), Context())["statusCode"] == 200
    assert told_of(capsys)["Spilled"] == 1
    assert observed["request-log"](event("request-log-create"), Context())["statusCode"] == 200
    assert told_of(capsys)["Spilled"] == 1
    with ThreadPoolExecutor(1) as another:  # which has no event loop of the others
        another.submit(upkeep.handler, {}, Context()).result()
    assert told_of(capsys) == {"SpillBacklog": 2}

    bucket = boto3.resource("s3").Bucket("weir-payloads")
    bucket.objects.delete()
    bucket.delete()
    assert observed["completion"](event("completion"), Context())["statusCode"] == 200
    lost = told_of(capsys)
    assert observed["request-log"](event("request-log-create"), Context())["statusCode"] == 503
    refused = told_of(capsys)
    counts = ("Spilled", "Unstored", "Errors", "ProviderErrors")
    assert {name: lost[name] for name in counts if name in lost} == {"Unstored": 1}
    assert {name: refused[name] for name in counts if name in refused} == {"Errors": 1}


def test_every_function_tells_under_its_own_name(
    observed: dict[str, Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"completion": "completion", "storage": "storage", "request-log": "request-log-list", "portal": "portal"}
    for function, name in names.items():
        observed[function](event(name), Context())
    projector.handler(event("projector"), Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [line["service"] for line in lines] == [
        "completion",
        "storage",
        "request_log",
        "portal",
        "projector",
    ]


def test_what_runs_by_the_clock_tells_nothing_where_nothing_is_wrong(
    observed: dict[str, Handler], capsys: pytest.CaptureFixture[str]
) -> None:
    """A metric is paid for each hour in which it is written."""
    projector.handler({"task": "check"}, Context())
    with ThreadPoolExecutor(1) as another:  # which has no event loop of the others
        another.submit(upkeep.handler, {}, Context()).result()
    assert figures(capsys.readouterr().out.splitlines()) == []


def test_what_the_check_misses_is_told(
    observed: dict[str, Handler], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(projector.StreamProjector, "missing", lambda _: 3)
    projector.handler({"task": "check"}, Context())
    assert told_of(capsys) == {"Incomplete": 3}


def test_waiting_for_a_provider_is_not_overhead(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.Meter("completion").put_invocation(Figures(provider_s=2.0), 200, 2.005)
    assert told_of(capsys) == {"Requests": 1, "OverheadMs": 5.0}


@pytest.mark.parametrize(("status", "counted"), [(500, 1), (503, 1), (501, 0), (404, 0), (200, 0), (None, 1)])
def test_errors_are_our_own_and_what_is_not_offered_is_none(
    capsys: pytest.CaptureFixture[str], status: int | None, counted: int
) -> None:
    metrics.Meter("portal").put_invocation(Figures(), status, 0.001)
    assert told_of(capsys).get("Errors", 0) == counted


def test_the_time_between_two_pieces_is_the_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("weir.providers.deadline.time", SimpleNamespace(perf_counter=lambda: clock[0]))

    async def pieces() -> Any:
        for seconds in (3, 4):
            clock[0] += seconds
            yield b"piece"

    async def scene() -> Figures:
        counted = Figures()
        FIGURES.set(counted)
        async for _ in deadline.in_time(pieces()):
            clock[0] += 100  # ours
        return counted

    assert asyncio.run(scene()).provider_s == 7


def test_nothing_is_counted_where_nobody_asks(handlers: dict[str, Handler], capsys: pytest.CaptureFixture[str]) -> None:
    handlers["completion"](event("completion"), None)
    assert (capsys.readouterr().out, FIGURES.get()) == ("", None)


def test_a_log_line_has_the_ids_of_its_invocation_and_none_has_words_or_keys(
    run: Callable[..., None], tmp_path: Path
) -> None:
    async def scene(weir: Deployed) -> None:
        (tmp_path / "blobs").write_text("in the way of the payloads")
        await weir.start(AWS_LAMBDA_LOG_LEVEL="DEBUG")
        said = "canary-said canary-words canary-openai-key"
        weir.upstream.replies |= {
            "m": stream_reply(said),
            "refused": error_reply(401, said),
            "strange": Reply([said.encode()]),
            "cut": Reply(events(said)[:2], headers=SSE_TYPE, drop=True),
            "whole": completion_reply(said),
        }
        for model in ("m", "refused", "strange", "cut", "whole"):
            for route in streaming.ROUTES:
                sent = with_model("completion-maitai" if route.endswith("serialized") else "completion-stream", "x")
                body = json.loads(sent["body"])
                params = body.get("params", body)
                params |= {
                    "model": f"openai/{model}",
                    "messages": [{"role": "user", "content": NOISE}],
                }
                await weir.emulator.invoke({**sent, "body": json.dumps(body)}).ending()
        lines = await logged(weir, 10)
        entries = [entry for line in lines if "_aws" not in (entry := json.loads(line))]
        assert [secret for secret in SECRETS for line in lines if secret in line] == []
        assert {entry["message"] for entry in entries} >= {"record not stored"}
        first, *_ = entries
        assert (first["function_request_id"], first["cold_start"], first["service"], first["xray_trace_id"]) == (
            "invocation-1",
            True,
            "completion",
            "1-0-0",
        )
        assert {entry["cold_start"] for entry in entries if entry["function_request_id"] != "invocation-1"} == {False}

    run(scene, waits=True)


def entry_of(exc: BaseException, logger: str = "weir.test", message: str = "failed") -> dict[str, Any]:
    told = (type(exc), exc, exc.__traceback__)
    record = logging.LogRecord(logger, logging.ERROR, "", 1, message, None, told)
    entry: dict[str, Any] = json.loads(Entries("f").format(record))
    return entry


def after(exc: BaseException, cause: BaseException) -> BaseException:
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize(
    ("exc", "told"),
    [
        (ValueError("canary-words"), "builtins.ValueError\n"),
        (MalformedReply("canary-words", provider="p"), "weir.domain.errors.MalformedReply\n"),
        (LedgerUnavailable("The table refuses."), "weir.domain.errors.LedgerUnavailable: The table refuses.\n"),
        (after(LedgerUnavailable("No."), KeyError("canary-words")), "weir.domain.errors.LedgerUnavailable: No.\n"),
        (ConnectionRefusedError("refused"), "builtins.ConnectionRefusedError: refused\n"),
    ],
)
def test_of_an_exception_only_our_own_words_are_told(exc: BaseException, told: str) -> None:
    entry = entry_of(exc)
    assert entry["exception"].endswith(told)
    assert "canary-words" not in json.dumps(entry)


def test_of_a_librarys_message_the_first_line_is_told() -> None:
    entry = entry_of(ValueError("x"), "asyncio", "Task exception was never retrieved\nfuture: <canary-words>")
    assert entry["message"] == "Task exception was never retrieved"
