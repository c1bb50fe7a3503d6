"""SEARCH TEXT, BODY and SUBJECT find exactly what is in the messages, whatever state the full-text index is in.

The oracle does not parse anything: each message is made of texts that are known before they are encoded.
"""

import random
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from quopri import encodestring
from urllib.parse import quote

import pytest
from tests.imap.client import Client, Server

from pillarbox.imap.search import program
from pillarbox.mail import full_text
from pillarbox.mail.search_text import folded
from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore, indexer
from pillarbox.store.spool import Spool

WORDS = [
    "Rechnung", "STRASSE", "Straße", "Grüße", "İstanbul", "ﬁnal", "ﬀ", "日本語のメール", "Привет", "ΣΊΣΥΦΟΣ", "café",
    "cafe\u0301", "aaaa", "abab", "x AND y", "NEAR/2", "100%", "a*b", "it's", "\U0001f600\U0001f601\U0001f602", "ſtop", "zq",
    "x\u00a8y", "\u0301vor", "中文", "?",
]  # fmt: skip
IN_BODY = [*WORDS, "a\0b", "\ufdfa", "Rumpf"]
IN_HEADER = [*WORDS, "Kopf"]
SHORT = [
    "",
    "z",
    "q",
    "é",
    "日",
    "zq",
    "ß",
    "ab",
    "\U0001f600",
    "中文",
    "文",
    "?",
    "\u0301",
    "\u00a8",
    "الله",
    "Kopf",
    "Rumpf",
    "b",
]


@dataclass
class Letter:
    """A message and what a person reads in it: `lines` of the header, `texts` of the body."""

    subject: str
    lines: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    octets: bytes = b""

    def has(self, key: str, needle: str) -> bool:
        wanted = folded(needle)
        pieces = {
            "SUBJECT": [self.subject],
            "BODY": self.texts,
            "TEXT": ["\n".join(self.lines), *self.texts],
        }[key]
        return any(wanted in folded(piece) for piece in pieces)


def phrase(source: random.Random, most: int = 4, words: list[str] = WORDS) -> str:
    return " ".join(source.choices(words, k=source.randint(1, most)))


def encoded_words(source: random.Random, text: str) -> str:
    """A header value for a text; characters are cut over words."""
    if text.isascii() and source.random() < 0.5:
        return text
    octets = text.encode()
    cut = source.randrange(len(octets) + 1)
    words = []
    for piece in (octets[:cut], octets[cut:]):
        if source.random() < 0.5:
            words.append(f"=?utf-8?B?{b64encode(piece).decode()}?=")
        else:
            words.append("=?UTF-8?q?" + "".join(f"={octet:02X}" for octet in piece) + "?=")
    return "\r\n ".join(words)


