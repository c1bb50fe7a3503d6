"""FETCH: items, sections, partials, BINARY, \\Seen, CHANGEDSINCE, messages that vanish."""

import re

import pytest
from tests.imap.client import CUTS, Client, Cut, Server

from pillarbox.store.api import NewMessage
from pillarbox.store.spool import Spool

MESSAGE = b"""\
From: Alice <alice@example.org>
To: bob@example.org
Subject: =?utf-8?q?caf=C3=A9?=
X-Own: one
 two
Date: Tue, 24 Nov 2026 05:00:00 +0100
Message-ID: <1@example.org>
Content-Type: multipart/mixed; boundary=o

--o
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9
--o
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=i

--i

plain
--i
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

AAEC
--i--
--o
Content-Type: image/png
Content-Transfer-Encoding: x-own

?
--o--
""".replace(b"\n", b"\r\n")

PLAIN = b"Subject: plain\r\n\r\nHello, world\r\n"
FORWARDED = b"Content-Type: message/rfc822\r\n\r\n" + PLAIN
HEADER_ONLY = b"Subject: no body\r\n"


async def selecting(server: Server, *messages: bytes, command: str = "SELECT INBOX") -> Client:
    await server.store.mail.append(server.account.id, "INBOX", [NewMessage(Spool.of(each)) for each in messages])
    client = await server.client()
    assert (await client.say(command))[-1].startswith("OK")
    return client


async def fetched(client: Client, items: str, number: int = 1) -> bytes:
    """What stands between the parentheses of the only FETCH response."""
    answer = await client.send(f"a FETCH {number} ({items})\r\n".encode())
    found = re.fullmatch(rb"\* %d FETCH \((.*)\)\r\na OK FETCH completed\r\n" % number, answer, re.DOTALL)
    assert found, answer
    return found[1]


def literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


HEADER, _, BODY = MESSAGE.partition(b"\r\n\r\n")
HEADER += b"\r\n\r\n"

