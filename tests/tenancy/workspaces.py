"""Two workspaces and everything that either must not learn of the other."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = (
    "application",
    "caller",
    "custom",
    "customer",
    "deployment",
    "group",
    "intent",
    "prompt",
    "question",
    "reference",
    "session",
    "span",
    "trace",
    "user",
)
NAMES_OF_A_KIND = 4
LURES = 1
"""Of each kind, the names that the other workspace may use as its own: what it then says of them is not a leak."""

_MARKERS = re.compile(
    rb"(?:alder|birch)-[a-z]+-\d+|[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-z]{12}\b"
    rb"|\b[0-9a-f]{16}\b|\b[0-9a-f]{32}\b"
)


def markers(text: bytes) -> set[str]:
    """Whatever looks like a name, a secret or an id of either workspace."""
    return {found.decode() for found in _MARKERS.findall(text)}


@dataclass
class Workspace:
    """`names` are what it calls its things, `secrets` what it says, `ids` and `numbers`, by kind, what Weir calls them.

    `intents` are numbers of applications and of intents in these.
    """

    name: str
    key: str
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secrets: int = 0
    used: int = 0
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    numbers: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    intents: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = {
            kind: tuple(f"{self.name}-{kind}-{number}" for number in range(NAMES_OF_A_KIND)) for kind in KINDS
        }

    def secret(self) -> str:
        """A new one, said nowhere else."""
        self.secrets += 1
        return f"{self.name}-secret-{self.secrets}"

    def fresh(self, kind: str) -> str:
        """A name of that kind that nobody has used."""
        self.used += 1
        return f"{self.name}-{kind}-{1000 + self.used}"

    @property
    def lures(self) -> frozenset[str]:
        return frozenset(name for names in self.names.values() for name in names[:LURES]) | frozenset(
            self.ids["record"][:LURES]
        )

    @property
    def owned(self) -> frozenset[str]:
        """Every id and every name but the lures; secrets are told by their form."""
        names = {name for names in self.names.values() for name in names}
        return frozenset(names | {id for ids in self.ids.values() for id in ids}) - self.lures

    def leaked(self, answer: bytes, request: bytes) -> set[str]:
        """What of this workspace an answer to another one holds, and the request did not."""
        found = markers(answer) - markers(request)
        secret = f"{self.name}-secret-"
        return {marker for marker in found if marker.startswith(secret)} | (found & self.owned)
