"""`/config`: what is set for the whole workspace, all that is set anywhere, and the versions of it."""

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.completion import NOTHING
from weir.domain.configuration import WORKSPACE_LEVEL, effective, levels_of
from weir.http.config_views import tree_view, version_view
from weir.http.maitai_config import ConfigBody, to_changes
from weir.http.portal import data, only, optional_number, paging, path_id
from weir.http.validation import validated
from weir.portal.endpoints import Desk, Operation, editor
from weir.services.configure import Configure


class ConfigurationPages:
    """Reading needs the scope `read`, editing `admin`."""

    def __init__(self, desk: Desk, configure: Configure) -> None:
        self._desk = desk
        self._configure = configure

    def operations(self) -> tuple[Operation, ...]:
        every, one = "/config/versions", "/config/versions/{version}"
        return (
            Operation("GET", "/config", self.read, "Read what is set for the workspace"),
            Operation("PUT", "/config", self.edit, "Set values for the workspace", ConfigBody.model_json_schema),
            Operation("POST", "/config/reset", self.reset, "Set nothing for the workspace"),
            Operation("GET", "/config/tree", self.tree, "Read what is set at every level"),
            Operation("GET", "/config/effective", self.effective, "Read what holds for a call, and whence"),
            Operation("GET", every, self.list_versions, "List the versions of the configuration"),
            Operation("GET", one, self.read_version, "Read what a version changed"),
            Operation("POST", f"{one}/restore", self.restore, "Set again what was set after a version"),
        )

    async def read(self, request: Request) -> Response:
        workspace = self._desk.reader(request).workspace
        only(request, ())
        return data(await self._configure.config(workspace))

    async def edit(self, request: Request) -> Response:
        intake = await self._desk.take(request, "admin")
        changes, by = to_changes(validated(ConfigBody, intake.body)), editor(request, intake.principal)
        return data(await self._configure.edit(intake.principal.workspace, WORKSPACE_LEVEL, changes, by))

    async def reset(self, request: Request) -> Response:
        principal = self._desk.admin(request)
        by = editor(request, principal)
        return data(await self._configure.reset(principal.workspace, WORKSPACE_LEVEL, by))

    async def tree(self, request: Request) -> Response:
        """By names, as `weir config export` writes it, and the version that it is."""
        workspace = self._desk.reader(request).workspace
        only(request, ())
        snapshot = await self._configure.snapshot(workspace)
        return data({"version": snapshot.version, **tree_view(snapshot.values)})

    async def effective(self, request: Request) -> Response:
        """For a call to `application` and `intent`, by name: each value, and the level at which it is set."""
        workspace = self._desk.reader(request).workspace
        only(request, ("application", "intent"))
        names = (request.query_params.get(name) or None for name in ("application", "intent"))
        values = (await self._configure.snapshot(workspace)).values
        levels = levels_of(*names)
        held = effective(values.get(level, NOTHING) for level in levels)
        set_at = {name: level.kind for level in levels for name in values.get(level, NOTHING)}
        return data({"config": held, "set_at": {name: set_at[name] for name in held}})

    async def list_versions(self, request: Request) -> Response:
        """`before` goes on behind a page; `limit` is 25, and 100 at most."""
        workspace = self._desk.reader(request).workspace
        only(request, ("before", "limit"))
        limit = paging(request, most=100).limit
        found = await self._configure.versions(workspace, before=optional_number(request, "before"), limit=limit)
        return data([version_view(version) for version in found])

    async def read_version(self, request: Request) -> Response:
        workspace = self._desk.reader(request).workspace
        only(request, ())
        return data(version_view(await self._configure.version(workspace, path_id(request, "version"))))

    async def restore(self, request: Request) -> Response:
        principal = self._desk.admin(request)
        by = editor(request, principal)
        made = await self._configure.roll_back(principal.workspace, path_id(request, "version"), by)
        return data([version_view(version) for version in made])
