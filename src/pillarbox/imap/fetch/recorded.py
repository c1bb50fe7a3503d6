"""FETCH items that a message's record answers: ENVELOPE, BODYSTRUCTURE, BODY (RFC 9051 §7.5.2), SAVEDATE (RFC 8514),
EMAILID and THREADID (RFC 8474), PREVIEW (RFC 8970)."""

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.fetch.item import ITEM, Message, Recorded
from pillarbox.imap.grammar import Cursor
from pillarbox.imap.registry import capability
from pillarbox.mail.body_structure import without_extensions
from pillarbox.mail.date import internaldate
from pillarbox.mail.nstring import string

capability("PREVIEW", "SAVEDATE")


class EnvelopeItem(Recorded):
    """ENVELOPE, as it was worked out on arrival."""

    def value(self, message: Message) -> bytes:
        return b"ENVELOPE " + message.record.summary.envelope


class BodyStructureItem(Recorded):
    """BODYSTRUCTURE, as it was worked out on arrival."""

    def value(self, message: Message) -> bytes:
        return b"BODYSTRUCTURE " + message.record.summary.bodystructure


class BodyItem(Recorded):
    """BODY: BODYSTRUCTURE without its extension data."""

    def value(self, message: Message) -> bytes:
        return b"BODY " + without_extensions(message.record.summary.bodystructure)


class SavedateItem(Recorded):
    """SAVEDATE: when the message came into this mailbox."""

    def value(self, message: Message) -> bytes:
        return b'SAVEDATE "%b"' % internaldate(message.record.savedate).encode()


class EmailIdItem(Recorded):
    """EMAILID: the same for all copies of a message."""

    def value(self, message: Message) -> bytes:
        return b"EMAILID (%b)" % message.record.email_id.encode()


class ThreadIdItem(Recorded):
    """THREADID."""

    def value(self, message: Message) -> bytes:
        thread = message.record.thread_id
        return b"THREADID (%b)" % thread.encode() if thread else b"THREADID NIL"


class PreviewItem(Recorded):
    """PREVIEW, in UTF-8."""

    def value(self, message: Message) -> bytes:
        return b"PREVIEW " + string(message.record.summary.preview.encode("utf-8", "replace"))


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
