"""Which messages are summarised on the event loop: never one that is made to keep it busy."""

from pathlib import Path
from typing import Any, cast

import pytest

from pillarbox.mail.mime import BRIEF_LOOKALIKES, BRIEF_PARTS, Laborious, parse
from pillarbox.mail.summary import summarise
from pillarbox.store.embedded.incoming import Intake
from pillarbox.store.embedded.summaries import unpack
from pillarbox.store.spool import Spool

_HEADER = b"From: a@example.org\r\nSubject: x\r\n"
_MIXED = _HEADER + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'


class _Threads:
    """Counts what is sent to a thread."""

    asked = 0

    async def run(self, work: Any) -> Any:
        self.asked += 1
        return work()


@pytest.mark.parametrize(
    ("message", "quick"),
    [
        (_HEADER + b"\r\n" + b"text\r\n" * 20_000, True),
        (_HEADER + b"\r\n" + b"-- \r\n" * 20_000, True),  # signatures, but nothing that they could end
        (_MIXED + b"--b\r\n\r\ntext\r\n" * 20 + b"x" * 100_000, True),
        (_HEADER + b"To: " + b"a," * 3_900 + b"\r\n\r\n", True),
        (_HEADER + b"To: " + b"a," * 4_100 + b"\r\n\r\ntext\r\n", False),
        (_HEADER + b"X: y\r\n" * 4_000, False),  # all header
        (_MIXED + b"--b\r\n\r\ntext\r\n" * 1_000, False),
        (_MIXED + b"--b\r\n\r\n" + b"--bb\r\n" * 5_000, False),
        (_HEADER + b"Content-Type: Message/RFC822\r\n\r\nTo: " + b"a," * 10_000, False),
        (b"content-type: message/rfc822\r\n\r\nTo: " + b"a," * 10_000, False),
        (_MIXED + b"--b\r\ncontent-TYPE :\r\n message (a comment) /rfc822\r\n\r\nTo: " + b"a," * 10_000, False),
        (_HEADER + b"Content-Type: multipart/Digest; boundary=b\r\n\r\n--b\r\n\r\nTo: " + b"a," * 10_000, False),
        (_MIXED + b"--b\r\n\r\na message/rfc822 in a digest\r\n" + b"x" * 10_000, True),
        (_MIXED + b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nshort", True),
    ],
)
async def test_what_may_take_long_goes_to_a_thread(message: bytes, tmp_path: Path, *, quick: bool) -> None:
    threads = _Threads()
    intake = Intake(cast(Any, None), cast(Any, None), tmp_path, cast(Any, threads), lambda _event, **_facts: None)
    incoming = await intake.prepare(Spool.of(message), "")
    assert threads.asked == (0 if quick else 1)
    assert unpack(incoming.summary) == summarise(message)


@pytest.mark.parametrize(
    ("message", "suffices"),
    [
        (_MIXED + b"--b\r\n\r\n" * (BRIEF_PARTS - 2), True),
        (_MIXED + b"--b\r\n\r\n" * (BRIEF_PARTS - 1), False),
        (_MIXED + b"--bb\r\n" * BRIEF_LOOKALIKES + b"--b--\r\n", True),
        (_MIXED + b"--bb\r\n" * (BRIEF_LOOKALIKES + 1) + b"--b--\r\n", False),
        (_MIXED + b"--b\r\nContent-Type: message/global\r\n\r\n", False),
        (_MIXED + b"--b\r\nContent-Type: message/delivery-status\r\n\r\n", True),
    ],
)
def test_a_brief_look_finds_the_same_or_gives_up(message: bytes, *, suffices: bool) -> None:
    if suffices:
        assert parse(message, brief=True) == parse(message)
    else:
        with pytest.raises(Laborious):
            parse(message, brief=True)
