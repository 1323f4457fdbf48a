import ssl
from pathlib import Path

import pytest

from weir.providers import trust


def test_the_context_that_was_begun_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return made[-1]

    monkeypatch.setattr(trust, "read", make)
    trust.begin_reading()
    first, second = trust.trusted(), trust.trusted()
    assert [first, second] == made


def test_a_list_that_cannot_be_read_is_told_of_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> ssl.SSLContext:
        raise OSError("no list")

    monkeypatch.setattr(trust, "read", make)
    trust.begin_reading()
    with pytest.raises(OSError, match="no list"):
        trust.trusted()


def test_providers_certificates_are_checked() -> None:
    context = trust.trusted()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs()


def test_the_operator_may_name_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the variables that httpx and OpenSSL have for it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert trust.trusted().get_ca_certs() == []
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(FileNotFoundError):
        trust.trusted()
