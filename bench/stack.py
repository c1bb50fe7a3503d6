"""Stack: one side of the comparison, with what both sides share (accounts, password, certificate)."""

import datetime
import random
import socket
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench import measure

DOMAIN = "bench.test"
PASSWORD = "bench-password"


def account(number: int) -> str:
    """Address of account `number`."""
    return f"user{number}@{DOMAIN}"


def free_port() -> int:
    """A port that nobody uses now, and that no client gets for its end of a connection before a server takes it."""
    for _ in range(1_000):
        port = random.randrange(10_000, 32_000)  # below what Linux gives to clients
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port between 10000 and 32000 is free")


def certificate(directory: Path) -> Path:
    """An ECDSA P-256 certificate for localhost, self-signed, as cert.pem and key.pem; returns the path of cert.pem."""
    path = directory / "cert.pem"
    if path.exists():
        return path
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (directory / "key.pem").chmod(0o600)
    return path


class Stack:
    """A running mail server: its ports and what it uses."""

    name = ""
    directory: Path
    ports: dict[str, int]
    roots: list[int]
    ca: Path
    accounts: int
    relay_port: int
    """Of loopback: where mail for other domains is handed to."""

    def fresh(self, directory: Path, accounts: int, *, indexed: bool) -> "Stack":
        """One more of its kind, not started yet. `indexed`: one that keeps an index of the text of what it stores."""
        raise NotImplementedError

    def start(self) -> None:
        """Start; returns when every port answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop and wait."""
        raise NotImplementedError

    def waiting(self) -> int:
        """Messages accepted and not yet in a mailbox."""
        return 0

    def behind(self) -> int:
        """Messages that are in a mailbox and not yet in an index that is filled behind that with pauses."""
        return 0

    def index_octets(self) -> int:
        """What the index of texts takes on the disk; 0: there is none."""
        raise NotImplementedError

    def cpu(self) -> float:
        """CPU seconds used since the start."""
        return measure.cpu(self.roots)

    def pss(self) -> int:
        """Memory, octets."""
        return measure.pss(self.roots)

    def wait_for_ports(self, seconds: float = 30) -> None:
        """Until every port accepts a connection."""
        deadline = time.monotonic() + seconds
        for name, port in self.ports.items():
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{self.name}: port {name} does not answer") from None
                    time.sleep(0.05)
