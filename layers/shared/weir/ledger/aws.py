"""What the engines on AWS share: clients, and refusals as LedgerUnavailable.

botocore is imported when it is first needed: a function on another engine does not pay for it. It makes the clients
by itself, because importing boto3 takes a third longer and gives nothing here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from weir.domain.errors import LedgerUnavailable

_CONNECT_TIMEOUT_S = 2
_READ_TIMEOUT_S = 6
_ATTEMPTS = 3  # 3 x (2 + 6) s, with the pauses between, ends before the 29 s that API Gateway waits


def client(service: Literal["dynamodb", "s3", "sqs"], *, connections: int) -> Any:
    """One client for all threads. Region, credentials and endpoint come from the usual AWS variables."""
    import botocore.session
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
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
