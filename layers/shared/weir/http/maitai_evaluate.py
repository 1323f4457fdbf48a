"""The body of Maitai's evaluation calls, which is where its client stores what it ran itself, and their answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from weir.domain.completion import NOTHING
from weir.domain.ids import milliseconds
from weir.domain.record import Environment, Payload, Record
from weir.http.chat_request import IdValue, Name
from weir.http.maitai_store import id_text, to_payload
from weir.protocols import jsonbytes


class EvaluateBody(BaseModel):
    """The envelope. The pair inside is read like that of the store-only call, and kept as it came if it cannot be."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)

    application_ref_name: Name | None = None
    action_type: Name | None = None
    session_id: IdValue | None = None
    reference_id: IdValue | None = None
    request_id: Name | None = None


def caller_id(body: EvaluateBody) -> str | None:
    """The id of the call that is to be judged, which its request or its response may name, or the envelope."""
    for half in ("chat_completion_request", "chat_completion_response"):
        inside = (body.model_extra or NOTHING).get(half)
        if isinstance(inside, dict) and isinstance(id := inside.get("request_id"), str) and id:
            return id
    return body.request_id or None


def unread_record(
    body: EvaluateBody,
    why: str,
    *,
    id: str,
    workspace: str,
    environment: Environment,
    created_at: datetime,
    caller_id: str | None,
) -> Record:
    """A record of what the envelope says, where the pair inside is not one. Raises RequestInvalid for long ids."""
    return Record(
        id=id,
        workspace=workspace,
        environment=environment,
        created_at=created_at,
        origin="storage",
        inference_location="CLIENT",
        caller_id=caller_id,
        application=body.application_ref_name or None,
        intent=body.action_type or None,
        session_id=id_text(body.session_id, "session_id"),
        reference_id=id_text(body.reference_id, "reference_id"),
        warnings=(f"kept as it came: {why}",),
    )


def evaluate_payload(scrubbed: Mapping[str, Any]) -> Payload:
    if all(isinstance(scrubbed.get(half), dict) for half in ("chat_completion_request", "chat_completion_response")):
        return to_payload(scrubbed)
    return Payload(jsonbytes.dumps(scrubbed))


def evaluate_response(
    id: str, request_id: str, session_id: str, reference_id: IdValue | None, at: datetime
) -> dict[str, Any]:
    """What the client parses on the caller's own thread: an object, always, and without nulls where it wants none."""
    return {
        "id": -1,
        "request_id": request_id,
        "evaluation_request_id": id,
        "session_id": session_id,
        "date_created": milliseconds(at),
        "evaluation_results": [],
        "meta": {},
    } | ({} if reference_id is None else {"reference_id": reference_id})
