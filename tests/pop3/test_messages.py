"""RETR and TOP on the wire: dots, line ends, headers alone, large messages."""

import random

import pytest
from tests.pop3.client import Office

from pillarbox.pop3.commands.top import Excerpt
from pillarbox.pop3.maildrop import READ_AHEAD
from pillarbox.pop3.policy import Policy
from pillarbox.pop3.reply import DOT_IS_RARE, MessageWriter, has_dot_line
from pillarbox.store.api import StoreUnavailable
from pillarbox.store.memory.mail import MemoryMail
from pillarbox.wire.outbox import HIGH_WATER, Outbox

WIRE = [
    (b"S: x\r\n\r\n", b"S: x\r\n\r\n.\r\n"),
    (b"S: x\r\n\r\nbody\r\n", b"S: x\r\n\r\nbody\r\n.\r\n"),
    (b"S: x\r\n\r\nbody", b"S: x\r\n\r\nbody\r\n.\r\n"),  # the last line's end is added
    (b"S: x\r\n\r\nbody\r", b"S: x\r\n\r\nbody\r\r\n.\r\n"),
    (b"S: x\r\n\r\nbody\n", b"S: x\r\n\r\nbody\n\r\n.\r\n"),
    (b"S: x\r\n", b"S: x\r\n\r\n.\r\n"),  # only a header: its empty line is added
    (b"S: x", b"S: x\r\n\r\n.\r\n"),
    (b"", b"\r\n.\r\n"),
    (b"\r\nbody\r\n", b"\r\nbody\r\n.\r\n"),
    (b".S: x\r\n\r\n", b"..S: x\r\n\r\n.\r\n"),
    (b"S: x\r\n\r\n.\r\n", b"S: x\r\n\r\n..\r\n.\r\n"),
    (b"S: x\r\n\r\n..\r\n...\r\n", b"S: x\r\n\r\n...\r\n....\r\n.\r\n"),
    (b"S: x\r\n\r\n.\r\n.\r\n.\r\n", b"S: x\r\n\r\n..\r\n..\r\n..\r\n.\r\n"),
    (b"S: x\r\n\r\na.b\r\nc.\r\n", b"S: x\r\n\r\na.b\r\nc.\r\n.\r\n"),
    (b"S: x\r\n\r\n.", b"S: x\r\n\r\n..\r\n.\r\n"),
    (b"S: x\r\n\r\na\n.\r\n+OK fooled\r\n", b"S: x\r\n\r\na\n..\r\n+OK fooled\r\n.\r\n"),  # lone LF, for readers by LF
    (b"S: x\n\n.\nbody\n", b"S: x\n\n..\nbody\n\r\n.\r\n"),
    (
        b"S: \0\r\n\r\nNUL \0 and \xff\r\n.\0\0",
        b"S: \x80\r\n\r\nNUL \x80 and \xff\r\n..\x80\x80\r\n.\r\n",
    ),  # Outlook hangs
]


def on_the_wire(octets: bytes, cuts: list[int]) -> bytes:
    out = Outbox()
    writer = MessageWriter(out)
    for start, stop in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        writer.write(octets[start:stop])
    out.write(writer.end())
    return b"".join(out.take())


@pytest.mark.parametrize(("octets", "wire"), WIRE)
def test_dots_and_ends(octets: bytes, wire: bytes) -> None:
    assert on_the_wire(octets, []) == wire
    assert on_the_wire(octets, list(range(1, len(octets)))) == wire
    for seed in range(20):
        source = random.Random(seed)
        cuts = sorted(source.randrange(len(octets) + 1) for _ in range(4))
        assert on_the_wire(octets, cuts) == wire


@pytest.mark.parametrize("dots", [0, 1, 2, 3, 10, 200])
def test_a_dot_at_the_start_of_a_line_is_found_among_few_and_many(dots: int) -> None:
    """The first octet is not asked for: what came before it says whether a line starts there."""
    found = 0
    for seed in range(200):
        source = random.Random(seed)
        octets = bytearray(source.choices(b"\r\nab", (1, 1, 4, 4), k=4 * DOT_IS_RARE))
        for _ in range(dots):
            octets[source.randrange(len(octets))] = 0x2E
        assert has_dot_line(bytes(octets)) == (b"\n." in octets)
        found += b"\n." in octets
    assert (found > 0) == (dots > 0)
    assert not has_dot_line(b".")
    assert not has_dot_line(b"")
    assert has_dot_line(b"\n.")


