"""A certificate authority of one's own, for servers without a certificate that the world trusts (RFC 5280).

It makes `ca.pem` (which people give to their mail programs) and a certificate for the server's names signed by it. Both
are kept and reused; the server's certificate is renewed when it gets old, or when the names change.

Security: whoever trusts ca.pem trusts it for these names only (name constraints), so that its key, kept readable for
its owner alone, is of no use for anything else.
"""

import os
import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from pillarbox.net.tls import CertificateFiles

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY_LIFE = timedelta(days=3650)
"""People install it by hand in each mail program: not often."""

CERTIFICATE_LIFE = timedelta(days=397)
"""What programs accept at most (Apple refuses more)."""

RENEWAL = timedelta(days=60)
"""Before it ends."""

_NOTE = re.compile(rb"Pillarbox: names (?P<names>[^;\n]+); renew after (?P<renew>[0-9-]+)\n")
"""Stands before the PEM block, where programs do not look; so that a start needs no X.509 parser."""


def local_certificate(directory: Path, names: tuple[str, ...], *, now: datetime | None = None) -> CertificateFiles:
    """The certificate for `names` (host names and IP addresses) in `directory`, made or renewed if need be.

    Raises OSError when the directory cannot be written.
    """
    now = now or datetime.now(UTC)
    files = CertificateFiles(directory / "server.pem", directory / "server.key", names)
    if not _fresh(directory / "ca.pem", names, now):
        _make_authority(directory, names, now)
        files.certificate.unlink(missing_ok=True)
    if not (_fresh(files.certificate, names, now) and files.key.is_file()):
        _make_certificate(directory, files, now)
    return files


def _fresh(file: Path, names: tuple[str, ...], now: datetime) -> bool:
    try:
        note = _NOTE.match(file.read_bytes())
    except FileNotFoundError:
        return False
    return note is not None and note["names"].decode() == " ".join(names) and note["renew"].decode() > f"{now:%Y-%m-%d}"


def _write(file: Path, octets: bytes, mode: int) -> None:
    """Whole or not at all, never readable by others in between."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        os.fchmod(out.fileno(), mode)
        out.write(octets)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


def _general(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _constraint(name: str) -> "x509.GeneralName":
    from ipaddress import ip_network

    from cryptography import x509

    try:
        return x509.IPAddress(ip_network(name))
    except ValueError:
        return x509.DNSName(name)


def _begin(
    subject: str, public: "ec.EllipticCurvePublicKey", now: datetime, life: timedelta
) -> "x509.CertificateBuilder":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # for clocks that are a little behind
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, authority: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _save(
    certificate: "x509.Certificate", key: "ec.EllipticCurvePrivateKey", files: CertificateFiles, chain: bytes = b""
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    renew = certificate.not_valid_after_utc - RENEWAL
    note = f"Pillarbox: names {' '.join(files.names)}; renew after {renew:%Y-%m-%d}\n".encode()
    _write(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _write(files.certificate, note + certificate.public_bytes(Encoding.PEM) + chain, 0o644)


def _make_authority(directory: Path, names: tuple[str, ...], now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = f"Pillarbox local authority {now:%Y-%m-%d} for {names[0]}"[:64]  # RFC 5280, ub-common-name
    certificate = (
        _begin(subject, key.public_key(), now, AUTHORITY_LIFE)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.NameConstraints([_constraint(name) for name in names], None), critical=True)
        .sign(key, SHA256())
    )
    _save(certificate, key, CertificateFiles(directory / "ca.pem", directory / "ca.key", names))


def _make_certificate(directory: Path, files: CertificateFiles, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    signer = load_pem_private_key((directory / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _begin(files.names[0][:64], key.public_key(), now, CERTIFICATE_LIFE)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in files.names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(signer, SHA256())
    )
    _save(certificate, key, files, authority.public_bytes(Encoding.PEM))
