"""Record ids: UUID version 7 (RFC 9562, section 5.7), whose first 48 bits are the Unix time in milliseconds."""

import uuid
from datetime import UTC, datetime, timedelta

_RANDOM_BITS = 74
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(milliseconds: int, random: int) -> str:
    """The id for an instant; `random` supplies the 74 random bits (higher bits are ignored)."""
    bits = random & ((1 << _RANDOM_BITS) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= (bits >> 62) << 64
    value |= 0b10 << 62
    value |= bits & ((1 << 62) - 1)
    return str(uuid.UUID(int=value))


def milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970 of an aware datetime, exactly: floating point would lose one now and then."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def is_uuid7(text: str) -> bool:
    """Whether `text` is a version 7 UUID in its canonical spelling, so that its time can be read."""
    try:
        value = uuid.UUID(text)
    except ValueError:
        return False
    return value.version == 7 and str(value) == text


def instant_of(id: str) -> datetime:
    """When the id was made. Raises ValueError if it is not a UUID version 7."""
    if not is_uuid7(id):
        raise ValueError("not a version 7 UUID")
    return datetime.fromtimestamp((uuid.UUID(id).int >> 80) / 1000, UTC)
