"""Two real servers relay to each other: submission, queue, MX look-up at a real DNS server, STARTTLS, mailbox, bounce."""

import asyncio
import imaplib
import smtplib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.demo import PORTS, free_offset
from tests.net.dns_server import DnsServer

from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.assembly import Server
from pillarbox.server.settings import Config, Dns, Listener, Listeners, Relay, Tls
from pillarbox.store.api import RecipientState

PASSWORD = "correct horse battery"


@dataclass
class Site:
    """One domain's server, which can be stopped and started again on its directory."""

    domain: str
    host: str
    port: int
    directory: Path
    dns: DnsServer
    relay: Relay
    server: Server

    @classmethod
    def make(cls, domain: str, host: str, port: int, directory: Path, dns: DnsServer, relay: Relay) -> "Site":
        free = {
            name: msgspec.structs.replace(listener, host=host, port=0) for name, listener in Listeners().named().items()
        }
        config = Config(
            host_name=f"mx.{domain}",
            data=str(directory),
            domains=[domain],
            listeners=Listeners(**(free | {"smtp": Listener(port, host)})),
            tls=Tls(local_names=["localhost", host]),
            relay=relay,
            dns=Dns(servers=[f"{dns.host}:{dns.port}"]),
        )
        return cls(domain, host, port, directory, dns, relay, Server(config))

    async def start(self, *accounts: str) -> None:
        await self.server.start()
        for name in accounts:
            await self.server.store.directory.add_account(f"{name}@{self.domain}", hash_password(Secret(PASSWORD)))

    async def restart(self) -> None:
        """The same data in a new server."""
        self.server = Server(self.server.config)
        await self.server.start()

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.server.certificate_authority))

    async def submit(self, sender: str, recipients: list[str], subject: str, blind: str = "") -> bytes:
        to = ", ".join(recipient for recipient in recipients if recipient not in blind)
        message = f"From: {sender}\r\nTo: {to}\r\n{blind}Subject: {subject}\r\n\r\n.one\r\n..two\r\n".encode()

        def work() -> None:
            host, port = self.server.addresses["submissions"]
            with smtplib.SMTP_SSL(host, port, context=self.trust(), timeout=20) as client:
                client.login(sender, PASSWORD)
                assert client.sendmail(sender, recipients, message) == {}

        await asyncio.to_thread(work)
        return message

    async def inbox(self, address: str, mailbox: str = "INBOX") -> list[bytes]:
        """What a mail program sees."""

        def work() -> list[bytes]:
            host, port = self.server.addresses["imaps"]
            with imaplib.IMAP4_SSL(host, port, ssl_context=self.trust(), timeout=20) as client:
                client.login(address, PASSWORD)
                client.select(mailbox, readonly=True)
                found = client.fetch("1:*", "(BODY.PEEK[])")[1]
                return [item[1] for item in found if isinstance(item, tuple)]

        return await asyncio.to_thread(work)

    async def count(self, address: str) -> int:
        account = await self.server.store.directory.account(address)
        assert account is not None
        return len((await self.server.store.mail.open(account.id, "INBOX")).uids)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)


@dataclass
class World:
    here: Site
    there: Site
    dns: DnsServer


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with DnsServer() as dns:
        port = PORTS["smtp"] + free_offset()  # one port for both: servers find each other at one, as at 25 in the world
        relay = Relay(port=port, first_wait=0.2, longest_wait=0.5)
        here = Site.make("here.test", "127.0.0.1", port, tmp_path / "here", dns, relay)
        there = Site.make("there.test", "127.0.0.2", port, tmp_path / "there", dns, relay)
        for site in (here, there):
            dns.zone[site.domain, "MX"] = [f"10 mx.{site.domain}."]
            dns.zone[f"mx.{site.domain}", "A"] = [site.host]
        await here.start("alice", "amy")
        await there.start("bob")
        yield World(here, there, dns)
        await here.server.stop()
        await there.server.stop()


async def test_there_and_back(world: World) -> None:
    here, there = world.here, world.there
    sent = await here.submit("alice@here.test", ["bob@there.test"], "question")
    await until(lambda: equals(there.count("bob@there.test"), 1))
    (received,) = await there.inbox("bob@there.test")
    body = sent.partition(b"\r\n\r\n")[2]
    assert received.endswith(b"\r\n\r\n" + body)
    assert b"Return-Path: <alice@here.test>\r\n" in received
    assert b"by mx.there.test with ESMTPS" in received.replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")  # STARTTLS
    assert received.count(b"Received: ") == 2
    assert ("there.test", "MX", "udp") in world.dns.queries
    assert ("mx.there.test", "A", "udp") in world.dns.queries

    await there.submit("bob@there.test", ["alice@here.test", "amy@here.test"], "answer")
    await until(lambda: equals(here.count("alice@here.test"), 1))
    assert await here.count("amy@here.test") == 1
    for site in (here, there):
        await until(lambda site=site: is_empty(site))  # type: ignore[misc]


