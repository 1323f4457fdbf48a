"""`/limits`: what keys, customers and intents of a workspace may use, and how much of it they have."""

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import RequestInvalid
from weir.domain.limit import EACH, Limit, Subject, minute_of, window_of
from weir.http.chat_request import validated
from weir.http.limits import (
    LimitBody,
    LimitChangeBody,
    changed,
    limit_view,
    to_amounts,
    to_subject,
    use_view,
)
from weir.http.portal import all_of, data, only, path_id
from weir.portal.endpoints import Desk, Operation, managed
from weir.runtime.bootstrap import Runtime

logger = logging.getLogger("weir.limits")


class LimitPages:
    """All need the scope `admin`; another workspace's limits are the operator's alone."""

    def __init__(self, runtime: Runtime, desk: Desk) -> None:
        self._runtime = runtime
        self._desk = desk
        self._book = runtime.limits

    def operations(self) -> tuple[Operation, ...]:
        every, one = "/limits", "/limits/{limit_id}"
        return (
            Operation("GET", every, self.list, "List the limits of a tenant"),
            Operation("POST", every, self.create, "Set a limit", LimitBody.model_json_schema),
            Operation("GET", one, self.read, "Read a limit"),
            Operation("PUT", one, self.edit, "Change a limit", LimitChangeBody.model_json_schema),
            Operation("DELETE", one, self.remove, "Remove a limit"),
            Operation("GET", f"{one}/use", self.use, "Read how much of a limit is used"),
        )

    async def list(self, request: Request) -> Response:
        workspace = self._workspace(request)
        return all_of(request, [limit_view(limit) for limit in await self._book.all(workspace)], also=("tenant",))

    async def create(self, request: Request) -> Response:
        intake = await self._desk.take(request, "admin")
        asked = validated(LimitBody, intake.body)
        workspace = managed(intake.principal, asked.tenant)
        subject = to_subject(asked.per, asked.name, asked.application)
        amounts = to_amounts(asked.measure, asked.limit, asked.warn_at)
        await asyncio.to_thread(self._runtime.keys.check_named, subject, workspace)
        added = await self._book.add(workspace, subject, asked.measure, *amounts)
        logger.info("limit set", extra={"workspace": workspace, "limit": added.id})
        return data(limit_view(added), 201)

    async def read(self, request: Request) -> Response:
        return data(limit_view(await self._one(request)))

    async def edit(self, request: Request) -> Response:
        intake = await self._desk.take(request, "admin")
        asked = validated(LimitChangeBody, intake.body)
        workspace, changes = managed(intake.principal, asked.tenant), asked.model_dump(exclude_unset=True)
        edited = await self._book.change(workspace, _id(request), lambda limit: changed(limit, changes))
        logger.info("limit changed", extra={"workspace": workspace, "limit": edited.id})
        return data(limit_view(edited))

    async def remove(self, request: Request) -> Response:
        workspace, limit = self._workspace(request), await self._one(request)
        await self._book.remove(workspace, limit.id)
        logger.info("limit removed", extra={"workspace": workspace, "limit": limit.id})
        return data(limit_view(limit))

    async def use(self, request: Request) -> Response:
        """Of the one that the limit names; of one for each, of the one that the parameters name."""
        only(request, ("tenant", "name", "application"))
        workspace, limit = self._workspace(request), await self._one(request)
        subject = _named(request, limit)
        window = window_of(limit.measure, minute_of(self._runtime.now()))
        from weir.ledger.counters import counter_of

        counter = counter_of(workspace, subject, limit.measure, *window)
        (tally,) = await asyncio.to_thread(self._runtime.counters.read, [counter])
        return data(use_view(limit, subject, tally.used, tally.held, window.ends))

    async def _one(self, request: Request) -> Limit:
        return await self._book.one(self._workspace(request), _id(request))

    def _workspace(self, request: Request) -> str:
        return managed(self._desk.admin(request), request.query_params.get("tenant"))


def _named(request: Request, limit: Limit) -> Subject:
    given = limit.subject
    name = request.query_params.get("name", given.name)
    application = request.query_params.get("application", given.application)
    subject = to_subject(given.per, name, application)
    if EACH in (subject.name, subject.application):
        raise RequestInvalid("This limit is for each: say whose use is meant with 'name'.", param="name")
    if given.name not in (EACH, subject.name) or given.application not in (None, EACH, subject.application):
        raise RequestInvalid("This limit is for another one.", param="name")
    return subject


def _id(request: Request) -> int:
    return path_id(request, "limit_id")
