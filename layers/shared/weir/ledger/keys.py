"""Where everything lies, and which question each key answers.

Engine keys (DynamoDB; SQLite has the same access patterns as primary keys):

    put once / get by id     PK = <workspace>#<day>#<shard>   SK = r#<id>     record, at most a few hundred bytes
                             PK = the same                    SK = p#<id>     payload, gzip, while small
        The day is read from the id (UUIDv7), the shard is a hash of it: no index is needed to find a record.
    newest first             one Query per active day and shard, descending on SK between r# bounds
    which days are active    PK = <workspace>#days            SK = <day>      put once per container and day
    get by the caller's id   PK = <workspace>#id#<caller id>  SK = a          holds our id; put first, conditionally,
                                                                              which is the idempotency check

Blob keys (S3, or files below the data directory):

    large payload            payloads/<workspace>/<day>/<id>.json.gz
"""

import zlib
from datetime import datetime

from weir.domain.ids import instant_of


def day_of(id: str) -> str:
    """UTC day of an id, `YYYYMMDD`. Raises ValueError if it is not a UUID version 7."""
    return day(instant_of(id))


def day(instant: datetime) -> str:
    return instant.strftime("%Y%m%d")


def shard_of(id: str, shards: int) -> int:
    return zlib.crc32(id.encode()) % shards


def payload_blob_key(workspace: str, id: str) -> str:
    return f"payloads/{workspace}/{day_of(id)}/{id}.json.gz"
