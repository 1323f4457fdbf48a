"""`weir keys`: API keys, made, listed, replaced and revoked where the ledger is."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from weir.domain.api_key import SCOPES, ApiKey
from weir.runtime.settings import Settings

if TYPE_CHECKING:
    from weir.services.keys import Keys, MadeKey

_EPILOG = (
    "Works on the ledger that the settings name, as the functions do: SQLite in WEIR_DATA_DIR, or with "
    "WEIR_ENGINE=dynamodb the table WEIR_TABLE. Whoever can read and write that is the operator; no key is asked for. "
    "A server that runs meanwhile knows within ten seconds."
)


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    keys = commands.add_parser(
        "keys", help="make, list, replace and revoke API keys", description="API keys of tenants.", epilog=_EPILOG
    )
    actions = keys.add_subparsers(dest="action", required=True, metavar="action")

    create = actions.add_parser(
        "create",
        help="make a key, shown once",
        description="Makes a key and shows it: it is kept nowhere, so put it where it belongs. A new tenant name is "
        "a new workspace, which sees nothing of any other.",
        epilog=_EPILOG,
    )
    create.add_argument("name", help="what the key is for")
    create.add_argument("--tenant", default="default", metavar="NAME", help="its workspace; default: the operator's")
    create.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="what it may do, once for each scope; default: complete, ingest and read",
    )
    create.add_argument("--environment", choices=("prod", "test"), default="prod", help="of what is sent with it")
    create.add_argument("--days", type=_days, metavar="N", help="it ends after so many days; default: never")
    create.set_defaults(run=_create)

    listed = actions.add_parser(
        "list", help="list the keys, those that ended too", description="Lists keys. Never shows one.", epilog=_EPILOG
    )
    listed.add_argument("--tenant", metavar="NAME", help="default: every tenant's")
    listed.set_defaults(run=_list)

    rotate = actions.add_parser(
        "rotate",
        help="replace a key by a new one, shown once",
        description="Makes a key with the name, tenant, scopes, environment, limits and length of life of another one, "
        "which ends.",
        epilog=_EPILOG,
    )
    rotate.add_argument("id", help="the id or the prefix that list shows")
    rotate.add_argument("--overlap-hours", type=_hours, default=0, metavar="N", help="the old one ends so much later")
    rotate.set_defaults(run=_rotate)

    revoke = actions.add_parser("revoke", help="end a key", description="Ends a key for good.", epilog=_EPILOG)
    revoke.add_argument("id", help="the id or the prefix that list shows")
    revoke.set_defaults(run=_revoke)

    for parser in (create, listed, rotate, revoke):
        parser.add_argument("--json", action="store_true", help="for machines; times in milliseconds")


def _create(arguments: argparse.Namespace) -> int:
    from weir.http.api_keys import DEFAULT_SCOPES, checked_name
    from weir.services.keys import NewKey

    now = datetime.now(UTC)
    asked = NewKey(
        workspace=checked_name(arguments.tenant, "tenant"),
        name=checked_name(arguments.name, "name"),
        scopes=frozenset(arguments.scope or DEFAULT_SCOPES),
        environment=arguments.environment,
        expires_at=None if arguments.days is None else now + timedelta(days=arguments.days),
    )
    _show_made(_open().create(asked), arguments)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from weir.http.api_keys import key_view

    keys = _open()
    found = keys.all() if arguments.tenant is None else keys.of(arguments.tenant)
    now = datetime.now(UTC)
    if arguments.json:
        print(json.dumps([key_view(key, now) for key in found], indent=2))
    elif not found:
        print("There are no API keys but the one in WEIR_API_KEY.")
    else:
        print(_table(found, now))
    return 0


def _rotate(arguments: argparse.Namespace) -> int:
    from weir.ledger.limit_rules import LimitRules
    from weir.runtime.bootstrap import open_config_store

    limits = LimitRules(open_config_store(Settings.from_environ(os.environ)))
    made = _open().replace(arguments.id, overlap=timedelta(hours=arguments.overlap_hours), limits=limits)
    _show_made(made, arguments)
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    from weir.http.api_keys import key_view

    key = _open().revoke(arguments.id)
    if arguments.json:
        print(json.dumps(key_view(key, datetime.now(UTC)), indent=2))
    else:
        print(f"weir_{key.id} ({key.name}, of {key.workspace}) is revoked. Servers know within ten seconds.")
    return 0


def _open() -> "Keys":
    from weir.runtime.bootstrap import open_key_store, open_keys

    return open_keys(open_key_store(Settings.from_environ(os.environ)))


def _show_made(made: "MadeKey", arguments: argparse.Namespace) -> None:
    from weir.http.api_keys import key_view

    if arguments.json:
        view = {**key_view(made.key, datetime.now(UTC)), "key": made.text, "new_tenant": made.new_workspace}
        print(json.dumps(view, indent=2))
        return
    print(made.text)
    key = made.key
    until = "" if key.expires_at is None else f", until {_minute(key.expires_at)}"
    new = "new tenant" if made.new_workspace else "tenant"
    print(f"{key.name}: {_scopes(key)}; {new} {key.workspace}, {key.environment}{until}", file=sys.stderr)
    print("It is shown this once and kept nowhere.", file=sys.stderr)


def _table(keys: Sequence[ApiKey], now: datetime) -> str:
    head = ("prefix", "tenant", "name", "environment", "scopes", "state", "made", "last used", "ends")
    rows = [head, *(_row(key, now) for key in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    ends = min((at for at in (key.expires_at, key.revoked_at) if at is not None), default=None)
    return (
        f"weir_{key.id}",
        key.workspace,
        key.name,
        key.environment,
        _scopes(key),
        key.state(now),
        _minute(key.created_at),
        "never" if key.used_at is None else _minute(key.used_at),
        "never" if ends is None else _minute(ends),
    )


def _scopes(key: ApiKey) -> str:
    return ",".join(scope for scope in SCOPES if scope in key.scopes)


def _minute(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%MZ")


def _days(text: str) -> int:
    return _whole(text, 1, 36_500)


def _hours(text: str) -> int:
    return _whole(text, 0, 720)


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"a whole number from {least} to {most}")
    return int(text)