SECTIONS = [
    ("", MESSAGE),
    ("HEADER", HEADER),
    ("TEXT", BODY),
    ("HEADER.FIELDS (Subject FROM)", b"From: Alice <alice@example.org>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n\r\n"),
    ("HEADER.FIELDS (X-Own)", b"X-Own: one\r\n two\r\n\r\n"),
    ("HEADER.FIELDS (X-None)", b"\r\n"),
    ("HEADER.FIELDS.NOT (From To Date Message-ID Content-Type X-Own)", b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n"),
    ("1", b"caf=C3=A9"),
    ("1.MIME", b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
    ("2.MIME", b"Content-Type: message/rfc822\r\n\r\n"),
    ("2.HEADER", b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"),
    ("2.HEADER.FIELDS (SUBJECT)", b"Subject: inner\r\n\r\n"),
    ("2.1", b"plain"),
    ("2.1.MIME", b"\r\n"),
    ("2.2", b"AAEC"),
    ("3", b"?"),
    ("1.TEXT", None),
    ("1.1", None),
    ("4", None),
    ("2.3", None),
    ("4294967295", None),
]


@pytest.mark.parametrize(("section", "octets"), SECTIONS)
async def test_section(server: Server, section: str, octets: bytes | None) -> None:
    client = await selecting(server, MESSAGE)
    expected = b"NIL" if octets is None else literal(octets)
    assert await fetched(client, f"BODY.PEEK[{section}]") == f"BODY[{section}] ".encode() + expected
    if octets is not None:
        for start, length in ((0, 5), (3, 4), (len(octets), 1), (99_999, 3)):
            partial = literal(octets[start : start + length])
            answer = await fetched(client, f"BODY.PEEK[{section}]<{start}.{length}>")
            assert answer == f"BODY[{section}]<{start}> ".encode() + partial


@pytest.mark.parametrize(
    ("message", "section", "octets"),
    [
        (PLAIN, "1", b"Hello, world\r\n"),
        (PLAIN, "1.MIME", b"Subject: plain\r\n\r\n"),
        (PLAIN, "2", None),
        (PLAIN, "1.1", None),
        (FORWARDED, "1", PLAIN),
        (FORWARDED, "1.HEADER", b"Subject: plain\r\n\r\n"),
        (FORWARDED, "1.TEXT", b"Hello, world\r\n"),
        (FORWARDED, "1.1", b"Hello, world\r\n"),
        (HEADER_ONLY, "HEADER", HEADER_ONLY),
        (HEADER_ONLY, "TEXT", b""),
        (b"", "", b""),
        (b"x\0y", "TEXT", b""),
        (b"Subject: x\0y", "HEADER.FIELDS (Subject)", b"Subject: x\x80y\r\n\r\n"),
        (b"X-Own: x\0y", "HEADER.FIELDS (X-Own)", b"X-Own: x\x80y\r\n\r\n"),
    ],
)
async def test_section_of_other_messages(server: Server, message: bytes, section: str, octets: bytes | None) -> None:
    client = await selecting(server, message)
    expected = b"NIL" if octets is None else literal(octets)
    assert await fetched(client, f"BODY.PEEK[{section}]") == f"BODY[{section}] ".encode() + expected


@pytest.mark.parametrize(
    ("items", "answer"),
    [
        ("BINARY.PEEK[1]", b"BINARY[1] {5}\r\ncaf\xc3\xa9"),
        ("BINARY.PEEK[1]<1.2>", b"BINARY[1]<1> {2}\r\naf"),
        ("BINARY.SIZE[1]", b"BINARY.SIZE[1] 5"),
        ("BINARY.PEEK[2.2]", b"BINARY[2.2] ~{3}\r\n\0\1\2"),
        ("BINARY.PEEK[9]", b"BINARY[9] NIL"),
        ("BINARY.SIZE[9]", b"BINARY.SIZE[9] 0"),
        ("BINARY.PEEK[]", b"BINARY[] " + literal(MESSAGE)),
        ("RFC822.HEADER", b"RFC822.HEADER " + literal(HEADER)),
        ("RFC822.SIZE", b"RFC822.SIZE %d" % len(MESSAGE)),
        ("INTERNALDATE", b'INTERNALDATE "14-Nov-2023 22:13:20 +0000"'),
        ("SAVEDATE", b'SAVEDATE "14-Nov-2023 22:13:20 +0000"'),
        ("PREVIEW", b"PREVIEW {5}\r\ncaf\xc3\xa9"),
        ("PREVIEW (LAZY)", b"PREVIEW {5}\r\ncaf\xc3\xa9"),
        ("UID FLAGS", b"UID 1 FLAGS (\\Recent)"),
        ("UID UID", b"UID 1"),
    ],
)
async def test_item(server: Server, items: str, answer: bytes) -> None:
    client = await selecting(server, MESSAGE)
    assert await fetched(client, items) == answer


async def test_unknown_transfer_encoding(server: Server) -> None:
    client = await selecting(server, MESSAGE)
    assert (await client.say("FETCH 1 BINARY.PEEK[3]")) == [
        "NO [UNKNOWN-CTE] The part has a transfer encoding that is not known here: fetch it with BODY"
    ]


async def test_structures(server: Server) -> None:
    client = await selecting(server, MESSAGE)
    envelope = (
        b'("Tue, 24 Nov 2026 05:00:00 +0100" "=?utf-8?q?caf=C3=A9?=" (("Alice" NIL "alice" "example.org")) '
        b'(("Alice" NIL "alice" "example.org")) (("Alice" NIL "alice" "example.org")) ((NIL NIL "bob" "example.org")) '
        b'NIL NIL NIL "<1@example.org>")'
    )
    assert await fetched(client, "ENVELOPE") == b"ENVELOPE " + envelope
    body = (
        b'(("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 9 0)'
        b'("message" "rfc822" NIL NIL NIL "7bit" 174 (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)'
        b'("application" "octet-stream" NIL NIL NIL "base64" 4) "alternative") 11)'
        b'("image" "png" NIL NIL NIL "x-own" 1) "mixed")'
    )
    assert await fetched(client, "BODY") == b"BODY " + body
    full = await fetched(client, "BODYSTRUCTURE")
    assert full.endswith(b'"mixed" ("boundary" "o") NIL NIL NIL)')
    assert full.count(b"(") == full.count(b")")


@pytest.mark.parametrize(
    ("macro", "names"),
    [
        ("FAST", ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]),
        ("all", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]),
        ("FULL", ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]),
    ],
)
async def test_macro(server: Server, macro: str, names: list[str]) -> None:
    client = await selecting(server, PLAIN)
    answer = (await client.send(f"a FETCH 1 {macro}\r\n".encode())).decode()
    assert re.findall(r"(?:^\* 1 FETCH \(| )(FLAGS|INTERNALDATE|RFC822\.SIZE|ENVELOPE|BODY) ", answer) == names


