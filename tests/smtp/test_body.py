"""Message octets: dots, line ends, limits, SMTP smuggling, BDAT."""

import random
from dataclasses import replace

import pytest
from tests.smtp.dialog import MSA, MX, TLS, FakeBody, FakeService, converse, cuts, same_in_every_cut

from pillarbox.mail.envelope import Envelope
from pillarbox.mail.status import Reply
from pillarbox.smtp.body import DotReader, Intake
from pillarbox.smtp.service import Client
from pillarbox.wire.engine import Want

START = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\n"
DATA = START + b"DATA\r\n"
LOGIN = b"EHLO x\r\nAUTH PLAIN AGFsaWNlAHBpbGxhcmJveA==\r\n"
SUBMIT = LOGIN + b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
        (b"\r\n\r\n..\r\n\r\n.\r\n", b"\r\n\r\n.\r\n\r\n"),
        (b"\x00\xff\x80\r\n.\r\n", b"\x00\xff\x80\r\n"),
        (b"x" * 5000 + b"\r\n.\r\n", b"x" * 5000 + b"\r\n"),
    ],
)
async def test_dots(sent: bytes, message: bytes) -> None:
    run = await same_in_every_cut(DATA + sent + b"NOOP\r\n")
    assert [accepted[2] for accepted in run.service.accepted] == [message]
    assert run.codes[-2:] == ["250", "250"]


SMUGGLED = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nevil\r\n.\r\n"

FAKE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\r\n.\r\n",
    b"\r\n.\r\r\n",
    b"\n\r.\n\r",
    b"\r\n\x00.\n",
    b"\r\n.\n\r\n",
]


@pytest.mark.parametrize("fake", FAKE_ENDS)
async def test_smuggling_is_refused_from_other_servers(fake: bytes) -> None:
    run = await same_in_every_cut(DATA + b"a" + fake + SMUGGLED + b"NOOP\r\n")
    assert run.service.accepted == []
    assert run.codes[3:] == ["354", "550"]
    assert run.replies[-1].startswith("550 5.6.11")
    assert run.want is Want.CLOSE


@pytest.mark.parametrize("fake", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r"])
async def test_a_client_that_ends_lines_with_lf_is_not_left_waiting(fake: bytes) -> None:
    for start in (b"", b"a", b"a" * 100 + b"\r\n\r\n"):
        run = await same_in_every_cut(DATA + start + fake)
        assert run.codes[3:] == ["354", "550"]
        assert run.want is Want.CLOSE


@pytest.mark.parametrize("fake", [end for end in FAKE_ENDS if end not in (b"\r\r\n.\r\n",)])
async def test_smuggling_is_one_message_from_our_own_accounts(fake: bytes) -> None:
    run = await same_in_every_cut(SUBMIT + b"a" + fake + SMUGGLED + b"NOOP\r\n", MSA, tls=TLS)
    ((_, recipients, octets, _),) = run.service.accepted
    assert recipients == ["bob@example.test"]
    assert octets.endswith(SMUGGLED[:-3])
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    assert run.codes[-1] == "250"


async def test_lone_line_ends_are_normalised_on_submission() -> None:
    run = await same_in_every_cut(SUBMIT + b"a\nb\rc\r\nd\n\r\n.\r\n", MSA, tls=TLS)
    assert run.service.accepted[0][2] == b"a\r\nb\r\nc\r\nd\r\n\r\n"
    assert run.service.accepted[0][3] == "ESMTPSA"


async def test_size_is_watched_while_it_streams() -> None:
    policy = replace(MX, max_message=1000)
    fits, too_large = b"x" * 990 + b"\r\n.\r\n", b"y" * 5000 + b"\r\n.\r\n"
    again = DATA.removeprefix(b"EHLO client.example\r\n")
    run = await same_in_every_cut(DATA + fits + again + too_large + b"NOOP\r\n", policy)
    assert run.codes[3:] == ["354", "250", "250", "250", "354", "552", "250"]
    assert run.replies[-2].startswith("552 5.3.4")
    assert len(run.service.accepted) == 1
    assert run.service.bodies[-1].discarded


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"S: " + b"x" * 90 + b"\r\n\r\n" + b"b" * 500 + b"\r\n", "250"),
        (b"S: " + b"x" * 100 + b"\r\n\r\nbody\r\n", "554"),
        (b"\r\n" + b"b" * 500 + b"\r\n", "250"),
        (b"b" * 500 + b"\r\n", "554"),
    ],
)
async def test_header_is_limited(message: bytes, code: str) -> None:
    run = await same_in_every_cut(DATA + message + b".\r\n", replace(MX, max_header=100))
    assert run.codes[-1] == code


async def test_a_full_disk_is_a_452() -> None:
    class FullBody(FakeBody):
        def write(self, octets: bytes) -> None:
            raise OSError(28, "No space left on device")

    told: list[tuple[str, dict[str, object]]] = []

    def emit(event: str, /, **facts: object) -> None:
        told.append((event, facts))

    intake = Intake(FullBody(), max_size=1000, max_header=1000, normalise=False, emit=emit)
    assert DotReader(intake).feed(b"a\r\n.\r\n") == b""
    assert intake.fault is not None
    assert (intake.fault.code, intake.fault.enhanced) == (452, "4.3.1")
    assert told == [("spool_failed", {"fault": "disk_full", "error": "[Errno 28] No space left on device"})]


