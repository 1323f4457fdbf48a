"""`weir deadletters`: the changes that could not be projected."""

import argparse
import os
import sys

from weir.cli.folder import require_data
from weir.domain.errors import LedgerUnavailable
from weir.runtime.settings import Settings

_MOST = 100


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    letters = commands.add_parser(
        "deadletters",
        help="list the records that could not be archived, or try them again",
        description="Lists the records that the projector has set aside, with the reasons. Exit code 1 if any is left.",
    )
    letters.add_argument(
        "--redrive", action="store_true", help="project them as they are now; what succeeds is removed"
    )
    letters.add_argument("--limit", type=_count, default=_MOST, metavar="N", help=f"default: {_MOST}")
    letters.set_defaults(run=_deadletters)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _deadletters(arguments: argparse.Namespace) -> int:
    from weir.runtime.bootstrap import open_stores
    from weir.runtime.projection import open_projection

    settings = Settings.from_environ(os.environ)
    require_data(settings)
    stores = open_stores(settings)
    try:
        projection = open_projection(stores.ledger, stores.projections, settings)
        if arguments.redrive:
            redriven = projection.redrive(arguments.limit)
            print(f"{redriven.done} done")
            left = redriven.left
        else:
            left = tuple(projection.dead_letters.read(arguments.limit))
        for letter in left:
            print(f"{letter.workspace or '-'}  {letter.id or '-'}  {letter.reason}")
        return 1 if left else 0
    except LedgerUnavailable as exc:
        print(f"weir: {exc}", file=sys.stderr)
        return 2
    finally:
        stores.ledger.close()
