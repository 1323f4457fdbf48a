"""`make cost`: dollars for a million kept calls, from counted units and infra/prices.toml."""

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.cost.beside import measure_beside
from infra.cost.idle import OPTIONS, idle_bill
from infra.cost.paths import Kept, measure
from infra.cost.waiting import HOURS_A_MONTH, WAITS_S, memory_mb, waiting
from tests.bench.report import aligned
from tests.infra.template import load
from weir.ledger.keys import INDEXES, Index

SIZES = (2048, 8192, 32768)
VARIANTS: Mapping[str, frozenset[Index]] = {
    "WEIR_INDEXES=none": frozenset(),
    "WEIR_INDEXES=session": frozenset({"session"}),
    "the default, WEIR_INDEXES=session,customer,intent": INDEXES,
}
"""Each costs a call only where it applies: one without a session, say, is not in that index."""

_ASKED = ("store-only", 8192)
_PRICES = Path(__file__).parents[1] / "prices.toml"
_HEADINGS = ("", "bytes", "packed", "record", "payload", "indexes", "caller's id", "S3 puts", "units", "USD/million")


def main() -> int:
    prices = read_prices()
    asked = []
    for variant, indexes in VARIANTS.items():
        sys.stderr.write(f"{variant} …\n")
        found = measure(SIZES, indexes)
        rows = [_HEADINGS, *(_row(name, size, kept, prices) for (name, size), kept in found.items())]
        sys.stdout.write(f"With {variant}\n{''.join(aligned(rows))}\n")
        asked.append(f"  {dollars(found[_ASKED], prices):.2f} USD with {variant}\n")
    idle = ", ".join(f"{name} {idle_bill(prices, given):.2f} USD" for name, given in OPTIONS.items())
    api, stored = prices["api_request"]["usd_per_million"], prices["stored"]["usd_per_gb_month"]
    sys.stdout.write(
        f"A million store-only calls of 8 KB with a session, an application and an intent:\n{''.join(asked)}"
        "An index costs only the calls that it has; these have no customer.\n\n"
        "Sizes are bytes of a call's JSON and of its packed form; the other columns are write units of DynamoDB.\n"
        "The text is infra/cost/sample.txt; another compresses better or worse by a unit or two.\n"
        f"Beside the writes: a million requests of the API are {api:.2f} USD, a GB kept a month {stored:.2f} USD.\n"
        "The time of Lambda is not in this, nor are reads, the archive and the projector.\n"
    )
    sys.stdout.write(_beside(prices))
    sys.stdout.write(_waits(prices))
    sys.stdout.write(
        f"Idle, a month: {idle}.\n"
        f"Prices of {prices['date']}, with their sources in infra/prices.toml; nothing here was checked on real AWS.\n"
    )
    return 0


def _beside(prices: Mapping[str, Any]) -> str:
    """What only some completions write, and what each one logs."""
    found = measure_beside()
    per_unit, per_gb = prices["write_unit"]["usd_per_million"], prices["log"]["usd_per_gb"]
    rows = [("beside a completion", "units", "bytes", "USD/million")]
    rows += [(name, str(units), "", f"{units * per_unit:.2f}") for name, units in found.units.items()]
    rows += [(name, "", str(size), f"{size / 1e3 * per_gb:.2f}") for name, size in found.logged.items()]
    return f"\n{''.join(aligned(rows))}\n"


def _waits(prices: Mapping[str, Any]) -> str:
    """A completion waits for its model, and a function is paid for while it waits."""
    memory = memory_mb(load(), "Completion")
    found = [waiting(seconds, memory, prices) for seconds in WAITS_S]
    servers = [server["name"] for server in prices["server"]]
    rows = [("the model takes", "Lambda", "with the API", *servers)]
    rows += [
        (
            f"{each.seconds} s",
            f"{each.function:.2f}",
            f"{each.call:.2f}",
            *(f"{each.break_even[name] / 1e6:.2f} m ({each.per_second(name):.2f}/s)" for name in servers),
        )
        for each in found
    ]
    monthly = ", ".join(f"{server['name']} {server['usd_per_hour'] * HOURS_A_MONTH:.0f}" for server in prices["server"])
    return (
        f"\nOn Lambda the wait for the model is the main cost: USD a million completions at {memory} MB, and from how\n"
        f"many a month on a server that runs all the time is cheaper. USD a month: {monthly}.\n"
        f"What is written is the same for both, and not in this.\n{''.join(aligned(rows))}\n"
    )


def read_prices() -> dict[str, Any]:
    return tomllib.loads(_PRICES.read_text(encoding="utf-8"))


def dollars(kept: Kept, prices: Mapping[str, Any]) -> float:
    """For a million such calls: what is written, and nothing else."""
    per_unit: float = prices["write_unit"]["usd_per_million"]
    per_put: float = prices["s3_put"]["usd_per_million"]
    return kept.units.total() * per_unit + kept.s3_puts * per_put


def _row(name: str, size: int, kept: Kept, prices: Mapping[str, Any]) -> tuple[str, ...]:
    indexes = sum(units for purpose, units in kept.units.items() if purpose.startswith("index "))
    units = kept.units
    counted = (units["record"], units["payload"], indexes, units["caller's id"], kept.s3_puts, units.total())
    return (
        f"{name}, {size // 1024} KB",
        str(kept.payload),
        str(kept.compressed),
        *(str(count) for count in counted),
        f"{dollars(kept, prices):.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
