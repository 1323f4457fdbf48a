"""Limits as the developer API and the command have them. Times are milliseconds, spend is US dollars."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from weir.domain.api_key import read_id
from weir.domain.errors import RequestInvalid
from weir.domain.ids import milliseconds
from weir.domain.limit import EACH, OPERATOR, Limit, Measure, Per, Subject, amount, is_spend, kind_of
from weir.http.chat_request import NAME_LIMIT
from weir.http.scrub import ERASED

MOST_COUNTED = 10**12
MOST_DOLLARS = 10**6
_PLACES = 12
"""Of a dollar; it is counted in trillionths."""

_KEY_ID = re.compile(r"(?:weir_)?([0-9a-z]{12})", re.ASCII)

_Name = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
_Amount = Annotated[int | float | str, Field(union_mode="left_to_right")]


class LimitBody(BaseModel):
    """A new limit. `*` stands for each that has none of its own. `limit` refuses, `warn_at` warns; one is needed."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    per: Per
    name: _Name = EACH
    application: _Name | None = None
    measure: Measure
    limit: _Amount | None = None
    warn_at: _Amount | None = None
    tenant: _Name | None = None


class LimitChangeBody(BaseModel):
    """null takes a value away, what is absent stays."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    limit: _Amount | None = None
    warn_at: _Amount | None = None
    tenant: _Name | None = None


def to_subject(per: Per, name: str, application: str | None) -> Subject:
    """Raises RequestInvalid."""
    for param, text in (("name", name), ("application", application or "")):
        if ERASED in text or read_id(text) is not None:
            raise _invalid(f"'{param}' holds a key.", param)
    match per:
        case "customer" | "key" if application is not None:
            raise _invalid(f"'application' is for limits of intents, not of {per}s.", "application")
        case "customer":
            return Subject("customer", name)
        case "key":
            return Subject("key", _key_name(name))
        case "intent":
            application = EACH if application is None and name == EACH else application
            if application is None or (application == EACH and name != EACH):
                raise _invalid("An intent is named with its 'application'.", "application")
            return Subject("intent", name, application)


def to_amounts(measure: Measure, limit: object, warn_at: object) -> tuple[Decimal | None, Decimal | None]:
    """Raises RequestInvalid."""
    most, warns_from = _amount(measure, limit, "limit"), _amount(measure, warn_at, "warn_at")
    if most is None and warns_from is None:
        raise _invalid("Say at least one of 'limit' and 'warn_at'.", "limit")
    if most is not None and warns_from is not None and warns_from > most:
        raise _invalid("'warn_at' must not be above 'limit': calls are refused from there on.", "warn_at")
    return most, warns_from


def changed(limit: Limit, changes: Mapping[str, object]) -> Limit:
    """By the members of a LimitChangeBody that were named. Raises RequestInvalid."""
    most, warn_at = to_amounts(limit.measure, changes.get("limit", limit.most), changes.get("warn_at", limit.warn_at))
    return replace(limit, most=most, warn_at=warn_at)


def limit_view(limit: Limit) -> dict[str, Any]:
    application = {"application": limit.subject.application} if limit.subject.per == "intent" else {}
    return {
        "id": limit.id,
        "per": limit.subject.per,
        **application,
        "name": limit.subject.name,
        "measure": limit.measure,
        "limit": _shown(limit.measure, limit.most),
        "warn_at": _shown(limit.measure, limit.warn_at),
        "date_created": milliseconds(limit.created_at),
    }


def use_view(limit: Limit, subject: Subject, used: int, held: int, ends: datetime) -> dict[str, Any]:
    """Of one subject in the window that runs. `set_aside` is for calls that are being made, and part of `used`."""
    most = limit.units
    return {
        "name": subject.name,
        "used": _shown(limit.measure, amount(limit.measure, used)),
        "set_aside": _shown(limit.measure, amount(limit.measure, held)),
        "remaining": None if most is None else _shown(limit.measure, amount(limit.measure, max(0, most - used))),
        "window_ends": milliseconds(ends),
    }


def _key_name(name: str) -> str:
    if name in (EACH, OPERATOR):
        return name
    found = _KEY_ID.fullmatch(name)
    if found is None:
        raise _invalid(f"A key is named by its id or prefix, as lists show it, '{OPERATOR}' or '{EACH}'.", "name")
    return found[1]


def _amount(measure: Measure, value: object, param: str) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise _invalid(f"'{param}' must be a number.", param) from None
    most = MOST_DOLLARS if is_spend(measure) else MOST_COUNTED
    if not amount.is_finite() or not 0 <= amount <= most:
        raise _invalid(f"'{param}' must be a number from 0 to {most}.", param)
    if is_spend(measure) and amount != round(amount, _PLACES):
        raise _invalid(f"'{param}' may have {_PLACES} decimals.", param)
    if not is_spend(measure) and amount != int(amount):
        raise _invalid(f"'{param}' must be a whole number of {kind_of(measure)}.", param)
    return amount


def _shown(measure: Measure, amount: Decimal | None) -> float | int | None:
    if amount is None:
        return None
    return float(amount) if is_spend(measure) else int(amount)


def _invalid(message: str, param: str) -> RequestInvalid:
    return RequestInvalid(message, param=param, code="invalid_value")
