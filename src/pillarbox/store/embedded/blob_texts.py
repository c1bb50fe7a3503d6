"""Texts of blobs for the full-text index, decoded so that nobody has to wait for it: short messages on the event loop, with a
rest after each four milliseconds, long ones in a thread."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pillarbox.mail.full_text import full_text
from pillarbox.store.api import StoreError
from pillarbox.store.embedded.reading import BlobReader, Place
from pillarbox.store.embedded.words import Words, words
from pillarbox.store.embedded.writer import Observer

STEP_OCTETS = 1024 * 1024
"""Octets of words that make a step, but for the last message's: what SQLite is given at once, in some 200 ms of a thread."""

MAX_MESSAGE = 8 * 1024 * 1024
"""Longer messages are not taken apart here, but read when they are searched."""

REST = 3.0
"""Times as long as something took, before the next is done: a process that always computes is kept waiting by others."""

_AT_ONCE = 64 * 1024  # octets that are decoded within a millisecond
_IN_ONE_GO = 0.004  # seconds of work between two rests: behind each the processor's caches are cold again

Row = tuple[int, int, int, int, int]
"""A blob, whether a message has it, its place: segment, offset, octets."""


@dataclass(slots=True)
class Read:
    """What was read of some blobs: the words of their texts, and those that have none."""

    texts: list[Words] = field(default_factory=list)
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
        """The texts of the first of these blobs: as many as make a step, fewer once `stop` says so. `rest` is called now and
        then, with the seconds that were worked since."""
        read = Read()
        octets = 0
        worked = 0.0
        clock = asyncio.get_running_loop().time
        for blob, has_message, *place in rows:
            start = clock()
            size = place[2]
            text = await self._text(blob, (place[0], place[1], size)) if has_message and size <= MAX_MESSAGE else None
            if text is None:
                read.unread.append(blob)
            else:
                read.texts.append(text)
                octets += len(text.header) + len(text.body)
            read.last = blob
            worked += clock() - start
            if worked >= _IN_ONE_GO:
                await rest(worked)
                worked = 0.0
            if octets > STEP_OCTETS or stop():
                break
        return read

    async def _text(self, blob: int, place: Place) -> Words | None:
        octets = self._blobs.read_now(place, None)
        if octets is None:  # it is long, or not in the page cache, or has moved meanwhile
            try:
                octets = await self._blobs.read("?", (blob,), 0, None)
            except StoreError:  # fsck's business, or a search's
                return None
            if octets is None:
                return None
        try:
            if len(octets) <= _AT_ONCE:
                return _words(blob, octets)
            return await asyncio.to_thread(_words, blob, octets)
        except Exception as error:  # a fault of ours must not stop the index: the message is read instead
            self._observer("index_text_failed", reason=f"{type(error).__name__}: {error}", blob=blob)
            return None


def _words(blob: int, octets: bytes) -> Words:
    return words(blob, full_text(octets))
