"""SEARCH: every key, programs of keys, ESEARCH, `$`, charsets, MODSEQ."""

import random
import re
from base64 import b64encode

import pytest
from tests.imap.client import CUTS, EPOCH, Client, Cut, Server

from pillarbox.imap.search import program
from pillarbox.mail.date import DAY
from pillarbox.store.api import NewMessage
from pillarbox.store.spool import Spool

NEWS = """\
From: "Doe, John" <john@example.com>
To: alice@example.org
Cc: team@example.org
Subject: =?utf-8?q?Caf=C3=A9_im_?=
 =?utf-8?b?w5xiZXJibGljaw==?=
Date: Tue, 24 Nov 2026 23:30:00 -0800
Message-ID: <1@example.com>
X-Own: Something
 folded here
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe aus K=F6ln
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

%s
--b
Content-Type: message/rfc822
Content-Disposition: attachment; filename*=utf-8''r%%C3%%A9sum%%C3%%A9.eml

Subject: the letter inside

within
--b--
""" % b64encode(b"<style>.hidden{}</style><p>Quar<b>terly</b> figures &amp; more</p>").decode()  # noqa: UP031

LETTER = """\
From: bob@example.net
Bcc: secret@example.org
Subject: plain words
Date: Wed, 25 Nov 2026 10:00:00 +0000

A longer letter, in plain words, to be above the size of the others by some octets.
"""

UNDATED = """\
From: carol@example.net
Subject:

nothing"""


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MESSAGES = [
    NewMessage(Spool.of(crlf(NEWS)), frozenset(("\\Seen", "\\Flagged")), EPOCH),
    NewMessage(Spool.of(crlf(LETTER)), frozenset(("\\Answered", "$Junk")), EPOCH + DAY),
    NewMessage(Spool.of(crlf(UNDATED)), frozenset(("\\Deleted", "\\Draft")), EPOCH + 2 * DAY),
]
DAYS = ("14-Nov-2023", "15-Nov-2023", "16-Nov-2023")


@pytest.fixture
async def client(server: Server) -> Client:
    """INBOX holds the three messages, with UIDs 2, 3 and 4."""
    await server.store.mail.append(server.account.id, "INBOX", [NewMessage(Spool.of(b"gone"))])
    view = await server.store.mail.open(server.account.id, "INBOX")
    await server.store.mail.expunge(server.account.id, view.mailbox, [1], deleted_only=False)
    await server.store.mail.append(server.account.id, "INBOX", MESSAGES)
    return await server.client("INBOX")


async def found(client: Client, keys: str | bytes) -> list[int]:
    octets = keys.encode() if isinstance(keys, str) else keys
    answer = await client.say(b"SEARCH " + octets)
    assert answer[-1] == "OK SEARCH completed", answer
    assert answer[0].startswith("* SEARCH")
    return [int(number) for number in answer[0].split()[2:]]


