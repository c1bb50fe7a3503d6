"""A trivial engine, certificates, and both event loops."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from pillarbox.net.tls import CertificateFiles


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Each test here runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


Issue = Callable[..., CertificateFiles]


@pytest.fixture
def issue(authority: trustme.CA, tmp_path: Path) -> Issue:
    """Write a certificate and key for names into files."""

    def make(*names: str, stem: str = "server") -> CertificateFiles:
        issued = authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
        certificate, key = tmp_path / f"{stem}.pem", tmp_path / f"{stem}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return CertificateFiles(certificate, key, names)

    return make


@pytest.fixture
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
