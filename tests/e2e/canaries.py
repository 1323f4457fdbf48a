"""Looking for secrets in everything that Weir leaves behind."""

import base64
import binascii
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from weir.ledger import payloads

_GZIP = b"\x1f\x8b"
_ESCAPE = re.compile(rb"\\+u00([2-7][0-9a-fA-F])")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")


def traces(data_dir: Path) -> Iterator[tuple[str, bytes]]:
    """Every place in the data folder, and what is there: files as they are, and each value of each table, unpacked."""
    for path in sorted(data_dir.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(data_dir))
            content = path.read_bytes()
            yield name, content
            if content.startswith(_GZIP):
                yield f"{name} (unpacked)", _unpacked(content)
            if content.startswith(b"SQLite format 3"):
                yield from _values(path, name)


def _values(database: Path, name: str) -> Iterator[tuple[str, bytes]]:
    with closing(sqlite3.connect(database)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            cursor = connection.execute(f'SELECT * FROM "{table}"')
            columns = [column[0] for column in cursor.description]
            for row in cursor:
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, str | bytes):
                        content = value.encode() if isinstance(value, str) else value
                        yield f"{name}:{table}.{column}", _unpacked(content)


def _unpacked(content: bytes) -> bytes:
    try:
        return payloads.unpacked(content)
    except ValueError:
        return content


def holds(content: bytes, secret: str) -> bool:
    """Whether `secret` is there: as it is, in JSON's escapes, percent-encoded, or in base64."""
    return any(secret.encode() in form for form in spellings(content))


def spellings(content: bytes) -> Iterator[bytes]:
    yield content
    if b"\\" in content:
        yield _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), content).replace(b"\\/", b"/")
    for text in _BASE64.findall(content):
        try:
            yield base64.b64decode(text)
        except binascii.Error:
            continue
