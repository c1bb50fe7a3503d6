"""IMAP: strangers' literals, and an account whose owner wants more than a fair share."""

import asyncio
import itertools

from tests.dos.attacker import Target, attack
from tests.dos.attacks.smtp import deliver

_number = itertools.count()


@attack("Huge literals before login: 4 GB announced, many at once, without waiting")
async def literals_before_login(target: Target) -> None:
    """With and without LITERAL+, and small ones by the thousand."""
    starts = (
        b"a LOGIN {4294967295}\r\n",
        b"a LOGIN {4294967295+}\r\n",
        b"a LOGIN {4096+}\r\n",
        b"a ID (" + b'"a" {1+}\r\nb ' * 500,
        b"a LOGIN {99999999999999999999+}\r\n",
    )

    async def announce(index: int) -> None:
        async with target.dial("imaps", source=f"127.50.{index // 50}.{1 + index % 50}") as wire:
            await wire.line()
            wire.say(starts[index % len(starts)])
            while True:
                await wire.pour(b"x" * 16384)
                target.count["KiB"] += 16

    await target.swarm(target.many(100, 10), announce, pause=0.05)


@attack("Huge literals after login", memory=250)
async def literals_after_login(target: Target) -> None:
    """APPEND of the largest message, never completed; searches for 100 KB; a command of a megabyte."""

    async def announce(index: int) -> None:
        async with target.inside(source=f"127.51.0.{1 + index}") as wire:
            match index % 4:
                case 0:
                    wire.say(b"a APPEND INBOX {52428800+}\r\n")
                    for _ in range(700):
                        await wire.pour(b"x" * 65536)
                        target.count["KiB"] += 64
                    await asyncio.sleep(60)
                case 1:
                    answer = await wire.ask(b"SEARCH TEXT {100000+}\r\n" + b"q" * 100_000)
                    target.count["long needles" if b" OK" in answer else "refused"] += 1
                case 2:
                    answer = await wire.ask(b"APPEND INBOX {4294967295}")
                    target.count["4 GB refused" if b" NO" in answer else "4 GB?"] += 1
                case _:
                    answer = await wire.ask(
                        b"SEARCH " + b"TEXT {90000+}\r\n" + b"r" * 90_000 + b" TEXT {1+}\r\ns" * 900
                    )
                    target.count["many literals" if b" OK" in answer else "refused"] += 1

    await target.swarm(target.many(40, 4), announce)


@attack("One account sends commands without end and reads nothing", memory=250)
async def reads_nothing(target: Target) -> None:
    """Large replies for somebody who does not take them."""

    async def ask(index: int) -> None:
        async with target.inside(source=f"127.52.0.{1 + index}") as wire:
            wire.reader._limit = 1  # type: ignore[attr-defined]
            while True:
                await wire.pour(b"f FETCH 1:* (ENVELOPE BODY.PEEK[])\r\n" * 50)
                target.count["commands"] += 50

    await target.swarm(target.many(50, 5), ask)


@attack("FETCH amplification: one message, 500 times in one command")
async def amplification(target: Target) -> None:
    """Small commands, large replies."""
    items = b" ".join(b"BODY.PEEK[]<%d.%d>" % (n, 100_000) for n in range(480))

    async def ask(index: int) -> None:
        async with target.inside(source=f"127.53.0.{1 + index}", limit=2**24) as wire:
            while True:
                await wire.ask(b"FETCH 1:100 (" + items + b")")
                target.count["commands"] += 1

    await target.swarm(target.many(10, 2), ask)


@attack("Search storm by one account: text that is nowhere, in 3,000 messages")
async def search_storm(target: Target) -> None:
    """Needles of two letters, which no index knows, in every message."""

    async def search(index: int) -> None:
        async with target.inside(source=f"127.54.0.{1 + index}") as wire:
            while True:
                await wire.ask(b'SEARCH TEXT "%c%c"' % (0x21 + next(_number) % 5, 0x7E))
                target.count["searches"] += 1

    await target.swarm(target.many(40, 8), search)