KEYS = [
    ("ALL", [1, 2, 3]),
    ("ANSWERED", [2]), ("UNANSWERED", [1, 3]),
    ("DELETED", [3]), ("UNDELETED", [1, 2]),
    ("DRAFT", [3]), ("UNDRAFT", [1, 2]),
    ("FLAGGED", [1]), ("UNFLAGGED", [2, 3]),
    ("SEEN", [1]), ("UNSEEN", [2, 3]),
    ("KEYWORD $Junk", [2]), ("KEYWORD $junk", [2]), ("UNKEYWORD $JUNK", [1, 3]), ("KEYWORD $None", []),
    ("RECENT", [1, 2, 3]), ("NEW", [2, 3]), ("OLD", []),
    ("1", [1]), ("2:*", [2, 3]), ("*", [3]), ("7", []), ("2:900", [2, 3]), ("1,3", [1, 3]), ("$", []),
    ("UID 2", [1]), ("UID 1", []), ("UID 3:*", [2, 3]), ("UID 99:*", [3]), ("UID 2,4", [1, 3]),
    (f"BEFORE {DAYS[1]}", [1]), (f"ON {DAYS[1]}", [2]), (f"SINCE {DAYS[1]}", [2, 3]), (f'SINCE "{DAYS[1]}"', [2, 3]),
    ("BEFORE 1-Jan-1970", []), ("SINCE 1-Jan-2100", []),
    ("SENTBEFORE 25-Nov-2026", [1]), ("SENTON 24-Nov-2026", [1]), ("SENTON 25-Nov-2026", [2]),
    ("SENTSINCE 24-Nov-2026", [1, 2]), ("SENTSINCE 25-Nov-2026", [2]), ("SENTSINCE 1-Jan-2000", [1, 2]),
    (f"SAVEDON {DAYS[0]}", [1, 2, 3]), (f"SAVEDBEFORE {DAYS[0]}", []), (f"SAVEDSINCE {DAYS[0]}", [1, 2, 3]),
    ("SAVEDATESUPPORTED", [1, 2, 3]),
    ("LARGER 500", [1]), ("SMALLER 500", [2, 3]), ("SMALLER 0", []), ("LARGER 99999999999", []),
    ("FROM john", [1]), ("FROM JOHN@EXAMPLE", [1]), ('FROM "doe, j"', [1]), ("FROM alice", []), ('FROM ""', [1, 2, 3]),
    ("TO alice", [1]), ("CC team", [1]), ('CC ""', [1]), ("BCC secret", [2]),
    ("SUBJECT plain", [2]), ("SUBJECT caf", [1]), ("SUBJECT utf-8", []), ('SUBJECT "im "', [1]), ('SUBJECT ""', [1, 2, 3]),
    ("HEADER Message-ID 1@example", [1]), ('HEADER X-Own ""', [1]), ('HEADER x-own "something folded"', [1]),
    ("HEADER X-Own nothing", []), ('HEADER X-None ""', []),
    ("BODY nothing", [3]), ("BODY quarterly", [1]), ('BODY "FIGURES & more"', [1]), ("BODY hidden", []), ("BODY <p>", []),
    ("BODY inside", [1]), ("BODY within", [1]), ("BODY eml", [1]), ("BODY john", []), ('BODY ""', [1, 2, 3]),
    ("TEXT john", [1]), ("TEXT nothing", [3]), ("TEXT folded", [1]), ('TEXT "plain words"', [2]),
    ("NOT SEEN", [2, 3]), ("NOT NOT SEEN", [1]), ("NOT 2", [1, 3]), ("NOT BODY nothing", [1, 2]),
    ("OR SEEN DELETED", [1, 3]), ("OR BODY nothing FLAGGED", [1, 3]), ("OR FROM john (SUBJECT plain ANSWERED)", [1, 2]),
    ("OR OR 1 2 3", [1, 2, 3]), ("UNSEEN SUBJECT plain", [2]), ("(UNSEEN (SUBJECT plain))", [2]),
    ("BODY plain FROM bob UNSEEN 1:2 NOT DELETED", [2]), ("SEEN UNSEEN", []), ("1:2 NOT DELETED", [1, 2]),
    ("MODSEQ 1", [1, 2, 3]), ("MODSEQ 999", []),
    ("EMAILID none", []), ("THREADID none", []),
    ("CHARSET US-ASCII SEEN", [1]), ("CHARSET utf-8 SEEN", [1]),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "numbers"), KEYS)
async def test_key(client: Client, keys: str, numbers: list[int]) -> None:
    answer = (await client.say(f"SEARCH {keys}"))[-2]
    assert [int(n) for n in re.sub(r" \(MODSEQ.*", "", answer).split()[2:]] == numbers
    answer = (await client.say(f"UID SEARCH {keys.lower() if 'utf' not in keys else keys}"))[-2]
    assert [int(n) for n in re.sub(r" \(MODSEQ.*", "", answer).split()[2:]] == [n + 1 for n in numbers]


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ("CHARSET UTF-8 SUBJECT {%d+}\r\n%s", [1]),
        ("CHARSET UTF-8 BODY {%d+}\r\n%s", []),
        ("SUBJECT {%d+}\r\n%s", [1]),  # many clients forget the charset
    ],
)
@pytest.mark.parametrize("needle", ["CAFÉ", "überblick", "cafe\u0301", "im Über"])
async def test_text_that_is_not_ascii(client: Client, keys: str, needle: str, numbers: list[int]) -> None:
    assert await found(client, keys % (len(needle.encode()), needle)) == numbers


