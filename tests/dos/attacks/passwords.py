"""Guessing passwords, from everywhere."""

import base64
import itertools

from tests.crash.server import DOMAIN, PASSWORD
from tests.dos.attacker import Target, attack
from tests.dos.town import ALICE, MALLORY

_number = itertools.count()


@attack("Login storm: wrong passwords from many addresses")
async def login_storm(target: Target) -> None:
    """Fresh passwords for real and invented accounts, by IMAP, POP3 and submission."""

    async def guess(index: int) -> None:
        name = (ALICE, MALLORY, f"nobody{index}@{DOMAIN}")[index % 3].encode()
        password = b"guess-%d" % next(_number)
        source = target.stranger()
        if index % 3 == 0:
            async with target.dial("imaps", source=source) as wire:
                await wire.line()
                for _ in range(3):
                    await wire.ask(b"LOGIN %b %b%d" % (name, password, next(_number)))
                    target.count["guesses"] += 1
        elif index % 3 == 1:
            async with target.dial("pop3s", source=source) as wire:
                await wire.line()
                wire.say(b"USER %b\r\nPASS %b\r\n" % (name, password))
                await wire.line()
                await wire.line()
                target.count["guesses"] += 1
        else:
            async with target.dial("submissions", source=source) as wire:
                await wire.reply()
                await wire.reply(b"EHLO x")
                await wire.reply(b"AUTH PLAIN " + base64.b64encode(b"\0%b\0%b" % (name, password)))
                target.count["guesses"] += 1

    await target.swarm(target.many(300, 10), guess)


@attack("Login storm from one block")
async def login_storm_from_one_block(target: Target) -> None:
    """Cheap to refuse."""

    async def guess(index: int) -> None:
        async with target.dial("imaps", source=f"127.99.0.{1 + index}") as wire:
            await wire.line()
            for _ in range(4):
                answer = await wire.ask(b"LOGIN %b guess%d" % (ALICE.encode(), next(_number)))
                target.count["refused at once" if b"Too many" in answer else "guesses"] += 1

    await target.swarm(target.many(60, 6), guess)


@attack("SCRAM exchanges begun and never ended")
async def scram_storm(target: Target) -> None:
    """A client-first message costs the client nothing."""

    async def begin(index: int) -> None:
        async with target.dial("imaps", source=target.stranger()) as wire:
            await wire.line()
            first = base64.b64encode(b"n,,n=%b,r=%032d" % (MALLORY.encode(), next(_number)))
            for _ in range(20):
                wire.say(b"a AUTHENTICATE SCRAM-SHA-256 %b\r\n" % first)
                await wire.line()
                wire.say(b"*\r\n")
                await wire.line()
                target.count["exchanges"] += 1

    await target.swarm(target.many(40, 4), begin)


@attack("Good logins, again and again")
async def good_logins(target: Target) -> None:
    """One account that logs in all the time."""

    async def enter(index: int) -> None:
        async with target.dial("imaps", source=f"127.98.0.{1 + index}") as wire:
            await wire.line()
            answer = await wire.ask(b'LOGIN %b "%b"' % (MALLORY.encode(), PASSWORD.encode()))
            target.count["logins" if b" OK" in answer else "refused"] += 1

    await target.swarm(target.many(20, 2), enter)
