"""Channel bindings over real sockets, against what other implementations compute."""

import asyncio
import hashlib
import os
import re
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.net.conftest import Issue
from tests.net.echo import EchoServer

from pillarbox.net.channel_binding import SecretPipe, end_point, export
from pillarbox.net.tls import CertificateFiles, ServerTls, TlsLayer, TlsProfile
from pillarbox.wire.engine import TlsInfo

NAME = "mail.example.test"


def _tls(*files: CertificateFiles, secrets: SecretPipe | None = None) -> ServerTls:
    tls = ServerTls(TlsProfile(alpn="imap", secrets=secrets or SecretPipe()))
    tls.load(files)
    return tls


async def _bindings(server: EchoServer, context: ssl.SSLContext, name: str = NAME) -> tuple[TlsInfo, ssl.SSLObject]:
    """What server and client know of a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname=name)
    assert await reader.readline() == b"hello\r\n"
    tls = server.engines[-1].link.tls
    assert tls is not None
    writer.close()
    client: ssl.SSLObject = writer.get_extra_info("ssl_object")
    return tls, client


async def test_tls_1_2_binds_by_its_finished_messages(issue: Issue, client_context: ssl.SSLContext) -> None:
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True) as server:
        tls, client = await _bindings(server, client_context)
        assert set(tls.bindings) == {"tls-unique", "tls-server-end-point"}
        assert tls.bindings["tls-unique"] == client.get_channel_binding("tls-unique")
        again, _ = await _bindings(server, client_context)
        assert again.bindings["tls-unique"] != tls.bindings["tls-unique"]


async def test_the_certificate_is_the_one_that_was_served(issue: Issue, client_context: ssl.SSLContext) -> None:
    names = (NAME, "mx.example.net")
    tls = _tls(issue(NAME), issue(names[1], stem="net"))
    async with EchoServer(tls=tls, implicit_tls=True) as server:
        for name in names:
            info, client = await _bindings(server, client_context, name)
            served = client.getpeercert(binary_form=True)
            assert served is not None
            assert info.bindings["tls-server-end-point"] == hashlib.sha256(served).digest()
        tls.load([issue(NAME, stem="renewed")])
        info, client = await _bindings(server, client_context)
        served = client.getpeercert(binary_form=True)
        assert served is not None
        assert info.bindings["tls-server-end-point"] == hashlib.sha256(served).digest()


def _two_ends(server: ssl.SSLContext, client: ssl.SSLContext, *, cut: int = 1 << 20) -> TlsLayer:
    """A handshake in memory; what the client says comes `cut` octets at a time."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    other = client.wrap_bio(incoming, outgoing, server_hostname=NAME)
    layer = TlsLayer(server)
    for _ in range(6):
        try:
            other.do_handshake()
        except ssl.SSLWantReadError:
            pass
        said = outgoing.read()
        for start in range(0, len(said), cut):
            if layer.info is None:
                layer.handshake(said[start : start + cut])
            incoming.write(layer.output())
    assert layer.info is not None
    return layer


@pytest.mark.parametrize("cut", [1 << 20, 1, 7, 42])
def test_tls_1_3_exports_whatever_way_the_client_cuts(
    issue: Issue, client_context: ssl.SSLContext, tmp_path: Path, cut: int
) -> None:
    client_context.keylog_filename = str(tmp_path / "clients-secrets")
    layer = _two_ends(_tls(issue(NAME)).context(), client_context, cut=cut)
    line = re.search(r"EXPORTER_SECRET \w+ (\w+)", (tmp_path / "clients-secrets").read_text())
    assert line is not None
    assert layer.info is not None
    assert set(layer.info.bindings) == {"tls-exporter", "tls-server-end-point"}
    assert layer.info.bindings["tls-exporter"] == export(bytes.fromhex(line[1]), layer.info.cipher)


def test_handshakes_at_the_same_time_do_not_mix(issue: Issue, client_context: ssl.SSLContext) -> None:
    context = _tls(issue(NAME)).context()
    ends = []
    for _ in range(3):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends.append(
            (client_context.wrap_bio(incoming, outgoing, server_hostname=NAME), incoming, outgoing, TlsLayer(context))
        )
    for _ in range(3):
        for client, incoming, outgoing, layer in ends:
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                pass
            if (said := outgoing.read()) and layer.info is None:
                layer.handshake(said)
            incoming.write(layer.output())
    exported = [layer.info.bindings["tls-exporter"] for *_, layer in ends if layer.info is not None]
    assert len(set(exported)) == 3


