"""What happens in a run: operations in their order, which name the calls that they are about by numbers."""

from random import Random
from typing import Literal, NamedTuple

Operation = Literal[
    "keep", "bulk", "again", "annotate", "move", "project", "redeliver", "put back", "erase", "read", "sum", "check",
    "seal", "an hour goes by",
]  # fmt: skip


class Call(NamedTuple):
    """A call to be kept. `named`: it has a caller's id; `large`: its payload is too large to lie beside its record.

    `leaves`: it is one of the customer who asks to be erased.
    """

    number: int
    named: bool = False
    large: bool = False
    leaves: bool = False


class Step(NamedTuple):
    operation: Operation
    calls: tuple[Call, ...] = ()


Scenario = tuple[Step, ...]

_PLAIN, _NAMED, _LARGE, _LARGE_NAMED = Call(0), Call(1, named=True), Call(2, large=True), Call(3, True, True, True)
_SEVERAL = (Call(4), Call(5, named=True), Call(6, named=True, leaves=True), Call(7, large=True, leaves=True))
_LATER, _LAST = Call(8, named=True, large=True), Call(9, leaves=True)

FULL: Scenario = (
    Step("keep", (_PLAIN,)),
    Step("keep", (_NAMED,)),
    Step("keep", (_LARGE,)),
    Step("keep", (_LARGE_NAMED,)),
    Step("project"),
    Step("bulk", _SEVERAL),
    Step("again", (_NAMED,)),
    Step("annotate", (_LARGE_NAMED,)),
    Step("move", (_SEVERAL[1],)),
    Step("project"),
    Step("redeliver"),
    Step("an hour goes by"),
    Step("keep", (_LATER,)),
    Step("move", (_LARGE,)),
    Step("put back"),
    Step("erase"),
    Step("again", (_LATER,)),
    Step("seal"),
    Step("project"),
    Step("keep", (_LAST,)),
    Step("read"),
    Step("check"),
    Step("sum"),
)
"""Every operation, in an order in which they have something to do with each other."""

_WEIGHTS: dict[Operation, int] = {
    "keep": 6, "bulk": 2, "again": 2, "annotate": 2, "move": 2, "project": 4, "redeliver": 1, "put back": 2, "erase": 2,
    "read": 1, "sum": 1, "check": 1, "seal": 1, "an hour goes by": 1,
}  # fmt: skip


def any_scenario(seed: int) -> Scenario:
    """Of 3 to 9 operations, the first of which keeps something; the same for the same seed."""
    random = Random(seed)
    calls: list[Call] = []

    def new() -> Call:
        call = Call(len(calls), random.random() < 0.5, random.random() < 0.4, random.random() < 0.35)
        calls.append(call)
        return call

    steps = [Step("keep", (new(),))]
    for operation in random.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=random.randint(2, 8)):
        match operation:
            case "keep":
                steps.append(Step("keep", (new(),)))
            case "bulk":
                steps.append(Step("bulk", tuple(new() for _ in range(random.randint(2, 4)))))
            case "again" | "annotate" | "move":
                steps.append(Step(operation, (random.choice(calls),)))
            case _:
                steps.append(Step(operation))
    return tuple(steps)
