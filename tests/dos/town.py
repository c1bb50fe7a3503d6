"""The server under attack: the real one, as a process of its own, with accounts and mail in it.

`prepared` makes a data directory once; each attack gets a copy, so that memory and state are that attack's own.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.crash.server import DOMAIN, PASSWORD, START_PATIENCE, Child
from tests.demo import SOURCE

from pillarbox.access.passwords import hash_password
from pillarbox.sasl.secret import Secret
from pillarbox.server.control import ControlError
from pillarbox.store.api import Delivery
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

ALICE, BOB, MALLORY = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "mallory"))
"""Alice and Bob behave well; Mallory has an account too."""

MAIL = {ALICE: 300, BOB: 100, MALLORY: 3_000}
"""Messages in their mailboxes."""

EXTRA = """
[access]
never_refused = []


"""
"""Everybody is on loopback here, which is not refused otherwise."""


def message(number: int) -> bytes:
    """An ordinary message of some 3 KB."""
    text = b"".join(
        b"Line %d of message %d, with some words that nobody looks for.\r\n" % (n, number) for n in range(40)
    )
    return (
        b"From: Anna Example <anna@else.test>\r\nTo: someone@example.test\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n"
        b"Message-ID: <%d@else.test>\r\nSubject: Report %d of this week\r\n\r\n" % (number, number)
    ) + text


async def fill(data: Path, extra: int) -> None:
    """Accounts and mail; `extra` messages more for Mallory."""
    data.mkdir(parents=True, mode=0o700)
    store = await EmbeddedStore.open(data)
    try:
        await store.directory.add_domain(DOMAIN)
        hashes = hash_password(Secret(PASSWORD))
        for address, count in MAIL.items():
            account = await store.directory.add_account(address, hashes)
            count += extra if address == MALLORY else 0
            for start in range(0, count, 500):
                numbers = range(start, min(start + 500, count))
                await asyncio.gather(
                    *(
                        store.accept(Spool.of(message(n)), [Delivery(account.id)], None, trace_id=f"fill{n}")
                        for n in numbers
                    )
                )
    finally:
        await store.close()


async def enlarge(data: Path, messages: int) -> None:
    """So many messages in Mallory's INBOX, within seconds: copies share their octets."""
    store = await EmbeddedStore.open(data)
    try:
        account = await store.directory.account(MALLORY)
        assert account is not None
        view = await store.mail.open(account.id, "INBOX")
        while (missing := messages - len(view.uids)) > 0:
            await store.mail.copy(account.id, view.mailbox, list(view.uids[:missing]), "INBOX")
    finally:
        await store.close()


class Town(Child):
    """One server with its own copy of prepared data."""

    def __init__(self, directory: Path, prepared: Path, *, extra: str = "") -> None:
        super().__init__(directory, extra=EXTRA + extra)
        shutil.copytree(prepared, self.data)
        self.peak = 0
        self.descriptors = 0

    def start(self, *_death: str, limits: dict[int, tuple[int, int]] | None = None) -> None:
        """Start it without any launcher, and wait until it accepts."""
        assert limits is None
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "NO_COLOR": "1"}
        command = [sys.executable, "-m", "pillarbox", "serve", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + START_PATIENCE
        while True:
            try:
                self.control("list_domains")
                return
            except (OSError, ControlError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-3000:]}") from None
                time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self.process is not None
        return self.process.pid

    def look(self) -> int:
        """PSS now, in octets; the greatest so far is `peak`."""
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()[-3000:]}"
        with suppress(OSError):
            text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
            now = int(re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)[0]) * 1024
            self.peak = max(self.peak, now)
            self.descriptors = max(self.descriptors, len(os.listdir(f"/proc/{self.pid}/fd")))
            return now
        return 0

    def processor(self) -> float:
        """Seconds of processor that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def waited(self) -> float:
        """Seconds that its threads were ready to run and the machine had no processor for them."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with suppress(OSError, IndexError):
                total += int((task / "schedstat").read_text().split()[1])
        return total / 1e9

    def worst_lag(self) -> tuple[float, float]:
        """The greatest lag of the event loop that it wrote about, and how much of it the loop computed; both in seconds."""
        late = [(float(e["lag"]), float(e["computed"])) for e in self.events() if e.get("event") == "loop_late"]
        return max(late, default=(0.0, 0.0))
