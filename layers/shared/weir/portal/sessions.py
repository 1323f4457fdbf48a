"""`/sessions`: what was said in each, in order, and what is said of it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.configuration import Directory
from weir.http.auth import Principal
from weir.http.portal import Paging, data, only, optional_number, page, paging, path_id
from weir.http.portal_requests import turn_view
from weir.http.portal_sessions import FeedbackBody, session_view, summary_view, to_review
from weir.portal.endpoints import Desk, Operation
from weir.runtime.bootstrap import Runtime
from weir.services.configure import Configure
from weir.services.reading import Reading
from weir.services.sessions import Session, Sessions

_LARGEST_LIST = 100
_TURNS = 200
_MOST_TURNS = 500


class SessionPages:
    def __init__(
        self, runtime: Runtime, desk: Desk, configure: Configure, reading: Reading, sessions: Sessions
    ) -> None:
        self._now = runtime.now
        self._desk = desk
        self._configure = configure
        self._reading = reading
        self._sessions = sessions

    def operations(self) -> tuple[Operation, ...]:
        one = "/sessions/{session_id}"
        schema = FeedbackBody.model_json_schema
        return (
            Operation("GET", "/sessions", self.list, "List the newest sessions"),
            Operation("GET", "/applications/{application_id}/sessions", self.list_of_application, "List its sessions"),
            Operation("GET", one, self.read, "Read a session"),
            Operation("GET", f"{one}/timeline", self.timeline, "Read what was said in a session, in order"),
            Operation("GET", f"{one}/summary", self.summary, "Sum a session up"),
            Operation("POST", f"{one}/feedback", self.set_feedback, "Say whether a session went well", schema),
        )

    async def list(self, request: Request) -> Response:
        principal = self._desk.reader(request)
        only(request, ("application_id", "offset", "limit"))
        return await self._listed(request, principal, optional_number(request, "application_id"))

    async def list_of_application(self, request: Request) -> Response:
        principal = self._desk.reader(request)
        only(request, ("offset", "limit"))
        return await self._listed(request, principal, path_id(request, "application_id"))

    async def read(self, request: Request) -> Response:
        principal, directory, session = await self._session(request)
        return data(_view(session, directory, principal))

    async def summary(self, request: Request) -> Response:
        _, _, session = await self._session(request)
        return data(summary_view(session.id, session.records, complete=session.complete))

    async def timeline(self, request: Request) -> Response:
        principal = self._desk.reader(request)
        only(request, ("application_id", "offset", "limit"))
        asked = paging(request, _TURNS, _MOST_TURNS)
        directory = await self._configure.directory(principal.workspace)
        session = await self._sessions.read_to(
            principal.workspace,
            principal.environment,
            request.path_params["session_id"],
            _ref_name(directory, optional_number(request, "application_id")),
            asked.offset + asked.limit,
        )
        views: list[dict[str, Any]] = []
        async for whole in self._reading.each(principal.workspace, session.records[asked.offset :]):
            position = asked.offset + len(views)
            views.append(
                turn_view(
                    whole.record,
                    whole.payload,
                    whole.correction,
                    directory.place(whole.record),
                    first=position == 0,
                    last=session.complete and position == len(session.records) - 1,
                )
            )
        return page(views, len(session.records) + (0 if session.complete else 1), asked)

    async def set_feedback(self, request: Request) -> Response:
        intake = await self._desk.take(request, "ingest")
        principal = intake.principal
        only(request, ())
        review = to_review(intake.body, self._now())
        directory = await self._configure.directory(principal.workspace)
        session = await self._sessions.review(
            principal.workspace,
            principal.environment,
            request.path_params["session_id"],
            _ref_name(directory, intake.body.get("application_id")),
            review,
        )
        return data(_view(session, directory, principal))

    async def _listed(self, request: Request, principal: Principal, application_id: int | None) -> Response:
        asked: Paging = paging(request, most=_LARGEST_LIST)
        directory = await self._configure.directory(principal.workspace)
        found = await self._sessions.recent(
            principal.workspace,
            principal.environment,
            _ref_name(directory, application_id),
            asked.offset,
            asked.limit,
        )
        views = [_view(session, directory, principal) for session in found.sessions]
        return page(views, found.total, asked, complete=found.complete)

    async def _session(self, request: Request) -> tuple[Principal, Directory, Session]:
        principal = self._desk.reader(request)
        only(request, ("application_id",))
        directory = await self._configure.directory(principal.workspace)
        application = _ref_name(directory, optional_number(request, "application_id"))
        session = await self._sessions.read(
            principal.workspace, principal.environment, request.path_params["session_id"], application
        )
        return principal, directory, session


def _ref_name(directory: Directory, application_id: int | None) -> str | None:
    """Raises NotFound."""
    return None if application_id is None else directory.application(application_id).ref_name


def _view(session: Session, directory: Directory, principal: Principal) -> dict[str, Any]:
    return session_view(
        session.id,
        session.records,
        complete=session.complete,
        review=session.review,
        place=directory.place(session.records[0]),
        workspace=principal.workspace,
    )
