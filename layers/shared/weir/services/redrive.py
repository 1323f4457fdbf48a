"""Dead letters, given another chance: their records are projected as they are now."""

from typing import NamedTuple, Protocol

from weir.ledger.changes import Change, DeadLetter, DeadLetters
from weir.services.project import Projector


class Finds(Protocol):
    """What finds a record as if it had just changed."""

    def find(self, workspace: str, id: str) -> Change:
        """Raises LedgerUnavailable."""
        ...


class Redriven(NamedTuple):
    """`left` are dead still, each with its reason now."""

    done: int
    left: tuple[DeadLetter, ...]


def redrive(letters: DeadLetters, feed: Finds, projector: Projector, limit: int) -> Redriven:
    """Up to `limit` letters; those that are done are removed. Raises LedgerUnavailable."""
    left: list[DeadLetter] = []
    found = letters.read(limit)
    for letter in found:
        if not letter.id:  # names no record: the next check of its hour finds it
            letters.remove(letter)
            continue
        change = feed.find(letter.workspace, letter.id)
        outcome = projector.project([change])
        if change.token in outcome.dead or change.token in outcome.refused:
            left.append(letter._replace(reason=outcome.dead.get(change.token, "The ledger refused.")))
        else:
            letters.remove(letter)
    return Redriven(len(found) - len(left), tuple(left))
