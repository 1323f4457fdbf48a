"""Calls that are refused before anybody has read them are on record, too: whose, why and how large."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from starlette.requests import Request

from weir.domain.errors import LedgerUnavailable, RequestTooLarge
from weir.domain.record import Failure, Origin, Payload, Record
from weir.http.auth import Keyring
from weir.http.errors import status_of
from weir.ledger.ledger import Ledger
from weir.protocols import jsonbytes

logger = logging.getLogger("weir.refusals")

Taken = TypeVar("Taken")


class Refusals:
    def __init__(
        self, ledger: Ledger, keyring: Keyring, *, now: Callable[[], datetime], new_id: Callable[[datetime], str]
    ) -> None:
        self._ledger, self._keyring = ledger, keyring
        self._now, self._new_id = now, new_id

    async def noting(self, taking: Awaitable[Taken], request: Request, origin: Origin) -> Taken:
        """What `taking` gives. Of what it raises, a body that is too large and a ledger that cannot be asked become
        records first; the error then knows its record's id. Who calls is known by then, or there is no record.
        """
        try:
            return await taking
        except (RequestTooLarge, LedgerUnavailable) as exc:
            await self._keep(exc, request, origin)
            raise

    async def _keep(self, exc: RequestTooLarge | LedgerUnavailable, request: Request, origin: Origin) -> None:
        principal = self._keyring.authenticate(request.headers, None)
        size = exc.size if isinstance(exc, RequestTooLarge) else None
        at = self._now()
        record = Record(
            id=self._new_id(at),
            workspace=principal.workspace,
            environment=principal.environment,
            created_at=at,
            origin=origin,
            inference_location="SERVER" if origin == "completion" else "CLIENT",
            status_code=status_of(exc),
            outcome="error",
            failure=Failure(type(exc).__name__, str(exc), exc.code if isinstance(exc, RequestTooLarge) else None),
        )
        said = {} if size is None else {"bytes": size}
        try:
            kept = await self._ledger.keep(record, Payload(jsonbytes.dumps(said)))
        except LedgerUnavailable:
            logger.exception("refusal not stored", extra={"record_id": record.id})
            return
        exc.record_id = kept.id
