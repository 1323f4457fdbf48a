"""The ledger's engines, each of which counts."""

from tests.ledger.conftest import dynamodb, dynamodb_local, moto, real, seaweedfs, sqlite

__all__ = ["dynamodb", "dynamodb_local", "moto", "real", "seaweedfs", "sqlite"]
