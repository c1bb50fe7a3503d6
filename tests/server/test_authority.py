"""The local authority makes certificates that strict clients accept, keeps them, renews them, and is good for nothing else."""

import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pillarbox.net.tls import CertificateFiles, TlsProfile, server_context
from pillarbox.server.authority import CERTIFICATE_LIFE, RENEWAL, local_certificate

NAMES = ("mail.example.test", "localhost", "127.0.0.1", "::1")


def handshake(files: CertificateFiles, ca: Path, name: str) -> None:
    """Raises ssl.SSLError when a strict client does not accept the server for this name."""
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            server_context(files, TlsProfile()).wrap_socket(far, server_side=True).close()
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        context.wrap_socket(near, server_hostname=name).close()
    finally:
        near.close()
        thread.join()
        far.close()


@pytest.mark.parametrize("name", NAMES)
def test_strict_clients_accept_it_for_each_name(tmp_path: Path, name: str) -> None:
    handshake(local_certificate(tmp_path, NAMES), tmp_path / "ca.pem", name)


def test_not_for_another_name(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, NAMES)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(files, tmp_path / "ca.pem", "bank.example")


def test_the_authority_is_good_for_its_names_only(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, NAMES)
    signer = load_pem_private_key((tmp_path / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    good = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    builder = x509.CertificateBuilder(
        good.issuer, good.subject, good.public_key(), 7, good.not_valid_before_utc, good.not_valid_after_utc
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("bank.example")]), critical=False)
    for extension in good.extensions:
        if extension.oid != x509.SubjectAlternativeName.oid:
            builder = builder.add_extension(extension.value, critical=extension.critical)
    from cryptography.hazmat.primitives.serialization import Encoding

    forged = tmp_path / "forged.pem"
    forged.write_bytes(builder.sign(signer, SHA256()).public_bytes(Encoding.PEM))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(CertificateFiles(forged, files.key), tmp_path / "ca.pem", "bank.example")


def test_it_is_kept_and_renewed(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = local_certificate(tmp_path, NAMES, now=now).certificate.read_bytes()
    authority = (tmp_path / "ca.pem").read_bytes()
    assert local_certificate(tmp_path, NAMES, now=now + timedelta(days=300)).certificate.read_bytes() == first
    old = now + CERTIFICATE_LIFE - RENEWAL + timedelta(days=1)
    assert local_certificate(tmp_path, NAMES, now=old).certificate.read_bytes() != first
    assert (tmp_path / "ca.pem").read_bytes() == authority, "what people have installed stays"


def test_other_names_make_another_one(tmp_path: Path) -> None:
    local_certificate(tmp_path, NAMES)
    files = local_certificate(tmp_path, ("mail.other.test",))
    handshake(files, tmp_path / "ca.pem", "mail.other.test")


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    local_certificate(tmp_path, NAMES)
    assert {f.name: f.stat().st_mode & 0o777 for f in tmp_path.iterdir()} == {
        "ca.pem": 0o644,
        "ca.key": 0o600,
        "server.pem": 0o644,
        "server.key": 0o600,
    }


def test_openssl_reads_it(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, NAMES)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.pem"), str(files.certificate)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed: apt-get install openssl")
    assert done.returncode == 0, done.stderr