async def test_a_bounce_for_an_unknown_recipient_comes_back(world: World) -> None:
    here, there = world.here, world.there
    await here.submit("alice@here.test", ["bob@there.test", "nobody@there.test"], "who")
    await until(lambda: equals(here.count("alice@here.test"), 1))
    (bounce,) = await here.inbox("alice@here.test")
    assert bounce.startswith(b"Return-Path: <>\r\n")
    for words in (
        b"From: Mail Delivery System <MAILER-DAEMON@mx.here.test>\r\n",
        b"Content-Type: multipart/report; report-type=delivery-status;",
        b"Final-Recipient: rfc822; nobody@there.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        b"Remote-MTA: dns; mx.there.test\r\n",
        b"Subject: who\r\n",
    ):
        assert words in bounce
    assert await there.count("bob@there.test") == 1
    await until(lambda: is_empty(here))


async def test_nobody_but_the_author_sees_blind_copies(world: World) -> None:
    here, there = world.here, world.there
    blind = "Bcc: bob@there.test,\r\n amy@here.test\r\nBcc: nobody@there.test\r\n"
    everybody = ["alice@here.test", "amy@here.test", "bob@there.test", "nobody@there.test"]
    await here.submit("alice@here.test", everybody, "secret", blind)
    await until(lambda: equals(here.count("alice@here.test"), 2))  # her own, and the bounce about nobody
    visible = [*await here.inbox("alice@here.test"), *await here.inbox("amy@here.test")]
    await until(lambda: equals(there.count("bob@there.test"), 1))
    visible += await there.inbox("bob@there.test")
    assert len(visible) == 4
    for octets in visible:
        assert b"Subject: secret\r\n" in octets
        assert b"bcc" not in octets.lower()
        assert b"amy@here.test" not in octets or b"for <amy@here.test>" in octets
    (sent,) = await here.inbox("alice@here.test", "Sent")
    assert blind.encode() in sent


async def test_domains_that_take_no_mail(world: World) -> None:
    world.dns.zone["null.test", "MX"] = ["0 ."]
    await world.here.submit("alice@here.test", ["x@null.test"], "null MX")
    await world.here.submit("alice@here.test", ["x@no-such-domain.test"], "no domain")
    await until(lambda: equals(world.here.count("alice@here.test"), 2))
    found = b"".join(await world.here.inbox("alice@here.test"))
    assert b"Status: 5.1.10\r\n" in found
    assert b"Status: 5.1.2\r\n" in found


async def test_mail_that_would_come_back_to_us_is_refused(world: World) -> None:
    world.dns.zone["ours.test", "MX"] = ["10 mx.elsewhere.test."]
    world.dns.zone["mx.elsewhere.test", "A"] = ["127.0.0.1"]
    await world.here.submit("alice@here.test", ["x@ours.test"], "loop")
    await until(lambda: equals(world.here.count("alice@here.test"), 1))
    (bounce,) = await world.here.inbox("alice@here.test")
    assert b"Status: 5.4.6\r\n" in bounce


async def test_nothing_is_lost_while_a_server_is_down(world: World) -> None:
    here, there = world.here, world.there
    await there.server.stop()
    for n in range(5):
        await here.submit("alice@here.test", ["bob@there.test"], f"patience {n}")

    async def all_tried() -> bool:
        entries = await here.server.store.queue.entries()
        states = [r for entry in entries for r in entry.recipients]
        assert all(r.state is RecipientState.QUEUED for r in states)
        return len(states) == 5 and all(r.attempts for r in states)

    await until(all_tried)
    await here.server.stop()  # the queue outlives the process
    await here.restart()
    await until(all_tried)
    await there.restart()
    await until(lambda: equals(there.count("bob@there.test"), 5))
    await until(lambda: is_empty(here))
    found = await there.inbox("bob@there.test")
    for n in range(5):
        assert sum(f"Subject: patience {n}\r\n".encode() in octets for octets in found) == 1
    assert await here.count("alice@here.test") == 0


async def test_the_dns_is_down_for_a_while(world: World) -> None:
    world.dns.broken = {"there.test"}
    await world.here.submit("alice@here.test", ["bob@there.test"], "dns")

    async def tried() -> bool:
        return any(r.attempts for e in await world.here.server.store.queue.entries() for r in e.recipients)

    await until(tried)
    world.dns.broken = set()
    await until(lambda: equals(world.there.count("bob@there.test"), 1))
    assert await world.here.count("alice@here.test") == 0


async def equals(counting: Awaitable[int], expected: int) -> bool:
    return await counting == expected


async def is_empty(site: Site) -> bool:
    return await site.server.store.queue.entries() == []
