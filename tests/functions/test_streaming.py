"""Answers while they are made: at once, and kept whatever way they end."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.functions.conftest import Served
from tests.upstream import SSE_TYPE, Reply, chunk, event, events

ROUTES = ("/v1/chat/completions", "/chat/completions/serialized")


def body_for(route: str, model: str) -> dict[str, Any]:
    params = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    if route.endswith("serialized"):
        return {"application_ref_name": "a", "action_type": "B", "params": params}
    return params


def texts(route: str, lines: list[str]) -> list[str]:
    """The written text of every chunk on these lines."""
    found = []
    for line in lines:
        if line.startswith("data: {"):
            piece = json.loads(line[6:])
        elif line.startswith("{"):
            piece = json.loads(line).get("chat_completion_chunk", {})
        else:
            continue
        found += [c["delta"]["content"] for c in piece.get("choices", ()) if c["delta"].get("content")]
    return found


def eventually(check: Callable[[], bool]) -> None:
    """Wait for something that another process does by itself; at most a minute."""
    deadline = time.monotonic() + 60
    ready = threading.Event()
    while not check():
        assert time.monotonic() < deadline
        ready.wait(0.01)


@pytest.mark.parametrize("route", ROUTES)
def test_each_chunk_is_passed_on_before_the_next_one_exists(served: Served, route: str) -> None:
    hold = threading.Event()
    served.upstream.replies["held"] = Reply(events("first", "second"), headers=SSE_TYPE, hold=hold, hold_at=2)

    with served.http.stream("POST", route, json=body_for(route, "openai/held")) as response:
        lines = response.iter_lines()
        seen: list[str] = []
        while not texts(route, seen):
            seen.append(next(lines))
        assert texts(route, seen) == ["first"]  # the provider waits for us: the second does not exist yet
        hold.set()
        seen += list(lines)

    assert texts(route, seen) == ["first", "second"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_caller_who_hangs_up_cuts_the_provider_off_and_leaves_a_record(served: Served, route: str) -> None:
    hold = threading.Event()
    served.upstream.replies["left"] = Reply(events("heard", "unheard"), headers=SSE_TYPE, hold=hold, hold_at=2)

    with served.http.stream("POST", route, json=body_for(route, "openai/left")) as response:
        id = response.headers["x-weir-request-id"]
        lines: list[str] = []
        for line in response.iter_lines():
            lines.append(line)
            if texts(route, lines):
                break
    received = served.upstream.received[-1]

    assert received.cut_off.wait(10)
    eventually(lambda: served.http.get(f"/api/request-logs/{id}").status_code == 200)
    log = served.log(id)
    hold.set()
    assert (log["status_code"], log["completion_message"]) == (499, {"role": "assistant", "content": "heard"})
    assert "hung up" in str(log["error_message"])


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("routing", [{}, {"fallback_models": ["groq/never"]}], ids=["alone", "with a fallback"])
def test_so_does_one_who_hangs_up_before_the_answer_begins(served: Served, route: str, routing: Any) -> None:
    """And nothing of a limit stays set aside for the call."""
    hold = threading.Event()
    served.upstream.replies["silent"] = Reply(events("unheard"), headers=SSE_TYPE, hold=hold, hold_at=-1)
    limit = {"per": "customer", "name": "gone", "measure": "tokens_per_minute", "limit": 10**6}
    assert served.http.post("/api/v1/limits", json=limit).status_code in (201, 409)
    before, requests = newest(served)["id"], len(served.upstream.received)

    body = {**body_for(route, "openai/silent"), **routing, "customer_identifier": "gone"}
    headers = {"authorization": f"Bearer {served.weir.key}", "content-type": "application/json"}
    with closing(http.client.HTTPConnection(urlsplit(served.weir.url).netloc)) as caller:
        caller.request("POST", route, json.dumps(body), headers)
        received = served.upstream.asked(requests)

    assert received.cut_off.wait(10)
    eventually(lambda: newest(served)["id"] != before)
    log = newest(served)
    assert (log["model"], log["status_code"], log["customer_identifier"]) == ("openai/silent", 499, "gone")
    eventually(lambda: set_aside(served) == 0)  # which may be counted when the record is there already


def set_aside(served: Served) -> int:
    use: dict[str, int] = served.http.get("/api/v1/limits/1/use", params={"name": "gone"}).json()["data"]
    return use["set_aside"]


def newest(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.http.get("/api/request-logs/", params={"page_size": 1}).json()["results"][0]
    return found


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("model", "reply", "says"),
    [
        ("dropped", Reply(events("some", "more")[:2], headers=SSE_TYPE, drop=True), "broke off"),
        ("stopped", Reply([*events("some", "more")[:2], b": bye\n\n"], headers=SSE_TYPE), "broke off"),
        (
            "errs",
            Reply(
                [*events("some")[:2], event({"error": {"message": "overloaded", "code": 503}})],
                headers=SSE_TYPE,
            ),
            "overloaded",
        ),
        ("garbled", Reply([*events("some")[:2], b"data: {not json\n\n"], headers=SSE_TYPE), "not in its own format"),
    ],
)
def test_an_answer_that_breaks_off_is_no_answer_and_is_kept_as_far_as_it_came(
    served: Served, route: str, model: str, reply: Reply, says: str
) -> None:
    served.upstream.replies[model] = reply

    response = served.http.post(route, json=body_for(route, f"openai/{model}"))

    assert response.status_code == 200
    assert texts(route, response.text.splitlines()) == ["some"]
    assert "[DONE]" not in response.text
    last = response.text.strip().splitlines()[-1]
    error = json.loads(last.removeprefix("data: "))["error"]
    assert says in (error if route.endswith("serialized") else error["message"])
    log = served.log(response.headers["x-weir-request-id"])
    assert log["completion_message"] == {"role": "assistant", "content": "some"}
    assert says in str(log["error_message"])
    assert log["status_code"] != 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "chunks",
    [
        [b""],
        [b": only a comment\n\n"],
        [event({"error": {"message": "no capacity", "code": "rate_limit_exceeded"}})],
    ],
)
def test_a_stream_that_fails_before_it_begins_is_an_http_error(served: Served, route: str, chunks: list[bytes]) -> None:
    served.upstream.replies["never"] = Reply(chunks, headers=SSE_TYPE)

    response = served.http.post(route, json=body_for(route, "openai/never"))

    assert response.status_code in (429, 502)
    assert served.log(response.headers["x-weir-request-id"])["status_code"] == response.status_code


def test_a_provider_that_cannot_be_reached_is_a_bad_gateway_with_a_record(served: Served) -> None:
    response = served.http.post("/v1/chat/completions", json=body_for("", "vllm/any"))

    assert response.status_code == 502
    assert response.json()["error"]["message"] == "vllm could not be reached."
    assert served.log(response.headers["x-weir-request-id"])["error_message"] == "vllm could not be reached."


def test_a_missing_provider_key_is_told_and_recorded(served: Served) -> None:
    response = served.http.post("/v1/chat/completions", json=body_for("", "mistral/small"))

    assert (response.status_code, response.json()["error"]["code"]) == (401, "provider_key_missing")
    assert "MISTRAL_API_KEY" in response.json()["error"]["message"]
    assert served.log(response.headers["x-weir-request-id"])["status_code"] == 401


def test_the_end_of_a_stream_waits_for_its_record(served: Served) -> None:
    served.upstream.replies["kept"] = Reply(events("Hi"), headers=SSE_TYPE)

    with served.http.stream("POST", ROUTES[0], json=body_for(ROUTES[0], "openai/kept")) as response:
        for line in response.iter_lines():
            if line == "data: [DONE]":  # the response has not ended yet, the record is there
                assert served.log(response.headers["x-weir-request-id"])["status_code"] == 200


def test_a_stream_cut_at_odd_places_is_the_same_stream(served: Served) -> None:
    whole = b"".join(events("Zürich", " – 東京 🌉"))
    served.upstream.replies["cut"] = Reply([whole[i : i + 7] for i in range(0, len(whole), 7)], headers=SSE_TYPE)

    response = served.http.post(ROUTES[0], json=body_for(ROUTES[0], "openai/cut"))

    assert "".join(texts(ROUTES[0], response.text.splitlines())) == "Zürich – 東京 🌉"


def test_the_raw_answer_of_the_provider_is_kept(served: Served) -> None:
    sent = [*events("Hi", usage=False)[:-1], event(chunk({}, x_vendor=1)), b"data: [DONE]\n\n"]
    served.upstream.replies["raw"] = Reply(sent, headers=SSE_TYPE)
    response: httpx.Response = served.http.post(ROUTES[0], json=body_for(ROUTES[0], "openai/raw"))
    assert response.text.endswith("data: [DONE]\n\n")
    assert served.log(response.headers["x-weir-request-id"])["provider_reply"] == b"".join(sent).decode()
