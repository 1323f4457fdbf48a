"""`/models`: what the configured providers offer, and what it costs. Every application may use all of it."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from weir.http.portal import all_of, data, only, path_id
from weir.http.portal_models import model_view, to_model_types
from weir.portal.endpoints import Desk, Operation
from weir.runtime.bootstrap import Runtime, offered_models
from weir.services.configure import Configure

if TYPE_CHECKING:
    from weir.services.offered_models import OfferedModels


class Models:
    """The providers are imported when somebody asks for their models, not before."""

    def __init__(self, runtime: Runtime, desk: Desk, configure: Configure) -> None:
        self._runtime = runtime
        self._desk = desk
        self._configure = configure
        self._known: OfferedModels | None = None

    def operations(self) -> tuple[Operation, ...]:
        listed = "List the models of the configured providers"
        return (
            Operation("GET", "/models", self.list, listed),
            Operation("GET", "/models/available", self.list, listed),
            Operation("GET", "/models/{model_id}", self.read, "Read a model and its prices"),
            Operation("GET", "/models/applications/{application_id}", self.list, listed),
            Operation("GET", "/models/intents/{intent_id}", self.list, listed),
            Operation("GET", "/models/intent-groups/{intent_group_id}", self.list, listed),
            Operation("GET", "/applications/{application_id}/models", self.list, listed),
            Operation("GET", "/intent-groups/{intent_group_id}/models", self.list, listed),
        )

    async def list(self, request: Request) -> Response:
        workspace = self._desk.reader(request).workspace
        types = to_model_types(request.query_params.getlist("model_type"))
        await self._check_ids(request, workspace)
        found = await self._offered().all(self._runtime.now())
        return all_of(request, [model_view(model) for model in found if model.type in types], also=("model_type",))

    async def read(self, request: Request) -> Response:
        self._desk.reader(request)
        only(request, ())
        return data(model_view(await self._offered().model(path_id(request, "model_id"), self._runtime.now())))

    async def _check_ids(self, request: Request, workspace: str) -> None:
        """Raises NotFound when what the path names is not there."""
        if "application_id" in request.path_params:
            await self._configure.application(workspace, path_id(request, "application_id"))
        if "intent_id" in request.path_params:
            (await self._configure.directory(workspace)).intent(path_id(request, "intent_id"))
        if "intent_group_id" in request.path_params:
            await self._configure.group(workspace, path_id(request, "intent_group_id"))

    def _offered(self) -> "OfferedModels":
        if self._known is None:
            self._known = offered_models(self._runtime)
        return self._known
