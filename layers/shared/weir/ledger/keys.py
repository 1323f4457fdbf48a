"""Where everything lies, and which question each key answers.

Engine keys (DynamoDB, `pk` and `sk`; SQLite has the same access patterns as primary keys):

    put once / get by id     pk = <workspace>#<day>#<shard>   sk = r#<id>   `item`, the record's JSON, and `blob_key`
                                                                            if its payload is a blob; <= 1 KB in all
                             pk = the same                    sk = p#<id>   `content`, the payload, while small; and
                                                                            `rest`, what the item had no room for
        The day is read from the id (UUIDv7), the shard is a hash of it: no index is needed to find a record.
    annotate                 an UpdateItem of the record's `item`, on condition that it is still the one that was read;
                             one transaction with `rest` when that changes (small_items.py)
    newest first             one Query per active day and shard, descending on sk below r#; a window bounds days and sk
    which days are active    pk = <workspace>#days            sk = <day>    put once per process and day, before the
                                                                            first record of the day
    get by the caller's id   pk = <workspace>#id#<caller id>  sk = a        `id`, ours; put first, conditionally,
                                                                            which is the idempotency check
    a session in order       index session: session = <workspace>#<session>, sk; one Query, ascending
    newest of a customer     index customer: customer = <workspace>#<customer>#<shard>, sk; one Query a shard,
                                                                            descending, a window bounds sk
    newest of an intent      index intent: intent = <workspace>#<application>#<intent>#<shard>, sk; the same
    configuration of a call  pk = <workspace>#config          sk = w, a#<application>, g#<intent> (its group) and
                                                                            i#<application>#<intent>
                                                                            `content`, JSON; four keys, one read
                                                                            where provider keys lie is in `credentials`
    an answer in the cache   pk = <workspace>#cache#<key>     sk = a        `content`, until `expires_at`; one GetItem
    all configuration        one Query on <workspace>#config
    limits of a workspace    pk = <workspace>#config          sk = l#  `content`, JSON: all of them, one read
    how much was used of     pk = <workspace>#used#<digest of whose>   sk = <measure>#<window>
    one in a window                                           `used`, and `held`, how much of it is an estimate
    the newest version of it pk = <workspace>#config          sk = h        `content`: its number; one transaction with
                                                                            what is edited and with the version
    what an edit changed     pk = <workspace>#versions        sk = v#<number of the edit modulo 1,000>  `content`, JSON;
                                                                            so the last 1,000 are kept
    numbers given out        pk = <workspace>#config          sk = n#<sequence>  `n`, the last one
    what an API key is       pk = #key#<key's id>             sk = a        `item`, JSON, and in milliseconds
                                                                            `revoked_at` and `used_at`
    keys of a workspace      pk = <workspace>#keys            sk = <key's id>  put before the item that it points at
    which workspaces         pk = #workspaces                 sk = <workspace>  `name`; put with the first key of each
    rollups of some hours    pk = <workspace>#rollup#<day>    sk = <family>#<hour>#<dimensions>; one Query a day
    how much of an hour the  pk = the same                    sk = taken#<hour>, the archive's last object that is in
    rollups have taken in
    completeness of an hour  pk = the same                    sk = check#<hour>
    which days have rollups  pk = <workspace>#rolled          sk = <day>    put once per process and day
    a session                pk = <workspace>#session#<id>    sk = a
    newest sessions of an    pk = <workspace>#sessions#<application>   sk = <first id>; one Query, then a batch of gets
    application
    which rollups are whole  pk = <workspace>#settled         sk = until: all hours before it, but those with a
                                                                   late#<hour>: a record came long after its hour
    workspaces with rollups  pk = #projected                  sk = <workspace>  put once per process

All that is derived from the archive has its JSON in `content`, and is replaced only as it was read.

The indexes are sparse: a record has the attribute of an index only if it has what is looked up there, so it pays for
no other. They repeat the record's `item` and nothing else of it, so that a list is one Query and reads no payload;
the `rest` of records that have one is read as well, a hundred at once, for every list shows records whole.
Their sort key is the table's own: ids are in order of time. A setting leaves out those that nobody asks; what is kept
meanwhile is not in them later. On DynamoDB they follow the table within a second or so; all other reads are consistent.

The number of shards is fixed for the life of a table: another number looks for the same id elsewhere. A workspace and
a caller's id are percent-encoded, so that no `#` of theirs reaches into another partition; long ones are hashed.

An attempt that stores its record under an id claimed by an earlier attempt, which died, puts the payload at its own
p#<id> in the claimed id's partition and names it in the record's `payload_id`; one that finds another payload where its
own should be appends a hash of its own to the id. Two attempts never share a payload item, so the record that wins has
the payload that came with it.

Blob keys (S3, or files below the data directory):

    large payload            payloads/<workspace>/<day>/<id>.json.gz
    corrected answer         payloads/<workspace>/<day>/<id>.corrected.json.gz, of a record with `corrected_at`
    archive                  archive/workspace=<workspace>/date=<YYYY-MM-DD>/hour=<HH>/<n, 6 digits>.jsonl.gz
    spill                    spill/<workspace>/records/<id>.json.gz, and callers/c=<caller's id> (spill.py)
    seals of the archive     seals/workspace=<workspace>/<n, 8 digits>.json.gz
"""

