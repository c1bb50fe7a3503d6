"""Bob submits in alice's name, in every way that we know; a stranger on port 25 asks who is there."""

import itertools
from pathlib import Path

import pytest
from tests.gates.neighbours import ALICE, BOB, MARK, QUEUE_ID, Neighbours, neighbours

from pillarbox.sasl.api import AuthenticationFailed, Identity, ScramKeys
from pillarbox.sasl.secret import Secret
from pillarbox.smtp.engine import SmtpEngine
from pillarbox.smtp.policy import Policy as SmtpPolicy
from pillarbox.smtp.registry import COMMANDS
from pillarbox.store.api import Alias
from pillarbox.transfer.policy import Policy
from pillarbox.transfer.reception import Reception
from pillarbox.transfer.submission import Submission
from pillarbox.wire.engine import Link, TlsInfo

NOT_BOBS = (
    ALICE, "ALICE@Example.TEST", "alice+tag@example.test", '"alice"@example.test', "boss@example.test", "boss+x@example.test",
    "staff@example.test", "nobody@example.test", "postmaster@example.test", "alice@elsewhere.example", "bob@elsewhere.example",
    "bob@example.test.elsewhere.example", "bob@sub.example.test", '"bob@example.test"@elsewhere.example', "bob%x@example.test",
    "bob/alice@example.test", "bob.@example.test", "root@localhost", "bob@[127.0.0.1]",
)  # fmt: skip
"""Reverse-paths and authors that are not bob's: alice, her alias, her tag, an alias of an alias, nobody, other domains."""

BOBS = (BOB, "Bob@EXAMPLE.test", "bob+shop@example.test", "robert@example.test")

FORGED = (
    "From: alice@example.test",
    "From: Bob <alice@example.test>",
    '"From": alice@example.test',
    "From : alice@example.test",
    "From\t: alice@example.test",
    "FROM: ALICE@EXAMPLE.TEST",
    "From: bob@example.test, alice@example.test",
    "From: alice@example.test, bob@example.test",
    "From: bob@example.test\r\nFrom: alice@example.test",
    "From: alice@example.test\r\nFrom: bob@example.test",
    "From: bob@example.test\r\nFrom : alice@example.test",
    "From: bob@example.test\r\nSender: alice@example.test",
    "From: bob@example.test\r\nSender: bob@example.test\r\nSender: alice@example.test",
    "From: bob@example.test\r\nSender: bob@example.test, alice@example.test",
    "From: friends: bob@example.test, alice@example.test;",
    "From: friends:;",
    "From:",
    "From: <>",
    "Subject: none",
    "From: bob@example.test <alice@example.test>",
    'From: "bob@example.test" <alice@example.test>',
    "From: (bob@example.test) alice@example.test",
    "From: alice@example.test (bob@example.test)",
    "From: <bob@example.test> <alice@example.test>",
    "From: bob@example.test alice@example.test",
    "From: alice@example.test <bob@example.test>, <alice@example.test>",
    "From:\r\n alice@example.test",
    "From: bob@example.test,\r\n\talice@example.test",
    "From: =?utf-8?q?bob=40example.test?= <alice@example.test>",
    "From: =?utf-8?b?YWxpY2VAZXhhbXBsZS50ZXN0?=",
    "From: @bob.example.test:alice@example.test",
    "From: <@example.test,@bob.test:alice@example.test>",
    "From: alice\\@example.test@example.test",
    'From: "bob@example.test, alice"@example.test',
    "From: bob@example.test@alice.example",
    "From: alice @ example . test",
    "From: alice(c)@(c)example.test",
    "From: bob@example.test; alice@example.test",
    "From: bob@example.test\0alice@example.test",
    "From: alice@example.test\0",
    "Bob is here\r\nFrom: alice@example.test",
    " folded: nothing\r\nFrom: alice@example.test",
    "From: alice@exam\u00adple.test",
)
"""Headers that name alice, nobody, or somebody else to some reader. All are refused."""


class Passwords:
    """Everybody's password is the account's name."""

    def __init__(self, world: Neighbours) -> None:
        self._world = world

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        account = await self._world.store.directory.account(authcid)
        if account is None or password.reveal() != account.address:
            raise AuthenticationFailed
        return Identity(account.id, account.address)

    async def scram_keys(self, authcid: str) -> ScramKeys:
        raise NotImplementedError

    async def scram_verified(self, authcid: str) -> Identity:
        raise NotImplementedError

    async def scram_rejected(self, authcid: str) -> None:
        raise NotImplementedError

    def typed_in_clear(self, authcid: str, password: Secret) -> None:
        raise NotImplementedError


