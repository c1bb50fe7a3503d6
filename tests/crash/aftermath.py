"""What a power cut would leave of a folder, by the events that `recording` wrote down.

An image takes the events up to one of them; of what was not fsynced by then it keeps nothing, everything, or any part, the last
write maybe torn. The same for names, of files, folders and hard links, which only an fsync of the folder that they are in makes
durable: a file is lost with the name of any folder above it.
"""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.crash.recording import Event

SECTOR = 512

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class _File:
    """Octets that are durable, and what happened to them since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)

    def sync(self) -> None:
        for event in self.pending:
            _apply(self.durable, event)
        self.pending = []

    def octets(self, kept: list[Event]) -> bytes:
        octets = bytearray(self.durable)
        for event in kept:
            _apply(octets, event)
        return bytes(octets)


@dataclass(slots=True, eq=False)
class _Folder:
    """Names that are there now, and those of them (or former ones) that are durable."""

    now: "dict[str, _File | _Folder]" = field(default_factory=dict)
    durable: "dict[str, _File | _Folder]" = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Change:
    """A step that a file system takes wholly or not at all: in each folder a name that means something else now, or nothing."""

    names: list[tuple[_Folder, str, _File | _Folder | None]]


class Disk:
    """What a disk would hold after the events that were `add`ed, if the power failed then."""

    def __init__(self, folder: Path) -> None:
        self._place = folder
        self._root = _Folder()
        self._pending: list[_Change] = []

    def add(self, event: Event) -> None:
        """This happened, too."""
        match event.kind:
            case "write" | "truncate":
                self._file(event.path).pending.append(event)
            case "sync":
                self._file(event.path).sync()
            case "sync-folder":
                self._sync_names(self._folder(event.path))
            case "make":
                self._change((event.path, _File()))
            case "make-folder":
                self._change((event.path, _Folder()))
            case "link":
                self._change((event.other, self._find(event.path)))
            case "remove":
                self._change((event.path, None))
            case "rename":
                self._change((event.path, None), (event.other, self._find(event.path)))
            case other:
                assert other == "nothing"

    def _find(self, path: str) -> _File | _Folder:
        found: _File | _Folder = self._root
        for part in Path(path).relative_to(self._place).parts:
            assert isinstance(found, _Folder)
            found = found.now[part]
        return found

    def _file(self, path: str) -> _File:
        found = self._find(path)
        assert isinstance(found, _File), path
        return found

    def _folder(self, path: str) -> _Folder:
        found = self._find(path)
        assert isinstance(found, _Folder), path
        return found

    def _change(self, *names: tuple[str, _File | _Folder | None]) -> None:
        change = _Change([(self._folder(os.path.dirname(path)), os.path.basename(path), node) for path, node in names])
        for folder, name, node in change.names:
            _set(folder.now, name, node)
        self._pending.append(change)

    def _sync_names(self, folder: _Folder) -> None:
        waiting = []
        for change in self._pending:
            if any(where is folder for where, _, _ in change.names):
                for where, name, node in change.names:
                    _set(where.durable, name, node)
            else:
                waiting.append(change)
        self._pending = waiting

    def image(self, target: Path, chance: random.Random) -> str:
        """Write what might be left into a new folder; returns how it was chosen."""
        how = chance.choice(["nothing", "everything", "some", "some", "beginning"])
        changes = _choose(self._pending, how, chance)
        written: dict[_File, Path] = {}

        def lay(folder: _Folder, place: Path) -> None:
            place.mkdir(parents=True)
            names = dict(folder.durable)
            for change in changes:
                for where, name, node in change.names:
                    if where is folder:
                        _set(names, name, node)
            for name, node in names.items():
                if isinstance(node, _Folder):
                    lay(node, place / name)
                elif node in written:
                    os.link(written[node], place / name)
                else:
                    kept = _choose(node.pending, how, chance)
                    (place / name).write_bytes(node.octets(kept[:-1] + [_torn(e, chance) for e in kept[-1:]]))
                    written[node] = place / name

        lay(self._root, target)
        return how

    def everything(self) -> dict[str, bytes]:
        """What the files hold if the power does not fail."""
        found = {}

        def read(folder: _Folder, place: Path) -> None:
            for name, node in folder.now.items():
                if isinstance(node, _Folder):
                    read(node, place / name)
                else:
                    found[str(place / name)] = node.octets(node.pending)

        read(self._root, self._place)
        return found


def instants(events: int, prefixes: str, chance: random.Random) -> set[int]:
    """The numbers of so many events, spread over all of them; "all": every one."""
    return set(chance.sample(range(events), events if prefixes == "all" else min(int(prefixes), events)))


def _set(names: dict[str, _File | _Folder], name: str, node: _File | _Folder | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _apply(octets: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        octets[:] = octets[: event.offset].ljust(event.offset, b"\0")
        return
    end = event.offset + len(event.octets)
    if len(octets) < event.offset:
        octets.extend(bytes(event.offset - len(octets)))
    octets[event.offset : end] = event.octets


def _choose(events: list[_T], how: str, chance: random.Random) -> list[_T]:
    match how:
        case "nothing":
            return []
        case "some":
            return [e for e in events if chance.random() < 0.5]
        case "beginning":
            return events[: chance.randrange(len(events) + 1)]
        case _:
            return list(events)


def _torn(event: Event, chance: random.Random) -> Event:
    """Whole, or cut at a sector or at any octet."""
    if event.kind == "truncate":
        return event
    size = len(event.octets)
    cut = chance.choice([size, size, chance.randrange(size + 1), chance.randrange(size + 1) // SECTOR * SECTOR])
    return Event("write", event.path, event.mark, event.offset, event.octets[:cut])
