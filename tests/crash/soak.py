"""`make soak [MINUTES=10] [SEED=1]`: a long mixed load with rude guests, idle listeners and restarts.

Every few seconds memory (PSS), file descriptors and the log are looked at; at each restart everybody's mail is compared
with the ledger. Ends with one table; its exit status is 1 when something was lost, grew, or was said without a reason.
"""

import argparse
import imaplib
import random
import re
import select
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.crash.bystander import STACKS, Bystander
from tests.crash.people import COMMON, Lost, Person
from tests.crash.server import DOMAIN, PASSWORD, Child
from tests.crash.sink import running_sink
from tests.crash.town import RELAY, Town

from pillarbox.observe.lag import LIMIT, PAUSE

IDLERS = 10
GUESTS = 2
LIVES = 3
GROWTH = 1.25
"""How much more memory the last third of a life may need than the second third."""

EXPLAINED = {"login_failed", "login_deferred", "refused", "loop_late", "password_in_clear", "starttls_injection"}
"""Lines above INFO that this load provokes."""


class Resident(Person):
    """A person who thinks, and now and then just leaves."""

    def stay(self, over: threading.Event, chance: random.Random) -> None:
        """Until it is over; the line may break only between two operations."""
        while not over.is_set():
            try:
                imap = self.log_in()
                for _ in range(chance.randrange(5, 200)):
                    if over.is_set():
                        break
                    time.sleep(chance.expovariate(20))
                    self._do(imap, self._choose(chance))
                if chance.random() < 0.5:
                    imap.logout()
                else:
                    imap.shutdown()
            except Lost:
                if not over.is_set():
                    raise
                return


@dataclass
class Readings:
    """What was measured in one life."""

    pss: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def take(self, process: int) -> None:
        """One look; octets, number."""
        with suppress(OSError):
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            self.pss.append(int(re.findall(r"^Pss:\s+(\d+)", text, re.MULTILINE)[0]) * 1024)
            self.descriptors.append(len(list(Path(f"/proc/{process}/fd").iterdir())))

    @property
    def growth(self) -> float:
        """Mean of the last third by mean of the second."""
        third = len(self.pss) // 3
        if not third:
            return 1.0
        return sum(self.pss[-third:]) / sum(self.pss[third : 2 * third])


def be_rude(child: Child, over: threading.Event, chance: random.Random) -> None:
    """Half commands, nonsense, silence, wrong passwords; then gone."""
    words = [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"EHLO x\r\nMAIL FROM:<",
        b"a LOGIN {5+}\r\n",
        b"\x16\x03\x01\x00",
        b"\x00" * 500,
    ]
    while not over.is_set():
        with suppress(OSError):
            port = child.port(chance.choice(["smtp", "submissions", "submission", "pop3", "pop3s", "imap", "imaps"]))
            with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
                line.sendall(chance.choice(words))
                time.sleep(chance.uniform(0, 0.5))
        time.sleep(chance.uniform(0, 0.3))


def listen(child: Child, town: Town, over: threading.Event) -> None:
    """Sessions in IDLE that hear of everything that arrives."""
    sessions = []
    try:
        for _ in range(IDLERS):
            line = imaplib.IMAP4_SSL("127.0.0.1", child.port("imaps"), ssl_context=town.people[0].trust, timeout=20)
            line.login(COMMON, PASSWORD)
            line.select("INBOX")
            line.send(b"i1 IDLE\r\n")
            sessions.append(line)
        while not over.is_set():
            for ready in select.select([s.socket() for s in sessions], [], [], 0.2)[0]:
                if not ready.recv(65536):
                    return
    except Lost:
        return
    finally:
        for line in sessions:
            with suppress(*Lost):
                line.shutdown()


