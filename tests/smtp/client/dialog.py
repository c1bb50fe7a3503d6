"""Runs dialogs against the client engine: what the server says goes in cut in three ways, what the client says comes out."""

import random
from collections.abc import Callable, Iterator

from pillarbox.sasl.secret import Secret
from pillarbox.smtp.client.engine import SmtpClient, Want
from pillarbox.smtp.client.policy import ClientPolicy, Login, TlsMode
from pillarbox.smtp.client.transaction import Recipient, Transaction
from pillarbox.wire.engine import TlsInfo

Cut = Callable[[bytes], Iterator[bytes]]
TLS = TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def whole(octets: bytes) -> Iterator[bytes]:
    yield octets


def single(octets: bytes) -> Iterator[bytes]:
    for i in range(len(octets)):
        yield octets[i : i + 1]


def at_random(octets: bytes) -> Iterator[bytes]:
    source = random.Random(len(octets))
    start = 0
    while start < len(octets):
        end = start + source.randint(1, 9)
        yield octets[start:end]
        start = end


CUTS: list[Cut] = [whole, single, at_random]


def client(mode: TlsMode = TlsMode.OPPORTUNISTIC, *, login: bool = False) -> SmtpClient:
    credentials = Login("relay", Secret("pencil")) if login else None
    return SmtpClient(ClientPolicy(host_name="us.test"), mode, credentials)


def message(*recipients: str, size: int = 100, utf8: bool = False, reverse_path: str = "a@us.test") -> Transaction:
    return Transaction(reverse_path, [Recipient(r) for r in recipients or ("b@them.test",)], size, True, utf8)


def talk(engine: SmtpClient, script: str, cut: Cut, *, body: bytes = b"Subject: x\r\n\r\ny\r\n") -> None:
    """`S: ` lines go to the client, `C: ` lines must be exactly what it says then. A body is sent when it is wanted, and
    `TLS` starts TLS. `+` at the end of an S line: more comes in the same piece. The rest stays in `out`."""
    pending = b""
    for line in script.strip().split("\n"):
        kind, _, text = line.strip().partition(": ")
        if kind == "S":
            pending += text.removesuffix("+").encode() + b"\r\n"
            if not text.endswith("+"):
                for piece in cut(pending):
                    engine.receive(piece)
                pending = b""
        elif kind == "C":
            said = b"".join(engine.out.take()).split(b"\r\n", 1)
            rest = said[1] if len(said) > 1 else b""
            assert said[0].decode() == text
            if rest:
                engine.out.write(rest)
        elif kind == "TLS":
            assert engine.want is Want.TLS
            engine.tls_started(TLS)
        elif kind == "BODY":
            assert engine.want is Want.BODY
            for piece in cut(body):
                engine.body(piece)
            engine.end_of_body()
            assert b"".join(engine.out.take()) == body + b".\r\n"


def ready(engine: SmtpClient, extensions: str = "PIPELINING", cut: Cut = whole) -> None:
    """Through the greeting, in plaintext."""
    engine.connected(None)
    lines = ["them.test", *extensions.split()]
    offered = "\n".join(f"S: 250{'-' if i < len(lines) - 1 else ' '}{line}" for i, line in enumerate(lines))
    talk(engine, f"S: 220 hi\nC: EHLO us.test\n{offered}", cut)
    assert engine.want is Want.READY
