"""Spans of traces: each a record once, or, where the call is on record already, its place in the trace."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from weir.domain.annotation import Annotation
from weir.domain.completion import NOTHING
from weir.domain.errors import RequestInvalid
from weir.domain.record import Environment, Payload, Record
from weir.http.chat_request import NAME_LIMIT
from weir.http.request_logs import called_at
from weir.http.span_fields import SpanLog, span_record
from weir.ledger.ledger import Ledger
from weir.services.cost import reckoned
from weir.services.keep import keep_once


@dataclass(frozen=True, slots=True)
class SpanToKeep:
    """`document` is the scrubbed text to keep."""

    log: SpanLog
    document: bytes


class Traces:
    """`now` gives UTC instants, `new_id` record ids for an instant."""

    def __init__(self, ledger: Ledger, *, now: Callable[[], datetime], new_id: Callable[[datetime], str]) -> None:
        self._ledger = ledger
        self._now, self._new_id = now, new_id

    async def keep_all(self, spans: Sequence[SpanToKeep], *, workspace: str, environment: Environment) -> None:
        """Returns when all are durable. Raises LedgerUnavailable; those kept by then are not kept again."""
        results = await asyncio.gather(
            *(self._keep(span, workspace, environment) for span in spans), return_exceptions=True
        )
        for result in results:
            if result is not None:
                raise result

    async def _keep(self, span: SpanToKeep, workspace: str, environment: Environment) -> None:
        body = span.log.body
        completion = await self._completion(workspace, span.log.gateway_log_id)
        if completion is not None and completion.span_id in (None, body.span_unique_id):
            await self._join(completion, span.log)
            return
        accepted_at = self._now()
        record = span_record(
            span.log,
            id=self._new_id(accepted_at),
            workspace=workspace,
            environment=environment,
            created_at=accepted_at,
            caller_id=span_id(body.trace_unique_id, body.span_unique_id),
        )
        if completion is None:
            record = reckoned(record, at=called_at(body) or accepted_at)
        else:  # another span has its place in the trace; its figures are on record all the same
            record = replace(record, claimed_usage=None, claimed_cost=None)
        await keep_once(self._ledger, record, Payload(span.document))

    async def _completion(self, workspace: str, id: str | None) -> Record | None:
        """The call that went through Weir, of which a span is the caller's view."""
        found = await self._ledger.get(workspace, id) if id is not None else None
        return found[0] if found is not None and found[0].origin == "completion" else None

    async def _join(self, completion: Record, log: SpanLog) -> None:
        """The record has its figures from the provider, and takes nothing of the span but its place in the trace, the
        caller's tags, and a session and a customer where it has none.
        """
        body = log.body
        annotation = Annotation(
            trace_id=_text(body.trace_unique_id),
            span_id=_text(body.span_unique_id),
            parent_span_id=_text(body.span_parent_id),
            span_name=_text(body.span_name),
            workflow_name=_text(body.span_workflow_name),
            session_id=completion.session_id or _text(body.thread_identifier),
            customer_identifier=completion.customer_identifier or _text(body.customer_identifier),
            metadata=log.tags,
        )
        try:
            await self._ledger.annotate(completion.workspace, completion.id, annotation)
        except RequestInvalid:  # more tags than a record holds: its place in the trace matters more
            untagged = replace(annotation, metadata=NOTHING)
            await self._ledger.annotate(completion.workspace, completion.id, untagged)


def span_id(trace: str | int | None, span: str | int | None) -> str | None:
    """The id under which a span is kept once; None when it has not both."""
    return f"{trace}-{span}" if trace and span else None


def _text(value: str | int | None) -> str | None:
    return str(value)[:NAME_LIMIT] if value not in (None, "") else None
