"""Server-sent events (WHATWG HTML, section 9.2.6) out of bytes cut anywhere."""

from typing import NamedTuple


class ServerSentEvent(NamedTuple):
    event: str | None
    data: bytes


class SSEParser:
    """One stream's bytes -> its events. An event counts only when its blank line has come, as the standard says."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self._after_return = False
        """Whether the last byte was a carriage return: a line feed that follows belongs to it."""

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        if not self._begun:
            data, self._rest = self._rest + data, b""
            if len(data) < 3 and b"\xef\xbb\xbf".startswith(data):
                self._rest = data
                return []
            data = data.removeprefix(b"\xef\xbb\xbf")
            self._begun = True
        if self._after_return and data:
            self._after_return = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_return = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        return [event for block in blocks if (event := _event(block)) is not None]

    @property
    def pending(self) -> bytes:
        """Bytes that have come and are not part of a whole event yet."""
        return self._rest


def _event(block: bytes) -> ServerSentEvent | None:
    if block.startswith(b"data: ") and b"\n" not in block:  # nearly every event of every provider
        return ServerSentEvent(None, block[6:])
    name: str | None = None
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, colon, value = line.partition(b":")
        if not colon and not field:
            continue
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    if not data:  # comments (keep-alives), retry and id lines
        return None
    return ServerSentEvent(name, b"\n".join(data))
