"""Which keys an operator should not use."""

LEAST_KEY = 20
"""Characters of a WEIR_API_KEY below which it is called weak; random ones of that length cannot be guessed."""

_WELL_KNOWN = (
    "changeme",
    "change-me",
    "password",
    "secret",
    "example",
    "test",
    "demo",
    "12345",
    "qwerty",
    "your-",
    "xxx",
)
_LEAST_DIFFERENT = 8

HOW_TO_MAKE_ONE = "make one with `openssl rand -base64 33`"


def weakness(key: str) -> str | None:
    """What is weak about a key, None if nothing is."""
    if any(word in key.lower() for word in _WELL_KNOWN) and len(key) < 2 * LEAST_KEY:
        return "it holds a word that everybody tries first"
    if len(key) < LEAST_KEY:
        return f"it has {len(key)} characters; {LEAST_KEY} random ones cannot be guessed"
    if len(set(key)) < _LEAST_DIFFERENT:
        return "it repeats few characters"
    return None
