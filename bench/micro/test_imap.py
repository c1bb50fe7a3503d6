"""IMAP: what is read of a command, and what a FETCH writes, over 200 messages."""

from typing import Any

from bench.micro.conftest import MESSAGES, Session
from pillarbox.imap.fetch import plan
from pillarbox.imap.framing import Framer
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.policy import CommandLimits

LISTING = (
    b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date "
    b"Message-ID References In-Reply-To Content-Type Reply-To)])"
)


def test_framing(benchmark: Any) -> None:
    octets = b"a1 UID FETCH 1:* (FLAGS)\r\na2 UID STORE 7,9:20 +FLAGS.SILENT (\\Seen $Label)\r\n" * 50
    limits = CommandLimits(8192, 1_000_000)

    def read() -> int:
        framer = Framer()
        framer.feed(octets)
        count = 0
        while framer.next(limits) is not None:
            count += 1
        return count

    assert benchmark(read) == 100


def test_tokenizer_of_a_store(benchmark: Any) -> None:
    octets = b'7,9:20,1000:* (\\Seen \\Answered $Label other) "a quoted string" INBOX'

    def read() -> str:
        cursor = Cursor(octets)
        cursor.message_set()
        cursor.sp().flags()
        cursor.sp().string()
        return cursor.sp().mailbox()

    assert benchmark(read) == "INBOX"


def test_tokenizer_of_a_fetch(benchmark: Any) -> None:
    found = benchmark(plan._read, LISTING, True, False)
    assert len(found.items) == 7


def test_fetch_flags(benchmark: Any, session: Session) -> None:
    assert benchmark(session.say, b"UID FETCH 1:* (FLAGS)").count(b" FETCH (") == MESSAGES


def test_fetch_envelope_and_structure(benchmark: Any, session: Session) -> None:
    assert benchmark(session.say, b"FETCH 1:* (ENVELOPE BODYSTRUCTURE)").count(b" FETCH (") == MESSAGES


def test_fetch_header_fields(benchmark: Any, session: Session) -> None:
    """From the cache of fields that was made at delivery."""
    command = b"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (From To Subject Date Message-ID)])"
    assert benchmark(session.say, command).count(b" FETCH (") == MESSAGES


def test_fetch_bodies(benchmark: Any, session: Session) -> None:
    assert benchmark(session.say, b"FETCH 1:100 (BODY.PEEK[])").count(b" FETCH (") >= 100
