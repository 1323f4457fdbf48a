"""What the checks of a client in Python are written with. Runs in the client's environment: standard library only.

A file of checks names them with `@check` and ends with `run()`, which prints a line of JSON for the number of checks
and one for each: {"name", "problem"}, the problem null when it worked.
"""

import json
import os
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import urlencode

URL, KEY, UPSTREAM = (os.environ[name] for name in ("WEIR_URL", "WEIR_KEY", "UPSTREAM_URL"))
_LOOK_S = 0.05
_LOOKS = 1200
_SETTLED_S = 0.1
_APART_S = 0.0002

_Error = TypeVar("_Error", bound=Exception)
_CHECKS: list[Callable[[], None]] = []
_seen: set[str] = set()


def check(function: Callable[[], None]) -> Callable[[], None]:
    _CHECKS.append(function)
    return function


def run(*packages: str) -> None:
    """`packages` are those whose versions are reported."""
    _say({"checks": len(_CHECKS), "versions": {name: version(name) for name in packages}})
    for function in _CHECKS:
        _seen.update(row["id"] for row in rows())
        problem = None
        try:
            function()
        except Exception:  # noqa: BLE001 - every failure is a finding, whatever it is
            problem = traceback.format_exc()[-3000:]
        _say({"name": function.__name__.replace("_", " "), "problem": problem})
    os._exit(0)  # a client's threads would keep the process alive


def apart() -> None:
    """Ids begin with their millisecond: what is made from now on is newer than what was made before."""
    begun = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == begun:
        time.sleep(_APART_S)


def ask(path: str, key: str = KEY, body: object = None, method: str | None = None) -> tuple[int, Any]:
    """Weir's answer to a plain request, past the client: its status and its JSON, or the text that is none."""
    if body is not None:
        apart()
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        text = answer.read()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text.decode()


def rows(**fields: str) -> list[dict[str, Any]]:
    """The rows of the request logs whose fields are these, the newest first."""
    query = urlencode({"page_size": "1000", **fields})
    status, page = ask(f"/api/request-logs/list?{query}")
    assert status == 200, page
    found: list[dict[str, Any]] = page["results"]
    return found


def kept(id: str) -> dict[str, Any]:
    """Everything that is kept of one call."""
    status, view = ask(f"/api/request-logs/{id}")
    assert status == 200, (id, view)
    found: dict[str, Any] = view
    return found


def new(count: int) -> list[dict[str, Any]]:
    """All that this check has left in the ledger, the oldest first: it must be so many records."""
    for _ in range(_LOOKS):
        if len(_fresh()) >= count:
            break
        time.sleep(_LOOK_S)
    time.sleep(_SETTLED_S)  # one too many would come by now
    fresh = _fresh()
    told = [{name: row.get(name) for name in ("id", "origin", "span_name", "model", "log_type")} for row in fresh]
    assert len(fresh) == count, f"{len(fresh)} records, not {count}: {json.dumps(told)}"
    return [kept(row["id"]) for row in reversed(fresh)]


def only() -> dict[str, Any]:
    """The one record that this check has left in the ledger."""
    (found,) = new(1)
    return found


def equal(found: object, expected: object) -> None:
    assert found == expected, f"\n   found {_shown(found)}\nexpected {_shown(expected)}"


def holds(found: Mapping[str, Any], **expected: Any) -> None:
    """The fields that are named have these values, whatever else is there."""
    equal({name: found.get(name) for name in expected}, expected)


def refused(expected: type[_Error], call: Callable[[], object]) -> _Error:
    """The very error that the client raises; a subclass is another one."""
    try:
        call()
    except expected as raised:
        exc = raised
    else:
        raise AssertionError("it was not refused")
    equal(type(exc).__name__, expected.__name__)
    return exc


def _fresh() -> list[dict[str, Any]]:
    return [row for row in rows() if row["id"] not in _seen]


def _shown(value: object) -> str:
    return json.dumps(value, default=repr, ensure_ascii=False, sort_keys=True)


def _say(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
