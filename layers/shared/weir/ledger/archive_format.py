"""What an archive object looks like. No I/O: docs/decisions/0008-archive.md says why it is so.

An object is a row of gzip members, each of which holds one line of JSON. The first is the head:

    {"chain": {"date", "erases", "hour", "leaves", "n", "previous", "workspace"}, "lengths": [...]}

`leaves` are the lines that follow, each as [id, revision, SHA-256 of the line]. `erases` are those that an erasure
takes away, here or in an earlier object of the partition, each as [id, revision, SHA-256 of the line that takes its
place], or [id, null, null] for an id that the partition does not hold. The hash of an object is the SHA-256 of its
chain's JSON, keys sorted, without spaces; `previous` is that of the object before. `lengths` are the compressed bytes
of each line, so that a reader finds any of them by its range.
"""

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, Self

from weir.domain.ids import instant_of
from weir.domain.record import Payload, Record
from weir.ledger.items import from_fields, to_item
from weir.ledger.keys import archive_folder
from weir.protocols import jsonbytes

_GZIP = 16 + zlib.MAX_WBITS
_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""The gzip header of every member (RFC 1952): no time, no name, no word of where it was made."""
_LEVEL = 6
_SUFFIX = ".jsonl.gz"
_LAST = 999_999
_BODIES = ("request", "response", "reply")


class Broken(ValueError):
    """The bytes are not an archive object, or not the one that they should be; the message says where."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A workspace and an hour in UTC: `date` is `YYYY-MM-DD`."""

    workspace: str
    date: str
    hour: int

    @classmethod
    def of(cls, workspace: str, id: str) -> Self:
        """The one that a record belongs to, by its id. Raises ValueError if that is not a UUID version 7."""
        return cls.at(workspace, instant_of(id))

    @classmethod
    def at(cls, workspace: str, instant: datetime) -> Self:
        return cls(workspace, instant.date().isoformat(), instant.hour)

    @property
    def start(self) -> datetime:
        return datetime.fromisoformat(self.date).replace(tzinfo=UTC) + timedelta(hours=self.hour)

    @property
    def folder(self) -> str:
        return f"{archive_folder(self.workspace)}date={self.date}/hour={self.hour:02}/"

    def key(self, n: int) -> str:
        if not 0 < n <= _LAST:
            raise ValueError("a partition has objects 1 to 999999")
        return f"{self.folder}{n:06}{_SUFFIX}"


def placed(workspace: str, key: str) -> tuple[Partition, int] | None:
    """Which object of the workspace lies under a key; None if no archive object does."""
    parts = key.removeprefix(archive_folder(workspace)).removesuffix(_SUFFIX).split("/")
    try:
        date, hour, n = parts
        partition = Partition(workspace, date.removeprefix("date="), int(hour.removeprefix("hour=")))
        return (partition, int(n)) if partition.key(int(n)) == key else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Call:
    """A record at one of its revisions. A later one, after an annotation, comes without the payload."""

    record: Record
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What is left of a call: `record` counts as before and names nobody."""

    record: Record


Member = Call | Erased
MemberKey = tuple[str, int]
"""Id and revision: what a partition holds once."""


class Leaf(NamedTuple):
    id: str
    revision: int
    sha256: str


class Erasing(NamedTuple):
    """`sha256` is that of the line which takes the erased one's place; None where the partition holds no such id."""

    id: str
    revision: int | None
    sha256: str | None


