"""`/requests` and `/reports`: records, one or many, and the answers that should have been given."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.configuration import Directory
from weir.domain.errors import RequestInvalid
from weir.domain.record import Record
from weir.http.auth import Principal
from weir.http.portal import (
    ANSWER_LIMIT,
    LARGEST_PAGE,
    LARGEST_PAGE_WITH_MESSAGES,
    Paging,
    data,
    dates,
    flag,
    only,
    optional_number,
    page,
    paging,
    path_id,
)
from weir.http.portal_requests import CorrectionBody, request_view, to_correction, whole_view
from weir.portal.endpoints import Desk, Operation
from weir.runtime.bootstrap import Runtime
from weir.services.configure import Configure
from weir.services.keep import FALLBACK
from weir.services.reading import Page, Reading, Whole, Window

_LIST = ("application_id", "intent_id", "start_date", "end_date", "include_messages", "offset", "limit")


class Requests:
    def __init__(self, runtime: Runtime, desk: Desk, configure: Configure, reading: Reading) -> None:
        self._now = runtime.now
        self._desk = desk
        self._configure = configure
        self._reading = reading

    def operations(self) -> tuple[Operation, ...]:
        schema = CorrectionBody.model_json_schema
        one = "/requests/{request_id}"
        return (
            Operation("GET", "/requests", self.list, "List requests, the newest first"),
            Operation("GET", one, self.read, "Read a request with all that was said"),
            Operation("PUT", f"{one}/response", self.correct, "Keep the answer that should have been given", schema),
            Operation(
                "GET", "/intent-groups/{intent_group_id}/requests", self.list_of_group, "List a group's requests"
            ),
            Operation("GET", "/reports/faults", self.faults, "List calls without a whole answer"),
            Operation("GET", "/reports/fallbacks", self.fallbacks, "List calls made after another one failed"),
            Operation("GET", "/reports/intents/{intent_id}/faults", self.faults, "List an intent's faults"),
            Operation("GET", "/reports/intents/{intent_id}/fallbacks", self.fallbacks, "List an intent's fallbacks"),
        )

    async def list(self, request: Request) -> Response:
        principal = self._desk.reader(request)
        only(request, _LIST)
        directory = await self._configure.directory(principal.workspace)
        application_id, intent_id = optional_number(request, "application_id"), optional_number(request, "intent_id")
        application = directory.application(application_id).ref_name if application_id is not None else None
        intent = None
        if intent_id is not None and application_id is not None:
            intent = directory.intent_of(application_id, intent_id)
        elif intent_id is not None:
            intent = directory.intent(intent_id)
        return await self._listed(
            request,
            principal,
            directory,
            application=intent.application if intent is not None else application,
            intent=intent.name if intent is not None else None,
        )

    async def list_of_group(self, request: Request) -> Response:
        principal = self._desk.reader(request)
        only(request, _LIST[2:])
        group = await self._configure.group(principal.workspace, path_id(request, "intent_group_id"))
        directory = await self._configure.directory(principal.workspace)
        return await self._listed(request, principal, directory, application=None, intent=group.name)

    async def read(self, request: Request) -> Response:
        principal = self._desk.reader(request)
        only(request, ())
        whole = await self._reading.whole(principal.workspace, request.path_params["request_id"])
        return await self._whole(principal, whole)

    async def correct(self, request: Request) -> Response:
        intake = await self._desk.take(request, "ingest")
        principal, id = intake.principal, request.path_params["request_id"]
        answer = to_correction(intake.body)
        return await self._whole(principal, await self._reading.correct(principal.workspace, id, answer, self._now()))

    async def faults(self, request: Request) -> Response:
        return await self._report(request, "fault")

    async def fallbacks(self, request: Request) -> Response:
        return await self._report(request, "fallback")

    async def _report(self, request: Request, kind: str) -> Response:
        principal = self._desk.reader(request)
        only(request, ("offset", "limit"))
        asked = paging(request)
        directory = await self._configure.directory(principal.workspace)
        intent = directory.intent(path_id(request, "intent_id")) if "intent_id" in request.path_params else None
        window = Window(
            workspace=principal.workspace,
            environment=principal.environment,
            application=intent.application if intent is not None else None,
            intent=intent.name if intent is not None else None,
            matches=_is_fault if kind == "fault" else _is_fallback,
        )
        found = await self._reading.page(window, asked.offset, asked.limit)
        return _page(found, asked, directory)

    async def _listed(
        self,
        request: Request,
        principal: Principal,
        directory: Directory,
        *,
        application: str | None,
        intent: str | None,
    ) -> Response:
        messages = flag(request, "include_messages")
        asked = paging(request, most=LARGEST_PAGE_WITH_MESSAGES if messages else LARGEST_PAGE)
        bounds = dates(request)
        window = Window(
            workspace=principal.workspace,
            environment=principal.environment,
            application=application,
            intent=intent,
            before=bounds.before,
            since=bounds.since,
        )
        found = await self._reading.page(window, asked.offset, asked.limit, narrow="end_date")
        if not messages:
            return _page(found, asked, directory)
        views: list[dict[str, Any]] = []
        size = 0
        async for whole in self._reading.each(principal.workspace, found.records):
            size += _said(whole)
            if size > ANSWER_LIMIT:
                raise RequestInvalid(
                    f"What was said in these requests has more than {ANSWER_LIMIT} bytes. Ask for fewer at once with "
                    "'limit'.",
                    param="limit",
                )
            views.append(_whole_view(whole, directory))
        return page(views, found.total, asked)

    async def _whole(self, principal: Principal, whole: Whole) -> Response:
        return data(_whole_view(whole, await self._configure.directory(principal.workspace)))


def _whole_view(whole: Whole, directory: Directory) -> dict[str, Any]:
    return whole_view(whole.record, whole.payload, whole.correction, directory.place(whole.record))


def _said(whole: Whole) -> int:
    """Bytes."""
    return len(whole.payload.request) + len(whole.payload.response or b"") + len(whole.correction or b"")


def _page(found: Page, asked: Paging, directory: Directory) -> Response:
    return page([request_view(record, directory.place(record)) for record in found.records], found.total, asked)


def _is_fault(record: Record) -> bool:
    return record.outcome != "complete"


def _is_fallback(record: Record) -> bool:
    return record.caller_id is not None and record.caller_id.endswith(FALLBACK)