async def test_any_message_survives_stuffing() -> None:
    rng = random.Random(5321)
    for _ in range(100):
        message = b"".join(
            rng.choice([b"\r\n", b".", b"..", b"a", b"\r\n.", b".\r\n"]) for _ in range(rng.randrange(40))
        )
        message += b"\r\n"
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
        for chunks in cuts(stuffed):
            body = FakeBody()
            reader = DotReader(
                Intake(body, max_size=1000, max_header=1000, normalise=False, emit=lambda *_, **__: None)
            )
            rest = [reader.feed(chunk) for chunk in chunks if chunk]
            assert body.octets == message
            assert [end for end in rest if end is not None] == [b""]


@pytest.mark.parametrize(
    ("octets", "codes", "messages"),
    [
        (b"BDAT 6 LAST\r\nhello\n", ["550"], []),
        (b"BDAT 7 LAST\r\nhello\r\nNOOP\r\n", ["250", "250"], [b"hello\r\n"]),
        (b"BDAT 7 last\r\n.\r\n.\r\nXBDAT 0 LAST\r\n", ["250", "503"], [b".\r\n.\r\nX"]),
        (b"BDAT 4\r\nhellBDAT 3 LAST\r\no\r\n", ["250", "250"], [b"hello\r\n"]),
        (b"BDAT 6\r\nhello\rBDAT 1\r\n\nBDAT 0 LAST\r\n", ["250", "250", "250"], [b"hello\r\n"]),
        (b"BDAT 6 LAST\r\nhello\rNOOP\r\n", ["550"], []),
        (b"BDAT 0\r\nBDAT 0 LAST\r\n", ["250", "250"], [b""]),
        (b"BDAT 5\r\nhelloRSET\r\nBDAT 5 LAST\r\nworldNOOP\r\n", ["250", "250", "503", "250"], []),
        (b"BDAT 5\r\nhelloDATA\r\nNOOP\r\n", ["250", "503", "250"], []),
        (b"BDAT 5\r\nhelloRCPT TO:<c@example.test>\r\n", ["250", "503"], []),
        (b"BDAT 5\r\nhelloQUIT\r\n", ["250", "221"], []),
        (b"BDAT 2000\r\n" + b"x" * 2000 + b"BDAT 3 LAST\r\nabcNOOP\r\n", ["552", "503", "250"], []),
        (b"BDAT\r\nNOOP\r\n", ["501"], []),
        (b"BDAT x LAST\r\n", ["501"], []),
        (b"BDAT -1\r\n", ["501"], []),
        (b"BDAT 5 FIRST\r\n", ["501"], []),
        ("BDAT ٣ LAST\r\n".encode(), ["501"], []),
    ],
)
async def test_bdat(octets: bytes, codes: list[str], messages: list[bytes]) -> None:
    run = await same_in_every_cut(START + octets, replace(MX, max_message=1000))
    assert run.codes[3:] == codes
    assert [accepted[2] for accepted in run.service.accepted] == messages


async def test_bdat_octets_are_never_commands() -> None:
    inner = b"MAIL FROM:<evil@b.example>\r\n"
    run = await same_in_every_cut(b"EHLO x\r\nBDAT %d LAST\r\n" % len(inner) + inner + b"RSET\r\n")
    assert run.codes == ["250", "503", "250"]
    run = await same_in_every_cut(
        b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\nBDAT %d LAST\r\n" % len(inner)
        + inner
        + b"RSET\r\n"
    )
    assert run.codes == ["250", "250", "550", "554", "250"]


async def test_malformed_bdat_closes_because_the_stream_is_out_of_step() -> None:
    run = await converse([START + b"BDAT many\r\nNOOP\r\n"])
    assert run.want is Want.CLOSE


async def test_bdat_is_normalised_on_submission() -> None:
    octets = SUBMIT.removesuffix(b"DATA\r\n") + b"BDAT 4\r\na\nb\rBDAT 3 LAST\r\nc\n\rNOOP\r\n"
    run = await same_in_every_cut(octets, MSA, tls=TLS)
    assert run.service.accepted[0][2] == b"a\r\nb\r\nc\r\n\r\n"
    assert run.codes[-1] == "250"


async def test_a_bug_in_accept_is_a_451() -> None:
    class Broken(FakeService):
        async def accept(self, client: Client, envelope: Envelope, body: FakeBody) -> Reply:
            raise KeyError("a bug")

    run = await converse([DATA + b"x\r\n.\r\nNOOP\r\n"], service=Broken())
    assert run.replies[-1].startswith("451 4.3.0")
    assert run.want is Want.CLOSE


async def test_any_line_ends_in_any_cut() -> None:
    rng = random.Random(3030)
    pieces = [b"\r", b"\n", b".", b"\r\n", b"\r\n.\r\n", b"a", b"\r\n.", b".\r\n", b"RSET\r\n"]
    for number in range(400):
        octets = b"".join(rng.choice(pieces) for _ in range(rng.randrange(14)))
        if number % 3:
            await same_in_every_cut(DATA + octets)
        else:
            await same_in_every_cut(SUBMIT + octets, MSA, tls=TLS)