def live(town: Town, seconds: float, chance: random.Random, *, kill: bool) -> Readings:
    """One life of the server."""
    town.start()
    over = threading.Event()
    readings = Readings()
    child = town.child
    work = [threading.Thread(target=p.stay, args=(over, random.Random(chance.random()))) for p in town.people]  # type: ignore[attr-defined]
    work += [
        threading.Thread(target=be_rude, args=(child, over, random.Random(chance.random()))) for _ in range(GUESTS)
    ]
    work.append(threading.Thread(target=listen, args=(child, town, over)))
    for thread in work:
        thread.start()
    assert child.process is not None
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert child.process.poll() is None, "the server ended by itself"
        readings.take(child.process.pid)
        time.sleep(min(2.0, max(0.0, until - time.monotonic())))
    over.set()
    if kill:
        child.kill()
    for thread in work:
        thread.join()
    if not kill:
        child.stop()
    return readings


def soak(directory: Path, minutes: float, seed: int) -> list[str]:
    """Do it; returns what is wrong."""
    chance = random.Random(seed)
    wrong: list[str] = []
    with running_sink() as sink, Bystander(directory) as bystander:
        town = Town(Child(directory, extra=RELAY.format(port=sink.port)), sink)
        (town.child.faults / "watched").touch()
        try:
            town.found()
            town.people = [
                Resident(p.name, p.child, p.trust, p.book, None, p.validities, p.modseqs) for p in town.people
            ]
            for number in range(LIVES):
                readings = live(town, minutes * 60 / LIVES, chance, kill=number == 1)
                town.check()
                town.child.kill()
                mib = [p / 2**20 for p in readings.pss]
                print(
                    f"life {number + 1}: PSS {mib[0]:.0f} MiB at first, {max(mib):.0f} at most, {mib[-1]:.0f} at last, growth "
                    f"{readings.growth:.2f}; descriptors {min(readings.descriptors)} to {max(readings.descriptors)}, "
                    f"{readings.descriptors[-1]} at last; {sum(p.done for p in town.people)} operations so far",
                    flush=True,
                )
                if readings.growth > GROWTH:
                    wrong.append(f"memory grew by {readings.growth:.2f} within life {number + 1}")
            sent, twice = town.check_world()
            print(f"{sent} messages relayed, {twice} of them again after a kill")
            wrong += [refusal for person in town.people for refusal in person.refused]
            wrong += judge_log(town.child, bystander)
        finally:
            town.child.end()
    return wrong


def judge_log(child: Child, bystander: Bystander) -> list[str]:
    """Lines above INFO that nothing explains; the loop's lag is printed."""
    loud = [e for e in child.events() if e["level"] in ("warning", "error")]
    print("lines above INFO:", dict(Counter(e["event"] for e in loud)) or "none")
    late = [e for e in loud if e["event"] == "loop_late"]
    ours = [e for e in late if e["lag"] - e["waited"] > LIMIT and not stood_still(e, bystander)]
    if late:
        worst = max(late, key=lambda e: e["lag"])
        print(f"loop lag above 100 ms: {len(late)} lines, worst {worst['lag']} s; {len(ours)} of our own making")
    if ours:
        print((child.faults / STACKS).read_text()[-20_000:])
    unexplained = [str(e) for e in loud if e["event"] not in EXPLAINED]
    return unexplained[:10] + [f"late, and the machine was not: {e}" for e in ours[:5]]


def stood_still(late: dict[str, Any], bystander: Bystander) -> bool:
    """Whether a process beside the server was held up as well, about as long, in the time that a line tells of."""
    told = datetime.fromisoformat(late["timestamp"]).timestamp()
    return bystander.worst(told - PAUSE - 1.0, told) > late["lag"] / 2


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pillarbox-soak-") as directory:
        print(f"Soaking for {options.minutes:g} minutes in {directory}, {DOMAIN}", flush=True)
        wrong = soak(Path(directory), options.minutes, options.seed)
    print("\n".join(["wrong:", *wrong]) if wrong else "Nothing lost, nothing grew, nothing unexplained.")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
