"""On a schedule: what was put aside is put back into the table, the archive is sealed, what has expired is deleted."""

import asyncio
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from weir.runtime.bootstrap import open_ledger
from weir.runtime.metrics import SPILL_BACKLOG
from weir.runtime.observe import Observer
from weir.runtime.settings import Settings
from weir.runtime.upkeep import Upkeep

_SECONDS = 800.0
"""Less than the function's timeout, by what one step may take."""


@cache
def _upkeep() -> Upkeep:
    settings = Settings.from_environ(os.environ)
    return Upkeep(open_ledger(settings), settings.retention)


@cache
def _observer() -> Observer:
    return Observer(os.environ, "upkeep")


def handler(event: Mapping[str, Any], context: Any) -> None:
    """`context` as Lambda gives it; None elsewhere."""
    if context is None:
        asyncio.run(_upkeep().run(_SECONDS))
        return
    observer = _observer()
    observer.begin(context.aws_request_id)
    upkeep = _upkeep()
    asyncio.run(upkeep.run(_SECONDS))
    observer.meter.put({SPILL_BACKLOG: upkeep.waiting()})
