"""A call whose payload has expired is still on record, and says so."""

import dataclasses

from functions.completion import app as completion
from functions.request_log import app as request_log
from tests.functions.test_request_log import log, read
from tests.runtime import Caller
from weir.domain.retention import Days, Retention
from weir.ledger.ledger import Ledger
from weir.runtime.bootstrap import Runtime


def later(runtime: Runtime) -> Runtime:
    """The same ledger when payloads of that age are kept no longer; the runtime's clock stands in the past."""
    ledger = runtime.ledger
    return dataclasses.replace(
        runtime, ledger=Ledger(ledger.records, ledger.blobs, retention=Retention(Days(payloads=1)))
    )


def test_a_log_shows_its_record_and_that_the_rest_has_expired(runtime: Runtime) -> None:
    id = log(Caller.of(runtime, [request_log.mount]), input="What?", output="That.", cost=0.5)
    whole = read(Caller.of(runtime, [request_log.mount]), id)
    assert (whole["input"], whole["output"]) == ("What?", "That.")
    shown = read(Caller.of(later(runtime), [request_log.mount]), id)
    assert shown.items() <= {**whole, "payload_expired": True}.items()
    assert (shown["payload_expired"], shown["cost"]) == (True, 0.5)
    assert not {"input", "output"} & shown.keys()


def test_a_repeated_call_is_told_that_its_answer_has_expired(runtime: Runtime) -> None:
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}], "request_id": "once"}
    first = Caller.of(runtime, [completion.mount]).post("/v1/chat/completions", json=body)
    again = Caller.of(later(runtime), [completion.mount]).post("/v1/chat/completions", json=body)
    assert (first.status_code, again.status_code) == (200, 409)
    assert "its answer is kept no longer" in again.json()["error"]["message"]
