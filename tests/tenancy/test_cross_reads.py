"""Two workspaces, and every route of every function: each asks for what is the other's, is given and changes nothing.

Routes come from the OpenAPI document. First each workspace fills itself through all of them, with its own ids, and each
route must say yes to that: one that the generator cannot fill is a failure, and so is one that nobody could use.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from moto import mock_aws

from tests.ledger.engines import DynamoDBAndS3
from tests.tenancy.generator import Generator, Request, Route, Unfillable
from tests.tenancy.workspaces import Workspace, markers
from tests.tenancy.world import Answer, World, at_aws, on_disk
from weir.ledger import aws

REQUESTS, REQUESTS_AT_AWS, REQUESTS_WITH_A_FAULT = 10_000, 400, 400
SEED = 20_260_301
_TRIES = 150
"""At a route with one's own ids, until it says yes."""
_AT_ONCE = 8
_READS_FOR_A_WRITE = 3


@dataclass
class Outcome:
    leaks: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    routes: Counter[Route] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with on_disk(tmp_path_factory.mktemp("tenancy")) as world:
        fill(world, 3)
        world.project()
        yield world


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Where nobody attacks."""
    with on_disk(tmp_path_factory.mktemp("quiet")) as world:
        fill(world, 2)
        world.project()
        yield world


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        stack.enter_context(mock_aws())
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.delenv("AWS_PROFILE", raising=False)
        engine = DynamoDBAndS3(aws.client("dynamodb", connections=16), aws.client("s3", connections=16), "tenancy")
        world = stack.enter_context(at_aws(engine, tmp_path_factory.mktemp("clouds")))
        fill(world, 2)
        yield world


def fill(world: World, times: int) -> None:
    """Through every route, with one's own ids, until each has said yes so many times to both."""
    for workspace in (world.alder, world.birch):
        random = Random(f"{SEED} {workspace.name}")
        generator = Generator(world.document, random, workspace, workspace)
        asyncio.run(_fill(world, workspace, generator, times))
        asyncio.run(_look(world, workspace, generator))


async def _fill(world: World, workspace: Workspace, generator: Generator, times: int) -> None:
    order = {"POST": 0, "PUT": 1, "PATCH": 2, "GET": 3, "DELETE": 4}
    routes = sorted(generator.routes, key=lambda route: (route.path.endswith("/restore"), order[route.method]))
    deleted = {route.path for route in routes if route.method == "DELETE"}
    undone = [
        each for each in routes if each.method == "PUT" and (each.path in deleted or each.path.endswith("/config"))
    ]
    for route in (*routes, *undone):
        wanted = 1 if route.method == "DELETE" else times
        answer: Answer | None = None
        for _ in range(_TRIES):
            request = generator.request(route)
            answer = await world.ask(workspace, request)
            learn(workspace, request, answer)
            wanted -= 200 <= answer.status < 300
            if wanted == 0:
                break
        else:
            assert answer is not None
            pytest.fail(f"{route.method} {route.path} never says yes: {answer.status} {answer.body[:400]!r}")
    await _prepare(world, workspace, generator)


async def _prepare(world: World, workspace: Workspace, generator: Generator) -> None:
    """What chance would seldom make: questions in the cache, and a call that failed and was made by its client."""
    routes = {route.path: route for route in generator.routes}
    place = {name: workspace.names[kind][1] for name, kind in (("application", "application"), ("intent", "intent"))}
    asked: list[tuple[str, dict[str, Any], int]] = [
        *(("/v1/chat/completions", generator.asked_before(), 200) for _ in range(20)),
    ]
    failed = {"model": "openai/none", "messages": [{"role": "user", "content": workspace.secret()}], **place}
    pair = {"application_ref_name": place["application"], "action_type": place["intent"], "params": failed}
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": workspace.secret()}}]}
    id = generator.fresh("caller")
    asked.append(("/v1/chat/completions", {**failed, "request_id": id}, 401))
    stored = {"chat_completion_request": {**pair, "request_id": id}, "chat_completion_response": answer}
    asked.append(("/chat/completions/response", stored, 200))
    for path, body, status in asked:
        request = Request(routes[path], path, json.dumps(body).encode())
        told = await world.ask(workspace, request)
        assert told.status == status, told.body
        learn(workspace, request, told)
    for route in generator.routes:
        if (route.method, route.path.rpartition("/")[2]) in (("PUT", "config"), ("POST", "limits")):
            await _tell_a_secret(world, workspace, generator, route)


async def _tell_a_secret(world: World, workspace: Workspace, generator: Generator, route: Route) -> None:
    for _ in range(_TRIES):
        request = generator.request(route)
        if b"-secret-" in request.body:
            answer = await world.ask(workspace, request)
            learn(workspace, request, answer)
            if answer.status < 300:
                return
    pytest.fail(f"{route.method} {route.path} takes no secret")


