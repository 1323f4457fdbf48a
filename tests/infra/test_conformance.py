"""The conformance suite's clients: what is pinned is what the documentation says, and each has its checks."""

import json
import re
from collections.abc import Mapping

import pytest

from tests.conformance.clients import CLIENTS, HERE, Client

_GUIDE = (HERE.parents[1] / "docs" / "clients.md").read_text(encoding="utf-8")


def pinned(client: Client) -> Mapping[str, str]:
    """The exact version of each package of its environment."""
    if client.language == "node":
        packages: dict[str, str] = json.loads((client.pins / "package.json").read_bytes())["dependencies"]
        return packages
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", client.pins.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_documentation_names_the_versions_that_are_checked(client: Client) -> None:
    (row,) = (line for line in _GUIDE.splitlines() if line.startswith(f"| `{client.name}` |"))
    versions = pinned(client)
    assert row.split("|")[2].strip() == ", ".join(f"{name} {versions[name]}" for name in client.shown)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_client_has_checks(client: Client) -> None:
    ending = "mjs" if client.language == "node" else "py"
    assert (HERE / f"{client.checks}.{ending}").is_file()


@pytest.mark.parametrize("client", [c for c in CLIENTS if c.language == "python"], ids=lambda client: client.name)
def test_every_requirement_has_hashes_and_no_registry(client: Client) -> None:
    text = client.pins.read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert [block for block in blocks if block and "--hash=sha256:" not in block] == []
    assert "://" not in text


def test_nodes_packages_are_the_ones_whose_integrity_is_written_down() -> None:
    for client in CLIENTS:
        if client.language == "node":
            integrity = json.loads((client.pins / "integrity.json").read_bytes())
            assert {f"{name}@{version}" for name, version in pinned(client).items()} <= integrity.keys()
            assert all(value.startswith("sha512-") for value in integrity.values())
