"""Looks whether the full-text index is what it should be: whole as a file, with every message, saying what messages say."""

from collections.abc import Sequence

import apsw

from pillarbox.store.embedded.text_index import DAMAGE, query_of, transaction
from pillarbox.store.embedded.words import Words

_NEEDLE = 12  # characters that are looked up of each message


def problem(connection: apsw.Connection) -> str:
    """What is wrong with the index as such, by the writer's connection; "" when nothing is. It is read wholly."""
    try:
        found = str(connection.execute("PRAGMA quick_check(1)").get)
        with transaction(connection):
            connection.execute("INSERT INTO texts (texts, rank) VALUES ('integrity-check', 0)")
    except DAMAGE as error:
        return str(error)
    return "" if found == "ok" else found


_MISSING = """
    SELECT count(*) FROM mail.messages WHERE blob <= (SELECT mark FROM progress)
        AND (blob NOT IN (SELECT id FROM texts_docsize) OR blob NOT IN (SELECT blob FROM words))
        AND blob NOT IN (SELECT blob FROM partial)
"""


def difference(connection: apsw.Connection, texts: Sequence[Words]) -> str:
    """What it lacks, or which of these messages it knows otherwise, or does not name for a needle out of their text; ""
    when nothing. Raises apsw.Error."""
    if missing := connection.execute(_MISSING).get:
        return f"it lacks {missing} messages that it should have"
    for text in texts:
        if not _is_known(connection, text) or not _is_named(connection, text):
            return f"it does not know what blob {text.blob} says"
    return ""


def _is_known(connection: apsw.Connection, text: Words) -> bool:
    rows = connection.execute(f"SELECT header, body FROM words WHERE blob = ? AND {_IS_WHOLE}", (text.blob,))
    here = (set(text.header.split()), set(text.body.split()))  # in another process they come in another order
    return all((set(header.split()), set(body.split())) == here for header, body in rows)


def _is_named(connection: apsw.Connection, text: Words) -> bool:
    entry = text.entry.decode()
    start = max(0, len(entry) // 2 - _NEEDLE)
    query = query_of(entry[start : start + _NEEDLE].split(" "))
    return query is None or bool(connection.execute(_NAMES, (text.blob, query)).get)


_IS_WHOLE = "NOT EXISTS (SELECT 1 FROM partial WHERE partial.blob = words.blob)"
_NAMES = """
    SELECT EXISTS (SELECT 1 FROM texts(?2) WHERE rowid = ?1) OR EXISTS (SELECT 1 FROM partial WHERE blob = ?1)
"""
