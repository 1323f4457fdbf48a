"""What Maitai's developer API has and Weir does not: 501, in the form that its command line reads."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.domain.errors import NotFound, NotOffered
from weir.http.app import answering
from weir.http.portal_operations import is_not_offered, resources
from weir.portal.endpoints import BASE
from weir.runtime.bootstrap import Runtime

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def mount(app: FastAPI, runtime: Runtime) -> None:
    """Below each resource, after the routes that there are: what none of them takes comes here."""

    async def refuse(request: Request) -> Response:
        runtime.keyring.authenticate(request.headers, None)
        path = request.url.path.removeprefix(BASE)
        if is_not_offered(request.method, path):
            raise NotOffered(
                f"Weir does not offer {request.method} {path[:200]}; docs/maitai-api.md says what it does."
            )
        raise NotFound(f"There is no {request.method} {path[:200]} in this API.")

    for resource in resources():
        for path in (f"{BASE}/{resource}", f"{BASE}/{resource}/{{rest:path}}"):
            app.router.add_route(path, answering("portal", refuse), methods=_METHODS, include_in_schema=False)
