"""Clients of moto, as the ledger's own tests have them."""

from tests.ledger.conftest import moto

__all__ = ["moto"]
