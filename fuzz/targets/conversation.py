"""Drives engines, and checks what every engine promises: octets in any cut, the same answers, well-formed ones, bounded."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fuzz.targets.world import TLS, contents
from pillarbox.store.memory import MemoryStore
from pillarbox.wire.engine import Engine, Want

MAX_ANSWER = 16 * 1024 * 1024
"""Octets that one input may be answered with: amplification is bounded by the mailbox, which is small here."""

Build = Callable[[], Awaitable[tuple[Engine, MemoryStore]]]
Tap = Callable[[bool, bytes], None]
"""Told what goes over the wire: whether the client said it, and what."""

_IMAP = re.compile(rb"(?:\* |\+ |\+\r|[^ \r\n+*(){%\"\\]+ (?:OK|NO|BAD) )")
_LITERAL = re.compile(rb"\{(\d+)\}\Z")
_OBJECT_ID = re.compile(rb"\b[A-Z][0-9a-f]{24}\b")
_START_TLS = re.compile(rb"STARTTLS|STLS", re.IGNORECASE)
_SMTP = re.compile(rb"(?:\d{3}-[^\r\n]*\r\n)*\d{3} [^\r\n]*\r\n")


@dataclass(slots=True)
class Ended:
    """How a conversation ended: all that was answered, and how the engine was left."""

    answers: bytes
    want: Want


async def converse(engine: Engine, reads: list[bytes], first: bytes = b"", tap: Tap | None = None) -> Ended:
    """Let the engine hear `first` and the reads, start TLS when it wants that, and end."""
    engine.connected()
    answers: list[bytes] = []

    def take() -> None:
        for chunk in engine.out.take():
            answers.append(chunk)
            if tap is not None:
                tap(False, chunk)

    take()
    received = 0
    for read in ([first] if first else []) + reads:
        if engine.want is Want.CLOSE:
            break
        if engine.want is Want.TLS:
            engine.tls_started(TLS)
        if tap is not None:
            tap(True, read)
        engine.receive(read)
        received += len(read)
        await engine.process()
        take()
        assert engine.backlog <= received, "the backlog counts octets that never came"
        assert engine.timeout > 0
    want = engine.want
    assert sum(map(len, answers)) < MAX_ANSWER
    engine.timed_out()
    engine.shutting_down()
    await engine.process()
    take()
    engine.disconnected()
    return Ended(b"".join(answers), want)


async def in_two_cuts(build: Build, reads: list[bytes], first: bytes = b"") -> Ended:
    """Converse twice, the reads as they are and in one: answers and what is kept must be the same. Not where TLS is asked
    for: there it matters by design what came in the same read."""
    engine, store = await build()
    ended = await converse(engine, reads, first)
    joined = b"".join(reads)
    if len(reads) > 1 and not _START_TLS.search(joined):
        other, other_store = await build()
        whole = await converse(other, [joined], first)
        one, other_one = (_OBJECT_ID.sub(b"(random)", run.answers) for run in (ended, whole))
        assert one == other_one, _difference(one, other_one)
        assert whole.want is ended.want
        kept, kept_whole = await contents(store), await contents(other_store)
        assert kept == kept_whole, (kept, kept_whole)
    return ended


def _difference(one: bytes, other: bytes) -> Any:
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return "cut makes a difference", one[max(0, at - 80) : at + 80], other[max(0, at - 80) : at + 80]


def imap_lines(answers: bytes) -> list[bytes]:
    """Responses of an IMAP server, literals included; asserts that each is one."""
    responses: list[bytes] = []
    at = 0
    while at < len(answers):
        start = at
        assert _IMAP.match(answers, at), ("no response", answers[at : at + 100])
        while True:
            end = answers.find(b"\r\n", at)
            assert end >= 0, ("no line end", answers[at:])
            found = _LITERAL.search(answers, max(at, end - 24), end)
            at = end + 2
            if found is None:
                break
            at += int(found[1])
            assert at <= len(answers), "a literal is cut off"
        line = answers[start:end]
        assert b"\0" not in line or b"~{" in line, "NUL in a response"
        responses.append(line)
    return responses


def check_smtp(answers: bytes) -> None:
    """Asserts that answers are replies, one after the other."""
    rest = _SMTP.sub(b"", answers)
    assert not rest, ("no reply", rest[:100])
