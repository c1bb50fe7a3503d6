"""SMTP transactions against a model: commands pipelined and cut anywhere, DATA and BDAT, refusals, RSET, broken connections.
Every 250 that ends a message is one message in each recipient's mailbox (or the queue), and nothing else is. On port 25 and
for submission, over both homes of the store."""

import asyncio
import random
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.sasl.credentials import FakeCredentials
from tests.transfer.house import HASHES, NOW, TLS, queue_ids

from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy
from pillarbox.store.api import Alias, Store
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.memory import MemoryStore
from pillarbox.transfer import policy as transfer
from pillarbox.transfer.reception import Reception
from pillarbox.transfer.submission import Submission
from pillarbox.wire.engine import Link, Want

ALICE, BOB, TEAM, FAR = "alice@example.test", "bob@example.test", "team@example.test", "carol@far.example"
MEANT = {ALICE: {ALICE}, BOB: {BOB}, TEAM: {ALICE, BOB, FAR}, FAR: {FAR}}
LARGEST = 400
"""Octets of a message that is taken."""

recipients = st.sampled_from([ALICE, ALICE, BOB, TEAM, FAR, "nobody@example.test", "alice+tag@example.test"])
sizes = st.sampled_from([0, 0, 0, 1, 10, 2 * LARGEST])


@dataclass
class Transaction:
    """Of the model. `chunks`: what BDAT brought, None before."""

    paths: list[str] = field(default_factory=list)
    chunks: list[bytes] | None = None