import hashlib
import zlib
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

from weir.domain.errors import RequestInvalid
from weir.domain.ids import instant_of
from weir.domain.record import Record

if TYPE_CHECKING:
    from weir.domain.rollup import Dimensions

RECORD_PREFIX = "r#"

WORKSPACES = "#workspaces"
"""No workspace's own partition: those begin with its name, and one without a name has no keys."""

Index = Literal["session", "customer", "intent"]
"""The name of an index, and of the attribute that is its partition key."""

INDEXES: frozenset[Index] = frozenset(("session", "customer", "intent"))

_NONE = "="
"""Stands for a name that is not there; `=` of a name is always encoded."""

_LONGEST_NAME = 64
"""Characters of an encoded name: a record's item has up to eight of them, and must stay below 1 KB."""


class Key(NamedTuple):
    pk: str
    sk: str


def record_key(workspace: str, id: str, shards: int) -> Key:
    """Raises ValueError if the id is not a UUID version 7; so does everything here that takes an id of ours."""
    return Key(day_partition(workspace, day_of(id), shard_of(id, shards)), f"{RECORD_PREFIX}{id}")


def payload_key(workspace: str, id: str, shards: int, payload_id: str | None = None) -> Key:
    return Key(day_partition(workspace, day_of(id), shard_of(id, shards)), f"p#{payload_id or id}")


def day_partition(workspace: str, day: str, shard: int) -> str:
    return f"{_quoted(workspace)}#{day}#{shard}"


def days_partition(workspace: str) -> str:
    return f"{_quoted(workspace)}#days"


def caller_key(workspace: str, caller_id: str) -> Key:
    return Key(f"{_quoted(workspace)}#id#{_quoted(caller_id)}", "a")


def session_partition(workspace: str, session_id: str) -> str:
    return f"{_quoted(workspace)}#{_quoted(session_id)}"


def customer_partition(workspace: str, customer_identifier: str, shard: int) -> str:
    return f"{_quoted(workspace)}#{_quoted(customer_identifier)}#{shard}"


def intent_partition(workspace: str, application: str, intent: str, shard: int) -> str:
    return f"{_quoted(workspace)}#{_quoted(application)}#{_quoted(intent)}#{shard}"


def index_keys(record: Record, indexes: frozenset[Index], shards: int) -> dict[Index, str]:
    """Where the record lies in those of the indexes that it belongs to."""
    shard = shard_of(record.id, shards)
    found: dict[Index, str] = {}
    if record.session_id is not None and "session" in indexes:
        found["session"] = session_partition(record.workspace, record.session_id)
    if record.customer_identifier is not None and "customer" in indexes:
        found["customer"] = customer_partition(record.workspace, record.customer_identifier, shard)
    if record.application is not None and record.intent is not None and "intent" in indexes:
        found["intent"] = intent_partition(record.workspace, record.application, record.intent, shard)
    return found


def require_index(index: Index, indexes: frozenset[Index]) -> None:
    """Raises RequestInvalid when the ledger is set up without that index."""
    if index not in indexes:
        raise RequestInvalid(f"This ledger is set up without the index {index!r} (WEIR_INDEXES).")


def config_partition(workspace: str) -> str:
    return f"{_quoted(workspace)}#config"


def versions_partition(workspace: str) -> str:
    return f"{_quoted(workspace)}#versions"


WORKSPACE_KEY = "w"
NEWEST_VERSION_KEY = "h"
VERSION_PREFIX = "v#"
VERSIONS_KEPT = 1_000


def version_key(number: int) -> str:
    return f"{VERSION_PREFIX}{number % VERSIONS_KEPT:03d}"


def application_key(application: str) -> str:
    """Key of an application's item among those of its workspace's configuration; `application` is its ref name."""
    return f"a#{_quoted(application)}"


def intent_key(application: str, intent: str) -> str:
    return f"i#{_quoted(application)}#{_quoted(intent)}"


def intent_group_key(name: str) -> str:
    return f"g#{_quoted(name)}"


CREDENTIALS_KEY = "credentials"
"""Among those of a workspace's configuration."""


