"""No answer below /api/v1 reads more than it states."""

from collections.abc import Iterator

import pytest

from tests.ledger.engines import SQLiteAndFiles
from tests.portal.world import MILLISECONDS, World, error, opened, record
from weir.services import analytics, reading, sessions

MANY = 3_000


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Records 1 to 3000, of sessions of ten; every 100th belongs to the application `rare`, every 500th is a fault."""
    folder = tmp_path_factory.mktemp("crowded")
    with opened(SQLiteAndFiles(folder / "engine"), folder) as world:
        for name in ("shop", "rare"):
            id = world.post("/applications", {"application_name": name}, 201)["data"]["id"]
            world.post(f"/applications/{id}/intents", {"action_type": "CHAT"}, 201)
        world.keep(
            record(
                number,
                session_id=f"s{number // 10}",
                application="rare" if number % 100 == 0 else "shop",
                outcome="error" if number % 500 == 0 else "complete",
            )
            for number in range(1, MANY + 1)
        )
        yield world


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/requests", 26),
        ("/requests?limit=100&offset=200", 301),
        ("/requests?intent_id=2", 26),
        ("/requests?application_id=1", 250),
        ("/requests?application_id=2&limit=10", 1_200),
        (f"/requests?end_date={MILLISECONDS + 1_000_000}", 26),
        ("/requests?include_messages=true", 26 + 25),
        ("/reports/faults?limit=2", 1_700),
        ("/sessions", 2_001 + 25 * 11),
        ("/sessions/s7", 10),
        ("/sessions/s7/timeline?limit=3", 4 + 3),
        ("/sessions/s7/summary", 10),
        ("/analytics/applications/1/intents/1/fault-rate?start_date=0&end_date=1", 0),
    ],
)
def test_an_answer_reads_little_of_three_thousand_records(crowded: World, path: str, most: int) -> None:
    assert crowded.reads(path) <= most


@pytest.fixture
def lowered(crowded: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """With 500 for the 20,000 records that an answer may look at, and 50 for the recent ones of sessions."""
    monkeypatch.setattr(reading, "SCAN_LIMIT", 500)
    monkeypatch.setattr(analytics, "SCAN_LIMIT", 500)
    monkeypatch.setattr(sessions, "RECENT", 50)
    monkeypatch.setattr(sessions, "SESSION_LIMIT", 5)
    return crowded


def test_a_page_ends_early_where_more_would_take_too_long_and_says_that_there_is_more(lowered: World) -> None:
    answer = lowered.get("/requests?application_id=2")
    assert [(row["date_created"] - MILLISECONDS) // 1000 for row in answer["data"]] == [3000, 2900, 2800, 2700, 2600]
    assert answer["pagination"] == {"total": 6, "offset": 0, "limit": 25}
    assert lowered.reads("/requests?application_id=2") <= 500


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/requests?application_id=2&offset=5", "end_date"),
        ("/requests?offset=10000", "offset"),
        ("/reports/faults?offset=1", "offset"),
        ("/reports/fallbacks", "offset"),
        ("/analytics/company/requests?start_date=0&end_date=9999999999999", "start_date"),
        ("/sessions/s7/timeline?offset=9999", "offset"),
    ],
)
def test_what_would_take_too_long_is_refused_by_the_field_that_asks_for_it(
    lowered: World, path: str, param: str
) -> None:
    assert error(lowered.get(path, 400))[2] == param
    assert lowered.reads(path, 400) <= 501


def test_figures_without_dates_say_from_when_on_they_are(lowered: World) -> None:
    end = MILLISECONDS + MANY * 1000
    found = lowered.get(f"/analytics/company/requests?end_date={end}")["data"]
    assert (found["request_count"], found["complete"]) == (500, False)
    assert (found["start_date"], found["end_date"]) == (end - 499_000, end)
    assert lowered.reads(f"/analytics/company/requests?end_date={end}") <= 501


def test_the_newest_sessions_are_those_of_the_newest_records(lowered: World) -> None:
    found = lowered.get("/sessions?limit=2")
    assert [session["session_id"] for session in found["data"]] == ["s300", "s299"]
    assert found["pagination"]["total"] == 6
    assert lowered.reads("/sessions?limit=2") <= 51 + 22


def test_a_session_that_goes_on_beyond_its_figures_says_so(lowered: World) -> None:
    found = lowered.get("/sessions/s7")["data"]
    assert (found["request_count"], found["complete"]) == (5, False)
    assert lowered.reads("/sessions/s7") <= 6


def test_a_list_of_sessions_says_that_there_are_older_records(lowered: World) -> None:
    pagination = {"total": 6, "offset": 0, "limit": 1, "complete": False}
    assert lowered.get("/sessions?limit=1")["pagination"] == pagination
    assert lowered.get("/applications/2/sessions?limit=1")["pagination"] == pagination | {"total": 1}
