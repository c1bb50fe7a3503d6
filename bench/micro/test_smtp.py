"""SMTP: lines, dot-stuffed bodies, and a whole transaction in the engine."""

from collections.abc import Callable
from typing import Any

from bench.micro.conftest import drive
from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Reply
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy
from pillarbox.smtp.service import Body, Client
from pillarbox.store.spool import Spool
from pillarbox.wire.engine import Link
from pillarbox.wire.lines import LineBuffer

COMMANDS = b"MAIL FROM:<somebody@example.org> SIZE=12345\r\nRCPT TO:<you@bench.test>\r\nDATA\r\n"


class Accepting:
    """A mail service that takes everything and keeps nothing."""

    accepted = 0

    def watch_account(self, client: Client, closed: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    async def check_sender(self, client: Client, envelope: Envelope) -> None:
        pass

    async def check_recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> None:
        pass

    def open_body(self, client: Client, envelope: Envelope) -> Body:
        return Spool()

    async def accept(self, client: Client, envelope: Envelope, body: Body) -> Reply:
        self.accepted += 1
        return Reply(250, "2.0.0", "Accepted")


def test_lines(benchmark: Any) -> None:
    octets = COMMANDS * 100

    def read() -> int:
        lines = LineBuffer()
        lines.feed(octets)
        count = 0
        while lines.take_line(1000) is not None:
            count += 1
        return count

    assert benchmark(read) == 300


def test_transaction(benchmark: Any, mail: list[bytes]) -> None:
    service = Accepting()
    engine = SmtpEngine(Link(), service, Policy(hostname="mail.bench.test"))
    engine.connected()
    engine.receive(b"EHLO client.example.org\r\n")
    drive(engine.process())
    engine.out.take()
    message = min(mail, key=lambda octets: abs(len(octets) - 8192)).replace(b"\r\n.", b"\r\n..") + b".\r\n"

    def deliver() -> bytes:
        engine.receive(COMMANDS)
        drive(engine.process())
        engine.receive(message)
        drive(engine.process())
        return b"".join(engine.out.take())

    assert benchmark(deliver).endswith(b"Accepted\r\n")