def unstuffed(wire: bytes, line_end: bytes) -> bytes:
    """What a client reads, up to the dot, by CRLF or by LF."""
    assert wire.endswith(b"\r\n.\r\n")
    lines = wire[: -len(b".\r\n")].split(line_end)
    assert b"." not in lines if line_end == b"\r\n" else b"." not in [line.rstrip(b"\r") for line in lines]
    return line_end.join(line[1:] if line.startswith(b".") else line for line in lines)


def test_random_messages_come_through_octet_for_octet() -> None:
    source = random.Random(1939)
    for _ in range(500):
        lines = [b"".join(source.choices([b".", b"a", b" ", b"\xff", b".."], k=source.randrange(5))) for _ in range(9)]
        octets = b"S: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines) + b"end\r\n"
        cuts = sorted(source.randrange(len(octets) + 1) for _ in range(source.randrange(5)))
        assert unstuffed(on_the_wire(octets, cuts), b"\r\n") == octets
        loose = octets.replace(b"a\r\n", b"a\n")
        assert unstuffed(on_the_wire(loose, cuts), b"\n") == loose  # and by LF, lone ones included


TOPS = [
    (b"S: x\r\n\r\n1\r\n2\r\n3\r\n", 0, b"S: x\r\n\r\n"),
    (b"S: x\r\n\r\n1\r\n2\r\n3\r\n", 1, b"S: x\r\n\r\n1\r\n"),
    (b"S: x\r\n\r\n1\r\n2\r\n3\r\n", 3, b"S: x\r\n\r\n1\r\n2\r\n3\r\n"),
    (b"S: x\r\n\r\n1\r\n2\r\n3\r\n", 9999999999, b"S: x\r\n\r\n1\r\n2\r\n3\r\n"),
    (b"S: x\r\n\r\n\r\n\r\n3\r\n", 2, b"S: x\r\n\r\n\r\n\r\n"),
    (b"S: x\r\n", 5, b"S: x\r\n"),
    (b"\r\n1\r\n2\r\n", 1, b"\r\n1\r\n"),
    (b"S: x\n\n1\n2\n", 1, b"S: x\n\n1\n"),
    (b"S: x\r\n\r\nno end", 1, b"S: x\r\n\r\nno end"),
    (b"", 1, b""),
]


@pytest.mark.parametrize(("octets", "lines", "excerpt"), TOPS)
def test_top_however_it_is_cut(octets: bytes, lines: int, excerpt: bytes) -> None:
    for step in (1, 2, 3, 5, 1000):
        taken, whole = Excerpt(lines), b""
        for at in range(0, len(octets), step):
            if not taken.complete:
                whole += taken.take(octets[at : at + step])
        assert whole == excerpt


async def test_retr_of_a_large_message_waits_for_the_client() -> None:
    large = b"Subject: large\r\n\r\n" + b".line of text\r\n" * 40_000
    office = await Office.open(large)
    policy = Policy(piece=100_000)
    client = await office.login(policy=policy)
    sent: list[bytes] = []
    most = 0

    async def drain() -> None:
        nonlocal most
        most = max(most, client.engine.out.size)
        sent.extend(client.engine.out.take())

    client.engine.out.on_drain = drain
    sent.append(await client.send(b"RETR 1\r\nSTAT\r\n"))
    wire = b"".join(sent)
    first, _, rest = wire.partition(b"\r\n")
    assert first == b"+OK %d octets" % len(large)
    body, _, last = rest.rpartition(b".\r\n+OK")
    assert unstuffed(body + b".\r\n", b"\r\n") == large
    assert last == b" 1 %d\r\n" % len(large)
    assert most < HIGH_WATER + 2 * policy.piece


async def test_many_pipelined_retrs_wait_for_the_client_too() -> None:
    office = await Office.open(*[b"S: %d\r\n\r\n" % i + b"x" * 50_000 for i in range(20)])
    client = await office.login()
    drained = []

    async def drain() -> None:
        drained.append(client.engine.out.size)
        client.engine.out.take()

    client.engine.out.on_drain = drain
    await client.send(b"".join(b"RETR %d\r\n" % i for i in range(1, 21)))
    assert len(drained) == 3
    assert max(drained) < HIGH_WATER + 51_000