class Submitter:
    """A connection to a submission port, or to port 25, of the engine with the real service behind it."""

    def __init__(self, world: Neighbours, *, submission: bool = True) -> None:
        policy = Policy(hostname="mail.example.test", save_sent=False)
        service = Submission(world.store, policy) if submission else Reception(world.store, policy)
        smtp = SmtpPolicy(hostname="mail.example.test", submission=submission, max_errors=1000)
        link = Link(peer="192.0.2.7", tls=TlsInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
        self.engine = SmtpEngine(link, service, smtp, Passwords(world) if submission else None)
        self.engine.connected()

    async def say(self, line: str) -> str:
        """Send one line; the reply's last line."""
        self.engine.receive(line.encode("utf-8", "surrogateescape") + b"\r\n")
        await self.engine.process()
        return b"".join(self.engine.out.take()).decode().rstrip("\r\n").rpartition("\n")[2]

    @classmethod
    async def bob(cls, world: Neighbours) -> "Submitter":
        submitter = cls(world)
        await submitter.say("EHLO client.example")
        assert (await submitter.say("AUTH PLAIN AGJvYkBleGFtcGxlLnRlc3QAYm9iQGV4YW1wbGUudGVzdA==")).startswith("235")
        return submitter

    async def submit(self, header: str) -> str:
        """A whole transaction with a reverse-path of bob's; the last reply."""
        for line in (f"MAIL FROM:<{BOB}> SMTPUTF8", f"RCPT TO:<{BOB}>"):
            reply = await self.say(line)
            assert reply.startswith("250"), reply
        assert (await self.say("DATA")).startswith("354")
        return await self.say(f"{header}\r\nMessage-ID: <forged@example.test>\r\n\r\n{MARK}\r\n.")


async def furnish(world: Neighbours) -> None:
    """Aliases; `neighbours` compares them too, so they go again."""
    for address, target in (("boss", ALICE), ("staff", "boss@example.test"), ("robert", BOB)):
        await world.store.directory.add_alias(Alias(f"{address}@example.test", (target,)))


async def leave(world: Neighbours) -> None:
    for address in ("boss", "staff", "robert"):
        await world.store.directory.remove_alias(f"{address}@example.test")


async def test_he_has_no_other_reverse_path(tmp_path: Path) -> None:
    async with neighbours("memory", tmp_path) as world:
        await furnish(world)
        for address in NOT_BOBS:
            bob = await Submitter.bob(world)
            assert (await bob.say(f"MAIL FROM:<{address}>"))[:1] == "5", address
            assert (await bob.say(f"MAIL FROM:<{BOB}> AUTH=<>"))[:3] in ("250", "501", "555")
        for address in BOBS:
            bob = await Submitter.bob(world)
            assert (await bob.say(f"MAIL FROM:<{address}>")).startswith("250"), address
        await leave(world)


async def test_he_is_no_other_author(tmp_path: Path) -> None:
    async with neighbours("memory", tmp_path) as world:
        await furnish(world)
        forged = [*FORGED, *(f"From: {address}" for address in NOT_BOBS), *(f"From: x <{a}>" for a in NOT_BOBS)]
        for header in forged:
            bob = await Submitter.bob(world)
            assert (await bob.submit(header))[:1] == "5", header
        mail = world.store.mail
        assert len((await mail.open(world.bob.id, "INBOX")).uids) == 1
        for address, form in itertools.product(BOBS, ("{}", "Bob <{}>", "(alice@example.test) {}")):
            bob = await Submitter.bob(world)
            assert (await bob.submit("From: " + form.format(address))).startswith("250"), address
        await leave(world)


ASKS: dict[str, tuple[str, ...]] = {
    "VRFY": ("VRFY {}", "VRFY <{}@example.test>", "VRFY {}@example.test SMTPUTF8"),
    "EXPN": ("EXPN {}", "EXPN {}@example.test", "EXPN staff"),
    "HELP": ("HELP {}",),
    "EHLO": ("EHLO {}.example.test",),
    "HELO": ("HELO {}.example.test",),
    "NOOP": ("NOOP {}",),
    "RSET": ("RSET {}",),
    "QUIT": (),
    "AUTH": (),  # test_authorisation_identity.py
    "STARTTLS": ("STARTTLS {}",),
    "MAIL": (),  # test_he_has_no_other_reverse_path
    "RCPT": (),  # says who takes mail, and must: docs/security.md
    "DATA": ("DATA {}",),
    "BDAT": ("BDAT {}",),
}
"""What could name somebody. The answer is the same for somebody who is here and for somebody who is not."""


def test_each_command_has_a_row() -> None:
    assert set(ASKS) == {entry.verb for entry in COMMANDS.values()}


@pytest.mark.parametrize("submission", [False, True], ids=["port 25", "submission"])
async def test_nobody_is_told_who_is_here(tmp_path: Path, submission: bool) -> None:
    async with neighbours("memory", tmp_path) as world:
        for row in itertools.chain.from_iterable(ASKS.values()):
            answers = []
            for name in ("alice", "nobdy"):
                client = await Submitter.bob(world) if submission else Submitter(world, submission=False)
                if not row.startswith(("EHLO", "HELO")):
                    await client.say("EHLO client.example")
                answers.append((await client.say(row.format(name))).replace(name, ""))
            assert answers[0] == answers[1], row


async def test_no_protocol_knows_queue_ids(tmp_path: Path) -> None:
    async with neighbours("memory", tmp_path) as world:
        for verb in (
            "ETRN",
            "TURN",
            "ATRN",
            "XQUE",
            "QUEUE",
            "XCLIENT",
            "XFORWARD",
            "SEND",
            "SAML",
            "SOML",
            "BURL",
            "DEBUG",
            "WIZ",
        ):
            for client in (await Submitter.bob(world), Submitter(world, submission=False)):
                await client.say("EHLO client.example")
                for argument in (
                    QUEUE_ID,
                    "example.test",
                    "@example.test",
                    f"NAME={ALICE}",
                    "imap://alice@x/INBOX;UID=1 LAST",
                ):
                    assert (await client.say(f"{verb} {argument}"))[:1] == "5", verb
