"""Dead letters get another chance, one by one."""

from collections.abc import Sequence
from dataclasses import replace

from tests.services.test_project import World, call, change
from weir.ledger.changes import Change, DeadLetter
from weir.services.redrive import Redriven, redrive


class Letters:
    def __init__(self, *letters: DeadLetter) -> None:
        self.letters = list(letters)

    def count(self) -> int:
        return len(self.letters)

    def read(self, limit: int) -> Sequence[DeadLetter]:
        return self.letters[:limit]

    def remove(self, letter: DeadLetter) -> None:
        self.letters.remove(letter)


class Feed:
    def __init__(self, *changes: Change) -> None:
        self._changes = {each.id: each for each in changes}

    def find(self, workspace: str, id: str) -> Change:
        return self._changes[id]


def letter(id: str, reason: str = "then") -> DeadLetter:
    return DeadLetter(f"token of {id}", "main", id, reason)


def test_what_can_be_projected_now_is_and_what_cannot_stays_with_its_reason() -> None:
    world, good, bad = World(), change(call(1)), replace(change(call(2)), content=lambda: b"torn")
    gone = replace(change(call(4)), read=lambda: None)
    letters = Letters(*(letter(each.id) for each in (bad, good, gone)), letter(""))
    assert redrive(letters, Feed(good, bad, gone), world.projector(), 10) == Redriven(
        3, (letter(bad.id, "The payload cannot be read (ValueError)."),)
    )
    assert letters.letters == [letter(bad.id)]
    world.counts_once([call(1)])
