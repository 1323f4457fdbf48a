"""Sessions below /api/v1: listed, read, summed up, judged."""

from typing import Any

import pytest

from tests.portal.world import BASE, MILLISECONDS, World, error, record
from tests.runtime import OTHER_KEY, READ_KEY, TEST_KEY
from weir.domain.completion import Usage
from weir.domain.record import Failure, Payload
from weir.protocols import jsonbytes


def said(*texts: str) -> list[dict[str, str]]:
    """Messages of user and assistant in turn."""
    return [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(texts)]


def talk(world: World) -> None:
    """Application 1, shop. Session `a` has three turns, the second of which failed; `b` one; one call has none."""
    world.post("/applications", {"application_name": "shop"}, 201)
    usage = Usage(2, 3)
    failed: dict[str, Any] = {"outcome": "error", "status_code": 500, "failure": Failure("ProviderUnavailable", "No.")}
    for number, messages, fields in (
        (1, said("one"), {"model": "m", "claimed_usage": usage, "latency_ms": 10.0}),
        (2, said("one", "1", "two"), {"model": "m", **failed}),
        (5, said("one", "1", "two", "2", "three"), {"model": "n", "claimed_usage": usage, "latency_ms": 30.0}),
    ):
        request = jsonbytes.dumps({"params": {"messages": messages}})
        payload = Payload(request, None if "failure" in fields else jsonbytes.dumps({"choices": [number]}))
        world.keep([record(number, session_id="a", **fields)], payload)
    world.keep([record(3, session_id="b", application="other", intent=None), record(4)])


A: Any = {
    "session_id": "a",
    "company_id": 1667104991,
    "application_id": 1,
    "application_ref_name": "shop",
    "application_name": "shop",
    "date_created": MILLISECONDS + 1000,
    "date_ended": MILLISECONDS + 5000,
    "request_count": 3,
    "fault_count": 1,
    "complete": True,
}
B: Any = {
    "session_id": "b",
    "company_id": 1667104991,
    "application_ref_name": "other",
    "date_created": MILLISECONDS + 3000,
    "date_ended": MILLISECONDS + 3000,
    "request_count": 1,
    "fault_count": 0,
    "complete": True,
}


@pytest.mark.parametrize(
    ("path", "sessions", "total"),
    [
        ("/sessions", [A, B], 2),
        ("/sessions?application_id=1", [A], 1),
        ("/applications/1/sessions", [A], 1),
        ("/sessions?limit=1&offset=1", [B], 2),
        ("/sessions?offset=2", [], 2),
    ],
)
def test_sessions_are_listed_by_their_latest_call(world: World, path: str, sessions: list[Any], total: int) -> None:
    talk(world)
    answer = world.get(path)
    assert (answer["data"], answer["pagination"]["total"]) == (sessions, total)
    assert "complete" not in answer["pagination"]


def test_a_session_is_read(world: World) -> None:
    talk(world)
    assert world.get("/sessions/a") == {"data": A}
    assert world.get("/sessions/a?application_id=1") == {"data": A}
    assert world.get("/sessions/b") == {"data": B}


def test_a_timeline_has_what_was_new_in_each_turn(world: World) -> None:
    talk(world)
    answer = world.get("/sessions/a/timeline")
    told = [
        (
            turn["request"]["params"]["messages"],
            turn.get("response"),
            turn["request"].get("error"),
            turn["first"],
            turn["last"],
        )
        for turn in answer["data"]
    ]
    assert told == [
        (said("one"), {"choices": [1]}, None, True, False),
        (said("two"), None, "No.", False, False),
        (said("three"), {"choices": [5]}, None, False, True),
    ]
    assert answer["pagination"] == {"total": 3, "offset": 0, "limit": 200}


def test_a_turn_is_the_request_with_its_answer_and_the_corrected_one(world: World) -> None:
    talk(world)
    row = world.get("/requests?limit=1")["data"][0]
    corrected = world.put(f"/requests/{row['id']}/response", {"message_content": "better"})["data"]
    turn = world.get("/sessions/a/timeline?offset=2")["data"][0]
    row = world.get("/requests?limit=1")["data"][0]
    assert turn == {
        "request": {**row, "params": {"messages": said("three")}},
        "response": {"choices": [5]},
        "corrected_response": corrected["corrected_response"],
        "first": False,
        "last": True,
    }


@pytest.mark.parametrize(
    ("query", "models", "ends", "total"),
    [
        ("?limit=2", ["m", "m"], [(True, False), (False, False)], 3),
        ("?limit=2&offset=2", ["n"], [(False, True)], 3),
        ("?offset=3", [], [], 3),
        ("?limit=1", ["m"], [(True, False)], 2),
    ],
)
def test_a_timeline_is_read_in_parts(world: World, query: str, models: list[str], ends: Any, total: int) -> None:
    talk(world)
    answer = world.get(f"/sessions/a/timeline{query}")
    assert [turn["request"]["model"] for turn in answer["data"]] == models
    assert [(turn["first"], turn["last"]) for turn in answer["data"]] == ends
    assert answer["pagination"]["total"] == total


