"""Whom connections to providers trust. Reading the list of authorities takes as long as a twentieth of a start."""

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


class _Reading(threading.Thread):
    """OpenSSL reads without holding up the imports of the main thread."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.context: ssl.SSLContext | None = None

    def run(self) -> None:
        with suppress(OSError):  # whoever needs it tries again, and is told
            self.context = read()


_READING: list[_Reading] = []


def begin_reading() -> None:
    """In a process that will need it, and has other things to do until then."""
    reading = _Reading()
    _READING.append(reading)
    reading.start()


def trusted() -> "ssl.SSLContext":
    """A context of its own for each caller, the first time the one that has been read meanwhile, if it could be."""
    if _READING:
        reading = _READING.pop()
        reading.join()
        if reading.context is not None:
            return reading.context
    return read()


def read() -> "ssl.SSLContext":
    """Whom httpx would trust: those that the operator names in the environment, or the authorities of certifi.

    Without httpx, which takes longer to import than this takes.
    """
    import ssl

    import certifi

    if file := os.environ.get("SSL_CERT_FILE"):
        return ssl.create_default_context(cafile=file)
    if folder := os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context(capath=folder)
    return ssl.create_default_context(cafile=certifi.where())
