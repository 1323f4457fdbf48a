"""Log lines as Lambda's own runtime writes them, for a process that runs in its place.

To standard output, one line an entry: JSON when the function's log format says so, else text.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping

_TIME = "%Y-%m-%dT%H:%M:%S"
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every LogRecord has; the rest are the entry's own fields."""


class Entries(logging.StreamHandler):  # type: ignore[type-arg]
    """`request_id` is that of the invocation under way."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__(sys.stdout)
        self.request_id = ""
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        stamp = f"{time.strftime(_TIME, time.gmtime(record.created))}.{int(record.msecs):03d}Z"
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        if not self._as_json:
            text = record.getMessage() + "".join(f" {name}={value}" for name, value in fields.items())
            lines = text if trace is None else f"{text}\n{trace}"
            # CloudWatch ends an entry at a line feed, and shows a carriage return as a new line
            return f"[{record.levelname}]\t{stamp}\t{self.request_id}\t{lines}".replace("\n", "\r")
        entry = {
            "timestamp": stamp,
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": self.request_id or None,
            **fields,
            "stackTrace": trace.split("\n") if trace is not None else None,
        }
        return json.dumps({name: value for name, value in entry.items() if value is not None}, default=str)


def write_entries(environ: Mapping[str, str]) -> Entries:
    """Let all loggers write such lines, from the level that the function's configuration names."""
    entries = Entries(as_json=environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON")
    level = (environ.get("AWS_LAMBDA_LOG_LEVEL") or environ.get("WEIR_LOG_LEVEL") or "INFO").upper()
    root = logging.getLogger()
    root.addHandler(entries)
    root.setLevel({"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level))
    return entries