@attack("Search keys: nested OR and NOT, sets by the thousand")
async def search_keys(target: Target) -> None:
    """What a program of 2,000 keys costs."""
    programs = (
        b"SEARCH " + b"OR SEEN " * 95 + b"ANSWERED",
        b"SEARCH " + b"NOT " * 95 + b"SEEN",
        b"SEARCH " + b"OR NOT SEEN NOT ANSWERED " * 600,
        b"SEARCH " + b",".join([b"1:*"] * 100_000),
        b"SEARCH " + b",".join(b"%d:%d" % (n, 3000 - n) for n in range(1, 1500)),
        b"UID SEARCH " + b" ".join([b"UID 1:*"] * 1900),
        b"SEARCH " + b"OR TEXT aa TEXT bb " * 300,
        b"SEARCH " + b"OR SUBJECT aa BODY bb " * 300,
        b"SEARCH " + b"(" * 99 + b"ALL" + b")" * 99,
        b"FETCH " + b",".join([b"1:*"] * 100_000) + b" FLAGS",
    )

    async def search(index: int) -> None:
        async with target.inside(source=f"127.55.0.{1 + index}", limit=2**24) as wire:
            program = programs[index % len(programs)].rstrip()
            while True:
                answer = await wire.ask(program)
                target.count["answered" if b" OK" in answer else "refused"] += 1

    await target.swarm(target.many(30, 10), search)


@attack("IDLE storm: 300 want to be in IDLE on one mailbox, and a burst of mail")
async def idle_storm(target: Target) -> None:
    """Each message is told 300 times."""
    count = target.many(300, 30)

    async def idle(index: int) -> None:
        async with target.inside(source=f"127.56.{index // 100}.{1 + index % 100}") as wire:
            wire.say(b"a IDLE\r\n")
            target.count["sessions"] += 1
            while await wire.line():
                target.count["lines"] += 1

    async def send(index: int) -> None:
        await asyncio.sleep(1.5)
        async with target.dial("smtp", source=f"127.57.0.{1 + index}") as wire:
            await deliver(target, wire)

    await asyncio.gather(target.swarm(count, idle, pause=0.5), target.swarm(5, send))


@attack("LIST wildcards, and mailboxes without end")
async def mailboxes(target: Target) -> None:
    """`%*%*%*`, deep names, and CREATE as fast as it goes."""

    async def look(index: int) -> None:
        async with target.inside(source=f"127.58.0.{1 + index}", limit=2**20) as wire:
            while True:
                await wire.ask(b'LIST "" "%b"' % (b"%*" * 400 + b"x"))
                await wire.ask(b'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN SIZE))')
                target.count["lists"] += 2

    async def create(index: int) -> None:
        async with target.inside(source=f"127.59.0.{1 + index}") as wire:
            while True:
                name = b"/".join(b"%d" % (next(_number) % 97) for _ in range(10)) + b"/%d" % next(_number)
                answer = await wire.ask(b"CREATE %b" % name)
                target.count["created" if b" OK" in answer else "refused"] += 1

    await asyncio.gather(target.swarm(target.many(6, 2), look), target.swarm(target.many(10, 2), create))


@attack("APPEND flood")
async def append_flood(target: Target) -> None:
    """Messages of 100 KB from 20 sessions of one account."""
    message = b"Subject: x\r\n\r\n" + b"All work and no play makes Jack a dull boy.\r\n" * 2200

    async def append(index: int) -> None:
        async with target.inside(source=f"127.60.0.{1 + index}") as wire:
            while True:
                wire.say(b"a APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n")
                answer = await wire.outcome()
                target.count["kept" if b" OK" in answer else "refused"] += 1

    await target.swarm(target.many(20, 3), append)


@attack("Flags of 3,000 messages, changed all the time from 20 sessions")
async def flag_storm(target: Target) -> None:
    """Each change is told to each session."""

    async def store(index: int) -> None:
        async with target.inside(source=f"127.61.0.{1 + index}", limit=2**20) as wire:
            while True:
                await wire.ask(b"STORE 1:* %cFLAGS ($K%d)" % (b"+-"[next(_number) % 2], index))
                target.count["commands"] += 1

    await target.swarm(target.many(20, 3), store)


@attack("COPY of everything, again and again")
async def copy_storm(target: Target) -> None:
    """3,000 messages become 6,000, and more."""

    async def copy(index: int) -> None:
        async with target.inside(source=f"127.62.0.{1 + index}", limit=2**20) as wire:
            await wire.ask(b"CREATE C%d" % index)
            while True:
                answer = await wire.ask(b"COPY 1:3000 C%d" % index)
                target.count["copied" if b" OK" in answer else "refused"] += 1

    await target.swarm(target.many(4, 2), copy)


@attack("Sessions by the hundred of one account", memory=300)
async def sessions(target: Target) -> None:
    """More than any set of devices has."""

    async def stay(index: int) -> None:
        async with target.inside(source=f"127.63.{index // 200}.{1 + index % 200}") as wire:
            target.count["sessions"] += 1
            wire.say(b"a IDLE\r\n")
            while await wire.line():
                pass

    await target.swarm(target.many(500, 50), stay, pause=0.5)
