"""What is read back from the disk, after something else wrote on it: segments, packed states of mailboxes, manifests of
backups. And the text index: strangers write what goes in."""

import tempfile
from functools import cache
from pathlib import Path

import apsw

from pillarbox.mail.full_text import FullText
from pillarbox.mail.search_text import folded
from pillarbox.store.api import StoreError
from pillarbox.store.embedded import changelog, manifest, notes, segments, summaries, text_index
from pillarbox.store.embedded.words import words

MAX_UIDS = 1_000_000
"""What is left out: our own index is trusted to name no more messages than a mailbox has."""


def segment(octets: bytes) -> None:
    """Records lie inside of the file, one after the other; octets that changed are seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        segments.path_of(folder, 1).write_bytes(octets)
        at = len(segments.FILE_HEADER)
        for record in segments.scan(folder, 1):
            assert record.offset == at
            at += segments.RECORD_HEADER + record.size + len(record.note)
            assert at <= len(octets)
            segments.is_whole(folder, 1, record.offset, blob=record.blob, size=record.size, crc=record.crc)


def packed_state(octets: bytes) -> None:
    """The first octet is the kind: summaries, runs, sets of UIDs, notes of records, manifests. Each raises what it declares."""
    kind, rest = octets[:1], octets[1:]
    try:
        if kind < b"\x55":
            summary = summaries.unpack(rest)
            assert summaries.unpack(summaries.pack(summary)) == summary
        elif kind < b"\xaa":
            changelog.decode_runs(rest)
        elif kind < b"\xc0":
            for delivered in notes.decode(rest):
                (again,) = notes.decode(notes.encode([delivered]).encode("utf-8"))
                assert again == delivered
        elif kind < b"\xd0":
            _manifest(rest)
        elif _uids(rest) < MAX_UIDS:
            changelog.decode_uids(rest)
    except ValueError:
        return


def _uids(octets: bytes) -> int:
    """How many UIDs a set names."""
    numbers = [int.from_bytes(octets[i : i + 4], "little") for i in range(0, len(octets), 4)]
    return sum(max(0, last - first) for first, last in zip(numbers[::2], numbers[1::2], strict=False))


def _manifest(octets: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / manifest.MANIFEST).write_bytes(octets)
        segments.path_of(folder, 1).write_bytes(octets)
        try:
            segments.check_version(folder, 1)
        except StoreError as error:
            assert str(error)
        try:
            found = manifest.read(manifest.find(folder))
        except manifest.BackupError as error:
            assert str(error)
            return
        inside = folder.resolve()
        assert all((inside / file).resolve().is_relative_to(inside) for file in found.files if "\0" not in file)


@cache
def _index() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("ATTACH ':memory:' AS mail")
    connection.execute("CREATE TABLE mail.messages (mailbox, uid, blob)")
    connection.execute("INSERT INTO mail.messages VALUES (1, 1, 1)")
    connection.execute(text_index._SCHEMA)
    connection.execute("CREATE TABLE IF NOT EXISTS again (blob INTEGER PRIMARY KEY)")
    connection.execute("INSERT INTO progress VALUES (0, 0)")
    return connection


_WORDS = (
    "der", "STRASSE", "Straße", "İstanbul", "istanbul", "ﬁn", "fin", "e\u0301", "é", "日本語", "한국",
    "अनुवाद", "שלום", "ﷺ", "🏳️‍🌈",
    '"', "'", "*", "-", "AND", "NOT", "NEAR(", ":", "^", "\0", "\ud800", "\u00ad", "\u200b", " ",
    "  ", "\t", "\n", "%", "_", "\\", "a", "x" * 40,
)  # fmt: skip
"""What is hard: letters that fold to several, that combine, without spaces; the index's own syntax; what is not a letter."""


def search(octets: bytes) -> None:
    """The first two octets cut a needle out of the text that follows, the third says whether that is UTF-8 or the numbers of
    words: the index must name the text, and its words must say of that needle and of any other, the text's first line, what
    the text says."""
    start, length, kind = octets[:3].ljust(3, b"\0")
    if kind & 1:
        decoded = "".join(_WORDS[octet % len(_WORDS)] + " " * (octet >> 7) for octet in octets[3:])
    else:
        decoded = octets[3:].decode("utf-8", "replace")
    text = folded(decoded)
    start = start * (len(text) + 1) // 256
    index = _index()
    entry = words(1, FullText("", decoded, is_whole=True))
    text_index.add(index, [entry], unread=(), missing=(), new_mark=1)
    try:
        for needle in (text[start : start + length], folded(text.partition("\n")[0])):
            query = text_index.terms(needle)
            if query is not None:
                found = [row for (row,) in index.execute("SELECT rowid FROM texts(?)", (query,))]
                assert found == [1] or needle not in text, (needle, query)
            if text_index.is_within_a_word(needle):
                held = text_index.holding(index, 1, [1, 2], needle, header=False)
                assert held.perhaps == ([2] if entry.is_whole else [1, 2])
                assert (held.surely == [1]) == (needle in text) or not entry.is_whole
    finally:
        text_index.remove(index, [1])