async def _look(world: World, workspace: Workspace, generator: Generator) -> None:
    """What first calls have made, which nobody waits for, is there when their loop has ended."""
    routes = {(route.method, route.path): route for route in generator.routes}
    group = json.dumps({"intent_name": workspace.names["intent"][1]}).encode()
    for request in (
        Request(routes["POST", "/api/v1/intent-groups"], "/api/v1/intent-groups", group),  # if there is none yet
        Request(routes["GET", "/api/v1/intent-groups"], "/api/v1/intent-groups", b""),
        Request(routes["GET", "/api/v1/applications"], "/api/v1/applications?detailed=true", b""),
    ):
        learn(workspace, request, await world.ask(workspace, request))


def learn(workspace: Workspace, request: Request, answer: Answer) -> None:
    """The ids that an answer to the workspace's own request tells."""
    if answer.status >= 300:
        return
    known = workspace.ids["record"]
    known += [each for each in sorted(markers(answer.text)) if each.count("-") == 4 and each not in known]
    path = request.route.path
    if not answer.body.startswith(b"{"):
        return
    said = json.loads(answer.body.splitlines()[0])
    found = said.get("data")
    if path.endswith("/list") and "cursor=" in str(said.get("next")):
        workspace.ids["cursor"].append(said["next"].partition("cursor=")[2].partition("&")[0])
    for row in found if isinstance(found, list) else [found]:
        if not isinstance(row, dict) or "id" not in row:
            continue
        for end, kind in _NUMBERED.items():
            if path.endswith(end) and isinstance(row["id"], int):
                workspace.numbers[kind].add(row["id"])
        for intent in row.get("action_types", ()):
            workspace.intents.append((row["id"], intent["id"]))
        if "/api-keys" in path and row["id"] not in workspace.ids["key"]:
            workspace.ids["key"].append(row["id"])


_NUMBERED = {
    "/applications": "application",
    "/intents": "intent",
    "/intent-groups": "group",
    "/models": "model",
    "/limits": "limit",
}


def attack(world: World, actor: Workspace, target: Workspace, requests: int, seed: str) -> Outcome:
    generator = Generator(world.document, Random(seed), actor, target)
    reading = [route for route in generator.routes if not route.writes]
    routes = [*generator.routes, *reading * (_READS_FOR_A_WRITE - 1)]
    outcome = Outcome()

    async def one(request: Request) -> None:
        answer = await world.ask(actor, request)
        outcome.statuses[answer.status] += 1
        outcome.routes[request.route] += 1
        where = f"{request.route.method} {request.target} -> {answer.status}"
        if found := target.leaked(answer.text, request.text):
            outcome.leaks.append(f"{where}: {sorted(found)[:5]}")
        if answer.status >= 500:
            outcome.leaks.append(f"{where}: {answer.body[:200]!r}")

    async def all_of_them() -> None:
        for start in range(0, requests, _AT_ONCE):
            some = [routes[number % len(routes)] for number in range(start, min(start + _AT_ONCE, requests))]
            await asyncio.gather(*(one(generator.request(route)) for route in some))

    asyncio.run(all_of_them())
    return outcome


