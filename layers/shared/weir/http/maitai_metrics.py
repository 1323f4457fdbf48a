"""What Maitai's clients report about themselves: times, and failures."""

import re
from typing import Any
from urllib.parse import urlsplit

_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)")
_HEADER = "Traceback (most recent call last):"
_PATH_LENGTH = 120


def client_error(body: Any) -> dict[str, str]:
    """What is logged of a failure: the exception's class and the route.

    The report is a traceback: it names the caller's folders, and the last lines may repeat its keys and prompts.
    """
    report = body if isinstance(body, dict) else {}
    path = report.get("path")
    return {"error": _class(report.get("cause")), "route": _route(path) if isinstance(path, str) else ""}


def _class(cause: Any) -> str:
    """The name after the last traceback's frames, which are indented; "unknown" for a cause that is no traceback."""
    if not isinstance(cause, str) or _HEADER not in cause:
        return "unknown"
    after = cause.rpartition(_HEADER)[2].splitlines()[1:]
    raised = _RAISED.match(next((line for line in after if line and not line.startswith(" ")), ""))
    return raised[1][:_PATH_LENGTH] if raised else "unknown"


def _route(url: str) -> str:
    try:
        return urlsplit(url).path[:_PATH_LENGTH]
    except ValueError:
        return ""
