"""SCRAM-SHA-256-PLUS: gsasl (GnuTLS) binds what we bind, on both versions of TLS; a man in the middle is noticed."""

import asyncio
import hashlib
import hmac
import imaplib
import poplib
import smtplib
import ssl
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from tests.demo import PASSWORD, Demo, running_demo
from tests.interop.conftest import ALICE, run

from pillarbox.cli.demo_server import demo_config
from pillarbox.server.assembly import Server

pytestmark = pytest.mark.interop

VERSIONS = {"1.2": "NORMAL:-VERS-ALL:+VERS-TLS1.2", "1.3": "NORMAL:-VERS-ALL:+VERS-TLS1.3"}
"""GnuTLS takes tls-unique in the one and tls-exporter in the other."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo's accounts, on a server that is told to bind: it does not by itself."""
    with running_demo(tmp_path_factory.mktemp("binding") / "data") as demo:
        pass
    config = demo_config(demo.directory, demo.offset)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = Server(msgspec.structs.replace(config, tls=msgspec.structs.replace(config.tls, channel_binding=True)))
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        yield demo
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def gsasl(demo: Demo, *options: str, password: str = PASSWORD, check: bool = True) -> str:
    """By IMAP: by SMTP this program finds STARTTLS only when another line follows it."""
    place = (f"--connect=localhost:{demo.port('imap')}", "--imap", f"--x509-ca-file={demo.ca}")
    who = (f"--authentication-id={ALICE}", "--authorization-id=", f"--password={password}")
    return run("gsasl", *place, *who, "--verbose", *options, check=check)


@pytest.mark.parametrize("version", VERSIONS)
def test_gsasl_binds_and_takes_that_by_itself(demo: Demo, version: str) -> None:
    output = gsasl(demo, f"--priority={VERSIONS[version]}")
    assert "AUTHENTICATE SCRAM-SHA-256-PLUS" in output
    assert "Client authentication finished (server trusted)" in output


def test_gsasl_without_binding(demo: Demo) -> None:
    output = gsasl(demo, "--mechanism=SCRAM-SHA-256", "--no-cb")
    assert "Client authentication finished (server trusted)" in output


def test_gsasl_with_a_wrong_password(demo: Demo) -> None:
    output = gsasl(demo, "--mechanism=SCRAM-SHA-256-PLUS", password="wrong", check=False)
    assert "NO [AUTHENTICATIONFAILED] The name or the password is wrong" in output


@dataclass
class Bound:
    """A client made from RFC 5802 §3 and §7: `answer` is called with each challenge."""

    name: str
    binding: bytes
    password: str = PASSWORD
    first: bytes = f"n={ALICE},r=client".encode()

    def answer(self, challenge: bytes) -> bytes:
        header = f"p={self.name},,".encode()
        if not challenge:
            return header + self.first
        if challenge.startswith(b"v="):
            assert b64decode(challenge[2:]) == self.signature
            return b""
        fields = dict(part.split(b"=", 1) for part in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), b64decode(fields[b"s"]), int(fields[b"i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=" + b64encode(header + self.binding) + b",r=" + fields[b"r"]
        signed = b",".join((self.first, challenge, without_proof))
        self.signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        proof = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        return without_proof + b",p=" + b64encode(bytes(a ^ b for a, b in zip(key, proof, strict=True)))


def bound(sock: ssl.SSLSocket, name: str) -> Bound:
    """A client on this connection."""
    if name == "tls-unique":
        return Bound(name, sock.get_channel_binding("tls-unique") or b"")
    return Bound(name, hashlib.sha256(sock.getpeercert(binary_form=True) or b"").digest())


CASES = [("tls-unique", ssl.TLSVersion.TLSv1_2)] + [
    ("tls-server-end-point", version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
]


@pytest.mark.parametrize(("name", "version"), CASES)
def test_all_protocols(demo: Demo, name: str, version: ssl.TLSVersion) -> None:
    trust = demo.trust
    trust.minimum_version = trust.maximum_version = version
    with smtplib.SMTP_SSL("localhost", demo.port("submissions"), context=trust) as smtp:
        smtp.ehlo()
        assert smtp.esmtp_features["auth"].split()[0] == "SCRAM-SHA-256-PLUS"
        client = bound(smtp.sock, name)  # type: ignore[arg-type]
        code, reply = smtp.docmd("AUTH", "SCRAM-SHA-256-PLUS " + b64encode(client.answer(b"")).decode())
        while code == 334:
            code, reply = smtp.docmd(b64encode(client.answer(b64decode(reply))).decode())
        assert code == 235
    with imaplib.IMAP4_SSL("localhost", demo.port("imaps"), ssl_context=trust) as imap:
        assert "AUTH=SCRAM-SHA-256-PLUS" in imap.capabilities
        status, _ = imap.authenticate("SCRAM-SHA-256-PLUS", bound(imap.sock, name).answer)  # type: ignore[arg-type]
        assert status == "OK"
    pop3 = poplib.POP3_SSL("localhost", demo.port("pop3s"), context=trust)
    assert "SCRAM-SHA-256-PLUS" in pop3.capa()["SASL"]
    client = bound(pop3.sock, name)  # type: ignore[arg-type]
    said = pop3._shortcmd("AUTH SCRAM-SHA-256-PLUS")  # type: ignore[attr-defined]
    while said.startswith(b"+ "):
        said = pop3._shortcmd(b64encode(client.answer(b64decode(said[2:]))).decode())  # type: ignore[attr-defined]
    assert said.startswith(b"+OK")
    pop3.quit()


def test_a_man_in_the_middle_is_noticed(demo: Demo) -> None:
    """Whoever has another certificate, or another connection to us, sees another binding than we do."""
    with smtplib.SMTP_SSL("localhost", demo.port("submissions"), context=demo.trust) as smtp:
        smtp.ehlo()
        client = Bound("tls-server-end-point", hashlib.sha256(b"another certificate").digest())
        code, reply = smtp.docmd("AUTH", "SCRAM-SHA-256-PLUS " + b64encode(client.answer(b"")).decode())
        code, reply = smtp.docmd(b64encode(client.answer(b64decode(reply))).decode())
        assert code == 535
        assert b"not the one that this server sees" in reply
        code, reply = smtp.docmd("AUTH", "SCRAM-SHA-256 " + b64encode(b"y,," + client.first).decode())
        assert code == 535
        assert b"your program was told that it is not" in reply
