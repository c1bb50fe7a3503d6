"""The clients of the crash tests over sockets: each person works with mailboxes of their own and keeps a ledger.

A person does one thing at a time; what was begun and not answered when the line broke is `pending`. After a restart
`compare` looks at everything through IMAP: it must be the ledger, with or without what is pending.
"""

import imaplib
import math
import poplib
import random
import re
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tests.crash.ledger import Book, Box, Operation
from tests.crash.server import DOMAIN, PASSWORD, Child

COMMON = f"common@{DOMAIN}"
"""Gets a copy of all that is sent: one transaction, several mailboxes."""

LINE_PATIENCE = 30.0
CROWDED = 60
"""Messages in a mailbox from which on its owner tidies up, so that a long run does not read ever more."""

OWN = ("INBOX", "Sent", "Work", "Home")

FOLLOWED = frozenset({"Work", "Home"})
"""Mailboxes that are subscribed to and left again."""

Lost = (OSError, EOFError, smtplib.SMTPServerDisconnected, imaplib.IMAP4.abort, ValueError, IndexError)
"""What broken lines look like. imaplib raises all kinds of things when the greeting is cut."""

CHANGES = frozenset({"incoming", "submit", "append", "copy", "move"})
"""Operations that are answered only after a commit, whatever was there before."""


class Refused(Exception):
    """The server said by SMTP that it does not take it. Then it must not have taken it."""


@lru_cache(maxsize=2000)
def body(key: str) -> bytes:
    """The message of a key, in lines that every transport keeps as they are."""
    chance = random.Random(key)
    lines = chance.choice([1, 20, 150, 1200])
    text = b"".join(chance.randbytes(chance.randrange(1, 36)).hex().encode() + b"\r\n" for _ in range(lines))
    owner = key.split("-")[0]
    return (
        f"From: {owner}@{DOMAIN}\r\nTo: {owner}@{DOMAIN}\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{key}@{DOMAIN}>\r\nSubject: {key}\r\n\r\n"
    ).encode() + text


def key_of(octets: bytes) -> str:
    """The key that a message says it has; the message must be wholly what the key says, below what transport put on top."""
    found = re.search(rb"^Message-ID: <([^@]+)@", octets, re.MULTILINE)
    assert found, octets[:300]
    key = found[1].decode()
    assert octets.endswith(body(key)), f"{key} is not what was sent"
    return key


@dataclass
class Wire(Book):
    """What one person owns, with the operations that exist only on the wire. `subscribed` is about those in FOLLOWED."""

    subscribed: set[str] = field(default_factory=set)

    def apply(self, operation: Operation, result: object) -> None:
        match operation:
            case ["incoming", str(key)]:
                self.boxes["INBOX"].add(key, frozenset())
                self.accepted.add(key)
            case ["submit", str(key)]:
                self.boxes["INBOX"].add(key, frozenset())
                self.boxes["Sent"].add(key, frozenset({"\\Seen"}))
                self.accepted.add(key)
                self.queued.add(key)
            case ["create", str(name)]:
                self.boxes[name] = Box()
            case ["delete", str(name)]:
                del self.boxes[name]
            case ["rename", str(name), str(other)]:
                self.boxes[other] = self.boxes.pop(name)
            case ["pop", list(uids)]:
                for uid in uids:
                    del self.boxes["INBOX"].messages[uid]
            case ["subscribe", str(name)]:
                self.subscribed.add(name)
            case ["unsubscribe", str(name)]:
                self.subscribed.discard(name)
            case _:
                super().apply(operation, result)


