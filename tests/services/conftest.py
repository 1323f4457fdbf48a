"""The ledger's engines, for services that are more than their port."""

from tests.ledger.conftest import dynamodb, moto

__all__ = ["dynamodb", "moto"]