def plain_part(source: random.Random, text: str, subtype: str = "plain") -> tuple[list[str], bytes]:
    """The header lines and the octets of a part."""
    charset = "utf-8"
    if source.random() < 0.3:
        try:
            text.encode("iso-8859-15")
            charset = "iso-8859-15"
        except UnicodeEncodeError:
            pass
    octets = text.replace("\n", "\r\n").encode(charset)
    encoding = source.choice(("8bit", "base64", "quoted-printable"))
    if encoding == "base64":
        one = b64encode(octets)
        octets = b"\r\n".join(one[i : i + 60] for i in range(0, len(one), 60))  # cut anywhere, needles included
    elif encoding == "quoted-printable":
        octets = encodestring(octets.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return [f"Content-Type: text/{subtype}; charset={charset}", f"Content-Transfer-Encoding: {encoding}"], octets


def html_part(source: random.Random, text: str) -> tuple[list[str], bytes]:
    """A text with tags and references in the middle of words; what is hidden must not be found."""
    marked = []
    for character in text:
        if source.random() < 0.1:
            marked.append(source.choice(("<b>", "</b>", '<a href="Rechnung">', "<!-- Привет -->", "<style>zq</style>")))
        marked.append(f"&#{ord(character)};" if character != "\0" and source.random() < 0.1 else character)
    return plain_part(source, "".join(marked), "html")


def attachment(source: random.Random, name: str) -> list[str]:
    line = "Content-Type: application/octet-stream"
    if source.random() < 0.5:
        return [line, f"Content-Disposition: attachment; filename*=utf-8''{quote(name, safe='')}"]
    value = b64encode(name.encode()).decode()
    return [line, f'Content-Disposition: attachment; filename="=?utf-8?B?{value}?="']


def letter(source: random.Random) -> Letter:
    made = Letter(phrase(source, words=IN_HEADER))
    header = [f"Subject: {encoded_words(source, made.subject)}"]
    made.lines.append(f"Subject: {made.subject}")
    body = phrase(source, 30, IN_BODY)
    part, octets = (html_part if source.random() < 0.4 else plain_part)(source, body)
    made.texts.append(body)
    if source.random() < 0.5:
        header += part
        made.lines += part
    else:
        name = phrase(source, 2)
        line = "Content-Type: multipart/mixed; boundary=0"
        header.append(line)
        made.lines.append(line)
        made.texts.append(name)
        second = "\r\n".join(attachment(source, name)).encode() + b"\r\n\r\nRechnung"
        first = "\r\n".join(part).encode() + b"\r\n\r\n" + octets
        octets = b"--0\r\n" + first + b"\r\n--0\r\n" + second + b"\r\n--0--\r\n"
    made.octets = "\r\n".join(header).encode() + b"\r\n\r\n" + octets
    return made


def needles(source: random.Random, letters: list[Letter]) -> list[str]:
    """Pieces of what is there, in other case too, and some that are nowhere."""
    found = ["nowhere", *source.sample(SHORT, 6)]
    for _ in range(6):
        text = source.choice([*source.choice(letters).texts, source.choice(letters).subject])
        start = source.randrange(len(text))
        piece = text[start : start + source.choice((1, 2, 3, 4, 8, 40))].replace("\0", " ").strip()
        found.append(source.choice((str, str.upper, str.lower, str.title))(piece))
    return found


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(indexer, "_TICK", 3600)  # only when a test says so
    monkeypatch.setattr(indexer, "STEP", 7)
    store = await EmbeddedStore.open(tmp_path / "store")
    yield await Server.start(store)
    await store.close()


class Corpus:
    """Mailboxes with letters by UID, and a check of all searches in them."""

    def __init__(self, server: Server, source: random.Random) -> None:
        assert isinstance(server.store, EmbeddedStore)
        self.store = server.store
        self.account = server.account.id
        self.server = server
        self.source = source
        self.boxes: dict[str, dict[int, Letter]] = {"INBOX": {}, "Archive": {}}

    async def put(self, count: int) -> None:
        new = [letter(self.source) for _ in range(count)]
        appended = await self.store.mail.append(self.account, "INBOX", [NewMessage(Spool.of(n.octets)) for n in new])
        self.boxes["INBOX"].update(zip(appended.uids, new, strict=True))

    async def check(self) -> None:
        for name, letters in self.boxes.items():
            client = await self.server.client(name)
            for needle in needles(self.source, [*letters.values()] or [Letter("x", texts=["x"])]):
                for key in ("TEXT", "BODY", "SUBJECT"):
                    expected = [uid for uid, each in sorted(letters.items()) if each.has(key, needle)]
                    assert await search(client, key, needle) == expected, (name, key, needle)
                expected = [
                    u for u, each in sorted(letters.items()) if each.has("BODY", needle) and each.has("TEXT", "re")
                ]
                assert await search(client, "TEXT re BODY", needle) == expected, (name, needle)

    async def mailbox(self, name: str) -> int:
        return (await self.store.mail.open(self.account, name)).mailbox

    async def copy(self, uids: list[int]) -> None:
        copied = await self.store.mail.copy(self.account, await self.mailbox("INBOX"), uids, "Archive")
        for old, new in zip(copied.source, copied.target, strict=True):
            self.boxes["Archive"][new] = self.boxes["INBOX"][old]

    async def move(self, uids: list[int]) -> None:
        moved = await self.store.mail.move(self.account, await self.mailbox("INBOX"), uids, "Archive")
        for old, new in zip(moved.source, moved.target, strict=True):
            self.boxes["Archive"][new] = self.boxes["INBOX"].pop(old)

    async def expunge(self, uids: list[int]) -> None:
        await self.store.mail.expunge(self.account, await self.mailbox("INBOX"), uids, deleted_only=False)
        for uid in uids:
            del self.boxes["INBOX"][uid]

    def some(self, count: int) -> list[int]:
        return sorted(self.source.sample(sorted(self.boxes["INBOX"]), count))


async def search(client: Client, key: str, needle: str) -> list[int]:
    octets = needle.encode()
    lines = await client.say(b"UID SEARCH CHARSET UTF-8 %s {%d+}\r\n%s" % (key.encode(), len(octets), octets))
    assert lines[-1].startswith("OK"), lines
    return [int(uid) for uid in lines[0].removeprefix("* SEARCH").split()]


async def nothing(_corpus: Corpus) -> None:
    """Nothing is indexed."""


async def half(corpus: Corpus) -> None:
    await corpus.store.indexer._step()
    await corpus.store.indexer._step()


async def complete(corpus: Corpus) -> None:
    await corpus.store.indexer.catch_up()


async def being_made_anew(corpus: Corpus) -> None:
    await complete(corpus)
    await corpus.store.indexer.rebuild()
    await half(corpus)


async def one_account_being_made_anew(corpus: Corpus) -> None:
    await complete(corpus)
    await corpus.store.indexer.rebuild(corpus.account)
    await half(corpus)


STATES: list[Callable[[Corpus], object]] = [nothing, half, complete, being_made_anew, one_account_being_made_anew]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("state", STATES)
async def test_every_state_of_the_index_gives_the_same(  # type: ignore[no-untyped-def]
    state, seed: int, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_text, "MAX_TEXT", (10**6, 150, 150)[seed])  # some are longer, and always read
    monkeypatch.setattr(program, "MANY", (10**6, 10**6, 0)[seed])  # fields are looked for in columns, or in the index
    corpus = Corpus(server, random.Random(f"{state.__name__} {seed}"))
    await corpus.put(40)
    await state(corpus)
    await corpus.check()
    await corpus.copy(corpus.some(5))
    await corpus.move(corpus.some(5))
    await corpus.put(10)
    await corpus.check()
    await corpus.expunge(corpus.some(10))
    await corpus.check()
    await corpus.store._sweeper.sweep()
    await corpus.check()
    await corpus.store.indexer.catch_up()
    await corpus.check()


async def test_what_goes_leaves_the_index(server: Server) -> None:
    corpus = Corpus(server, random.Random(7))
    await corpus.put(30)
    await corpus.copy(corpus.some(5))
    await corpus.move(corpus.some(5))
    await complete(corpus)
    store = corpus.store
    await corpus.expunge([*corpus.boxes["INBOX"]])
    await store._sweeper.sweep()
    await complete(corpus)
    in_it = await store.indexer._write(lambda index: index.execute("SELECT count(*) FROM texts_docsize").get)
    assert in_it == len(corpus.boxes["Archive"])
    await store.mail.delete(corpus.account, "Archive")
    await store._sweeper.sweep()
    await complete(corpus)
    assert await store.indexer._write(lambda index: index.execute("SELECT count(*) FROM texts_docsize").get) == 0
    await corpus.put(5)
    await complete(corpus)
    await store.directory.remove_account(corpus.account)
    await store._sweeper.sweep()
    await complete(corpus)
    assert await store.indexer._write(lambda index: index.execute("SELECT count(*) FROM texts_docsize").get) == 0