async def test_charset_of_the_needle(client: Client) -> None:
    assert await found(client, b"CHARSET ISO-8859-1 BODY {5+}\r\nK\xd6LN ") == []
    assert await found(client, b"CHARSET ISO-8859-1 BODY {4+}\r\nK\xd6LN") == [1]
    assert await found(client, "CHARSET utf-8 BODY {5+}\r\nGRÜS") == [1]
    assert await found(client, 'CHARSET UTF-8 SUBJECT "Café"') == [1]
    assert await found(client, "BODY {8+}\r\nrésumé") == [1]


async def test_unknown_charset(client: Client) -> None:
    for name in ("rot13", "x-none", "unicode_escape"):
        assert await client.say(f"SEARCH CHARSET {name} SUBJECT x") == [
            "NO [BADCHARSET (UTF-8 US-ASCII)] Texts in that charset cannot be read here"
        ]


async def test_age(server: Server, client: Client) -> None:
    server.now = EPOCH + 2.5 * DAY
    assert await found(client, f"YOUNGER {DAY}") == [3]
    assert await found(client, f"OLDER {DAY}") == [1, 2]
    assert (await client.say("SEARCH OLDER 0"))[-1].startswith("BAD")


ESEARCH = [
    ("RETURN () UNSEEN", "ALL 2:3"),
    ("RETURN (ALL) UNSEEN", "ALL 2:3"),
    ("RETURN (MIN) UNSEEN", "MIN 2"),
    ("RETURN (MAX) UNSEEN", "MAX 3"),
    ("RETURN (COUNT) UNSEEN", "COUNT 2"),
    ("RETURN (MIN MAX ALL COUNT) ALL", "MIN 1 MAX 3 ALL 1:3 COUNT 3"),
    ("return (count min) NOT 2", "COUNT 2 MIN 1"),
    ("RETURN (ALL) NOT 2", "ALL 1,3"),
    ("RETURN (MIN MAX ALL) KEYWORD none", ""),
    ("RETURN (COUNT) KEYWORD none", "COUNT 0"),
    ("RETURN (COUNT) CHARSET UTF-8 SEEN", "COUNT 1"),
    ("RETURN (COUNT SAVE) SEEN", "COUNT 1"),
]


@pytest.mark.parametrize(("arguments", "answer"), ESEARCH)
async def test_esearch(client: Client, arguments: str, answer: str) -> None:
    octets = await client.send(f"A1.b SEARCH {arguments}\r\n".encode())
    expected = f'* ESEARCH (TAG "A1.b") {answer}'.rstrip()
    assert octets.decode().startswith(f"{expected}\r\nA1.b OK ")
    by_uid = (await client.send(f"x UID SEARCH {arguments}\r\n".encode())).decode()
    assert by_uid.startswith('* ESEARCH (TAG "x") UID')


async def test_rev2_has_no_search_response(client: Client) -> None:
    await client.say("ENABLE IMAP4rev2")
    octets = await client.send(b"a SEARCH UNSEEN\r\n")
    assert octets == b'* ESEARCH (TAG "a") ALL 2:3\r\na OK SEARCH completed\r\n'


async def test_nothing_found_is_said(client: Client) -> None:
    assert await client.say("SEARCH KEYWORD none") == ["* SEARCH", "OK SEARCH completed"]


SAVED = [
    ("RETURN (SAVE) UNSEEN", [2, 3]),
    ("RETURN (SAVE MIN) UNSEEN", [2]),
    ("RETURN (SAVE MAX) UNSEEN", [3]),
    ("RETURN (MIN SAVE MAX) ALL", [1, 3]),
    ("RETURN (MIN SAVE MAX) SEEN", [1]),
    ("RETURN (MIN SAVE ALL) UNSEEN", [2, 3]),
    ("RETURN (MIN SAVE COUNT) UNSEEN", [2, 3]),
    ("RETURN (SAVE MIN) KEYWORD none", []),
]


