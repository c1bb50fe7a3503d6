"""What the throttle keeps over a restart: address blocks of wrong passwords, and places where accounts logged in well.

A small file in the data directory, written at the end and every ten minutes when something has changed. Missing, damaged or too
large, the throttle starts empty. Backups leave it out: it says where people are, and is worthless after some weeks.

Security: names are in it only where somebody logged in by them. What is counted for a name from anywhere is not kept: names
that are no account may be passwords, typed into the wrong field, and keeping it for accounts only would tell which those are.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pillarbox.access.throttle import Memory, Throttle

NAME = "throttle.json"

PERIOD = 600.0
"""Seconds between two looks whether something has changed."""

MAX_SIZE = 16 * 1024 * 1024
"""Octets that are read: far above what `access.remembered` allows to be written."""

VERSION = 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """`saved`: epoch seconds; the ages in `memory` are as of then."""

    version: int
    saved: float
    memory: Memory


_encoder, _decoder = msgspec.json.Encoder(), msgspec.json.Decoder(_File)


class Kept:
    """One throttle's file. `tell` hears when it cannot be read or written; `clock` is the throttle's, `wall` gives epoch
    seconds."""

    def __init__(
        self,
        throttle: Throttle,
        folder: Path,
        tell: Callable[..., None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._throttle = throttle
        self._path = folder / NAME
        self._tell = tell
        self._clock, self._wall = clock, wall
        self._version = -1

    def load(self) -> None:
        """Fill the throttle, which is empty. Never raises."""
        try:
            with self._path.open("rb") as file:
                octets = file.read(MAX_SIZE + 1)
            if len(octets) > MAX_SIZE:
                raise ValueError("it is too large")
            found = _decoder.decode(octets)
            if found.version != VERSION:
                raise ValueError(f"it is of version {found.version}, which is not known here")
            elapsed = max(0.0, self._wall() - found.saved)  # a clock that was set back makes nothing older
            self._throttle.remember(found.memory, self._clock(), elapsed)
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            self._tell("throttle_forgotten", reason=str(error))

    async def run(self) -> None:
        """Write it now and then, and once more when cancelled."""
        try:
            while True:
                await asyncio.sleep(PERIOD)
                self.save()
        finally:
            self.save()

    def save(self) -> None:
        """Write it, unless nothing has changed. Never raises. Some 20 ms where 40,000 entries are remembered,
        which is a botnet's work; usually there are some dozens."""
        if self._version == self._throttle.version:
            return
        version = self._throttle.version
        fresh = self._path.with_name(NAME + ".new")
        try:
            octets = _encoder.encode(_File(VERSION, self._wall(), self._throttle.memory(self._clock())))
            with open(fresh, "wb", opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, 0o600)) as file:
                file.write(octets)
            fresh.replace(self._path)
        except OSError as error:
            self._tell("throttle_not_kept", reason=str(error))
        else:
            self._version = version