def answer_key(workspace: str, key: str) -> Key:
    """`key` is a digest: it needs no encoding."""
    return Key(f"{_quoted(workspace)}#cache#{key}", "a")


LIMITS_KEY = "l#"


def counter_key(workspace: str, subject: str, measure: str, window: str) -> Key:
    """`subject` is a digest."""
    return Key(f"{_quoted(workspace)}#used#{subject}", f"{measure}#{window}")


def api_key(id: str) -> Key:
    """Not below a workspace: a caller who shows a key has not said whose it is."""
    return Key(f"#key#{_quoted(id)}", "a")


def api_keys_partition(workspace: str) -> str:
    return f"{_quoted(workspace)}#keys"


def workspace_key(workspace: str) -> Key:
    return Key(WORKSPACES, _quoted(workspace))


def day_of(id: str) -> str:
    """UTC day of an id, `YYYYMMDD`. Raises ValueError if it is not a UUID version 7."""
    return day(instant_of(id))


def day(instant: datetime) -> str:
    return instant.strftime("%Y%m%d")


def shard_of(id: str, shards: int) -> int:
    return zlib.crc32(id.encode()) % shards


def rollup_partition(workspace: str, day: str) -> str:
    return f"{_quoted(workspace)}#rollup#{day}"


def rollup_key(workspace: str, hour: str, dimensions: "Dimensions") -> Key:
    """`hour` is `YYYYMMDDHH`, UTC, here and below."""
    values = "#".join(_NONE if value is None else _quoted(value) for value in dimensions.values)
    return Key(rollup_partition(workspace, hour[:8]), f"{dimensions.family}#{hour[8:]}#{values}")


def rolled_partition(workspace: str) -> str:
    return f"{_quoted(workspace)}#rolled"


def taken_key(workspace: str, hour: str) -> Key:
    return Key(rollup_partition(workspace, hour[:8]), f"taken#{hour[8:]}")


def check_key(workspace: str, hour: str) -> Key:
    return Key(rollup_partition(workspace, hour[:8]), f"check#{hour[8:]}")


def session_key(workspace: str, session_id: str) -> Key:
    return Key(f"{_quoted(workspace)}#session#{_quoted(session_id)}", "a")


def sessions_partition(workspace: str, application: str | None) -> str:
    return f"{_quoted(workspace)}#sessions#{_NONE if application is None else _quoted(application)}"


def settled_partition(workspace: str) -> str:
    return f"{_quoted(workspace)}#settled"


def until_key(workspace: str) -> Key:
    return Key(settled_partition(workspace), "until")


def late_key(workspace: str, hour: str) -> Key:
    return Key(settled_partition(workspace), f"late#{hour}")


def projected_key(workspace: str) -> Key:
    return Key("#projected", _quoted(workspace))


def hour_of(id: str) -> str:
    """UTC hour of an id, `YYYYMMDDHH`. Raises ValueError if it is not a UUID version 7."""
    return instant_of(id).strftime("%Y%m%d%H")


PAYLOADS = "payloads/"


def payload_folder(workspace: str) -> str:
    return f"{PAYLOADS}{_folder(workspace)}/"


def payload_blob_key(workspace: str, id: str) -> str:
    return f"{payload_folder(workspace)}{day_of(id)}/{id}.json.gz"


def correction_blob_key(workspace: str, id: str) -> str:
    return f"{payload_folder(workspace)}{day_of(id)}/{id}.corrected.json.gz"


SPILL = "spill/"


def spill_folder(workspace: str) -> str:
    return f"{SPILL}{_folder(workspace)}/"


def spilled_record_key(workspace: str, id: str) -> str:
    return f"{spill_folder(workspace)}records/{id}.json.gz"


def spilled_caller_key(workspace: str, caller_id: str) -> str:
    return f"{spill_folder(workspace)}callers/c={_quoted(caller_id)}"


ARCHIVE = "archive/workspace="
"""What the keys of all workspaces' archives begin with."""


def archive_folder(workspace: str) -> str:
    return f"{ARCHIVE}{_quoted(workspace)}/"


SEALS = "seals/workspace="


def seals_folder(workspace: str) -> str:
    return f"{SEALS}{_quoted(workspace)}/"


def _folder(workspace: str) -> str:
    folder = _quoted(workspace)
    return folder.replace(".", "%2E") if folder in (".", "..") else folder  # as folders they would be others


def _quoted(name: str) -> str:
    """Without '#' and '/', and different for every name. A hash stands for what is too long."""
    text = quote(name, safe="")
    if len(text) <= _LONGEST_NAME:
        return text
    return f"={hashlib.sha256(name.encode()).hexdigest()}"  # '=' itself is always encoded
