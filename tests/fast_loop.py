"""An event loop whose clock jumps to the next timer when there is nothing else to do."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")

_LOOK_S = 0.01
_PATIENCE_S = 60.0


def _always(_: float) -> bool:
    return True


class _Jumping(selectors.SelectSelector):
    def __init__(self, may_pass: Callable[[float], bool]) -> None:
        super().__init__()
        self.now = 0.0
        self._may_pass = may_pass

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(timeout if timeout is None else 0)
        if ready or not timeout:
            return ready
        give_up = time.monotonic() + _PATIENCE_S
        while not self._may_pass(timeout):
            if ready := super().select(_LOOK_S):
                return ready
            if time.monotonic() > give_up:
                raise AssertionError(f"{_PATIENCE_S:g} s in which nothing came and no time might pass")
        if ready := super().select(0):  # what came before time might pass comes before the timer
            return ready
        self.now += timeout
        return ready


class FastLoop(asyncio.SelectorEventLoop):
    """Time begins at 0, and stands still for as long as there is something to do.

    Nor does it pass so many seconds as `may_pass` says it may not, for a loop that waits for what others do.
    """

    def __init__(self, may_pass: Callable[[float], bool] = _always) -> None:
        self._jumping = _Jumping(may_pass)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_fast(scene: Coroutine[Any, Any, Result], may_pass: Callable[[float], bool] = _always) -> Result:
    with asyncio.Runner(loop_factory=lambda: FastLoop(may_pass)) as runner:
        return runner.run(scene)