@pytest.mark.parametrize(("arguments", "numbers"), SAVED)
async def test_saved(client: Client, arguments: str, numbers: list[int]) -> None:
    answer = await client.say(f"SEARCH {arguments}")
    assert answer[-1] == "OK SEARCH completed, result saved"
    assert len(answer) == (1 if "(SAVE)" in arguments else 2)
    assert await found(client, "$") == numbers
    assert await found(client, "UID $") == numbers
    assert await found(client, "OR $ 1") == sorted({*numbers, 1})
    fetched = await client.say("FETCH $ (UID)")
    assert fetched == [f"* {n} FETCH (UID {n + 1})" for n in numbers] + ["OK FETCH completed"]


async def test_saved_is_lost_only_by_a_failed_save(client: Client) -> None:
    await client.say("SEARCH RETURN (SAVE) UNSEEN")
    await client.say("SEARCH SEEN")
    await client.say("SEARCH NONSENSE")
    await client.say("SEARCH CHARSET none SEEN")
    assert await found(client, "$") == [2, 3]
    await client.say("SEARCH RETURN (SAVE) CHARSET none SEEN")
    assert await found(client, "$") == []


async def test_saved_follows_expunge(server: Server, client: Client) -> None:
    await client.say("SEARCH RETURN (SAVE) 2:3")
    other = await server.client("INBOX")
    await other.say("UID STORE 3 +FLAGS (\\Deleted)")
    await other.say("UID EXPUNGE 3")
    await client.say("NOOP")
    assert await found(client, "$") == [2]


async def test_modseq(client: Client) -> None:
    assert (await client.say("SEARCH MODSEQ 1"))[-2] == "* SEARCH 1 2 3 (MODSEQ 4)"
    await client.say("STORE 2 +FLAGS (\\Seen)")
    assert (await client.say('SEARCH MODSEQ "/flags/\\\\draft" all 5'))[-2] == "* SEARCH 2 (MODSEQ 5)"
    assert (await client.say("SEARCH MODSEQ 6"))[-2] == "* SEARCH"
    answer = await client.send(b"a SEARCH RETURN (MIN) MODSEQ 1\r\n")
    assert answer.startswith(b'* ESEARCH (TAG "a") MIN 1 MODSEQ 4\r\n')
    answer = await client.send(b"a SEARCH RETURN (COUNT) MODSEQ 1\r\n")
    assert answer.startswith(b'* ESEARCH (TAG "a") COUNT 3 MODSEQ 5\r\n')


async def test_object_ids(client: Client) -> None:
    ids = re.search(r"EMAILID \((.*?)\) THREADID \(?(.*?)\)?\)", (await client.say("FETCH 2 (EMAILID THREADID)"))[0])
    assert ids
    assert await found(client, f"EMAILID {ids[1]}") == [2]
    if ids[2] != "NIL":
        assert 2 in await found(client, f"THREADID {ids[2]}")


async def test_messages_that_others_expunged(server: Server, client: Client) -> None:
    other = await server.client("INBOX")
    await other.say("UID STORE 2 +FLAGS (\\Deleted)")
    await other.say("UID EXPUNGE 2")
    await server.store.mail.append(server.account.id, "INBOX", MESSAGES[:1])
    # Numbers stay until the session is told, and what it was not told of is not found.
    assert await client.say("SEARCH ALL") == ["* SEARCH 2 3", "* 4 EXISTS", "* 4 RECENT", "OK SEARCH completed"]
    for keys in ("ALL", "NOT BODY xyz", "1:*", "LARGER 1", "SMALLER 999999"):
        assert await found(client, keys) == [2, 3, 4], keys
    assert await found(client, "OR 1 3") == [3]
    assert (await client.say("UID SEARCH ALL"))[:2] == ["* SEARCH 3 4 5", "* 1 EXPUNGE"]
    assert await found(client, "ALL") == [1, 2, 3]


@pytest.mark.parametrize("cut", CUTS)
async def test_however_it_arrives(client: Client, cut: Cut) -> None:
    answer = await client.send("a UID SEARCH CHARSET UTF-8 OR SUBJECT {5}\r\ncafé UNSEEN\r\n".encode(), cut)
    assert answer.endswith(b"* SEARCH 2 3 4\r\na OK SEARCH completed\r\n")


