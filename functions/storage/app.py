"""Store-only traffic in Maitai's dialect: `PUT /chat/completions/response`. Nothing is run."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from weir.http.app import route
from weir.http.chat_request import validated
from weir.http.intake import header_id, take
from weir.http.maitai_store import StoreBody, caller_id
from weir.protocols import jsonbytes
from weir.runtime.bootstrap import Runtime
from weir.runtime.lambda_handler import lambda_handler
from weir.services.store import Store


def mount(app: FastAPI, runtime: Runtime) -> None:
    store = Store(runtime.ledger, now=runtime.now, new_id=runtime.new_id)

    async def put_response(request: Request) -> Response:
        intake = await take(request, runtime.keyring, "ingest", runtime.secrets, runtime.settings.body_limit)
        body = validated(StoreBody, intake.body)
        stored = await store.keep(
            body,
            intake.body,
            workspace=intake.principal.workspace,
            environment=intake.principal.environment,
            caller_id=caller_id(body) or header_id(request, "x-request-id", intake.secrets),
        )
        answer = {"request_id": stored.request_id, "session_id": stored.session_id, "id": stored.id, "new": stored.new}
        return Response(jsonbytes.dumps(answer), media_type="application/json")

    route(
        app,
        "PUT",
        ("/chat/completions/response", "/api/v1/chat/completions/response"),
        put_response,
        dialect="maitai",
        summary="Store a request and its response",
        body=StoreBody.model_json_schema(),
    )


handler = lambda_handler("Weir: storage", mount)
