"""Reading a key from where a reference says it lies: Parameter Store, Secrets Manager, or a variable.

Powertools and boto3 are imported with the first key that lies at AWS: few processes read any.
"""

from collections.abc import Mapping
from typing import Any

from weir.domain.credential import Place
from weir.protocols import jsonbytes

_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S, _ATTEMPTS = 1, 3, 2
"""2 x (1 + 3) s: a call waits for it."""


class SecretUnreadable(Exception):
    """The message says what was tried, never what was found."""


class SecretSources:
    """`environ` has the variables that `env:` means. Calls block, and may come from several threads at once."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._parameters: Any = None
        self._secrets: Any = None

    def read(self, place: Place) -> str:
        """Raises SecretUnreadable."""
        found = self._found(place)
        if place.field is not None and found is not None:
            found = _member(found, place.field)
        if not isinstance(found, str) or not found.strip():
            raise SecretUnreadable(f"{place.kind} has no text there")
        return found.strip()

    def _found(self, place: Place) -> Any:
        match place.kind:
            case "env":
                return self._environ.get(place.name)
            case "ssm":
                return self._parameter(place.name)
            case "secretsmanager":
                return self._secret(place.name)

    def _parameter(self, name: str) -> Any:
        from aws_lambda_powertools.utilities.parameters import SSMProvider
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

        try:
            if self._parameters is None:
                self._parameters = SSMProvider(boto_config=_config())
            return self._parameters.get(name, decrypt=True, force_fetch=True)
        except GetParameterError as exc:
            raise SecretUnreadable("the parameter cannot be read") from exc

    def _secret(self, name: str) -> Any:
        from aws_lambda_powertools.utilities.parameters import SecretsProvider
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

        try:
            if self._secrets is None:
                self._secrets = SecretsProvider(boto_config=_config())
            return self._secrets.get(name, force_fetch=True)
        except GetParameterError as exc:
            raise SecretUnreadable("the secret cannot be read") from exc


def _config() -> Any:
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
    )


def _member(text: Any, field: str) -> Any:
    try:
        found = jsonbytes.loads(text)
    except jsonbytes.InvalidJSON:
        return None
    return found.get(field) if isinstance(found, dict) else None
