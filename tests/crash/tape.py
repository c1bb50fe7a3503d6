"""A recording that outlives its process: each event in a file, and how many there are in memory that others look into.

Whoever got an answer and then reads the number knows that everything the answer rests on is among so many first events: the
number grows before the call that was recorded returns.
"""

import json
import mmap
import os
import struct
from pathlib import Path
from typing import Self

from tests.crash.recording import Event

_EVENTS, _COUNT = "events.tape", "events.count"
_NUMBER = struct.Struct("<Q")


class Count:
    """How many events there are; one process adds to it."""

    def __init__(self, folder: Path) -> None:
        with (folder / _COUNT).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _NUMBER.size)

    @classmethod
    def make(cls, folder: Path) -> Self:
        """A new one: none."""
        (folder / _COUNT).write_bytes(bytes(_NUMBER.size))
        return cls(folder)

    def __call__(self) -> int:
        return int(_NUMBER.unpack(self._memory)[0])

    def add(self, number: int) -> None:
        """So many more."""
        self._memory[:] = _NUMBER.pack(self() + number)


class Tape:
    """Where a process puts its events, behind those of the processes before it."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / _EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._count = Count(folder)

    def keep(self, events: list[Event]) -> None:
        """These happened, and nothing else is happening just now."""
        for event in events:
            head = json.dumps([event.kind, event.path, event.other, event.offset, len(event.octets)]).encode()
            octets = head + b"\n" + event.octets
            assert os.write(self._file, octets) == len(octets)
        self._count.add(len(events))


def read(folder: Path) -> list[Event]:
    """All events."""
    events = []
    with (folder / _EVENTS).open("rb") as file:
        while line := file.readline():
            kind, path, other, offset, size = json.loads(line)
            events.append(Event(kind, path, 0, offset, file.read(size), other))
    return events
