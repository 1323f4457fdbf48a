"""Figures and reports below /api/v1."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.portal.world import BASE, MILLISECONDS, World, error, record
from tests.runtime import OTHER_KEY, TEST_KEY
from weir.domain.completion import Usage
from weir.domain.record import Failure

DAY = 86_400_000
SPAN = f"?start_date={MILLISECONDS}&end_date={MILLISECONDS + 2 * DAY}"


def busy(world: World) -> None:
    """Applications 1, shop, with intents 1, CHAT, and 2, FIND, and 2, bank, without; group 1, CHAT."""
    world.post("/applications", {"application_name": "shop"}, 201)
    world.post("/applications/1/intents", {"action_type": "CHAT"}, 201)
    world.post("/applications/1/intents", {"action_type": "FIND"}, 201)
    world.post("/applications", {"application_name": "bank"}, 201)
    world.post("/intent-groups", {"intent_name": "CHAT"}, 201)
    failed: dict[str, Any] = {"outcome": "error", "status_code": 429, "failure": Failure("ProviderThrottled", "Slow.")}
    known: dict[str, Any] = {
        "model": "gpt",
        "provider": "openai",
        "claimed_usage": Usage(1, 2),
        "claimed_cost": Decimal("0.25"),
        "latency_ms": 100.0,
        "first_token_ms": 10.0,
    }
    world.keep(
        [
            record(1, **known),
            record(2, **known),
            record(3, caller_id="mine", model="gpt", provider="openai", **failed),
            record(4, caller_id="mine fallback", model="gpt"),
            record(5, after=timedelta(days=1), intent="FIND", model="other", **failed),
            record(6, after=timedelta(days=1, seconds=1), application=None, intent=None),
            record(7, environment="test"),
        ]
    )


def figures(count: int, faults: int, rate: float, **known: Any) -> dict[str, Any]:
    return {"request_count": count, "fault_count": faults, "fault_rate": rate, **known}


WINDOW: Any = {"start_date": MILLISECONDS, "end_date": MILLISECONDS + 2 * DAY, "complete": True}
KNOWN: Any = {
    "prompt_tokens": 2,
    "completion_tokens": 4,
    "total_tokens": 6,
    "cost": 0.5,
    "average_response_time": 100.0,
    "average_first_token_time": 10.0,
}


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "data"),
    [
        (
            "company/requests",
            {
                **figures(6, 2, 0.333333, **KNOWN),
                "days": [
                    {"date": "2026-01-02", **figures(4, 1, 0.25, **KNOWN)},
                    {"date": "2026-01-03", **figures(2, 1, 0.5)},
                ],
            },
        ),
        (
            "company/model-usage",
            {
                "models": [
                    {"model": "gpt", "provider": "openai", **figures(3, 1, 0.333333, **KNOWN)},
                    {"model": "gpt", **figures(1, 0, 0.0)},
                    {"model": "other", **figures(1, 1, 1.0)},
                    figures(1, 0, 0.0),
                ]
            },
        ),
        (
            "company/application-activity",
            {
                "applications": [
                    {
                        "application_id": 1,
                        "application_ref_name": "shop",
                        "application_name": "shop",
                        "last_activity": MILLISECONDS + DAY,
                        **figures(5, 2, 0.4, **KNOWN),
                    },
                    {"last_activity": MILLISECONDS + DAY + 1000, **figures(1, 0, 0.0)},
                ]
            },
        ),
        (
            "applications/1/requests",
            {
                **figures(5, 2, 0.4, **KNOWN),
                "days": [
                    {"date": "2026-01-02", **figures(4, 1, 0.25, **KNOWN)},
                    {"date": "2026-01-03", **figures(1, 1, 1.0)},
                ],
            },
        ),
        (
            "applications/1/fault-rate",
            {
                **figures(5, 2, 0.4),
                "days": [
                    {"date": "2026-01-02", **figures(4, 1, 0.25)},
                    {"date": "2026-01-03", **figures(1, 1, 1.0)},
                ],
            },
        ),
        (
            "applications/1/intents/2/requests",
            {**figures(1, 1, 1.0), "days": [{"date": "2026-01-03", **figures(1, 1, 1.0)}]},
        ),
        (
            "applications/1/intents/2/fault-rate",
            {**figures(1, 1, 1.0), "days": [{"date": "2026-01-03", **figures(1, 1, 1.0)}]},
        ),
        (
            "intent-groups/1/fault-rate",
            {**figures(4, 1, 0.25), "days": [{"date": "2026-01-02", **figures(4, 1, 0.25)}]},
        ),
        ("applications/2/fault-rate", {"request_count": 0, "fault_count": 0, "days": []}),
    ],
)
def test_figures_are_over_the_window_that_is_asked_for(world: World, path: str, data: Any) -> None:
    busy(world)
    assert world.get(f"/analytics/{path}{SPAN}") == {"data": {**WINDOW, **data}}


def test_without_dates_the_last_thirty_days_are_summed(world: World) -> None:
    busy(world)
    world.keep([record(9, after=timedelta(days=-31))])
    found = world.get("/analytics/company/requests")["data"]
    assert found["request_count"] == 4  # what lies a day ahead of the clock is not in them
    assert found["end_date"] - found["start_date"] == 30 * DAY


@pytest.mark.parametrize(
    ("path", "ids", "total"),
    [
        ("faults", [5, 3], 2),
        ("fallbacks", [4], 1),
        ("intents/1/faults", [3], 1),
        ("intents/2/faults", [5], 1),
        ("intents/2/fallbacks", [], 0),
        ("faults?limit=1", [5], 2),
        ("faults?limit=1&offset=1", [3], 2),
    ],
)
def test_reports_name_the_calls(world: World, path: str, ids: list[int], total: int) -> None:
    busy(world)
    answer = world.get(f"/reports/{path}")
    assert [int(row["id"].split("-")[-1], 16) & 0xF for row in answer["data"]] == ids
    assert answer["pagination"]["total"] == total
    assert all(row["request_type"] == "PROD" for row in answer["data"])


@pytest.mark.parametrize("world", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "status", "param"),
    [
        ("/analytics/applications/7/requests", 404, None),
        ("/analytics/applications/1/intents/3/requests", 404, None),
        ("/analytics/applications/2/intents/1/fault-rate", 404, None),
        ("/analytics/applications/x/fault-rate", 404, None),
        ("/analytics/intent-groups/2/requests", 404, None),
        ("/analytics/company/requests?days=7", 400, "days"),
        ("/analytics/company/requests?start_date=x", 400, "start_date"),
        ("/reports/intents/7/faults", 404, None),
        ("/reports/faults?start_date=1", 400, "start_date"),
    ],
)
def test_what_cannot_be_summed_is_refused(world: World, path: str, status: int, param: str | None) -> None:
    busy(world)
    assert error(world.get(path, status))[::2] == (status, param)


def test_another_workspace_and_another_environment_have_their_own_figures(world: World) -> None:
    busy(world)
    path = f"{BASE}/analytics/company/requests{SPAN}"
    assert world.weir.with_key(OTHER_KEY).get(path).json()["data"]["request_count"] == 0
    assert world.weir.with_key(TEST_KEY).get(path).json()["data"]["request_count"] == 1
    assert world.weir.with_key(OTHER_KEY).get(f"{BASE}/analytics/applications/1/requests").status_code == 404
    assert world.weir.with_key(OTHER_KEY).get(f"{BASE}/reports/faults").json()["data"] == []
