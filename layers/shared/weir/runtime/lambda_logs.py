"""Log lines in Lambda: Powertools' JSON, an entry a line, and no words of callers or providers in them."""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from weir.domain.errors import ProviderError, RequestInvalid

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_BOTOCORE = ("ClientError", "EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "NoCredentialsError")
"""Of its errors those that say what AWS said; others quote what was to be sent."""


class Entries(LambdaPowertoolsFormatter):
    """Each entry has the function's name, whether it is of its process's first invocation, and that one's ids.

    Of exceptions it tells where they happened, and their words only where they cannot be somebody else's.
    """

    def __init__(self, function: str) -> None:
        super().__init__(utc=True, use_rfc3339=True, serialize_stacktrace=False, function_name=function)
        self._begun = 0

    def begin(self, request_id: str) -> None:
        """From here on an invocation is under way."""
        self._begun += 1
        self.append_keys(function_request_id=request_id, cold_start=self._begun == 1)

    def _extract_log_message(self, log_record: logging.LogRecord) -> Any:
        message = super()._extract_log_message(log_record)
        if log_record.name.partition(".")[0] == "weir":
            return message
        return str(message).partition("\n")[0]  # asyncio shows the task that failed below, with what it holds

    def formatException(self, ei: ExcInfo) -> str:
        return "".join(_told(ei[1])) if ei[1] is not None else ""


def _told(exc: BaseException) -> Iterator[str]:
    before = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if before is not None:
        yield from _told(before)
        yield "\n"
    yield from traceback.format_tb(exc.__traceback__)
    kind = f"{type(exc).__module__}.{type(exc).__qualname__}"
    yield f"{kind}: {exc}\n" if _is_our_own(exc) else f"{kind}\n"


def _is_our_own(exc: BaseException) -> bool:
    package = type(exc).__module__.partition(".")[0]
    if package == "weir":
        return not isinstance(exc, ProviderError | RequestInvalid)
    return isinstance(exc, OSError | ImportError) or (package == "botocore" and type(exc).__name__ in _BOTOCORE)


def write_entries(environ: Mapping[str, str]) -> Entries:
    """Let all loggers write such lines, Weir's own from the level that the function's configuration names.

    Those of libraries begin with warnings: below, some write what they send.
    """
    entries = Entries(environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(entries)
    level = (environ.get("AWS_LAMBDA_LOG_LEVEL") or environ.get("WEIR_LOG_LEVEL") or "INFO").upper()
    level = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level)
    root = logging.getLogger()
    root.handlers[:] = [output]  # in the place of that of Lambda's own runtime
    root.setLevel("WARNING")
    logging.getLogger("weir").setLevel(level)
    return entries