def test_a_session_is_summed_up(world: World) -> None:
    talk(world)
    tokens = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert world.get("/sessions/a/summary") == {
        "data": {
            "session_id": "a",
            "date_created": MILLISECONDS + 1000,
            "date_ended": MILLISECONDS + 5000,
            "complete": True,
            "request_count": 3,
            "fault_count": 1,
            "fault_rate": 0.333333,
            "prompt_tokens": 4,
            "completion_tokens": 6,
            "total_tokens": 10,
            "average_response_time": 20.0,
            "models": [
                {
                    "model": "m",
                    "request_count": 2,
                    "fault_count": 1,
                    "fault_rate": 0.5,
                    **tokens,
                    "average_response_time": 10.0,
                },
                {
                    "model": "n",
                    "request_count": 1,
                    "fault_count": 0,
                    "fault_rate": 0.0,
                    **tokens,
                    "average_response_time": 30.0,
                },
            ],
            "intents": ["CHAT"],
        }
    }


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"feedback": 2}, {"feedback": 2}),
        ({"feedback": "correct", "application_id": 1}, {"feedback": 1}),
        (
            {"feedback": 0, "reviewer": {"email": "a@example.org"}, "comment": "later"},
            {"feedback": 0, "reviewer": {"email": "a@example.org"}, "comment": "later"},
        ),
    ],
)
def test_what_is_said_of_a_session_is_kept(world: World, body: Any, kept: Any) -> None:
    talk(world)
    world.post("/sessions/a/feedback", {"feedback": 1, "comment": "what was said before"})
    made = world.post("/sessions/a/feedback", body)["data"]
    assert MILLISECONDS < made["date_reviewed"] < MILLISECONDS + 60_000
    assert made == {**A, **kept, "date_reviewed": made["date_reviewed"]}
    with world.after_a_restart() as restarted:
        assert restarted.get("/sessions/a") == {"data": made}
        assert restarted.get("/sessions")["data"] == [made, B]


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({}, "'feedback' is required.", "feedback"),
        ({"feedback": 3}, None, "feedback"),
        ({"feedback": True}, "'feedback' must be 0, 1 or 2, or the words for them.", "feedback"),
        ({"feedback": "FINE"}, None, "feedback"),
        ({"feedback": 1, "rating": 5}, "'rating' is not known here.", "rating"),
        ({"feedback": 1, "comment": "x" * 1001}, None, "comment"),
        ({"feedback": 1, "reviewer": "ann"}, None, "reviewer"),
        ([], "The request body must be a JSON object.", None),
    ],
)
def test_what_cannot_be_said_of_a_session_is_refused(
    world: World, body: Any, message: str | None, param: str | None
) -> None:
    talk(world)
    status, said, field = error(world.post("/sessions/a/feedback", body, 400))
    assert (status, said, field) == (400, message if message is not None else said, param)
    assert world.get("/sessions/a") == {"data": A}


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize("end", ["", "/timeline", "/summary", "?application_id=7", "?application_id=2"])
def test_an_unknown_session_is_not_found(world: World, end: str) -> None:
    talk(world)
    world.post("/applications", {"application_name": "bank"}, 201)
    id = "a" if "?" in end else "none"
    wanted = "There is no application 7." if end.endswith("7") else f"There is no session '{id}'."
    assert error(world.get(f"/sessions/{id}{end}", 404)) == (404, wanted, None)


def test_another_workspace_and_another_environment_have_no_such_session(world: World) -> None:
    talk(world)
    for key in (OTHER_KEY, TEST_KEY):
        other = world.weir.with_key(key)
        assert other.get(f"{BASE}/sessions").json()["data"] == []
        for end in ("", "/timeline", "/summary"):
            assert other.get(f"{BASE}/sessions/a{end}").status_code == 404
        assert other.post(f"{BASE}/sessions/a/feedback", json={"feedback": 1}).status_code == 404
    assert world.weir.with_key(READ_KEY).post(f"{BASE}/sessions/a/feedback", json={"feedback": 1}).status_code == 403
    assert world.get("/sessions/a") == {"data": A}


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
def test_a_parameter_that_a_session_has_not_is_refused(world: World) -> None:
    talk(world)
    assert error(world.get("/sessions?start_date=1", 400))[2] == "start_date"
    assert error(world.get("/sessions/a?limit=1", 400))[2] == "limit"
    assert error(world.get("/sessions/a/timeline?limit=501", 400))[2] == "limit"
    assert error(world.get("/sessions/a/timeline?offset=10000", 400))[2] == "offset"
