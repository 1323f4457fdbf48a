"""What a completion costs beside its own writes: limits that hold for it, the cache, and the lines of the log."""

import asyncio
import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass

from infra.cost.paths import SAMPLE, Stack, completed, open_stack
from weir.domain.figures import Figures
from weir.domain.limit import MEASURES
from weir.ledger.keys import INDEXES
from weir.runtime.metrics import Meter

_TEXT = SAMPLE[:2048]
_LIMITS = "/api/v1/limits"
_PLATFORM = (
    "START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST\n"
    "END RequestId: 00000000-0000-0000-0000-000000000000\n"
    "REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 2012.34 ms\tBilled Duration: 2013 ms\t"
    "Memory Size: 256 MB\tMax Memory Used: 75 MB\t\n"
)
"""What Lambda itself writes of an invocation, as its guide shows it, python-logging.html."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Write units by what causes them, and bytes of the log by who writes them."""

    units: Mapping[str, int]
    logged: Mapping[str, int]


def measure_beside() -> Beside:
    async def all_of(stack: Stack) -> Mapping[str, int]:
        kept = await stack.send(*completed(_TEXT, cache_enabled=True))
        found = {"a short answer in the cache": kept["answer"]}
        for measure in MEASURES:
            limit = {"per": "key", "name": "*", "measure": measure, "limit": 1_000_000}
            made = await stack.ask("POST", _LIMITS, limit)
            found[f"a limit of {measure}"] = (await stack.send(*completed(_TEXT)))["limit"]
            await stack.ask("DELETE", f"{_LIMITS}/{made['data']['id']}")
        return found

    with open_stack(INDEXES) as stack:
        return Beside(
            asyncio.run(all_of(stack)), {"Weir's line of figures": _figures(), "Lambda's own": len(_PLATFORM)}
        )


def _figures() -> int:
    """Bytes of the line of a stream."""
    with redirect_stdout(io.StringIO()) as written:
        Meter("completion").put_invocation(Figures(provider_s=2.0, first_token_ms=612.3, store_s=0.0123), 200, 2.0213)
    return len(written.getvalue())
