"""Store-only traffic in Maitai's dialect: calls that were made elsewhere, each once, whichever way they come."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from weir.domain.completion import Completion
from weir.domain.errors import MalformedReply, ProviderError, RequestInvalid
from weir.domain.record import Environment, Failure, Payload, Record
from weir.http.maitai_evaluate import EvaluateBody, evaluate_payload, unread_record
from weir.http.maitai_log import NativeLogBody, log_payload, log_record
from weir.http.maitai_store import StoreBody, to_payload, to_record
from weir.http.validation import validated
from weir.ledger.ledger import Ledger
from weir.services.cost import reckoned
from weir.services.defaults import Defaults
from weir.services.keep import keep_once
from weir.services.native import read_answer

_FAILURE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """`request_id` is the caller's own id, or ours when it gave none; `id` is always ours."""

    id: str
    request_id: str
    session_id: str
    new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Whose call it is, and the id the caller knows it by."""

    workspace: str
    environment: Environment
    caller_id: str | None


class Store:
    """`now` gives UTC instants, `new_id` ids for an instant, for records and for sessions that the caller left open.

    Every method takes what is to be kept `scrubbed`, returns when it is durable, and raises RequestInvalid or
    LedgerUnavailable.
    """

    def __init__(
        self,
        ledger: Ledger,
        defaults: Defaults,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[datetime], str],
    ) -> None:
        self._ledger = ledger
        self._defaults = defaults
        self._now, self._new_id = now, new_id

    async def keep(self, body: StoreBody, scrubbed: Mapping[str, Any], sender: Sender) -> Stored:
        """A request and its response."""
        record = to_record(body, **self._ours(sender))
        return await self._keep(record, to_payload(scrubbed), sender)

    async def keep_evaluation(self, body: EvaluateBody, scrubbed: Mapping[str, Any], sender: Sender) -> Stored:
        """The pair that is to be judged; whatever cannot be read of it is kept as it came."""
        ours = self._ours(sender)
        try:
            record = to_record(validated(StoreBody, dict(scrubbed)), **ours)
        except RequestInvalid as exc:
            record = unread_record(body, str(exc), **ours)
        return await self._keep(record, evaluate_payload(scrubbed), sender)

    async def keep_native(self, body: NativeLogBody, scrubbed: Mapping[str, Any], sender: Sender) -> Stored:
        """A call in its provider's own format. An answer that cannot be read is kept as it came, with a warning."""
        completion: Completion | None = None
        failure: Failure | None = None
        warnings: tuple[str, ...] = ()
        try:
            completion = read_answer(body.provider, scrubbed.get("response", {}))
        except MalformedReply as exc:
            warnings = (f"kept as it came: {exc}",)
        except ProviderError as exc:
            failure = Failure(type(exc).__name__, str(exc)[:_FAILURE_LENGTH], exc.code, exc.status)
        record = log_record(body, completion, failure=failure, warnings=warnings, **self._ours(sender))
        return await self._keep(record, log_payload(scrubbed, completion, record), sender)

    def _ours(self, sender: Sender) -> dict[str, Any]:
        accepted_at = self._now()
        return {
            "id": self._new_id(accepted_at),
            "workspace": sender.workspace,
            "environment": sender.environment,
            "created_at": accepted_at,
            "caller_id": sender.caller_id,
        }

    async def _keep(self, record: Record, payload: Payload, sender: Sender) -> Stored:
        session_id = record.session_id or self._new_id(record.created_at)
        record = replace(reckoned(record, at=record.created_at), session_id=session_id)
        kept, _ = await asyncio.gather(
            keep_once(self._ledger, record, payload),
            self._defaults.make_known(record.workspace, record.application, record.intent, record.created_at),
        )
        if not kept.new and (first := await self._ledger.get(record.workspace, kept.id)) is not None:
            session_id = first[0].session_id or session_id
        return Stored(kept.id, sender.caller_id or kept.id, session_id, kept.new)