@pytest.mark.parametrize(
    "item", ["BODY[]", "BODY[1]", "BODY[TEXT]<0.1>", "RFC822", "RFC822.TEXT", "BINARY[1]", "BODY[HEADER]"]
)
async def test_what_marks_seen(server: Server, item: str) -> None:
    client = await selecting(server, PLAIN)
    assert (await fetched(client, item)).startswith(b"FLAGS (\\Seen \\Recent) ")
    assert b"FLAGS" not in await fetched(client, item)  # it is seen already
    assert (await fetched(client, "FLAGS")) == b"FLAGS (\\Seen \\Recent)"


@pytest.mark.parametrize(
    "item", ["BODY.PEEK[]", "RFC822.HEADER", "BINARY.PEEK[1]", "BINARY.SIZE[1]", "BODY", "ENVELOPE"]
)
async def test_what_does_not_mark_seen(server: Server, item: str) -> None:
    client = await selecting(server, PLAIN)
    await fetched(client, item)
    assert (await fetched(client, "FLAGS")) == b"FLAGS (\\Recent)"


async def test_flags_asked_for_show_seen(server: Server) -> None:
    client = await selecting(server, PLAIN)
    assert await fetched(client, "FLAGS BODY[TEXT]") == b"FLAGS (\\Seen \\Recent) BODY[TEXT] {14}\r\nHello, world\r\n"


async def test_examine_does_not_mark_seen(server: Server) -> None:
    client = await selecting(server, PLAIN, command="EXAMINE INBOX")
    assert b"FLAGS" not in await fetched(client, "BODY[]")
    assert b"Seen" not in await fetched(client, "FLAGS")


async def test_other_sessions_are_told_of_seen(server: Server) -> None:
    client = await selecting(server, PLAIN)
    other = await server.client("INBOX")
    await fetched(client, "BODY[]")
    assert "* 1 FETCH (UID 1 FLAGS (\\Seen))" in await other.say("NOOP")


async def test_uid_fetch(server: Server) -> None:
    client = await selecting(server, PLAIN, PLAIN, PLAIN)
    assert await client.say("UID FETCH 2:9 (FLAGS)") == [
        "* 2 FETCH (UID 2 FLAGS (\\Recent))",
        "* 3 FETCH (UID 3 FLAGS (\\Recent))",
        "OK FETCH completed",
    ]
    assert await client.say("UID FETCH 8,9 (FLAGS)") == ["OK FETCH completed"]
    assert (await client.say("FETCH 4 (FLAGS)"))[-1].startswith("BAD")


async def test_changed_since(server: Server) -> None:
    client = await selecting(server, PLAIN, PLAIN, PLAIN)
    everything = await client.say("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)")  # iOS asks for 0
    highest = max(int(found) for found in re.findall(r"MODSEQ \((\d+)\)", "".join(everything)))
    assert len(re.findall("FETCH", "".join(everything))) == 4
    assert (await client.say(f"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE {highest})")) == ["OK FETCH completed"]
    await client.say("STORE 2 +FLAGS (\\Flagged)")
    answer = await client.say(f"FETCH 1:* (UID) (CHANGEDSINCE {highest})")
    assert answer == [f"* 2 FETCH (UID 2 MODSEQ ({highest + 1}))", "OK FETCH completed"]
    seen = await fetched(client, "BODY[TEXT]", 3)
    assert seen.startswith(b"FLAGS (\\Seen \\Recent) MODSEQ (%d) BODY[TEXT] " % (highest + 2))  # it knows CONDSTORE now