@dataclass
class Person:
    """One account and its client. `queued` of the book only grows: all that was submitted to the world. `octets` is how large
    all its mail was when it was last read; `wrong` are answers that should not have come; `refused` is what SMTP did not
    take, and which must be nowhere. By the monotonic clock: `changes` is when each of CHANGES that was acknowledged had
    begun, `lost_at` when the line broke."""

    name: str
    child: Child
    trust: ssl.SSLContext
    book: Wire = field(default_factory=Wire)
    pending: Operation | None = None
    validities: dict[str, int] = field(default_factory=dict)
    modseqs: dict[str, int] = field(default_factory=dict)
    imap: imaplib.IMAP4_SSL | None = None
    done: int = 0
    octets: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    lost_at: float = math.inf
    _number: int = 0

    @property
    def address(self) -> str:
        return f"{self.name}@{DOMAIN}"

    def log_in(self) -> imaplib.IMAP4_SSL:
        """A new IMAP session."""
        port = self.child.port("imaps")
        self.imap = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=self.trust, timeout=LINE_PATIENCE)
        self.imap.login(self.address, PASSWORD)
        return self.imap

    def work(self, chance: random.Random) -> None:
        """Until the line breaks."""
        self.lost_at = math.inf
        try:
            imap = self.log_in()
            for name in OWN[2:]:
                if name not in self.book.boxes:
                    self._do(imap, ["create", name])
            while True:
                self._do(imap, self._choose(chance))
        except Lost:
            self.lost_at = time.monotonic()
        except (AssertionError, poplib.error_proto, imaplib.IMAP4.error) as error:
            self.wrong.append(f"{self.name}, {self.pending}: {error}")

    def _do(self, imap: imaplib.IMAP4_SSL, operation: Operation) -> None:
        self.pending = operation
        begun = time.monotonic()
        try:
            self._perform(imap, operation)
        except Refused as refusal:
            self.refused.append(f"{self.name}, {operation}: {refusal}")
        else:
            self.book.apply(operation, None)
            if operation[0] in CHANGES:
                self.changes.append(begun)
            self.done += 1
        self.pending = None

    def _choose(self, chance: random.Random) -> Operation:
        boxes = self.book.boxes
        for full in (name for name in OWN if name in boxes and len(boxes[name].messages) > CROWDED):
            return ["expunge", full, sorted(boxes[full].messages)[: CROWDED // 2]]
        name, other = chance.sample([n for n in OWN if n in boxes], 2)
        uids = sorted(boxes[name].messages)
        some = sorted(chance.sample(uids, min(len(uids), chance.randrange(1, 6))))
        kinds = {
            "incoming": 5,
            "submit": 4,
            "append": 4,
            "flags": 5,
            "copy": 2,
            "move": 3,
            "expunge": 3,
            "folder": 1,
            "follow": 1,
            "pop": 1,
        }
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        self._number += 1
        key = f"{self.name}-{self._number}"
        match kind:
            case "flags" if some:
                return [kind, name, some, chance.random() < 0.6, chance.choice(["\\Seen", "\\Flagged", "$A"])]
            case "copy" | "move" if some:
                return [kind, name, some, other]
            case "expunge" if some:
                return [kind, name, some]
            case "pop" if boxes["INBOX"].messages:
                return [kind, sorted(boxes["INBOX"].messages)[: chance.randrange(1, 4)]]
            case "folder" if "Y" in boxes:
                return ["delete", "Y"]
            case "folder" if "X" in boxes:
                return ["rename", "X", "Y"]
            case "folder":
                return ["create", "X"]
            case "follow":
                name = chance.choice(sorted(FOLLOWED))
                return ["unsubscribe" if name in self.book.subscribed else "subscribe", name]
            case "append":
                return [kind, name, key, chance.sample(["\\Seen", "$B"], chance.randrange(3))]
            case "submit":
                return [kind, key]
            case _:
                return ["incoming", key]

    def _perform(self, imap: imaplib.IMAP4_SSL, operation: Operation) -> None:
        match operation:
            case ["incoming", str(key)]:
                with _refusing(), smtplib.SMTP("127.0.0.1", self.child.port("smtp"), timeout=LINE_PATIENCE) as client:
                    _all(client.sendmail("stranger@else.test", [self.address, COMMON], body(key)))
            case ["submit", str(key)]:
                port, trust = self.child.port("submissions"), self.trust
                with _refusing(), smtplib.SMTP_SSL("127.0.0.1", port, context=trust, timeout=LINE_PATIENCE) as sender:
                    sender.login(self.address, PASSWORD)
                    _all(sender.sendmail(self.address, [self.address, COMMON, "someone@world.test"], body(key)))
            case ["append", str(name), str(key), list(flags)]:
                _ok(imap.append(name, f"({' '.join(flags)})", "", body(key)))
            case ["create", str(name)]:
                _ok(imap.create(name))
            case ["delete", str(name)]:
                _ok(imap.delete(name))
            case ["rename", str(name), str(other)]:
                _ok(imap.rename(name, other))
            case ["subscribe" | "unsubscribe" as verb, str(name)]:
                _ok(getattr(imap, verb)(name))
            case ["pop", list(uids)]:
                self._pop(uids)
            case [str(), str(name), list(), *_]:
                _ok(imap.select(name))
                told = imap.response("HIGHESTMODSEQ")[1]
                self.modseqs[name] = max(self.modseqs.get(name, 0), *(int(each) for each in told if each))
                self._on_messages(imap, operation)

    def _on_messages(self, imap: imaplib.IMAP4_SSL, operation: Operation) -> None:
        match operation:
            case ["flags", _, list(uids), bool(add), str(flag)]:
                _ok(imap.uid("STORE", _set(uids), f"{'+' if add else '-'}FLAGS.SILENT", f"({flag})"))
            case ["copy" | "move" as kind, _, list(uids), str(target)]:
                _ok(imap.uid(str(kind).upper(), _set(uids), target))
            case ["expunge", name, list(uids)]:
                flags: Operation = ["flags", name, uids, True, "\\Deleted"]
                self.pending = flags  # two steps, two answers
                _ok(imap.uid("STORE", _set(uids), "+FLAGS.SILENT", "(\\Deleted)"))
                self.book.apply(flags, None)
                self.pending = operation
                _ok(imap.uid("EXPUNGE", _set(uids)))
            case _:
                raise AssertionError(operation)

    def _pop(self, uids: list[int]) -> None:
        port = self.child.port("pop3s")
        try:
            pop = poplib.POP3_SSL("127.0.0.1", port, context=self.trust, timeout=LINE_PATIENCE)
        except poplib.error_proto as error:
            if "EOF" in str(error):  # no greeting; poplib says "-ERR EOF"
                raise EOFError from error
            raise
        try:
            pop.user(self.address)
            pop.pass_(PASSWORD)
            for number in range(1, len(uids) + 1):
                pop.dele(number)
            pop.quit()
        except poplib.error_proto as error:
            if "EOF" in str(error):  # poplib's word for a broken line
                raise EOFError from error
            raise
        finally:
            pop.close()

    # After a restart

    def compare(self) -> None:
        """Everything is as the ledger says. What is there is the truth from now on."""
        actual = self.read()
        allowed = [self.book]
        if self.pending is not None:
            allowed.append(self.book.after(self.pending))  # type: ignore[arg-type]
        fitting = [b for b in allowed if _boxes(b) == _boxes(actual) and b.subscribed == actual.subscribed]
        assert fitting, f"{self.name}, pending {self.pending}: {_difference(self.book, actual)}"
        self.book = fitting[-1]
        self.pending = None

    def read(self) -> Wire:
        """Everything that is there, through IMAP."""
        imap = self.log_in()
        book = Wire()
        self.octets = 0
        before = _boxes(self.book)
        names = {line.rpartition(b" ")[2].decode().strip('"') for line in _ok(imap.lsub())}
        book.subscribed = names & FOLLOWED
        for line in _ok(imap.list()):
            name = re.sub(rb'.*"/" ', b"", line).decode().strip('"')
            if name not in OWN and name not in ("X", "Y"):
                continue
            status = _ok(imap.status(name, "(UIDNEXT UIDVALIDITY HIGHESTMODSEQ MESSAGES)"))[0].decode()
            facts = {k: int(v) for k, v in re.findall(r"(UIDNEXT|UIDVALIDITY|HIGHESTMODSEQ|MESSAGES) (\d+)", status)}
            box = book.boxes[name] = Box(0, facts["UIDNEXT"])
            _ok(imap.select(name, readonly=True))
            if facts["MESSAGES"]:
                self._read_messages(imap, box, facts["HIGHESTMODSEQ"])
                self._search(imap, box)
            self._check_identity(name, facts, known=name in before)
        return book

    def _read_messages(self, imap: imaplib.IMAP4_SSL, box: Box, highest: int) -> None:
        for item in _ok(imap.fetch("1:*", "(UID FLAGS MODSEQ BODY.PEEK[])")):
            if not isinstance(item, tuple):
                continue
            head: bytes = item[0]
            uid, modseq = (int(_find(rb"%s \(?(\d+)" % word, head)) for word in (b"UID", b"MODSEQ"))
            flags = frozenset(_find(rb"FLAGS \(([^)]*)\)", head).decode().split()) - {"\\Recent"}
            assert uid not in box.messages
            assert uid < box.uidnext
            assert modseq <= highest
            box.messages[uid] = (key_of(item[1]), flags)
            self.octets += len(item[1])

    def _search(self, imap: imaplib.IMAP4_SSL, box: Box) -> None:
        """The text of the oldest and of the newest message is found, whatever has become of the full-text index."""
        for uid in {min(box.messages), max(box.messages)}:
            word = body(box.messages[uid][0]).split()[-1].decode()[:20]
            found = _ok(imap.uid("SEARCH", "BODY", word))[0].decode().split()
            assert str(uid) in found, (self.name, uid, word, found)

    def _check_identity(self, name: str, facts: dict[str, int], *, known: bool) -> None:
        """UIDVALIDITY stays with a mailbox, and a new one of the same name has a greater one."""
        old = self.validities.get(name, 0)
        if known and name in OWN and old:
            assert facts["UIDVALIDITY"] == old, name
            assert facts["HIGHESTMODSEQ"] >= self.modseqs[name], name
        else:
            assert facts["UIDVALIDITY"] >= old, name
        self.validities[name] = facts["UIDVALIDITY"]
        self.modseqs[name] = facts["HIGHESTMODSEQ"]


def _boxes(book: Book) -> dict[str, tuple[int, dict[int, tuple[str, frozenset[str]]]]]:
    return {name: (box.uidnext, box.messages) for name, box in book.boxes.items()}


def _difference(book: Book, actual: Book) -> str:
    expected, found = _boxes(book), _boxes(actual)
    lines = [f"subscribed {sorted(book.subscribed)}, found {sorted(actual.subscribed)}"]
    for name in sorted(expected.keys() | found.keys()):
        (a, ours), (b, theirs) = expected.get(name, (0, {})), found.get(name, (0, {}))
        if (a, ours) != (b, theirs):
            lines.append(f"{name}: uidnext {a}, found {b}; {sorted(ours.items() ^ theirs.items(), key=str)}")
    return "\n".join(lines)


@contextmanager
def _refusing() -> Iterator[None]:
    """What smtplib raises for a reply that is no is Refused; to it that is an OSError, like a broken line."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        raise Refused(str(error.recipients)) from error
    except smtplib.SMTPResponseException as error:
        if error.smtp_code < 0:  # no reply at all: cut off
            raise EOFError from error
        raise Refused(f"{error.smtp_code} {error.smtp_error!r}") from error


def _all(refused: dict[str, tuple[int, bytes]]) -> None:
    """One transaction is for all of its recipients or for none, since they all exist."""
    assert not refused, f"accepted, but not for {refused}"


def _ok(answer: tuple[str, Any]) -> Any:
    assert answer[0] == "OK", answer
    return [item for item in answer[1] if item is not None]


def _set(uids: list[int]) -> str:
    return ",".join(map(str, uids))


def _find(pattern: bytes, text: bytes) -> bytes:
    found = re.search(pattern, text)
    assert found, text[:300]
    return found[1]