async def test_a_message_that_vanishes_half_way_breaks_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office.open(b"S: x\r\n\r\n" + b"x" * 5000)
    client = await office.login(policy=Policy(piece=1000))
    octets = MemoryMail.octets

    async def vanishing(
        self: MemoryMail, account: int, mailbox: int, uid: int, start: int = 0, length: int | None = None
    ) -> object:
        return None if start else await octets(self, account, mailbox, uid, start, length)

    monkeypatch.setattr(MemoryMail, "octets", vanishing)
    wire = await client.send(b"RETR 1\r\n")
    assert client.closed
    assert not wire.endswith(b".\r\n")


async def test_retr_reads_the_store_once(monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office.open(b"S: x\r\n\r\nbody\r\n")
    client = await office.login()
    reads = reads_of_the_store(monkeypatch)
    await client.send(b"RETR 1\r\nTOP 1 1\r\n")
    assert reads == [1, 1]


def reads_of_the_store(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """UIDs in the order in which they are read from now on."""
    reads = []
    read = MemoryMail.octets

    async def noted(self: MemoryMail, account: int, mailbox: int, uid: int, *part: int) -> bytes | None:
        reads.append(uid)
        return await read(self, account, mailbox, uid, *part)

    monkeypatch.setattr(MemoryMail, "octets", noted)
    return reads


NUMBERED = [b"S: %d\r\n\r\n%b\r\n" % (n, b"x" * 10_000) for n in range(1, 21)]


async def test_who_takes_one_message_after_the_other_gets_what_was_read_with_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = await Office.open(*NUMBERED)
    client = await office.login()
    reads = reads_of_the_store(monkeypatch)
    assert (await client.send(b"RETR 1\r\n")).endswith(NUMBERED[0] + b".\r\n")
    assert reads == [1]
    assert (await client.send(b"RETR 2\r\n")).endswith(NUMBERED[1] + b".\r\n")
    ahead = list(reads)
    assert len(ahead) > 3
    assert sum(len(NUMBERED[uid - 1]) for uid in ahead[1:]) <= READ_AHEAD
    for number in range(3, 21):
        assert (await client.send(b"RETR %d\r\n" % number)).endswith(NUMBERED[number - 1] + b".\r\n")
    assert reads == list(range(1, 21))
    await client.send(b"RETR 7\r\nRETR 3\r\n")
    assert reads[20:] == [7, 3]


async def test_what_was_read_ahead_is_not_sent_once_it_is_gone() -> None:
    office = await Office.open(*NUMBERED)
    client = await office.login()
    await client.send(b"RETR 1\r\nRETR 2\r\n")
    inbox = await office.store.mail.open(1, "INBOX")
    await office.store.mail.expunge(1, inbox.mailbox, [3], deleted_only=False)
    assert (await client.say("RETR 3")).startswith("-ERR [SYS/TEMP]")
    assert (await client.send(b"RETR 4\r\n")).endswith(NUMBERED[3] + b".\r\n")


async def test_a_message_that_cannot_be_read_harms_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Office.open(*NUMBERED)
    client = await office.login()
    read = MemoryMail.octets

    async def broken(self: MemoryMail, account: int, mailbox: int, uid: int, *part: int) -> bytes | None:
        if uid == 4:
            raise StoreUnavailable("the disk is tired")
        return await read(self, account, mailbox, uid, *part)

    monkeypatch.setattr(MemoryMail, "octets", broken)
    answers = [await client.send(b"RETR %d\r\n" % number) for number in range(1, 7)]
    assert [answer[:3] for answer in answers] == [b"+OK", b"+OK", b"+OK", b"-ER", b"+OK", b"+OK"]


@pytest.mark.parametrize("gone", [ConnectionResetError, BrokenPipeError])
async def test_a_peer_that_is_gone_ends_process(gone: type[Exception]) -> None:
    office = await Office.open(b"S: x\r\n\r\n" + b"x" * 300_000)
    client = await office.login()

    async def drain() -> None:
        raise gone

    client.engine.out.on_drain = drain
    with pytest.raises(ConnectionError):
        await client.send(b"RETR 1\r\n")
