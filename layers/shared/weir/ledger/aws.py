"""What the engines on AWS share: clients, and refusals as LedgerUnavailable.

botocore is imported when it is first needed: a function on another engine does not pay for it. It makes the clients
by itself, because importing boto3 takes a third longer and gives nothing here.
"""

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal

from weir.domain.errors import LedgerUnavailable

_CONNECT_TIMEOUT_S = 1
_READ_TIMEOUT_S = {"dynamodb": 3, "s3": 5, "sqs": 5}
_ATTEMPTS = {"dynamodb": 3, "s3": 2, "sqs": 3}
"""3 x (1 + 3) s until the table has refused, then 2 x (1 + 5) s until S3 has taken the record instead or refused it,
too: with the pauses between that ends before the 29 s that API Gateway waits."""


Service = Literal["dynamodb", "s3", "sqs"]


class LateClient:
    """A client that is made when it is first used: making one takes a tenth of a function's start."""

    def __init__(self, service: Service, *, connections: int) -> None:
        self._make = functools.partial(client, service, connections=connections)
        self._lock = threading.Lock()
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


def client(service: Service, *, connections: int) -> Any:
    """One client for all threads. Region, credentials and endpoint come from the usual AWS variables."""
    with _without_docstrings():
        import botocore.session
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS[service]},
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S[service],
        max_pool_connections=connections,
    )
    return botocore.session.get_session().create_client(service, config=config)


_DOCS = "botocore.docs"
_IMPORTING = threading.Lock()


@contextmanager
def _without_docstrings() -> Iterator[None]:
    """Lets the first import of botocore pass by what writes its methods' docstrings: a tenth of a function's start.

    Only the names that botocore 1.44 imports from there; whoever imports the real ones afterwards finds them.
    """
    with _IMPORTING:
        if "botocore.client" in sys.modules:
            yield
            return
        import botocore

        docs, docstring = ModuleType(_DOCS), ModuleType(f"{_DOCS}.docstring")
        docs.__path__ = [f"{folder}/docs" for folder in botocore.__path__]  # some modules are wanted, and are real
        for name in ("ClientMethodDocstring", "PaginatorDocstring", "WaiterDocstring"):
            setattr(docstring, name, _no_docstring)
        stand_ins = {each.__name__: each for each in (docs, docstring)}
        sys.modules.update(stand_ins)
        try:
            yield
        finally:
            for name in stand_ins:
                sys.modules.pop(name, None)


def _no_docstring(**_: object) -> None:
    """In the place of a class of docstrings."""


@contextmanager
def refused_as(message: str) -> Iterator[None]:
    """Whatever botocore raises inside is LedgerUnavailable outside."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        raise LedgerUnavailable(message) from exc
