"""What the wait for a model costs on Lambda, against a server."""

from dataclasses import replace
from typing import Any

import pytest

from infra.cost.__main__ import read_prices
from infra.cost.waiting import WAITS_S, Waiting, memory_mb, waiting
from tests.infra import template

PRICES: dict[str, Any] = {
    "lambda_gb_second": {"usd": 0.00001},
    "lambda_request": {"usd_per_million": 0.5},
    "api_request": {"usd_per_million": 4.5},
    "server": [{"name": "small", "usd_per_hour": 0.1}, {"name": "large", "usd_per_hour": 1.0}],
}


def test_half_a_gigabyte_that_waits_ten_seconds_is_five_gigabyte_seconds() -> None:
    found = waiting(10, 512, PRICES)

    assert replace(found, break_even={}) == Waiting(10, 50.5, 55.0, {})
    assert found.break_even == pytest.approx({"small": 73 / 55e-6, "large": 730 / 55e-6})
    assert found.per_second("large") == pytest.approx(1 / 55e-6 / 3600)


def test_the_longer_the_wait_the_sooner_a_server_is_cheaper() -> None:
    prices = read_prices()
    memory = memory_mb(template.load(), "Completion")
    found = [waiting(seconds, memory, prices) for seconds in WAITS_S]

    for server in prices["server"]:
        calls = [each.break_even[server["name"]] for each in found]
        assert calls == sorted(calls, reverse=True)
    assert found[-1].function / found[-1].call > 0.9  # the wait is the main cost


@pytest.mark.parametrize(
    ("own", "expected"), [({}, 256), ({"MemorySize": 512}, 512), ({"MemorySize": {"Ref": "Memory"}}, 1024)]
)
def test_a_functions_memory_is_its_own_or_everyones(own: dict[str, Any], expected: int) -> None:
    written = {
        "Globals": {"Function": {"MemorySize": 256}},
        "Parameters": {"Memory": {"Default": 1024}},
        "Resources": {"F": {"Properties": own}},
    }
    assert memory_mb(written, "F") == expected
