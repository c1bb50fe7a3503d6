"""One attack after the other against a fresh server, and what well-behaved users noticed.

Three processes beside this one: the server, its neighbours (who behave) and the attackers. Times are the neighbours'.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.demo import SOURCE
from tests.dos.attacker import Attack
from tests.dos.town import Town, enlarge

PROGRESS = 3
"""Of each thing, so many must have been done after an attack, within PATIENCE seconds: machines that run tests are busy."""

PATIENCE = 30.0

OPERATIONS = ("login", "noop", "select", "fetch", "deliver", "push")


@dataclass
class Samples:
    """What the neighbours did in one phase: seconds by operation, and errors by operation."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def quantile(self, operation: str, share: float) -> float:
        """Seconds; 0 when there is none."""
        ordered = sorted(self.seconds.get(operation, ()))
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def count(self, operation: str) -> int:
        """How often it went well."""
        return len(self.seconds.get(operation, ()))


@dataclass
class Outcome:
    """One attack: before, during and after; memory in octets; `processor` as a share of one core, `waited` the share
    of time that the server's threads were ready and the machine was busy with others."""

    attack: Attack
    before: Samples
    during: Samples
    after: Samples
    done: dict[str, int]
    quiet: int
    peak: int
    end: int
    processor: float
    waited: float
    descriptors: int
    lag: tuple[float, float]
    bugs: list[str]


class Watch:
    """The neighbours' process; what it tells is kept with its time."""

    def __init__(self, offset: int) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(SOURCE.parent)])}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.dos.neighbours", str(offset)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=SOURCE.parent, text=True,
        )  # fmt: skip
        self._facts: list[dict[str, float | str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._facts.append(json.loads(line))

    def end(self) -> None:
        """Let them go home."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._reader.join()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def progressed(self, start: float) -> bool:
        """Whether everything was done PROGRESS times since then."""
        samples = self.between(start, time.monotonic())
        return all(samples.count(operation) >= PROGRESS for operation in OPERATIONS)

    def between(self, start: float, stop: float) -> Samples:
        """What began in this time."""
        samples = Samples()
        for fact in list(self._facts):
            if start <= float(fact["at"]) < stop:
                if "s" in fact:
                    samples.seconds[str(fact["op"])].append(float(fact["s"]))
                else:
                    samples.errors[str(fact["op"])].append(str(fact["error"]))
        return samples


def run(
    attack: Attack, directory: Path, prepared: Path, *, seconds: float, scale: float, preferred: bool = False
) -> Outcome:
    """Start a server, let the neighbours work, attack, and let them work on. `preferred`: server and neighbours go before
    whatever else runs on the machine (needs root)."""
    town = Town(directory, prepared, extra=attack.extra)
    if attack.mailbox:
        asyncio.run(enlarge(town.data, attack.mailbox))
    watch: Watch | None = None
    try:
        town.start()
        watch = Watch(town.offset)
        if preferred:
            for process in (town.pid, watch.process.pid):
                for thread in os.listdir(f"/proc/{process}/task"):
                    os.setpriority(os.PRIO_PROCESS, int(thread), -10)
        _wait(town, 1.5)
        first = time.monotonic()
        _wait(town, seconds / 2)
        quiet, began, used = town.look(), time.monotonic(), town.processor()
        waited = town.waited()
        done = _attack(attack, town, seconds, scale, nice=0 if preferred else 10)
        ended = time.monotonic()
        processor = (town.processor() - used) / (ended - began)
        waited = (town.waited() - waited) / (ended - began)
        _wait(town, seconds / 2)
        patience = time.monotonic() + PATIENCE
        while time.monotonic() < patience and not watch.progressed(ended):
            _wait(town, 0.25)
        last = time.monotonic()
        watch.end()
        samples = [watch.between(a, b) for a, b in ((first, began), (began, ended), (ended, last))]
        watch = None
        memory = (quiet, town.peak, town.look())
        return Outcome(
            attack, *samples, done, *memory, processor, waited, town.descriptors, town.worst_lag(), _bugs(town)
        )
    finally:
        if watch is not None:
            watch.process.kill()
            watch.end()
        town.end()


def _wait(town: Town, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        town.look()
        time.sleep(min(0.25, left))


def _attack(attack: Attack, town: Town, seconds: float, scale: float, *, nice: int) -> dict[str, int]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(SOURCE.parent)])}
    arguments = [attack.name, str(town.offset), str(seconds), str(scale), str(nice)]
    command = [sys.executable, "-m", "tests.dos.attacker", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=SOURCE.parent, text=True) as process:
        try:
            while process.poll() is None:
                town.look()
                time.sleep(0.25)
            output = process.communicate()[0]
        finally:
            if process.poll() is None:
                process.kill()
    assert process.returncode == 0, f"the attack {attack.name} failed"
    counted: dict[str, int] = json.loads(output.splitlines()[-1])
    return counted


def _bugs(town: Town) -> list[str]:
    """Lines of the log that speak of the server's own mistakes."""
    found = Counter(
        f"{e['event']}: {str(e.get('error', ''))[:200]}"
        for e in town.events()
        if e["level"] == "error" or e["event"] in ("bug", "internal_error")
    )
    return [f"{times} x {text}" for text, times in found.most_common(5)]