def test_whatever_is_left_in_the_pipe_holds_up_nobody(issue: Issue, client_context: ssl.SSLContext) -> None:
    secrets = SecretPipe()
    context = _tls(issue(NAME), secrets=secrets).context()
    for _ in range(16):  # 64 KiB, what a pipe holds
        os.write(secrets._writer, b"x" * 4096)
    with pytest.raises(BlockingIOError):
        os.write(secrets._writer, b"x" * 4096)
    info = _two_ends(context, client_context).info
    assert info is not None
    assert "tls-exporter" in info.bindings
    assert secrets._take() == b""


def test_where_no_file_stands_for_a_descriptor_nothing_binds_tls_1_3(
    issue: Issue, client_context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: SecretPipe, _context: ssl.SSLContext) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(SecretPipe, "attach", refuse)
    context = _tls(issue(NAME)).context()
    info = _two_ends(context, client_context).info
    assert info is not None
    assert info.bindings == {}
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    info = _two_ends(context, client_context).info
    assert info is not None
    assert set(info.bindings) == {"tls-unique", "tls-server-end-point"}


def test_nothing_of_it_on_port_25(issue: Issue, client_context: ssl.SSLContext) -> None:
    tls = ServerTls(TlsProfile(alpn="smtp", tickets=False))
    tls.load([issue(NAME)])
    info = _two_ends(tls.context(), client_context).info
    assert info is not None
    assert info.bindings == {}


def test_a_resumed_session_of_tls_1_2_has_no_unique_name(issue: Issue, client_context: ssl.SSLContext) -> None:
    client_context.maximum_version = ssl.TLSVersion.TLSv1_2
    context = _tls(issue(NAME)).context()
    session = None
    for expected in ({"tls-unique", "tls-server-end-point"}, {"tls-server-end-point"}):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(incoming, outgoing, server_hostname=NAME, session=session)
        layer = TlsLayer(context)
        for _ in range(4):
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                pass
            if (said := outgoing.read()) and layer.info is None:
                layer.handshake(said)
            incoming.write(layer.output())
        session = client.session
        assert layer.info is not None
        assert set(layer.info.bindings) == expected


def _openssl() -> str:
    openssl = shutil.which("openssl")
    if openssl is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is not installed")
        pytest.skip("openssl is not installed")
    return openssl


async def test_openssl_exports_the_same(issue: Issue) -> None:
    openssl = _openssl()
    async with EchoServer(tls=_tls(issue(NAME)), implicit_tls=True) as server:
        for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
            program = await asyncio.create_subprocess_exec(
                openssl, "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_3", "-ciphersuites", suite,
                "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            output, _ = await program.communicate(b"QUIT\n")
            found = re.search(rb"Keying material: ([0-9A-F]{64})", output)
            assert found is not None
            tls = server.engines[-1].link.tls
            assert tls is not None
            assert tls.cipher == suite
            assert tls.bindings["tls-exporter"].hex().upper() == found[1].decode()


async def test_keys_that_change_later_are_told_to_nobody(issue: Issue) -> None:
    """s_client changes keys at a K; the connection goes on, and nothing is left in the pipe."""
    openssl = _openssl()
    secrets = SecretPipe()
    async with EchoServer(tls=_tls(issue(NAME), secrets=secrets), implicit_tls=True) as server:
        program = await asyncio.create_subprocess_exec(
            openssl, "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_3", "-crlf",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert program.stdin is not None
        assert program.stdout is not None
        output = await program.stdout.readuntil(b"hello\r\n")
        for number in range(3):
            program.stdin.write(b"K\n")
            await program.stdout.readuntil(b"KEYUPDATE")
            program.stdin.write(b"still here %d\n" % number)
            output += await program.stdout.readuntil(b"still here %d\r\n" % number)
        assert secrets._take() == b""
        program.stdin.write(b"QUIT\n")
        await program.communicate()


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _certificate(directory: Path, key: Key, algorithm: HashAlgorithm | None, *, pss: bool = False) -> Path:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1))
    scheme = padding.PSS(padding.MGF1(SHA384()), padding.PSS.DIGEST_LENGTH) if pss else None
    file = directory / "certificate.pem"
    file.write_bytes(builder.sign(key, algorithm, rsa_padding=scheme).public_bytes(Encoding.PEM))
    return file


def test_the_hash_is_that_of_the_signature(tmp_path: Path) -> None:
    elliptic, classic = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    for key, algorithm, pss, digest in (
        (elliptic, SHA256(), False, "sha256"),
        (elliptic, SHA384(), False, "sha384"),
        (classic, SHA256(), False, "sha256"),
        (classic, SHA384(), True, "sha384"),
    ):
        file = _certificate(tmp_path, key, algorithm, pss=pss)
        der = ssl.PEM_cert_to_DER_cert(file.read_text())
        assert end_point(file) == hashlib.new(digest, der).digest()
    assert end_point(_certificate(tmp_path, ed25519.Ed25519PrivateKey.generate(), None)) is None
