"""Weir: an LLM gateway and request ledger for AWS Lambda."""

__version__ = "0.1.0"
