"""FETCH items that the mailbox's view answers: FLAGS, UID, INTERNALDATE, RFC822.SIZE (RFC 9051 §7.5.2), MODSEQ (RFC 7162)."""

from pillarbox.imap.fetch.item import ITEM, Message, Plain
from pillarbox.imap.grammar import Cursor
from pillarbox.mail.date import internaldate


class FlagsItem(Plain):
    """FLAGS, \\Recent included."""

    def value(self, message: Message) -> bytes:
        selected = message.selected
        view = selected.view
        encoded = view.flag_table.encoded[view.flags[message.at]]
        if message.uid >= selected.recent_from:
            encoded = encoded + b" \\Recent" if encoded else b"\\Recent"
        return b"FLAGS (%b)" % encoded


class UidItem(Plain):
    """UID."""

    def value(self, message: Message) -> bytes:
        return b"UID %d" % message.uid


class InternaldateItem(Plain):
    """INTERNALDATE, in UTC."""

    def value(self, message: Message) -> bytes:
        return b'INTERNALDATE "%b"' % internaldate(message.selected.view.internaldates[message.at]).encode()


class SizeItem(Plain):
    """RFC822.SIZE."""

    def value(self, message: Message) -> bytes:
        return b"RFC822.SIZE %d" % message.selected.view.sizes[message.at]


class ModseqItem(Plain):
    """MODSEQ."""

    def value(self, message: Message) -> bytes:
        return b"MODSEQ (%d)" % message.selected.view.modseqs[message.at]


FLAGS = FlagsItem()
UID = UidItem()
INTERNALDATE = InternaldateItem()
SIZE = SizeItem()
MODSEQ = ModseqItem()


@ITEM("FLAGS")
def flags(_cursor: Cursor) -> FlagsItem:
    """FLAGS."""
    return FLAGS


@ITEM("UID")
def uid(_cursor: Cursor) -> UidItem:
    """UID."""
    return UID


@ITEM("INTERNALDATE")
def date(_cursor: Cursor) -> InternaldateItem:
    """INTERNALDATE."""
    return INTERNALDATE


@ITEM("RFC822.SIZE")
def size(_cursor: Cursor) -> SizeItem:
    """RFC822.SIZE."""
    return SIZE


@ITEM("MODSEQ")
def modseq(_cursor: Cursor) -> ModseqItem:
    """MODSEQ."""
    return MODSEQ
