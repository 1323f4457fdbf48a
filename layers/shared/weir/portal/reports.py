"""Reports for operators, below `/api/v1/reports`. They need the scope `read`."""

import asyncio
from datetime import timedelta

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import LedgerUnavailable, RequestInvalid
from weir.http.app import route
from weir.http.completeness_view import completeness_body
from weir.http.request_logs import instant
from weir.ledger.archive_format import Broken
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime
from weir.runtime.projection import open_completeness

_USUAL = timedelta(hours=24)
_LONGEST = timedelta(days=31)


class Reports:
    """The endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._completeness = open_completeness(runtime.ledger, runtime.projections, runtime.now)

    async def completeness(self, request: Request) -> Response:
        """The hours that have a part in `start_time` to `end_time`; the last 24 hours otherwise."""
        workspace = self._runtime.keyring.authenticate(request.headers, "read").workspace
        parameters = request.query_params
        for name in parameters:
            if name not in ("start_time", "end_time"):
                raise RequestInvalid(
                    f"'{name[:80]}' is not understood here; there are start_time and end_time.", param=name[:80]
                )
        end, start = self._runtime.now(), None
        if text := parameters.get("end_time"):
            end = min(end, instant(text, "end_time"))
        if text := parameters.get("start_time"):
            start = instant(text, "start_time")
        start = start or end - _USUAL
        if end - start > _LONGEST:
            raise RequestInvalid("A report covers 31 days at most.", param="start_time")
        first, last = start.strftime("%Y%m%d%H"), end.strftime("%Y%m%d%H")
        try:
            found = await asyncio.to_thread(self._completeness.report, workspace, first, last)
        except Broken as exc:
            raise LedgerUnavailable(f"The archive cannot be read: {exc}") from exc
        return Response(jsonbytes.dumps(completeness_body(found)), media_type="application/json")


def mount(app: FastAPI, runtime: Runtime) -> None:
    reports = Reports(runtime)
    route(
        app,
        "GET",
        ["/api/v1/reports/completeness"],
        reports.completeness,
        dialect="portal",
        summary="Whether every call that was accepted is stored, archived and rolled up, by hour and application",
    )