def cross(world: World, requests: int) -> None:
    """Half of the requests each way."""
    for actor, target in ((world.alder, world.birch), (world.birch, world.alder)):
        before = world.kept.of(target.name)
        assert len(before) > 5
        outcome = attack(world, actor, target, requests // 2, f"{SEED} {actor.name}")
        assert outcome.leaks == []
        assert world.kept.of(target.name) == before
        assert outcome.statuses.total() == requests // 2
        assert outcome.routes.keys() == set(Generator(world.document, Random(0), actor, target).routes)
        assert outcome.statuses[200] > requests // 8


def test_ten_thousand_requests_get_nothing_of_the_other_workspace(disk: World) -> None:
    cross(disk, REQUESTS)


def test_nor_do_they_on_dynamodb(clouds: World) -> None:
    cross(clouds, REQUESTS_AT_AWS)


def test_there_is_something_to_be_found_on_most_routes(quiet: World) -> None:
    """What a workspace is told of itself, the other one must not be."""
    workspace = quiet.alder
    generator = Generator(quiet.document, Random(1), workspace, workspace)
    reading = [route for route in generator.routes if route.method == "GET"]

    async def telling() -> set[str]:
        found = set()
        for route in reading:
            for _ in range(_TRIES):
                request = generator.request(route)
                if workspace.leaked((await quiet.ask(workspace, request)).text, request.text):
                    found.add(route.path)
                    break
        return found

    silent = {route.path for route in reading} - asyncio.run(telling())
    assert sorted(silent - _FIGURES) == []


def test_what_one_does_changes_no_answer_to_the_other(quiet: World) -> None:
    """Sums name nobody: they are the same to the last figure before and after the other workspace has done a lot."""

    async def answers() -> dict[str, list[tuple[int, bytes]]]:
        generator = Generator(quiet.document, Random(7), quiet.alder, quiet.alder)
        found: dict[str, list[tuple[int, bytes]]] = {}
        for route in generator.routes:
            for _ in range(0 if route.writes else 3):
                request = generator.request(route)
                answer = await quiet.ask(quiet.alder, request)
                told = (answer.status, _TIMES.sub(b"T", answer.body))
                found.setdefault(f"{route.method} {request.target}", []).append(told)
        return found

    before = asyncio.run(answers())
    asyncio.run(_fill(quiet, quiet.birch, Generator(quiet.document, Random(8), quiet.birch, quiet.birch), 2))
    quiet.project()
    assert asyncio.run(answers()) == before
    assert len(before) > 100


_TIMES = re.compile(rb'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[^"]*"|[0-9]{13}')
_FIGURES = {
    "/api/models",
    "/api/v1/analytics/applications/{application_id}/fault-rate",
    "/api/v1/analytics/applications/{application_id}/intents/{action_id}/fault-rate",
    "/api/v1/analytics/applications/{application_id}/intents/{action_id}/requests",
    "/api/v1/analytics/applications/{application_id}/requests",
    "/api/v1/analytics/company/model-usage",
    "/api/v1/analytics/company/requests",
    "/api/v1/analytics/intent-groups/{intent_group_id}/fault-rate",
    "/api/v1/analytics/intent-groups/{intent_group_id}/requests",
    "/api/v1/applications/{application_id}/models",
    "/api/v1/intent-groups/{intent_group_id}/models",
    "/api/v1/limits/{limit_id}/use",
    "/api/v1/models",
    "/api/v1/models/applications/{application_id}",
    "/api/v1/models/available",
    "/api/v1/models/intent-groups/{intent_group_id}",
    "/api/v1/models/intents/{intent_id}",
    "/api/v1/models/{model_id}",
    "/models",
    "/v1/models",
}
"""Paths that tell numbers alone, or what is the same for all; the use of a limit tells whose it is, if it is one's."""

Break = Callable[[World, pytest.MonkeyPatch, str], None]


def _lists_the_others(world: World, patch: pytest.MonkeyPatch, target: str) -> None:
    ledger = world.runtime.ledger
    newest = ledger.newest
    patch.setattr(ledger, "newest", lambda workspace, **asked: newest(target, **asked))


def _finds_the_others(world: World, patch: pytest.MonkeyPatch, target: str) -> None:
    ledger = world.runtime.ledger
    get = ledger.get

    async def anybodys(workspace: str, id: str) -> Any:
        return await get(workspace, id) or await get(target, id)

    patch.setattr(ledger, "get", anybodys)


def _caches_for_all(world: World, patch: pytest.MonkeyPatch, target: str) -> None:
    ledger = world.runtime.ledger
    cached = ledger.cached
    patch.setattr(ledger, "cached", lambda workspace, key, at: cached(target, key, at))


def _configures_the_others(world: World, patch: pytest.MonkeyPatch, target: str) -> None:
    store: Any = world.runtime.configurations.store
    every = store.all
    patch.setattr(store, "all", lambda workspace: every(target))


@pytest.mark.parametrize("broken", [_lists_the_others, _finds_the_others, _caches_for_all, _configures_the_others])
def test_a_leak_is_noticed(disk: World, monkeypatch: pytest.MonkeyPatch, broken: Break) -> None:
    broken(disk, monkeypatch, disk.birch.name)
    assert attack(disk, disk.alder, disk.birch, REQUESTS_WITH_A_FAULT, "leaking").leaks != []


def test_a_change_is_noticed(disk: World, monkeypatch: pytest.MonkeyPatch) -> None:
    records: Any = disk.runtime.ledger.records
    annotate = records.annotate
    monkeypatch.setattr(records, "annotate", lambda workspace, id, annotation: annotate("birch", id, annotation))
    before = disk.kept.of("birch")
    attack(disk, disk.alder, disk.birch, REQUESTS_WITH_A_FAULT, "changing")
    assert disk.kept.of("birch") != before


def test_a_route_that_cannot_be_filled_is_a_failure() -> None:
    workspace = Workspace("alder", "canary")
    document: Any = {"paths": {"/things/{thing_id}": {"get": {}}, "/bodies": {"post": {}}}}
    generator = Generator(document, Random(0), workspace, workspace)
    for route in generator.routes:
        with pytest.raises(Unfillable):
            generator.request(route)
