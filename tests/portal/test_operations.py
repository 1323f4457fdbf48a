"""Every operation that Maitai's command line knows is offered, or refused with 501 and listed in the docs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.portal import app as portal
from tests.infra import template
from tests.portal.world import error
from tests.runtime import READ_KEY, Caller, fixed_runtime
from weir.http.app import DirectRoute
from weir.http.portal_operations import is_not_offered, not_offered

DOCS = (template.ROOT / "docs" / "maitai-api.md").read_text(encoding="utf-8")
BASE = "/api/v1"
REFUSED = sorted(not_offered())


@pytest.fixture(scope="module")
def weir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder: Path = tmp_path_factory.mktemp("operations")
    runtime = fixed_runtime(folder)
    yield Caller.of(runtime, [portal.mount])
    runtime.ledger.close()


def offered(weir: Caller) -> set[tuple[str, str]]:
    routes = [route for route in weir.app.routes if isinstance(route, DirectRoute)]
    return {(method, route.path.removeprefix(BASE)) for route in routes for method in route.methods or ()}


def called(path: str) -> str:
    """The path with 1 in place of each name in braces."""
    return BASE + re.sub(r"\{\w+\}", "1", path)


def test_what_is_not_offered_is_501(weir: Caller) -> None:
    reader = weir.with_key(READ_KEY)
    for method, path in REFUSED:
        asked = called(path)
        answer = reader.call(method, asked)
        wanted = f"Weir does not offer {method} {asked.removeprefix(BASE)}; docs/maitai-api.md says what it does."
        assert (answer.status_code, error(answer.json())) == (501, (501, wanted, None))


def test_what_is_offered_is_not_501(weir: Caller) -> None:
    routes = offered(weir)
    statuses = {route: weir.call(route[0], called(route[1]), json={}).status_code for route in routes}
    assert {route for route, status in statuses.items() if status in (405, 500, 501)} == set()
    assert len(routes) > 46
    assert {route for route in routes if is_not_offered(*route)} == set()


def test_together_they_are_all_operations_of_the_command_line(weir: Caller) -> None:
    """389 in maitai-cli 0.1.68, of which 46 are offered; what Weir has beside them the command line does not know."""
    routes = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in offered(weir)}
    assert len(REFUSED) == len(set(REFUSED)) == 343
    beside = {
        ("POST", "/applications/{}/config/reset"),
        ("POST", "/intent-groups"),
        ("POST", "/intent-groups/{}/config/reset"),
        ("GET", "/reports/completeness"),
        ("GET", "/sessions/{}/summary"),
        ("GET", "/credentials"),
        ("PUT", "/credentials/{}"),
        ("DELETE", "/credentials/{}"),
        ("GET", "/config"),
        ("PUT", "/config"),
        ("POST", "/config/reset"),
        ("GET", "/config/tree"),
        ("GET", "/config/effective"),
        ("GET", "/config/versions"),
        ("GET", "/config/versions/{}"),
        ("POST", "/config/versions/{}/restore"),
        ("GET", "/api-keys"),
        ("POST", "/api-keys"),
        ("GET", "/api-keys/{}"),
        ("DELETE", "/api-keys/{}"),
        ("POST", "/api-keys/{}/rotate"),
        ("GET", "/limits"),
        ("POST", "/limits"),
        ("GET", "/limits/{}"),
        ("PUT", "/limits/{}"),
        ("DELETE", "/limits/{}"),
        ("GET", "/limits/{}/use"),
    }
    assert beside <= routes
    assert len(routes - beside) == 389 - 343


def test_the_docs_list_both(weir: Caller) -> None:
    told, _, refused = DOCS.partition("## Not offered")
    assert [path for _, path in offered(weir) if f"`{path}`" not in told] == []
    assert [
        f"{method} {path}" for method, path in REFUSED if not re.search(rf"{method}[^`\n]*`{re.escape(path)}`", refused)
    ] == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/agents/1/no-such"), ("PATCH", "/applications"), ("GET", "/tags")]
)
def test_what_nobody_knows_is_not_found(weir: Caller, method: str, path: str) -> None:
    answer = weir.call(method, BASE + path)
    assert (answer.status_code, answer.json()["error"]["message"] != "") == (404, True)


def test_without_a_key_nothing_is_told(weir: Caller) -> None:
    for path in ("/agents", "/applications", "/requests"):
        answer = weir.with_key(None).get(BASE + path)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, 401)
