"""`python -m bench.flat`: does memory stay flat under a mixed load of 20 clients, and how late is the event loop?

Three fresh servers: mail that arrives, 20 IMAP clients, and both together for as long as asked. Each client ends its day by
emptying what it filled, so that mailboxes do not grow: what grows would be the server. Lag is what the server itself measures
four times a second and says when it stops.
"""

import argparse
import asyncio
import json
import platform
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.client import Imap, Smtp
from bench.corpus import corpus
from bench.growth.__main__ import RESULTS
from bench.keeper import kept
from bench.pillarbox_stack import Pillarbox
from bench.stack import Stack, account
from bench.workloads.mixed import CLIENTS, COMMANDS, NAMES, WEIGHTS, one

KEPT = 60
"""Messages of an INBOX at the end of a day."""

GROWTH = 1.10
"""How much more memory the last quarter of the time may need than the second."""

LAG = 0.010
"""Seconds of lag that 99 of 100 measurements are to stay below."""


@dataclass
class Course:
    """One server under one load: seconds and octets of PSS, and its lag in seconds."""

    name: str
    moments: list[tuple[float, int]] = field(default_factory=list)
    done: int = 0
    p50: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    cpu: float = 0.0

    @property
    def growth(self) -> float:
        """Mean of the last quarter by mean of the second: the first warms up."""
        memory = [pss for _, pss in self.moments]
        quarter = len(memory) // 4
        if not quarter:
            return 1.0
        return sum(memory[-quarter:]) / sum(memory[quarter : 2 * quarter])


async def _tidy(session: Imap) -> None:
    """The end of a day: nothing is left of it."""
    for mailbox, first in (("Sent", 1), ("Archive", 1), ("INBOX", KEPT + 1)):
        answer = await session(f"SELECT {mailbox}")
        count = int(answer.split(b" EXISTS")[0].rsplit(b"* ", 1)[1])
        if count >= first:
            await session(f"STORE {first}:* +FLAGS.SILENT (\\Deleted)")
            await session("EXPUNGE")
    await session("SELECT INBOX")


async def _person(stack: Stack, n: int, course: Course, until: float) -> None:
    rng = random.Random(n)
    session = await Imap.login(stack, account(n))
    await session.append("INBOX", corpus(100)[:KEPT])
    await session.logout()
    while time.monotonic() < until:
        session = await Imap.login(stack, account(n))
        await session("SELECT INBOX")
        for what in rng.choices(NAMES, WEIGHTS, k=COMMANDS):
            await one(session, what, rng)
            course.done += 1
        await _tidy(session)
        await session.logout()


async def _sender(stack: Stack, n: int, course: Course, until: float, pause: float) -> None:
    rng = random.Random(1000 + n)
    sender = await Smtp.connect(stack)
    while time.monotonic() < until:
        await sender.send(account(n), rng.choice(corpus(100)))
        course.done += 1
        await asyncio.sleep(pause)
    await sender.quit()


async def _clean_up(stack: Stack, until: float) -> None:
    """Someone who empties the mailboxes that nobody else opens."""
    while time.monotonic() < until:
        for n in range(CLIENTS):
            session = await Imap.login(stack, account(n))
            await _tidy(session)
            await session.logout()
        await asyncio.sleep(1)


async def _watch(stack: Stack, course: Course, until: float) -> None:
    began = time.monotonic()
    while time.monotonic() < until:
        course.moments.append((time.monotonic() - began, stack.pss()))
        await asyncio.sleep(min(5.0, max(0.5, (until - began) / 200)))


async def _load(stack: Stack, course: Course, seconds: float) -> None:
    until = time.monotonic() + seconds
    work = [_watch(stack, course, until)]
    if "IMAP" in course.name:
        work += [_person(stack, n, course, until) for n in range(CLIENTS)]
    else:
        work.append(_clean_up(stack, until))
    if "SMTP" in course.name:
        pause = 0.0 if "IMAP" not in course.name else 0.2
        work += [_sender(stack, n, course, until, pause) for n in range(CLIENTS)]
    before = stack.cpu()
    await asyncio.gather(*work)
    course.cpu = (stack.cpu() - before) / seconds


