"""IMAP that reads: listings, flags, bodies, and a real client that pulls everything."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from bench.client import Imap
from bench.corpus import corpus
from bench.stack import PASSWORD, Stack, account
from bench.workload import Meter, quiet, workload

BIG = account(40)
SIZE = 10_000

_LISTING = (
    "UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE "
    "BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID References In-Reply-To Content-Type Reply-To)])"
)
_full: set[tuple[str, str]] = set()


async def append_all(session: Imap, size: int = SIZE) -> None:
    """The corpus into INBOX, fifty messages at a time."""
    mail = corpus(size)
    for start in range(0, size, 50):
        await session.append("INBOX", mail[start : start + 50])


async def filled(stack: Stack, address: str = BIG, size: int = SIZE) -> int:
    """Fill an account's INBOX once, by APPEND, and wait until the server has done what it does behind that, such as an
    index, which the row "fill" counts; returns how many messages it has."""
    if (stack.name, address) not in _full:
        session = await Imap.login(stack, address)
        await append_all(session, size)
        await session.logout()
        await quiet(stack)
        _full.add((stack.name, address))
    return size


async def _fetch(stack: Stack, meter: Meter, command: str, *, address: str = BIG, times: int = 1) -> None:
    count = await filled(stack, address)
    session = await Imap.login(stack, address)
    await session("SELECT INBOX")
    meter.begin()
    for _ in range(times):
        start = time.perf_counter()
        answer = await session(command)
        meter.latencies.append(time.perf_counter() - start)
    meter.end(count * times)
    if answer.count(b" FETCH (") < count:
        raise RuntimeError(f"{stack.name} did not answer for every message")
    await session.logout()


_cold = iter(range(41, 60))
_fresh = iter(range(81, 99))


@workload("fill", "APPEND of 10,000, and what follows behind (ours: full-text index)", "message", rounds=9)
async def fill(stack: Stack, meter: Meter) -> None:
    corpus(SIZE)  # made before
    session = await Imap.login(stack, account(next(_fresh)))
    meter.begin()
    await append_all(session)
    await quiet(stack)
    meter.end(SIZE)
    await session.logout()


@workload(
    "sync-cold", "initial sync: UID FETCH 1:* (ENVELOPE BODYSTRUCTURE HEADER.FIELDS ...), first time", "message", goal=9
)
async def sync_cold(stack: Stack, meter: Meter) -> None:
    await _fetch(stack, meter, _LISTING, address=account(next(_cold)))


@workload("sync-warm", "the same, warm", "message", goal=6)
async def sync_warm(stack: Stack, meter: Meter) -> None:
    await _fetch(stack, meter, _LISTING, times=3)


@workload("flags", "UID FETCH 1:* (FLAGS)", "message", goal=0.3)
async def flags(stack: Stack, meter: Meter) -> None:
    await _fetch(stack, meter, "UID FETCH 1:* (FLAGS)", times=20)


@workload("bodies", "UID FETCH 1:* (BODY.PEEK[]), TLS", "message", goal=25)
async def bodies(stack: Stack, meter: Meter) -> None:
    await _fetch(stack, meter, "UID FETCH 1:* (BODY.PEEK[])")


@workload("mbsync", "mbsync pulls 10,000, TLS", "message", goal=40)
async def mbsync(stack: Stack, meter: Meter) -> None:
    count = await filled(stack)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rc").write_text(
            f"IMAPAccount a\nHost localhost\nPort {stack.ports['imaps']}\nUser {BIG}\nPass {PASSWORD}\n"
            f"SSLType IMAPS\nCertificateFile {stack.ca}\n\nIMAPStore far\nAccount a\n\n"
            f"MaildirStore near\nPath {folder}/mail/\nInbox {folder}/mail/INBOX\n\n"
            f"Channel c\nFar :far:INBOX\nNear :near:INBOX\nSync Pull\nCreate Near\nSyncState {folder}/\n"
        )
        Path(folder, "mail").mkdir()
        program = shutil.which("mbsync") or "mbsync"
        meter.begin()
        subprocess.run([program, "-q", "-c", f"{folder}/rc", "c"], check=True)
        meter.end(count)
        if len(list(Path(folder, "mail/INBOX").rglob("*"))) < count:
            raise RuntimeError("mbsync did not get everything")