@pytest.mark.parametrize(
    "arguments",
    [
        "", " ", "NONSENSE", "NOT", "OR SEEN", "OR SEEN ", "(SEEN", "SEEN)", "()", "KEYWORD", "KEYWORD (", "BEFORE", "BEFORE x",
        "ON 31-Feb-2020", "LARGER", "LARGER -1", "LARGER x", "UID", "UID x", "0", "1:", "HEADER x", 'HEADER "" x',
        'HEADER "a:b" x', "SUBJECT", "RETURN SEEN", "RETURN (NONSENSE) SEEN", "RETURN (MIN)", "CHARSET", "CHARSET UTF-8",
        "MODSEQ", 'MODSEQ "/flags/x" none 5', "SEEN  UNSEEN", "RETURN", "OLDER", "YOUNGER -5", "(" * 200 + "SEEN" + ")" * 200,
        "NOT " * 5000 + "SEEN", "OR SEEN " * 5000 + "SEEN", "SEEN " * 5000 + "SEEN",
    ],
)  # fmt: skip
async def test_bad_syntax(client: Client, arguments: str) -> None:
    assert (await client.say(f"SEARCH {arguments}"))[-1].startswith("BAD")
    assert (await client.say("NOOP"))[-1].startswith("OK")


async def test_programs_of_keys_against_sets(server: Server) -> None:
    """Whatever is combined, the program finds what sets of numbers say."""
    source = random.Random(7)
    flags = ("\\Seen", "\\Flagged", "\\Answered")
    subjects = ("red", "green", "blue")
    chosen = [
        (frozenset(source.sample(flags, source.randint(0, 3))), source.choice(subjects), source.randint(0, 9))
        for _ in range(600)
    ]
    await server.store.mail.append(
        server.account.id,
        "INBOX",
        [NewMessage(Spool.of(f"Subject: {s}\r\n\r\nbody {d}".encode()), f, EPOCH + d * DAY) for f, s, d in chosen],
    )
    client = await server.client("INBOX")
    numbers = set(range(1, 601))

    def program(depth: int) -> tuple[str, set[int]]:
        kind = source.randint(0, 9 if depth else 5)
        if kind <= 1:
            flag = source.choice(flags)
            return flag[1:].upper(), {n for n, (f, _, _) in enumerate(chosen, 1) if flag in f}
        if kind == 2:
            subject = source.choice(subjects)
            return f"SUBJECT {subject}", {n for n, (_, s, _) in enumerate(chosen, 1) if s == subject}
        if kind == 3:
            day = source.randint(0, 9)
            return f'BODY "body {day}"', {n for n, (_, _, d) in enumerate(chosen, 1) if d == day}
        if kind == 4:
            day = source.randint(0, 9)
            return f"SINCE {14 + day}-Nov-2023", {n for n, (_, _, d) in enumerate(chosen, 1) if d >= day}
        if kind == 5:
            low, high = sorted(source.sample(range(1, 601), 2))
            return f"{low}:{high}", set(range(low, high + 1))
        left, a = program(depth - 1)
        if kind == 6:
            return f"NOT {left}", numbers - a
        right, b = program(depth - 1)
        if kind == 7:
            return f"OR {left} {right}", a | b
        return f"({left} {right})", a & b

    for _ in range(60):
        keys, expected = program(4)
        assert await found(client, keys) == sorted(expected), keys


async def test_the_store_says_where_a_text_may_be(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = server.store.mail
    asked: list[str] = []
    read: list[int] = []
    octets = mail.octets

    async def may_hold(_account: int, _mailbox: int, needle: str) -> list[int]:
        asked.append(needle)
        return [2, 3, 99]

    async def counted(account: int, mailbox: int, uid: int, start: int = 0, length: int | None = None) -> bytes | None:
        read.append(uid)
        return await octets(account, mailbox, uid, start, length)

    monkeypatch.setattr(program, "FEW", 0)
    monkeypatch.setattr(mail, "may_hold", may_hold)
    monkeypatch.setattr(mail, "octets", counted)
    assert await found(client, "TEXT PLAIN") == [2]
    assert (asked, read) == (["plain"], [2, 3])
    assert await found(client, "NOT BODY Quarterly") == [2, 3]
    assert await found(client, "UNSEEN BODY Quarterly") == []
    assert read == [2, 3, 2, 3, 3]
