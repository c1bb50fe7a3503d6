"""Texts of blobs for the full-text index, decoded so that nobody has to wait for it: short messages one at a time on the event
loop with a rest after each, long ones in a thread."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pillarbox.mail.full_text import full_text
from pillarbox.store.api import StoreError
from pillarbox.store.embedded.reading import BlobReader
from pillarbox.store.embedded.text_index import Text, entry
from pillarbox.store.embedded.writer import Observer

STEP_OCTETS = 4 * 1024 * 1024
"""Octets of messages that are read at once, but for the last one's."""

MAX_MESSAGE = 8 * 1024 * 1024
"""Longer messages are not taken apart here, but read when they are searched."""

REST = 3.0
"""Times as long as something took, before the next is done: a process that always computes is kept waiting by others."""

_AT_ONCE = 64 * 1024  # octets that are decoded within a millisecond

Row = tuple[int, int, int]
"""A blob, its octets, whether a message has it."""


@dataclass(slots=True)
class Read:
    """What was read of some blobs: entries of their texts, and those that have none."""

    texts: list[Text] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    last: int = 0

    @property
    def number(self) -> int:
        """How many."""
        return len(self.texts) + len(self.unread)


class BlobTexts:
    """Reads and decodes blobs."""

    def __init__(self, blobs: BlobReader, observer: Observer) -> None:
        self._blobs = blobs
        self._observer = observer

    async def read(
        self, rows: list[Row], *, rest: Callable[[float], Awaitable[None]], stop: Callable[[], bool]
    ) -> Read:
        """The texts of the first of these blobs: as many as make a step, fewer once `stop` says so. `rest` is called after
        each, with the seconds that it took."""
        read = Read()
        octets = 0
        clock = asyncio.get_running_loop().time
        for blob, size, has_message in rows:
            start = clock()
            text = await self._text(blob, size) if has_message and size <= MAX_MESSAGE else None
            if text is None:
                read.unread.append(blob)
            else:
                read.texts.append(text)
            read.last = blob
            octets += size
            await rest(clock() - start)
            if octets > STEP_OCTETS or stop():
                break
        return read

    async def _text(self, blob: int, size: int) -> Text | None:
        try:
            octets = await self._blobs.read("?", (blob,), 0, None)
        except StoreError:  # fsck's business, or a search's
            return None
        if octets is None:
            return None
        try:
            if size <= _AT_ONCE:
                return _entry(blob, octets)
            return await asyncio.to_thread(_entry, blob, octets)
        except Exception as error:  # a fault of ours must not stop the index: the message is read instead
            self._observer("index_text_failed", reason=f"{type(error).__name__}: {error}", blob=blob)
            return None


def _entry(blob: int, octets: bytes) -> Text:
    text, is_whole = full_text(octets)
    return blob, entry(text), is_whole