class Transactions(RuleBasedStateMachine):
    """`batch` is what the client will send at once, `expected` the codes that it must be answered with."""

    submission = False
    on_disk = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.source = random.Random()
        self.number = 0
        self.taken: dict[str, list[int]] = {ALICE: [], BOB: [], FAR: []}
        self.sent: list[int] = []
        self.engine: SmtpEngine | None = None

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize(seed=st.integers(0, 2**16))
    def start(self, seed: int) -> None:
        self.source.seed(seed)
        self.run(self._start())
        self._connect()

    async def _start(self) -> None:
        home: Store = MemoryStore(clock=lambda: NOW)
        if self.on_disk:
            home = await EmbeddedStore.open(Path(self.directory.name) / "store")
        await home.directory.add_domain("example.test")
        for address in (ALICE, BOB):
            await home.directory.add_account(address, HASHES)
        await home.directory.add_alias(Alias(TEAM, (ALICE, BOB, FAR)))
        self.store = home
        kind = Submission if self.submission else Reception
        self.service = kind(home, transfer.Policy(hostname="mx.example.test"), clock=lambda: NOW, queue_id=queue_ids())

    def _connect(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        link = Link(tls=TLS, emit=lambda event, /, **facts: self.events.append((event, facts)))
        policy = Policy(
            hostname="mx.example.test", submission=self.submission, max_message=LARGEST, max_errors=10**6,
            max_refused_recipients=10**6, max_commands=10**6,
        )  # fmt: skip
        credentials = FakeCredentials({ALICE: "sesame"}) if self.submission else None
        self.engine = SmtpEngine(link, self.service, policy, credentials)
        self.engine.connected()
        self.batch, self.expected = b"", ["220"]
        self.greeted = self.extended = False
        self.transaction: Transaction | None = None
        if self.submission:
            self.greets(extended=True)
            self._add("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZXNhbWU=", "235")
        self.sends()

    def _add(self, line: str, code: str) -> None:
        self.batch += line.encode() + b"\r\n"
        self.expected.append(code)

    # Commands; the model says what must come.

    @rule(extended=st.booleans())
    def greets(self, extended: bool) -> None:
        self._add("EHLO client.example" if extended or self.submission else "HELO client.example", "250")
        self.greeted, self.extended, self.transaction = True, extended or self.submission, None

    @rule(too_large=st.booleans())
    def begins(self, too_large: bool) -> None:
        code = "250"
        if not self.greeted or self.transaction is not None:
            code = "503"
        elif too_large:
            code = "552" if self.extended else "555"  # HELO brings no parameters
        self._add(f"MAIL FROM:<{ALICE}>{f' SIZE={LARGEST + 1}' if too_large else ''}", code)
        if code == "250":
            self.transaction = Transaction()

    @rule(path=recipients)
    def names(self, path: str) -> None:
        address = path.replace("+tag", "")
        transaction = self.transaction
        if transaction is None or transaction.chunks is not None:
            code = "503"
        elif address not in MEANT or (address == FAR and not self.submission):
            code = "550"
        else:
            code = "250"
            transaction.paths.append(address)
        self._add(f"RCPT TO:<{path}>", code)

    def _begin_properly(self, path: str) -> None:
        """What a client does that means it."""
        if self.transaction is not None and self.transaction.paths:
            return
        if not self.greeted:
            self.greets(extended=True)
        if self.transaction is None:
            self.begins(too_large=False)
        self.names(path=path)

    @rule(which=st.sampled_from(["RSET", "NOOP", "VRFY alice"]))
    def says(self, which: str) -> None:
        self._add(which, "252" if which.startswith("VRFY") else "250")
        if which == "RSET":
            self.transaction = None

    @rule(
        path=st.none() | recipients,
        padding=sizes,
        dots=st.booleans(),
        broken=st.sampled_from(["", "", "", "LF", "cut"]),
    )
    def gives_data(self, path: str | None, padding: int, dots: bool, broken: str) -> None:
        """DATA ends a batch: the client waits for 354."""
        if path is not None:
            self._begin_properly(path)
        transaction = self.transaction
        if transaction is None or not self.greeted:
            self._add("DATA", "503")
            return
        if transaction.chunks is not None:
            self._add("DATA", "503")
            return
        if not transaction.paths:
            self._add("DATA", "554")
            return
        self._add("DATA", "354")
        self.sends()
        number, octets = self._message(0 if broken == "LF" else padding, dots=dots)
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        if broken == "cut":
            self.batch = stuffed[: self.source.randrange(len(octets))]
            self.sends()
            self._leave()
            return
        if broken == "LF" and not self.submission:
            self.batch = stuffed + b"\n.\nMAIL FROM:<evil@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"
            self.batch += b"Subject: 666\r\n\r\nsmuggled\r\n.\r\n"
            self.expected.append("550")
            self.sends()
            assert self.engine is not None
            assert self.engine.want is Want.CLOSE
            self._leave()
            return
        self.batch = stuffed + b".\r\n"
        self._finish(number, len(octets))

    @rule(path=st.none() | recipients, padding=sizes, last=st.booleans(), spaces=st.booleans())
    def gives_chunk(self, path: str | None, padding: int, last: bool, spaces: bool) -> None:
        """BDAT: goes out with everything else."""
        if path is not None:
            self._begin_properly(path)
        _, octets = self._message(padding, dots=True)
        if self.transaction is not None and self.transaction.chunks:
            octets = b"more\r\n" * (padding % 7)  # a later chunk of the same message
        line = b"BDAT %d%b\r\n" % (len(octets), (b"  LAST" if spaces else b" LAST") if last else b"")
        self.batch += line + octets
        transaction = self.transaction
        if transaction is None:
            self.expected.append("503")
            return
        if not transaction.paths:
            self.expected.append("554")
            return
        if transaction.chunks is None:
            transaction.chunks = []
        transaction.chunks.append(octets)
        whole = b"".join(transaction.chunks)
        if len(whole) > LARGEST:
            self.expected.append("552")
            self.transaction = None
        elif last:
            found = re.search(rb"Subject: (\d+)", whole)
            self._finish(int(found[1]) if found else 0, len(whole))
        else:
            self.expected.append("250")

    def _message(self, padding: int, *, dots: bool) -> tuple[int, bytes]:
        self.number += 1
        body = b".dot\r\n..\r\n.\r\n" if dots else b"text\r\n"
        octets = b"From: %b\r\nSubject: %d\r\n\r\n" % (ALICE.encode(), self.number) + body
        return self.number, octets + b"x" * padding + b"\r\n" * bool(padding)

    def _finish(self, number: int, size: int) -> None:
        """The message is whole: it is taken, or too large."""
        transaction, self.transaction = self.transaction, None
        assert transaction is not None
        if size > LARGEST:
            self.expected.append("552")
            return
        self.expected.append("250")
        for address in set().union(*(MEANT[path] for path in transaction.paths)):
            self.taken[address].append(number)
        self.sent.append(number)

    @rule()
    def sends(self) -> None:
        """Everything that was gathered goes out, cut anywhere; the replies are counted."""
        self.run(self._send())

    async def _send(self) -> None:
        assert self.engine is not None
        octets, self.batch = self.batch, b""
        said = self.engine.out.take()
        sizes = self.source.choice(((1,), (1, 3, 20, 100), (len(octets),)))
        while octets:
            size = self.source.choice(sizes)
            self.engine.receive(octets[:size])
            octets = octets[size:]
            await self.engine.process()
            said += self.engine.out.take()
        lines = b"".join(said).decode().split("\r\n")[:-1]
        codes = [line[:3] for line in lines if line[3:4] == " "]
        expected, self.expected = self.expected, []
        assert codes == expected, lines

    @rule()
    def leaves(self) -> None:
        self.sends()
        self._leave()

    def _leave(self) -> None:
        assert self.engine is not None
        self.engine.disconnected()
        self._connect()

    # What holds when nothing is on its way.

    @invariant()
    def each_accepted_message_is_there_once(self) -> None:
        if self.engine is not None and not self.batch:
            self.run(self._compare())

    async def _compare(self) -> None:
        for account, address in ((1, ALICE), (2, BOB)):
            assert await self._numbers(account, "INBOX") == self.taken[address], address
        if self.submission:
            assert await self._numbers(1, "Sent") == self.sent
        queued = [await self.store.queue.content(entry.id) for entry in await self.store.queue.entries()]
        assert sorted(_number(octets) for octets in queued) == sorted(self.taken[FAR])
        assert not [event for event in self.events if event[0] == "internal_error"]

    async def _numbers(self, account: int, mailbox: str) -> list[int]:
        view = await self.store.mail.open(account, mailbox)
        return [_number(await self.store.mail.octets(account, view.mailbox, uid)) for uid in view.uids]

    def teardown(self) -> None:
        if self.engine is not None:
            self.sends()
            self.each_accepted_message_is_there_once()
            self.engine.disconnected()
            self.run(self.store.close())
        self.runner.close()
        self.directory.cleanup()


def _number(octets: bytes | None) -> int:
    """Which message this is; 0 for one that begins in the middle."""
    found = re.search(rb"(?m)^Subject: (\d+)", octets or b"")
    return int(found[1]) if found else 0


class SubmissionTransactions(Transactions):
    """The same for people who log in."""

    submission = True


class TransactionsOnDisk(Transactions):
    """The same over the embedded home."""

    on_disk = True


def play(machine: type[Transactions], examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize(
    ("machine", "examples"), [(Transactions, 60), (SubmissionTransactions, 40), (TransactionsOnDisk, 6)]
)
def test_transactions(machine: type[Transactions], examples: int) -> None:
    play(machine, examples, 30)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("machine", "examples"), [(Transactions, 800), (SubmissionTransactions, 500), (TransactionsOnDisk, 50)]
)
def test_transactions_for_long(machine: type[Transactions], examples: int) -> None:
    play(machine, examples, 50)
