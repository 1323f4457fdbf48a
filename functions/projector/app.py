"""The table's stream into the archive, rollups and sessions; and, on a schedule, what is missing there.

A record that cannot be projected goes to the dead-letter queue with its reason, and the rest of the batch goes on.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from weir.domain.errors import LedgerUnavailable
from weir.ledger.dynamodb_stream import DynamoDBStream, id_of, sequence_number
from weir.ledger.sqs import SQSDeadLetters
from weir.runtime.bootstrap import open_stores
from weir.runtime.metrics import ERRORS, INCOMPLETE, REQUESTS
from weir.runtime.observe import Observer
from weir.runtime.projection import Projection, open_dead_letters, open_projection, open_stream
from weir.runtime.settings import Settings

CHECK = "check"
"""The `task` of the event that the schedule sends."""


class StreamProjector:
    """Projects batches of the stream; what was refused is reported, and comes again."""

    def __init__(self, projection: Projection, stream: DynamoDBStream, dead_letters: SQSDeadLetters) -> None:
        self._projection = projection
        self._stream = stream
        self._dead_letters = dead_letters

    def project(self, event: dict[str, Any], context: Any) -> Mapping[str, Any]:
        records = {sequence_number(record): record for record in event["Records"]}
        changes, dead = self._stream.changes(list(records.values()))
        outcome = self._projection.projector.project(changes)
        reasons = {token: str(exc) for token, exc in dead.items()} | outcome.dead
        workspaces = {change.token: change.workspace for change in changes}
        refused = set(outcome.refused)
        for token, reason in reasons.items():
            try:
                self._dead_letters.put(workspaces.get(token, ""), id_of(records[token]), reason, token)
            except LedgerUnavailable:
                refused.add(token)

        def settle(record: DynamoDBRecord) -> None:
            if sequence_number(record.raw_event) in refused:
                raise LedgerUnavailable("It comes again.")

        processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)
        return process_partial_response(event, settle, processor, context)

    def check(self) -> None:
        self._projection.check()

    def missing(self) -> int:
        return self._projection.missing()


@cache
def _projector() -> StreamProjector:
    settings = Settings.from_environ(os.environ)
    stores = open_stores(settings)
    projection = open_projection(stores.ledger, stores.projections, settings)
    return StreamProjector(projection, open_stream(stores.ledger, settings), open_dead_letters(settings))


@cache
def _observer() -> Observer:
    return Observer(os.environ, "projector")


def handler(event: dict[str, Any], context: Any) -> Mapping[str, Any]:
    """`context` as Lambda gives it; None elsewhere."""
    if context is not None:
        _observer().begin(context.aws_request_id)
    if event.get("task") == CHECK:
        _projector().check()
        if context is not None:
            _observer().meter.put({INCOMPLETE: _projector().missing()})
        return {}
    answer = _projector().project(event, context)
    if context is not None:
        _observer().meter.put(_projected(event, answer))
    return answer


def _projected(event: Mapping[str, Any], answer: Mapping[str, Any]) -> Mapping[str, float]:
    """Changes that came, and those that come again."""
    return {REQUESTS: len(event["Records"]), ERRORS: len(answer["batchItemFailures"])}


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # in Lambda's init phase, which has the most CPU
    _projector()
