"""`weir limits`: what keys, customers and intents may use, set where the ledger is."""

import argparse
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from weir.cli.tenants import warn_of_unknown_tenant
from weir.domain.errors import RequestInvalid
from weir.domain.limit import EACH, MEASURES, Limit, is_spend
from weir.runtime.settings import Settings

if TYPE_CHECKING:
    from weir.ledger.limit_rules import LimitRules

_EPILOG = (
    "Works on the ledger that the settings name, as the functions do: SQLite in WEIR_DATA_DIR, or with "
    "WEIR_ENGINE=dynamodb the table WEIR_TABLE. A server that runs meanwhile goes by it within ten seconds."
)
_NONE = "none"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    limits = commands.add_parser(
        "limits",
        help="limit what keys, customers and intents may use",
        description="Requests and tokens per minute, dollars per day and per month (UTC).",
        epilog=_EPILOG,
    )
    actions = limits.add_subparsers(dest="action", required=True, metavar="action")

    add = actions.add_parser(
        "add",
        help="set a limit",
        description="Sets a limit for one key, customer or intent, or with '*' for each that has none of its own.",
        epilog=_EPILOG,
    )
    add.add_argument("measure", choices=MEASURES, help="what is limited")
    add.add_argument("limit", help="from here on calls are refused; 'none' only warns")
    subject = add.add_mutually_exclusive_group(required=True)
    subject.add_argument("--key", metavar="ID", help="id or prefix of a key, 'operator' for WEIR_API_KEY, or '*'")
    subject.add_argument("--customer", metavar="NAME", help="a customer_identifier, or '*'")
    subject.add_argument("--intent", metavar="NAME", help="an intent of --application, or '*'")
    add.add_argument("--application", metavar="NAME", help="ref name of the intent's application")
    add.add_argument("--warn-at", metavar="N", help="from here on calls are answered with a warning")
    add.set_defaults(run=_add)

    listed = actions.add_parser("list", help="list the limits", description="Lists the limits.", epilog=_EPILOG)
    listed.set_defaults(run=_list)

    change = actions.add_parser("change", help="change a limit", description="Changes a limit.", epilog=_EPILOG)
    change.add_argument("id", type=int, help="the number that list shows")
    change.add_argument("--limit", metavar="N", help="'none' only warns")
    change.add_argument("--warn-at", metavar="N", help="'none' never warns")
    change.set_defaults(run=_change)

    remove = actions.add_parser("remove", help="remove a limit", description="Removes a limit.", epilog=_EPILOG)
    remove.add_argument("id", type=int, help="the number that list shows")
    remove.set_defaults(run=_remove)

    for parser in (add, listed, change, remove):
        parser.add_argument(
            "--tenant", default="default", metavar="NAME", help="its workspace; default: the operator's"
        )
        parser.add_argument("--json", action="store_true", help="for machines; times in milliseconds")


def _add(arguments: argparse.Namespace) -> int:
    from weir.http.limits import to_amounts, to_subject
    from weir.runtime.bootstrap import open_key_store, open_keys

    subject = (
        to_subject("key", arguments.key, arguments.application)
        if arguments.key is not None
        else to_subject("customer", arguments.customer, arguments.application)
        if arguments.customer is not None
        else to_subject("intent", arguments.intent, arguments.application)
    )
    most, warn_at = to_amounts(arguments.measure, _given(arguments.limit), _given(arguments.warn_at))
    tenant, now = _tenant(arguments), datetime.now(UTC)
    open_keys(open_key_store(Settings.from_environ(os.environ))).check_named(subject, tenant)
    limit = _open().add(tenant, subject, arguments.measure, most=most, warn_at=warn_at, at=now)
    _show(limit, arguments, "set")
    warn_of_unknown_tenant(tenant)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from weir.http.limits import limit_view

    found = _open().all(_tenant(arguments))
    if arguments.json:
        print(json.dumps([limit_view(limit) for limit in found], indent=2))
    elif not found:
        print("There are no limits.")
    else:
        print(_table(found))
    return 0


def _change(arguments: argparse.Namespace) -> int:
    from weir.http.limits import changed

    named = {"limit": arguments.limit, "warn_at": arguments.warn_at}
    if named == {"limit": None, "warn_at": None}:
        raise RequestInvalid("Say what is to change: --limit, --warn-at or both.")
    changes = {name: _given(value) for name, value in named.items() if value is not None}
    limit = _open().change(_tenant(arguments), arguments.id, lambda limit: changed(limit, changes))
    _show(limit, arguments, "changed")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from weir.ledger.limit_rules import one

    limits = _open()
    limit = one(limits.all(_tenant(arguments)), arguments.id)
    limits.remove(_tenant(arguments), arguments.id)
    _show(limit, arguments, "removed")
    return 0


def _tenant(arguments: argparse.Namespace) -> str:
    from weir.http.api_keys import checked_name

    return checked_name(arguments.tenant, "tenant")


def _open() -> "LimitRules":
    from weir.ledger.limit_rules import LimitRules
    from weir.runtime.bootstrap import open_config_store

    return LimitRules(open_config_store(Settings.from_environ(os.environ)))


def _show(limit: Limit, arguments: argparse.Namespace, done: str) -> None:
    from weir.http.limits import limit_view

    if arguments.json:
        print(json.dumps(limit_view(limit), indent=2))
    else:
        print(f"{_table([limit])}\nIs {done}. Servers go by it within ten seconds.")


def _table(limits: Sequence[Limit]) -> str:
    rows = [("id", "for", "measure", "limit", "warns at"), *(_row(limit) for limit in limits)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(limit: Limit) -> tuple[str, ...]:
    shown = (
        "-" if amount is None else f"{amount:f}" + (" USD" if is_spend(limit.measure) else "")
        for amount in (limit.most, limit.warn_at)
    )
    return (str(limit.id), _subject(limit), limit.measure, *shown)


def _subject(limit: Limit) -> str:
    per, name, application = limit.subject
    if name == EACH:
        return f"each {per}" + (f" of {application}" if application not in (None, EACH) else "")
    return f"{per} {name}" + ("" if application is None else f" of {application}")


def _given(text: str | None) -> str | None:
    return None if text in (None, _NONE) else text
