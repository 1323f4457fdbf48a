"""`/intent-groups`: the intents of one name in all applications, and what is set for them together."""

from starlette.requests import Request
from starlette.responses import Response

from weir.domain.configuration import Level
from weir.http.config_views import group_view, intent_view
from weir.http.maitai_config import ConfigBody, IntentGroupBody, to_changes
from weir.http.portal import all_of, data, flag, only, path_id
from weir.http.validation import validated
from weir.portal.endpoints import Desk, Operation, editor
from weir.services.configure import Configure


class IntentGroups:
    """Reading needs the scope `read`, editing `admin`."""

    def __init__(self, desk: Desk, configure: Configure) -> None:
        self._desk = desk
        self._configure = configure

    def operations(self) -> tuple[Operation, ...]:
        every, one = "/intent-groups", "/intent-groups/{intent_group_id}"
        config = ConfigBody.model_json_schema
        return (
            Operation("GET", every, self.list, "List the intent groups"),
            Operation("POST", every, self.create, "Create an intent group", IntentGroupBody.model_json_schema),
            Operation("GET", one, self.read, "Read an intent group"),
            Operation("GET", f"{one}/intents", self.list_intents, "List a group's intents"),
            Operation("GET", f"{one}/config", self.read_config, "Read what is set for a group"),
            Operation("PUT", f"{one}/config", self.edit_config, "Set values for a group", config),
            Operation("POST", f"{one}/config/reset", self.reset_config, "Set nothing for a group"),
        )

    async def list(self, request: Request) -> Response:
        workspace = self._desk.reader(request).workspace
        return all_of(request, [group_view(group, workspace) for group in await self._configure.groups(workspace)])

    async def create(self, request: Request) -> Response:
        intake = await self._desk.take(request, "admin")
        workspace = intake.principal.workspace
        asked = validated(IntentGroupBody, intake.body)
        return data(group_view(await self._configure.create_group(workspace, asked.intent_name), workspace), 201)

    async def read(self, request: Request) -> Response:
        workspace = self._desk.reader(request).workspace
        only(request, ("detailed",))
        flag(request, "detailed")
        return data(group_view(await self._configure.group(workspace, _id(request)), workspace))

    async def list_intents(self, request: Request) -> Response:
        workspace = self._desk.reader(request).workspace
        group = await self._configure.group(workspace, _id(request))
        intents = (await self._configure.directory(workspace)).intents_named(group.name)
        return all_of(request, [intent_view(intent) for intent in intents])

    async def read_config(self, request: Request) -> Response:
        return data((await self._configure.group(self._desk.reader(request).workspace, _id(request))).config)

    async def edit_config(self, request: Request) -> Response:
        intake = await self._desk.take(request, "admin")
        changes = to_changes(validated(ConfigBody, intake.body))
        workspace = intake.principal.workspace
        level = await self._level(workspace, request)
        return data(await self._configure.edit(workspace, level, changes, editor(request, intake.principal)))

    async def reset_config(self, request: Request) -> Response:
        principal = self._desk.admin(request)
        level = await self._level(principal.workspace, request)
        return data(await self._configure.reset(principal.workspace, level, editor(request, principal)))

    async def _level(self, workspace: str, request: Request) -> Level:
        return Level(None, (await self._configure.group(workspace, _id(request))).name)


def _id(request: Request) -> int:
    return path_id(request, "intent_group_id")
