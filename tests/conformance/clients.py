"""The clients that Weir is driven with: what each is called, what it is made of, what it needs on the machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Client:
    """`shown` are the packages whose versions are reported: the first is the client, the others are what it drives."""

    name: str
    shown: tuple[str, ...]
    language: Literal["python", "node"] = "python"

    @property
    def pins(self) -> Path:
        """The exact versions: requirements with hashes, or the folder of package.json and its integrity values."""
        return HERE / "requirements" / (f"{self.name}.txt" if self.language == "python" else self.name)

    @property
    def checks(self) -> str:
        """The file of its checks, without its ending."""
        return self.name.replace("-", "_")


CLIENTS = (
    Client("maitai", ("maitai-python", "maitai-cli")),
    Client("maitai-cli", ("maitai-cli",)),
    Client("keywordsai", ("keywordsai",)),
    Client("respan-api", ("respan-api",)),
    Client("keywordsai-tracing", ("keywordsai-tracing", "openai")),
    Client("respan-tracing", ("respan-tracing", "respan-instrumentation-openai", "openai")),
    Client("openllmetry", ("opentelemetry-instrumentation-openai", "opentelemetry-exporter-otlp-proto-http", "openai")),
    Client("openai-python", ("openai",)),
    Client("openai-node", ("openai",), "node"),
)
