"""FETCH items that a message's record answers: ENVELOPE, BODYSTRUCTURE, BODY (RFC 9051 §7.5.2), SAVEDATE (RFC 8514),
EMAILID and THREADID (RFC 8474), PREVIEW (RFC 8970)."""

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.fetch.item import ITEM, Batch, Listing, Recorded
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import capability
from pillarbox.mail.body_structure import without_extensions
from pillarbox.mail.date import internaldate
from pillarbox.mail.nstring import string

capability("PREVIEW", "SAVEDATE")


class EnvelopeItem(Listing):
    """ENVELOPE, as it was worked out on arrival."""

    template = b"ENVELOPE %b"

    def column(self, batch: Batch) -> list[bytes]:
        return [listed[0] for listed in batch.listed]


class BodyStructureItem(Listing):
    """BODYSTRUCTURE, as it was worked out on arrival."""

    template = b"BODYSTRUCTURE %b"

    def column(self, batch: Batch) -> list[bytes]:
        return [listed[1] for listed in batch.listed]


class BodyItem(Listing):
    """BODY: BODYSTRUCTURE without its extension data."""

    template = b"BODY %b"

    def column(self, batch: Batch) -> list[bytes]:
        return [without_extensions(listed[1]) for listed in batch.listed]


class SavedateItem(Recorded):
    """SAVEDATE: when the message came into this mailbox."""

    template = b'SAVEDATE "%b"'

    def column(self, batch: Batch) -> list[bytes]:
        return [internaldate(record.savedate) for record in batch.records]


class EmailIdItem(Recorded):
    """EMAILID: the same for all copies of a message."""

    template = b"EMAILID (%b)"

    def column(self, batch: Batch) -> list[bytes]:
        return [record.email_id.encode() for record in batch.records]


class ThreadIdItem(Recorded):
    """THREADID."""

    template = b"THREADID %b"

    def column(self, batch: Batch) -> list[bytes]:
        return [b"(%b)" % record.thread_id.encode() if record.thread_id else b"NIL" for record in batch.records]


class PreviewItem(Recorded):
    """PREVIEW, in UTF-8."""

    template = b"PREVIEW %b"

    def column(self, batch: Batch) -> list[bytes]:
        return [string(record.summary.preview.encode("utf-8", "replace")) for record in batch.records]


BODY = BodyItem()
ENVELOPE = EnvelopeItem()


@ITEM("ENVELOPE")
def envelope(_cursor: Cursor) -> EnvelopeItem:
    """ENVELOPE."""
    return ENVELOPE


@ITEM("BODYSTRUCTURE")
def body_structure(_cursor: Cursor) -> BodyStructureItem:
    """BODYSTRUCTURE."""
    return BodyStructureItem()


@ITEM("SAVEDATE")
def savedate(_cursor: Cursor) -> SavedateItem:
    """SAVEDATE."""
    return SavedateItem()


@ITEM("EMAILID")
def email_id(_cursor: Cursor) -> EmailIdItem:
    """EMAILID."""
    return EmailIdItem()


@ITEM("THREADID")
def thread_id(_cursor: Cursor) -> ThreadIdItem:
    """THREADID."""
    return ThreadIdItem()


@ITEM("PREVIEW")
def preview(cursor: Cursor) -> PreviewItem:
    """PREVIEW, PREVIEW (LAZY): ours is always at hand."""
    if cursor.accept(b" ("):
        if cursor.keyword() != "LAZY":
            raise BadSyntax("Expected LAZY")
        cursor.expect(b")", "the end of the list")
    return PreviewItem()
