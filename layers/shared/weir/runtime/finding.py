"""What a doctor says."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at one thing. "note" is worth knowing, "wrong" keeps something from working or from being safe."""

    subject: str
    verdict: Literal["ok", "note", "wrong"]
    says: str
