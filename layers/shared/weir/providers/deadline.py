"""Until when the process that serves a request is sure to live."""

from contextvars import ContextVar

DEADLINE: ContextVar[float | None] = ContextVar("DEADLINE", default=None)
"""In the time of the running event loop; None where nothing ends it."""
