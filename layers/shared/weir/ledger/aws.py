"""What the engines on AWS share: clients, and refusals as LedgerUnavailable.

botocore is imported when it is first needed: a function on another engine does not pay for it. It makes the clients
by itself, because importing boto3 takes a third longer and gives nothing here.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
    import botocore.session
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS[service]},
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S[service],
        max_pool_connections=connections,
    )
    return botocore.session.get_session().create_client(service, config=config)


@contextmanager
def refused_as(message: str) -> Iterator[None]:
    """Whatever botocore raises inside is LedgerUnavailable outside."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        raise LedgerUnavailable(message) from exc
