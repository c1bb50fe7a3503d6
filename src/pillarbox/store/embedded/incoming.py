"""Incoming: a message that is to be stored, with everything that can be worked out before its commit is planned."""

import random
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pillarbox.mail.mime import Laborious
from pillarbox.mail.summary import summarise_anyway
from pillarbox.store.api import StoreUnavailable
from pillarbox.store.embedded import summaries
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.segments import FILE_HEADER, SegmentLog, path_of, write_alone
from pillarbox.store.embedded.state import State
from pillarbox.store.embedded.workers import Workers
from pillarbox.store.embedded.writer import Observer
from pillarbox.store.faults import kind_of
from pillarbox.store.spool import Spool

ALONE = 4 * 1024 * 1024
"""Messages larger than this get a segment of their own, written before their batch: nobody waits for such a one."""

_IN_THREAD = 128 * 1024
"""Reading, checksum and summary of larger messages would hold up the event loop. A thread costs as much as a message of this
size does."""

_LONG_HEADER = 8 * 1024
"""Above, even a smaller message may be one that was made to be slow to parse: that takes some 0.8 milliseconds for each
kilobyte of header fields. Then, or if a brief look at its parts does not suffice, it goes to a thread, too."""


@dataclass(slots=True)
class Incoming:
    """`octets` is empty when they are in the segment `alone` already."""

    size: int
    crc: int
    summary: bytes
    message_id: str
    message_id_hash: int | None
    octets: bytes
    note: bytes
    blob: int = 0
    alone: int = 0

    def stage(self, batch: Batch) -> int:
        """Stage the octets; returns the blob's id."""
        if self.alone:
            batch.then(lambda: batch.state.coming.discard(self.blob))
            batch.place_blob(self.blob, self.alone, len(FILE_HEADER), self.size, self.crc, self.summary)
            return self.blob
        blob = batch.state.next_blob()
        batch.add_blob(blob, self.octets, self.crc, self.summary, self.note)
        return blob


class Intake:
    """Prepares messages; knows where very large ones go."""

    def __init__(self, state: State, log: SegmentLog, folder: Path, workers: Workers, observer: Observer) -> None:
        self._state = state
        self._log = log
        self._folder = folder
        self._workers = workers
        self._observer = observer

    async def prepare(self, spool: Spool, note: str) -> Incoming:
        """Everything about the message in this spool. Raises StoreUnavailable, OSError."""
        octets_of_note = note.encode("utf-8", "surrogatepass")
        if spool.size <= _IN_THREAD:
            octets = spool.octets()
            is_short = len(octets) <= _LONG_HEADER
            if is_short or octets.find(b"\r\n\r\n", 0, _LONG_HEADER) >= 0:
                with suppress(Laborious):
                    return self._digest(octets, octets_of_note, brief=not is_short)
        try:
            if spool.size > ALONE:
                return await self._prepare_alone(spool, octets_of_note)
            return await self._workers.run(lambda: self._digest(spool.octets(), octets_of_note))
        except OSError as error:
            reason = f"{type(error).__name__}: {error}"
            self._observer("store_unavailable", fault=kind_of(error), reason=reason, operations=1)
            raise StoreUnavailable(f"the message cannot be written now ({error}): try again later") from error

    async def abandon(self, incoming: Incoming) -> None:
        """The message was not stored after all."""
        if incoming.alone:
            self._state.coming.discard(incoming.blob)
            path = path_of(self._folder, incoming.alone)
            await self._workers.run(lambda: path.unlink(missing_ok=True))

    async def _prepare_alone(self, spool: Spool, note: bytes) -> Incoming:
        number, blob = self._log.take_number(), self._state.next_blob()
        self._state.coming.add(blob)
        try:
            return await self._workers.run(lambda: self._put_alone(spool, note, number, blob))
        except BaseException:
            self._state.coming.discard(blob)
            raise

    def _digest(self, octets: bytes, note: bytes, *, brief: bool = False) -> Incoming:
        """What can be worked out of the octets. Raises Laborious if it is to be brief and cannot."""
        size = len(octets)

        def failed(error: Exception) -> None:
            self._observer("summary_failed", error=error, size=size)

        summary = summarise_anyway(octets, failed, brief=brief)
        key = summaries.message_id_hash(summary.message_id)
        return Incoming(size, zlib.crc32(octets), summaries.pack(summary), summary.message_id, key, octets, note)

    def _put_alone(self, spool: Spool, note: bytes, number: int, blob: int) -> Incoming:
        crc = write_alone(self._folder, number, blob, spool.size, spool.chunks(), note)
        incoming = self._digest(spool.octets(), note)
        assert incoming.crc == crc
        incoming.octets, incoming.blob, incoming.alone = b"", blob, number
        return incoming


def stage_message(
    batch: Batch,
    incoming: Incoming,
    blob: int,
    mailbox: int,
    uid: int,
    modseq: int,
    flags: str,
    internaldate: int,
    *,
    trace_id: str = "",
    filed: bool = False,
) -> None:
    """The row of a message that enters an account: it gets the identifiers that it keeps for ever (RFC 8474)."""
    key = incoming.message_id_hash
    now = int(batch.state.clock())
    identity = new_id("")
    batch.messages.append(
        (
            mailbox, uid, blob, modseq, incoming.size, internaldate, now, "M" + identity, "T" + identity, trace_id,
            int(filed), key, flags,
        )
    )  # fmt: skip
    if key is not None:
        batch.message_ids.add((mailbox, key))


def new_id(kind: str) -> str:
    """A permanent identifier: letters and digits, fit for OBJECTID and UIDL."""
    return f"{kind}{_random.getrandbits(96):024x}"


_random = random.Random()  # nobody gains by guessing one: seeded by the system once, not asked for each message
