"""`/analytics`: what was called, by whom it was answered, and how often it failed."""

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.configuration import Directory
from weir.domain.ids import milliseconds
from weir.http.auth import Principal
from weir.http.portal import data, dates, only, path_id, present
from weir.http.portal_figures import by_day, fault_rate, figures
from weir.portal.endpoints import Desk, Operation
from weir.services.analytics import Analytics, Figures
from weir.services.configure import Configure
from weir.services.reading import Window


class AnalyticsPages:
    def __init__(self, desk: Desk, configure: Configure, analytics: Analytics) -> None:
        self._desk = desk
        self._configure = configure
        self._analytics = analytics

    def operations(self) -> tuple[Operation, ...]:
        company, application = "/analytics/company", "/analytics/applications/{application_id}"
        intent, group = f"{application}/intents/{{action_id}}", "/analytics/intent-groups/{intent_group_id}"
        return (
            Operation("GET", f"{company}/requests", self.requests, "Sum up all requests, by day"),
            Operation("GET", f"{company}/model-usage", self.model_usage, "Sum up all requests, by model"),
            Operation("GET", f"{company}/application-activity", self.activity, "Sum up requests, by application"),
            Operation("GET", f"{application}/requests", self.requests, "Sum up an application's requests"),
            Operation("GET", f"{application}/fault-rate", self.faults, "How often an application's calls fail"),
            Operation("GET", f"{intent}/requests", self.requests, "Sum up an intent's requests"),
            Operation("GET", f"{intent}/fault-rate", self.faults, "How often an intent's calls fail"),
            Operation("GET", f"{group}/requests", self.requests, "Sum up a group's requests"),
            Operation("GET", f"{group}/fault-rate", self.faults, "How often a group's calls fail"),
        )

    async def requests(self, request: Request) -> Response:
        found = await self._figures(request, await self._asked(request))
        return data({**_span(found), **figures(found.totals), "days": by_day(found.by_day, faults_only=False)})

    async def faults(self, request: Request) -> Response:
        found = await self._figures(request, await self._asked(request))
        return data({**_span(found), **fault_rate(found.totals), "days": by_day(found.by_day, faults_only=True)})

    async def model_usage(self, request: Request) -> Response:
        found = await self._figures(request, await self._asked(request), by_model=True)
        usage = found.by(lambda cell: (cell.model, cell.provider))
        models = [
            present({"model": model, "provider": provider}) | figures(totals)
            for (model, provider), totals in sorted(usage.items(), key=lambda row: (-row[1].records, str(row[0])))
        ]
        return data({**_span(found), "models": models})

    async def activity(self, request: Request) -> Response:
        window, directory = asked = await self._asked(request)
        found = await self._figures(request, asked)
        last = await self._analytics.last_calls(window, found)
        usage = found.by(lambda cell: cell.application)
        applications = [
            _application(name, directory, last.get(name)) | figures(totals)
            for name, totals in sorted(usage.items(), key=lambda row: (-row[1].records, str(row[0])))
        ]
        return data({**_span(found), "applications": applications})

    async def _asked(self, request: Request) -> tuple[Window, Directory]:
        principal = self._desk.reader(request)
        only(request, ("start_date", "end_date"))
        directory = await self._configure.directory(principal.workspace)
        return await self._window(request, principal, directory), directory

    async def _figures(self, request: Request, asked: tuple[Window, Directory], *, by_model: bool = False) -> Figures:
        bounds = dates(request)
        return await self._analytics.figures(asked[0], bounds.start, bounds.end, by_model=by_model)

    async def _window(self, request: Request, principal: Principal, directory: Directory) -> Window:
        """Raises NotFound."""
        application, intent = None, None
        if "application_id" in request.path_params:
            id = path_id(request, "application_id")
            application = directory.application(id).ref_name
            if "action_id" in request.path_params:
                intent = directory.intent_of(id, path_id(request, "action_id")).name
        elif "intent_group_id" in request.path_params:
            intent = (await self._configure.group(principal.workspace, path_id(request, "intent_group_id"))).name
        return Window(
            workspace=principal.workspace, environment=principal.environment, application=application, intent=intent
        )


def _span(found: Figures) -> dict[str, Any]:
    """What the figures are over: `complete` is False when there were more records than could be looked at."""
    return {
        "start_date": milliseconds(found.since),
        "end_date": milliseconds(found.until),
        "complete": found.complete,
    }


def _application(name: str | None, directory: Directory, last_call: datetime | None) -> dict[str, Any]:
    application = None if name is None else directory.application_named(name)
    return present(
        {
            "application_id": application.id if application is not None else None,
            "application_ref_name": name,
            "application_name": application.name if application is not None else None,
            "last_activity": milliseconds(last_call) if last_call is not None else None,
        }
    )
