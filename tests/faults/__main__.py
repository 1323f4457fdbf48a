"""`python -m tests.faults --runs 10000`: scenarios by seed, with a fault at every call to the stores, in every way.

Exit code 1 if anything acknowledged was lost, was there twice or counted twice; the seed and the position repeat it.
"""

import argparse
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

from moto import mock_aws
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.faults.injection import Kind, Position
from tests.faults.runs import Violated, positions, run
from tests.faults.scenario import FULL, Scenario, any_scenario
from tests.faults.storages import OnDynamoDB, OnSQLite, Opening
from weir.ledger import aws

_EVERY_NTH_ON_DYNAMODB = 8
"""One scenario in so many: moto takes some twenty times as long."""

_FULL = "full"


class Run(NamedTuple):
    engine: str
    seed: str
    position: Position | None

    def __str__(self) -> str:
        at = "" if self.position is None else f" --at {self.position.number} --kind '{self.position.kind}'"
        return f"python -m tests.faults --engine {self.engine} --seed {self.seed}{at}"


def main() -> int:
    options = _options()
    logging.disable(logging.ERROR)  # refusals are what this is about
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        openings: dict[str, Opening] = {
            "sqlite": OnSQLite(),
            "dynamodb": OnDynamoDB(aws.client("dynamodb", connections=16), aws.client("s3", connections=16)),
        }
        if options.seed is not None:
            return _one(openings[options.engine or "sqlite"], options)
        return _many(openings, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="runs with a fault, at least (10000)")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seed", help=f"one scenario only; '{_FULL}' is the one of `make test`")
    parser.add_argument("--engine", choices=("sqlite", "dynamodb"), help="this one only")
    parser.add_argument("--at", type=int, help="the position of one fault only")
    parser.add_argument("--kind", default="refused")
    return parser.parse_args()


def _one(opening: Opening, options: argparse.Namespace) -> int:
    scenario = _scenario(options.seed)
    if options.at is not None:
        run(opening, scenario, Position(options.at, options.kind))
        return 0
    for position in positions(opening, scenario):
        run(opening, scenario, position)
    return 0


def _many(openings: Mapping[str, Opening], options: argparse.Namespace) -> int:
    console = Console()
    done: Counter[str] = Counter()
    kinds: Counter[Kind] = Counter()
    failed = 0
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("faults", total=options.runs)
        for engine, seed in _scenarios(options.engine, options.first_seed):
            opening, scenario = openings[engine], _scenario(seed)
            try:
                injected = positions(opening, scenario)
            except Violated as exc:
                failed += 1
                console.print(f"[red]{Run(engine, seed, None)}[/red]\n  {exc}")
                continue
            for position in injected:
                try:
                    run(opening, scenario, position)
                except Violated as exc:
                    failed += 1
                    console.print(f"[red]{Run(engine, seed, position)}[/red]\n  {exc}", soft_wrap=True)
                done[engine] += 1
                kinds[position.kind] += 1
                progress.advance(task)
            if done.total() >= options.runs:
                break
    console.print(
        f"{done.total()} runs with a fault ({_listed(done)}): {failed} with a loss, a duplicate or a miscount"
    )
    console.print(_listed(kinds))
    return 1 if failed else 0


def _scenarios(engine: str | None, first_seed: int) -> Iterator[tuple[str, str]]:
    """Each with its engine. The full one takes half an hour on DynamoDB: --seed full asks for it."""
    if engine != "dynamodb":
        yield "sqlite", _FULL
    for seed in count(first_seed):
        yield engine or ("dynamodb" if seed % _EVERY_NTH_ON_DYNAMODB == 0 else "sqlite"), str(seed)


def _scenario(seed: str) -> Scenario:
    return FULL if seed == _FULL else any_scenario(int(seed))


def _listed(counts: Counter[str] | Counter[Kind]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common())


if __name__ == "__main__":
    raise SystemExit(main())
