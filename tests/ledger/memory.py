"""Stores in memory for tests that need thousands of them, and a port that fails where it is told to."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from weir.domain.errors import LedgerUnavailable
from weir.ledger.keys import Key
from weir.ledger.ports import Replacement


class MemoryBlobs:
    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> None:
        self.contents[key] = content

    def put_new(self, key: str, content: bytes) -> bool:
        if key in self.contents:
            return False
        self.contents[key] = content
        return True

    def get(self, key: str) -> bytes | None:
        return self.contents.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        content = self.contents.get(key)
        return None if content is None else content[start : start + length]

    def list(self, prefix: str, after: str | None = None) -> Iterator[str]:
        return iter(sorted(key for key in self.contents if key.startswith(prefix) and key > (after or "")))

    def delete(self, key: str) -> None:
        self.contents.pop(key, None)


class MemoryProjections:
    def __init__(self) -> None:
        self.contents: dict[Key, bytes] = {}

    def get(self, keys: Collection[Key]) -> dict[Key, bytes]:
        return {key: self.contents[key] for key in keys if key in self.contents}

    def between(
        self, pk: str, first: str, last: str, *, limit: int | None = None, descending: bool = False
    ) -> list[tuple[str, bytes]]:
        found = sorted(
            ((key.sk, content) for key, content in self.contents.items() if key.pk == pk and first <= key.sk <= last),
            reverse=descending,
        )
        return found[:limit]

    def replace(self, changes: Sequence[Replacement]) -> list[bool]:
        return [self._replace(*change) for change in changes]

    def _replace(self, key: Key, old: bytes | None, new: bytes | None) -> bool:
        if self.contents.get(key) != old:
            return False
        if new is None:
            self.contents.pop(key, None)
        else:
            self.contents[key] = new
        return True


class Killed(BaseException):
    """The process is gone: nothing catches it."""


class Faults:
    """Counts the calls to all stores that share it. Call `at` fails before it is carried out, or `after` it was."""

    def __init__(self, at: int | None = None, *, after: bool = False, killed: bool = False) -> None:
        self.at, self.after, self.killed = at, after, killed
        self.calls = 0

    def pass_through(self, call: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        if number != self.at:
            return call()
        if self.after:
            call()
        raise Killed if self.killed else LedgerUnavailable("The test refuses.")

    def carry_out(self, name: str, operation: Callable[..., Any], arguments: Sequence[Any], named: Any) -> Any:
        """A call of that name. Who wants to tell calls apart overrides this."""
        return self.pass_through(lambda: operation(*arguments, **named))


Port = TypeVar("Port")


class Faulty(Generic[Port]):
    """A port whose calls go through `faults`. A generator counts when it is asked for."""

    def __init__(self, port: Port, faults: Faults) -> None:
        self._port, self._faults = port, faults

    @classmethod
    def of(cls, port: Port, faults: Faults) -> Port:
        return cast(Port, cls(port, faults))

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._port, name)
        if not callable(operation):
            return operation

        def call(*arguments: Any, **named: Any) -> Any:
            return self._faults.carry_out(name, operation, arguments, named)

        return call
