import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import RequestInvalid
from weir.http.app import Endpoint, WeirApp, create_app, parse_json, route


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": 1e999}', "The request body is not valid JSON: number out of range."),
        (b'{"a": -1E+400}', "The request body is not valid JSON: number out of range."),
        (b'{"a": %b.5}' % (b"9" * 400), "The request body is not valid JSON: number out of range."),
        (b"[" * 195 + b"]" * 195, "The request body is nested too deeply."),
    ],
)
def test_what_could_not_be_read_back_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        parse_json(body)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": "1e999"}', {"a": "1e999"}),
        (b'{"a": 1e300}', {"a": 1e300}),
        (b"[%b]" % b",".join([b"{}"] * 300), [{}] * 300),
        (b"9" * 400, int("9" * 400)),
    ],
)
def test_what_only_looks_like_it_is_taken(body: bytes, value: object) -> None:
    assert parse_json(body) == value


def _answered(app: WeirApp, method: str, path: str) -> tuple[int, bytes]:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://weir.test") as client:
            return await client.request(method, path)

    answer = asyncio.run(ask())
    return answer.status_code, answer.content


def test_a_fixed_path_goes_before_a_pattern_that_fits_it_too() -> None:
    app = create_app("Written")
    for paths in (("/logs/{id}",), ("/logs/newest", "/newest")):
        route(app, "GET", paths, _named(paths[0]), dialect="openai", summary="Written")
    asked = ("/logs/7", "/logs/newest", "/logs/newest/", "/newest")
    assert [_answered(app, "GET", path) for path in asked] == [
        (200, b"/logs/{id}"),
        (200, b"/logs/newest"),
        (200, b"/logs/newest"),
        (200, b"/logs/newest"),
    ]
    assert _answered(app, "GET", "/oldest")[0] == 404
    assert _answered(app, "POST", "/newest")[0] == 405


def _named(name: str) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return Response(name)

    return endpoint
