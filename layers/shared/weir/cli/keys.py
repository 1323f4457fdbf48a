"""`weir keys`: API keys, made, listed, replaced and revoked where the ledger is."""

import argparse
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from weir.domain.api_key import SCOPES, ApiKey
from weir.domain.errors import RequestInvalid, WeirError
from weir.runtime.settings import Settings, SettingsInvalid

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
        description="Makes a key with the name, tenant, scopes, environment and length of life of another one, which "
        "ends.",
        epilog=_EPILOG,
    )
    rotate.add_argument("id", help="the id or the prefix that list shows")
    rotate.add_argument("--overlap-hours", type=_hours, default=0, metavar="N", help="the old one ends so much later")
    rotate.set_defaults(run=_rotate)

    revoke = actions.add_parser(
        "revoke", help="end a key", description="Ends a key for good.", epilog=_EPILOG
    )
    revoke.add_argument("id", help="the id or the prefix that list shows")
    revoke.set_defaults(run=_revoke)

    for parser in (create, listed, rotate, revoke):
        parser.add_argument("--json", action="store_true", help="for machines; times in milliseconds")


def _create(arguments: argparse.Namespace) -> int:
    from weir.http.api_keys import DEFAULT_SCOPES, checked_name
    from weir.services.keys import NewKey

    days = arguments.days
    with _Keys() as keys:
        asked = NewKey(
            workspace=checked_name(arguments.tenant, "tenant"),
            name=checked_name(arguments.name, "name"),
            scopes=frozenset(arguments.scope or DEFAULT_SCOPES),
            environment=arguments.environment,
            expires_at=None if days is None else _now() + timedelta(days=days),
        )
        made = keys.create(asked)
    return 0
