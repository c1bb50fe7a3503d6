"""The gate: no mechanism without TLS."""

import pytest
from tests.sasl.credentials import FakeCredentials

from pillarbox.sasl.registry import MECHANISMS, TlsRequired, UnknownMechanism, exchange, fresh_nonce, offered
from pillarbox.wire.engine import TlsInfo

TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", bindings={"tls-exporter": b"x"})
UNBOUND = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def test_nothing_is_offered_without_tls() -> None:
    assert offered(None) == ()
    assert offered(TLS) == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")


def test_nothing_that_binds_is_offered_or_begins_where_there_is_no_binding() -> None:
    assert offered(UNBOUND) == ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    with pytest.raises(UnknownMechanism):
        exchange("SCRAM-SHA-256-PLUS", FakeCredentials({}), tls=UNBOUND)


@pytest.mark.parametrize("name", [*MECHANISMS, "CRAM-MD5", "scram-sha-256", ""])
def test_nothing_begins_without_tls(name: str) -> None:
    with pytest.raises(TlsRequired):
        exchange(name, FakeCredentials({}), tls=None)


def test_names_in_any_case_and_unknown_ones() -> None:
    for name in MECHANISMS:
        exchange(name.lower(), FakeCredentials({}), tls=TLS)
    for name in ["CRAM-MD5", "SCRAM-SHA-1-PLUS", "", "PLAIN "]:
        with pytest.raises(UnknownMechanism):
            exchange(name, FakeCredentials({}), tls=TLS)


def test_nonces_are_fresh_and_printable() -> None:
    nonces = {fresh_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert all(n.isascii() and n.isprintable() and "," not in n for n in nonces)
