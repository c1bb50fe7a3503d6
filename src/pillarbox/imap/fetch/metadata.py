"""FETCH items that the mailbox's view answers: FLAGS, UID, INTERNALDATE, RFC822.SIZE (RFC 9051 §7.5.2), MODSEQ (RFC 7162)."""

from collections.abc import Sequence

from pillarbox.imap.fetch.item import ITEM, Batch, Plain
from pillarbox.imap.grammar import Cursor
from pillarbox.mail.date import internaldate


class FlagsItem(Plain):
    """FLAGS, \\Recent included."""

    template = b"FLAGS (%b)"

    def column(self, batch: Batch) -> list[bytes]:
        selected = batch.selected
        view = selected.view
        flags, encoded = view.flags, view.flag_table.encoded
        texts = [encoded[flags[at]] for at in batch.at]
        if batch.uids[-1] >= selected.recent_from:
            return [
                text if uid < selected.recent_from else text + b" \\Recent" if text else b"\\Recent"
                for uid, text in zip(batch.uids, texts, strict=True)
            ]
        return texts


class UidItem(Plain):
    """UID."""

    template = b"UID %d"

    def column(self, batch: Batch) -> Sequence[int]:
        return batch.uids


class InternaldateItem(Plain):
    """INTERNALDATE, in UTC."""

    template = b'INTERNALDATE "%b"'

    def column(self, batch: Batch) -> list[bytes]:
        dates = batch.selected.view.internaldates
        return [internaldate(dates[at]) for at in batch.at]


class SizeItem(Plain):
    """RFC822.SIZE."""

    template = b"RFC822.SIZE %d"

    def column(self, batch: Batch) -> list[int]:
        sizes = batch.selected.view.sizes
        return [sizes[at] for at in batch.at]


class ModseqItem(Plain):
    """MODSEQ."""

    template = b"MODSEQ (%d)"

    def column(self, batch: Batch) -> list[int]:
        modseqs = batch.selected.view.modseqs
        return [modseqs[at] for at in batch.at]


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