@pytest.mark.parametrize("items", ["FLAGS", "(UID RFC822.SIZE)", "ENVELOPE", "BODY.PEEK[]", "BODY.PEEK[HEADER]"])
async def test_messages_that_are_gone(server: Server, items: str) -> None:
    client = await selecting(server, PLAIN, PLAIN, PLAIN)
    other = await server.client("INBOX")
    await other.say("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.say("EXPUNGE")
    answer = await client.send(f"a FETCH 1:3 {items}\r\n".encode())
    assert re.findall(rb"\* (\d) FETCH", answer) == [b"1", b"3"]
    assert answer.endswith(b"a OK [EXPUNGEISSUED] Some of the messages are gone\r\n")
    assert (await client.say(f"FETCH 2 {items}"))[-1] == "NO [EXPUNGEISSUED] The messages are gone"
    assert await client.say(f"UID FETCH 2 {items}") == ["* 2 EXPUNGE", "OK FETCH completed"]


async def test_large_messages_pass_as_they_are(server: Server) -> None:
    large = PLAIN + b"0123456789abcdef" * 400_000
    client = await selecting(server, PLAIN, large, PLAIN)
    answer = await client.send(b"a UID FETCH 1:3 (FLAGS BODY.PEEK[] BODY.PEEK[TEXT]<5.10>)\r\n")
    parts = [PLAIN, large, PLAIN]
    expected = b"".join(
        b"* %d FETCH (UID %d FLAGS (\\Recent) BODY[] %b BODY[TEXT]<5> %b)\r\n"
        % (n, n, literal(each), literal(each.partition(b"\r\n\r\n")[2][5:15]))
        for n, each in enumerate(parts, 1)
    )
    assert answer == expected + b"a OK FETCH completed\r\n"
    assert (await fetched(client, "BODY[TEXT]", 2)).startswith(b"FLAGS (\\Seen \\Recent) BODY[TEXT] {")


def large_multipart() -> bytes:
    text = b"0123456789" * 50_000
    return (
        b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsmall\r\n--b\r\n"
        b"Content-Transfer-Encoding: base64\r\nContent-Type: application/octet-stream\r\n\r\nQUJD\r\n--b\r\n\r\n"
        + text
        + b"\r\n--b\r\nContent-Transfer-Encoding: x-own\r\n\r\nx\r\n--b--\r\n"
    )


@pytest.mark.parametrize(
    ("items", "value"),
    [
        ("BODY.PEEK[1]", b"BODY[1] {5}\r\nsmall"),
        ("BODY.PEEK[3]<10.5>", b"BODY[3]<10> {5}\r\n01234"),
        ("BODY.PEEK[9]", b"BODY[9] NIL"),
        ("BINARY.PEEK[2]", b"BINARY[2] {3}\r\nABC"),
        ("BINARY.SIZE[3]", b"BINARY.SIZE[3] 500000"),
        ("BODY.PEEK[HEADER.FIELDS (SUBJECT)] UID", b"BODY[HEADER.FIELDS (SUBJECT)] {18}\r\nSubject: large\r\n\r\n UID 2"),
        ("BODY.PEEK[HEADER.FIELDS (X-OWN)] UID", b"UID 2 BODY[HEADER.FIELDS (X-OWN)] {2}\r\n\r\n"),
        ("BODY.PEEK[HEADER.FIELDS (X-Own)]", b"BODY[HEADER.FIELDS (X-Own)] {2}\r\n\r\n"),
        ("BODY.PEEK[HEADER.FIELDS.NOT (Content-Type)] BODY.PEEK[1] BODY.PEEK[2.MIME]<0.7>",
         (b"BODY[HEADER.FIELDS.NOT (Content-Type)] {18}\r\nSubject: large\r\n\r\n "
          b"BODY[1] {5}\r\nsmall BODY[2.MIME]<0> {7}\r\nContent")),
    ],
)  # fmt: skip
async def test_parts_of_large_messages(server: Server, items: str, value: bytes) -> None:
    client = await selecting(server, PLAIN, large_multipart(), PLAIN)
    for _ in range(2):  # the second time the parts are known
        assert await fetched(client, items, 2) == value
        await fetched(client, "BODY.PEEK[1]", 2)
    assert (await client.send(b"a FETCH 1:3 (BODY.PEEK[1])\r\n")).count(b" FETCH (BODY[1] {") == 3


async def test_parts_of_another_large_message(server: Server) -> None:
    client = await selecting(server, large_multipart(), large_multipart().replace(b"small", b"other one"))
    assert await fetched(client, "BODY.PEEK[1]", 1) == b"BODY[1] {5}\r\nsmall"
    assert await fetched(client, "BODY.PEEK[1]", 2) == b"BODY[1] {9}\r\nother one"
    assert await fetched(client, "BODY.PEEK[1]", 1) == b"BODY[1] {5}\r\nsmall"


async def test_a_refusal_never_cuts_a_response(server: Server) -> None:
    client = await selecting(server, large_multipart())
    answer = await client.say("FETCH 1 (BODY.PEEK[] BINARY.PEEK[4])")
    assert len(answer) == 1
    assert answer[0].startswith("NO [UNKNOWN-CTE]")


async def test_many_messages_in_order(server: Server) -> None:
    client = await selecting(server, *[PLAIN] * 700)
    for items in ("ENVELOPE", "BODY.PEEK[]", "RFC822.SIZE"):
        answer = await client.send(f"a FETCH 1:700 ({items})\r\n".encode())
        assert re.findall(rb"\* (\d+) FETCH", answer) == [b"%d" % n for n in range(1, 701)]


@pytest.mark.parametrize("cut", CUTS)
async def test_however_it_arrives(server: Server, cut: Cut) -> None:
    client = await selecting(server, MESSAGE)
    answer = await client.send(b'a FETCH 1 (BODY.PEEK[HEADER.FIELDS ({7}\r\nSubject "X-Own")] UID)\r\n', cut)
    assert b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (Subject X-Own)] {52}\r\nSubject: " in answer
    assert answer.endswith(b" two\r\n\r\n)\r\na OK FETCH completed\r\n")