@dataclass(frozen=True)
class Chain:
    partition: Partition
    n: int
    previous: str | None
    leaves: tuple[Leaf, ...]
    erases: tuple[Erasing, ...] = ()

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(canonical(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {
            "workspace": self.partition.workspace,
            "date": self.partition.date,
            "hour": self.partition.hour,
            "n": self.n,
            "previous": self.previous,
            "leaves": self.leaves,
            "erases": self.erases,
        }


@dataclass(frozen=True, slots=True)
class Head:
    """`size` is the length of the head itself, `lengths` those of the members that follow, all compressed."""

    chain: Chain
    lengths: tuple[int, ...]
    size: int

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Where each member begins, and its length."""
        return zip(accumulate(self.lengths, initial=self.size), self.lengths, strict=False)


@dataclass(frozen=True, slots=True)
class Packed:
    """A member as it lies in an object."""

    leaf: Leaf
    content: bytes


@dataclass(frozen=True, slots=True)
class ArchiveObject:
    """One object as it was read. Its members are unpacked one at a time."""

    head: Head
    content: bytes

    @property
    def chain(self) -> Chain:
        return self.head.chain

    def lines(self) -> Iterator[bytes]:
        """Raises Broken where a member is not there as the head says."""
        for number, (start, length) in enumerate(self.head.ranges(), start=1):
            try:
                yield unpack_line(self.content[start : start + length])
            except Broken as exc:
                raise Broken(f"member {number} {exc}") from exc

    def members(self) -> Iterator[Member]:
        return map(from_line, self.lines())


def canonical(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def pack(member: Member, nonce: str) -> Packed:
    line = to_line(member, nonce)
    record = member.record
    return Packed(Leaf(record.id, record.revision, line_hash(line)), pack_line(line))


def to_line(member: Member, nonce: str = "") -> bytes:
    """`nonce` is random: who knows all of a call but that cannot tell it by the hash that stays when it is erased."""
    item = to_item(member.record)[1:-1]
    match member:
        case Call(_, payload):
            bodies = b"" if payload is None else b"".join(_body(name, getattr(payload, name)) for name in _BODIES)
            return b'{"kind":"call","nonce":%b,%b%b}' % (jsonbytes.dumps(nonce), item, bodies)
        case Erased(record):
            id = jsonbytes.dumps(record.id)
            return b'{"kind":"erased","id":%b,"revision":%d,"counts":{%b}}' % (id, record.revision, item)


def from_line(line: bytes) -> Member:
    """Raises Broken."""
    try:
        fields = jsonbytes.loads(line)
        match fields["kind"]:
            case "call":
                return Call(from_fields(fields), _payload(fields))
            case "erased":
                return Erased(from_fields(fields["counts"]))
        raise Broken("is of no known kind")
    except (jsonbytes.InvalidJSON, KeyError, TypeError) as exc:
        raise Broken("is not a member's line") from exc


def without_identity(record: Record) -> Record:
    """What rollups count of a record, and nothing that says whose it was."""
    failure = record.failure
    return Record(
        id=record.id,
        workspace=record.workspace,
        environment=record.environment,
        created_at=record.created_at,
        origin=record.origin,
        inference_location=record.inference_location,
        request_type=record.request_type,
        application=record.application,
        intent=record.intent,
        provider=record.provider,
        model=record.model,
        answered_model=record.answered_model,
        stream=record.stream,
        status_code=record.status_code,
        outcome=record.outcome,
        failure=None if failure is None else replace(failure, message=""),
        finish_reason=record.finish_reason,
        claimed_usage=record.claimed_usage,
        claimed_cost=record.claimed_cost,
        computed_cost=record.computed_cost,
        price_version=record.price_version,
        first_token_ms=record.first_token_ms,
        latency_ms=record.latency_ms,
        client_first_token_ms=record.client_first_token_ms,
        client_latency_ms=record.client_latency_ms,
        tokens_per_second=record.tokens_per_second,
        positive_feedback=record.positive_feedback,
        writer=record.writer,
        fallback_reason=record.fallback_reason,
        attempts=record.attempts,
        revision=record.revision,
    )


def left_of(line: bytes) -> bytes:
    """The line that takes the place of an erased call's. Raises Broken."""
    return to_line(Erased(without_identity(from_line(line).record)))


def line_hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def pack_line(line: bytes) -> bytes:
    text = line + b"\n"
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    ends = struct.pack("<II", zlib.crc32(text), len(text) & 0xFFFFFFFF)
    return b"".join([_HEADER, packer.compress(text), packer.flush(), ends])


def unpack_line(content: bytes) -> bytes:
    """The line of one whole gzip member. Raises Broken."""
    if not content.startswith(_HEADER):
        raise Broken("is not a gzip member of ours")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        line = unpacker.decompress(content)
    except zlib.error as exc:
        raise Broken("cannot be unpacked") from exc
    if not unpacker.eof or unpacker.unused_data:
        raise Broken("is not one whole gzip member")
    if not line.endswith(b"\n"):
        raise Broken("is not a line")
    return line[:-1]


def to_object(chain: Chain, packed: Sequence[bytes]) -> bytes:
    """`packed` are the members' contents, in the order of the chain's leaves."""
    head = {"chain": chain.to_json(), "lengths": [len(content) for content in packed]}
    return b"".join([pack_line(canonical(head)), *packed])


def read_head(content: bytes) -> Head | None:
    """From the first bytes of an object; None if there are too few. Raises Broken."""
    if not content.startswith(_HEADER):
        raise Broken("the head is not a gzip member of ours")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        line = unpacker.decompress(content)
    except zlib.error as exc:
        raise Broken("the head cannot be unpacked") from exc
    if not unpacker.eof:
        return None
    try:
        fields: Mapping[str, Any] = jsonbytes.loads(line)
        chain = fields["chain"]
        head = Head(
            Chain(
                partition=Partition(chain["workspace"], chain["date"], chain["hour"]),
                n=chain["n"],
                previous=chain["previous"],
                leaves=tuple(Leaf(*leaf) for leaf in chain["leaves"]),
                erases=tuple(Erasing(*erasing) for erasing in chain["erases"]),
            ),
            tuple(fields["lengths"]),
            len(content) - len(unpacker.unused_data),
        )
    except (jsonbytes.InvalidJSON, KeyError, TypeError) as exc:
        raise Broken("the head is not one") from exc
    if line != canonical({"chain": head.chain.to_json(), "lengths": head.lengths}) + b"\n":
        raise Broken("the head is not written as heads are")
    leaves = head.chain.leaves
    if len(head.lengths) != len(leaves) or not all(type(length) is int and length > 0 for length in head.lengths):
        raise Broken("the head does not have a length for each leaf")
    if not all(type(leaf.id) is str and type(leaf.revision) is int for leaf in leaves):
        raise Broken("the head does not name its members")
    return head


def read_object(content: bytes) -> ArchiveObject:
    """Raises Broken. The members are looked at when they are asked for."""
    head = read_head(content)
    if head is None:
        raise Broken("the head is not whole")
    if head.size + sum(head.lengths) != len(content):
        raise Broken("the object is not as long as its head says")
    return ArchiveObject(head, content)


def _body(name: str, body: bytes | None) -> bytes:
    if body is None:
        return b""
    try:
        return b',"%b":%b' % (name.encode(), jsonbytes.dumps(body.decode()))
    except UnicodeDecodeError:
        return b',"%b_base64":"%b"' % (name.encode(), base64.b64encode(body))


def _payload(fields: Mapping[str, Any]) -> Payload | None:
    request, response, reply = (_read_body(fields, name) for name in _BODIES)
    return None if request is None else Payload(request, response, reply)


def _read_body(fields: Mapping[str, Any], name: str) -> bytes | None:
    if (text := fields.get(name)) is not None:
        return bytes(text.encode())
    encoded = fields.get(f"{name}_base64")
    return None if encoded is None else base64.b64decode(encoded)
