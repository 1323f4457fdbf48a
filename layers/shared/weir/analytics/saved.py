"""The views and the saved queries, one SQL file each."""

from importlib.resources import files

VIEWS = ("calls",)


def view(name: str) -> str:
    return (files(__package__) / "views" / f"{name}.sql").read_text(encoding="utf-8")


def names() -> list[str]:
    """Of the saved queries."""
    folder = files(__package__) / "queries"
    return sorted(file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql"))


def query(name: str) -> str:
    """Raises KeyError."""
    if name not in names():
        raise KeyError(name)
    return (files(__package__) / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def purpose(sql: str) -> str:
    """What the comment at the head of a file says."""
    lines = (line for line in sql.splitlines() if line.startswith("--"))
    return " ".join(line.removeprefix("--").strip() for line in lines)