def course(folder: Path, name: str, seconds: float) -> Course:
    """A fresh server under a load."""
    made = Course(name)
    stack = Pillarbox(folder / name.replace(" ", ""), CLIENTS)
    stack.start()
    try:
        asyncio.run(_load(stack, made, seconds))
    finally:
        stack.stop()
    for line in (stack.directory / "log").read_text().splitlines():
        if '"loop_lag"' in line:
            said = json.loads(line)
            made.p50, made.p99, made.worst = said["p50"], said["p99"], said["worst"]
    mib = [pss / 2**20 for _, pss in made.moments]
    print(
        f"{name}: {made.done:,} operations in {seconds:.0f} s, {made.cpu * 100:.0f} % of a CPU; PSS {mib[0]:.0f} MiB at first, "
        f"{max(mib):.0f} at most, {mib[-1]:.0f} at last, growth {made.growth:.2f}; "
        f"lag p50 {made.p50 * 1e3:.1f}, p99 {made.p99 * 1e3:.1f}, worst {made.worst * 1e3:.0f} ms",
        flush=True,
    )
    return made


_INTRODUCTION = """Fresh servers under 20 clients each; growth is the last quarter's mean PSS by the second quarter's. Lag of
the event loop, measured by the server four times a second. CPython {version}, {system}. Made by `make bench-flat`.
"""


def write(courses: list[Course], folder: Path) -> None:
    """flat.json, flat.md, flat.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flat.json").write_text(json.dumps([asdict(c) for c in courses]) + "\n")
    lines = [
        "# Memory and lag under load\n",
        _INTRODUCTION.format(version=platform.python_version(), system=platform.system()),
        "![PSS over time](flat.png)\n",
        "| load | minutes | operations | CPU | PSS at first / most / last, MiB | growth | lag p50 / p99 / worst, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in courses:
        mib = [pss / 2**20 for _, pss in c.moments]
        lines.append(
            f"| {c.name} | {c.moments[-1][0] / 60:.0f} | {c.done:,} | {c.cpu * 100:.0f} % | {mib[0]:.0f} / {max(mib):.0f} / "
            f"{mib[-1]:.0f} | {c.growth:.2f} | {c.p50 * 1e3:.1f} / {c.p99 * 1e3:.1f} / {c.worst * 1e3:.0f} |"
        )
    (folder / "flat.md").write_text("\n".join(lines) + "\n")
    _chart(courses, folder / "flat.png")


def _chart(courses: list[Course], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.6))
    for c in courses:
        axes.plot([s / 60 for s, _ in c.moments], [p / 2**20 for _, p in c.moments], label=c.name, linewidth=1.3)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes", fontsize=9)
    axes.set_ylabel("MiB PSS", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _measure(folder: Path, minutes: float, output: Path) -> int:
    short = max(10.0, minutes * 6)
    loads = {"SMTP": short, "IMAP": short, "IMAP and SMTP": minutes * 60}
    courses = []
    for name, seconds in loads.items():
        courses.append(course(folder, name, seconds))
        write(courses, output)
    wrong = [f"{c.name}: memory grew by {c.growth:.2f}" for c in courses[-1:] if c.growth > GROWTH]
    wrong += [f"{c.name}: lag p99 is {c.p99 * 1e3:.1f} ms" for c in courses if c.p99 >= LAG or not c.worst]
    print("\n".join(["wrong:", *wrong]) if wrong else "Memory is flat, the loop is in time.")
    return bool(wrong)


def main() -> int:
    """The command; exit status 1 when memory grew or the loop was late."""
    parser = argparse.ArgumentParser(prog="python -m bench.flat", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of the mixed load; the others take a tenth of it")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the table and the chart")
    parser.add_argument("--seconds", type=float, help="stop everything and end after so many seconds")
    arguments = parser.parse_args()
    return kept(lambda folder: _measure(folder, arguments.minutes, arguments.output), seconds=arguments.seconds)


if __name__ == "__main__":
    sys.exit(main())
