"""What it costs that a function waits for a model, and from how many calls on a server that waits is cheaper."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WAITS_S = (2, 10, 30)
HOURS_A_MONTH = 730
_SECONDS_A_MONTH = HOURS_A_MONTH * 3600


@dataclass(frozen=True, slots=True)
class Waiting:
    """`function` and `call` (with the API's part) are dollars for a million calls; `break_even` is calls a month.

    The few milliseconds of the function itself are not in it.
    """

    seconds: float
    function: float
    call: float
    break_even: Mapping[str, float]

    def per_second(self, server: str) -> float:
        """The break-even as an average over the month."""
        return self.break_even[server] / _SECONDS_A_MONTH


def waiting(seconds: float, memory_mb: int, prices: Mapping[str, Any]) -> Waiting:
    """What the ledger writes is left out: it is the same from a server."""
    gigabyte_seconds = memory_mb / 1024 * seconds
    function = gigabyte_seconds * prices["lambda_gb_second"]["usd"] * 1e6 + prices["lambda_request"]["usd_per_million"]
    call = function + prices["api_request"]["usd_per_million"]
    break_even = {server["name"]: server["usd_per_hour"] * HOURS_A_MONTH / call * 1e6 for server in prices["server"]}
    return Waiting(seconds, function, call, break_even)


def memory_mb(template: Mapping[str, Any], function: str) -> int:
    """As the template has it with its defaults."""
    everywhere = template["Globals"]["Function"].get("MemorySize")
    size = template["Resources"][function]["Properties"].get("MemorySize", everywhere)
    return int(template["Parameters"][size["Ref"]]["Default"] if isinstance(size, Mapping) else size)
