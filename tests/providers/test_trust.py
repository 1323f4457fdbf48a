import ssl

import httpx
import pytest

from weir.providers import trust


def test_the_context_that_was_begun_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return made[-1]

    monkeypatch.setattr(httpx, "create_ssl_context", make)
    trust.begin_reading()
    first, second = trust.trusted(), trust.trusted()
    assert [first, second] == made


def test_a_list_that_cannot_be_read_is_told_of_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> ssl.SSLContext:
        raise OSError("no list")

    monkeypatch.setattr(httpx, "create_ssl_context", make)
    trust.begin_reading()
    with pytest.raises(OSError, match="no list"):
        trust.trusted()


def test_providers_certificates_are_checked() -> None:
    context = trust.trusted()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs()