@pytest.mark.parametrize(
    "arguments",
    [
        "", "1", "1 ", "1 ()", "1 (FLAGS", "1 FLAGS)", "1 NONSENSE", "1 BODY[", "1 BODY[]]", "1 BODY[MIME]", "1 BODY[1.]",
        "1 BODY[0]", "1 BODY[1..2]", "1 BODY[HEADER.FIELDS]", "1 BODY[HEADER.FIELDS ()]", "1 BODY[TEXT]<5>",
        "1 BODY[TEXT]<5.0>", "1 BODY[TEXT]<-1.5>", "1 BODY[1.FOO]", "1 (FLAGS ALL)", "1 BINARY[1.TEXT]", "1 BINARY.SIZE",
        "1 BODY.PEEK", "0 FLAGS", "x FLAGS", "1 FLAGS (CHANGEDSINCE)", "1 FLAGS (NONSENSE 1)", "1 FLAGS CHANGEDSINCE 1",
        "1 BODY[99999999999]", "1  FLAGS", "1 PREVIEW (EAGER)",
    ],
)  # fmt: skip
async def test_bad_syntax(server: Server, arguments: str) -> None:
    client = await selecting(server, PLAIN)
    assert (await client.say(f"FETCH {arguments}"))[-1].startswith("BAD")
    assert (await client.say("NOOP"))[-1].startswith("OK")


async def test_changedsince_says_the_same_from_the_journal_and_from_the_mailbox(server: Server) -> None:
    client = await selecting(server, *[PLAIN] * 30)
    other = await server.client("INBOX")
    for n in range(1, 28, 3):
        await other.say(f"STORE {n} +FLAGS.SILENT (x{n})")
    await other.say("STORE 4 +FLAGS.SILENT (\\Deleted)")
    await other.say("EXPUNGE")
    await client.say("NOOP")
    view = await server.store.mail.open(server.account.id, "INBOX")
    journal_start = view.journal_start
    for since in range(1, view.highestmodseq + 1, 2):
        wanted = {uid for uid, modseq in zip(view.uids, view.modseqs, strict=True) if modseq > since}
        for messages in ("1:*", "1:5,6:*,20"):
            for start in (journal_start, view.highestmodseq + 1):
                view.journal_start = start
                answer = "".join(await client.say(f"UID FETCH {messages} (FLAGS) (CHANGEDSINCE {since})"))
                assert set(map(int, re.findall(r"FETCH \(UID (\d+)", answer))) == wanted
