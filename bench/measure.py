"""What the operating system says a server used: CPU seconds of a process tree, memory as PSS.

CPU of a living process comes from its POSIX CPU clock (clock_getcpuclockid(3)): nanoseconds, ended threads included. What
its reaped children used stands only in /proc, in clock ticks; servers that stay up have none to speak of in a row.
"""

import os
import resource
import time
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


_SCHEDULER_CLOCK = 2
"""CPUCLOCK_SCHED: time as the scheduler counts it, user and system together."""


def _stat(pid: int) -> tuple[int, float] | None:
    """(parent, CPU seconds of reaped children) of a process, or None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[13:15])) / _TICK


def process_cpu(pid: int) -> float:
    """User + system seconds of one process with all its threads; of one that is gone, 0."""
    try:
        return time.clock_gettime((~pid << 3) | _SCHEDULER_CLOCK)
    except OSError:
        return 0.0


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (found := _stat(int(entry))):
            parents[int(entry)] = found[0]
    members = [root]
    for pid in members:
        members.extend(child for child, parent in parents.items() if parent == pid)
    return members


def cpu(roots: list[int]) -> float:
    """User + system seconds of process trees since they began, reaped children included."""
    pids = [pid for root in roots for pid in tree(root)]
    return sum(process_cpu(pid) + found[1] for pid in pids if (found := _stat(pid)))


def pss(roots: list[int], part: str = "Pss") -> int:
    """Proportional set size of process trees, octets, or a part of it as /proc/PID/smaps_rollup calls it: `Pss_Anon` is what
    does not fall when other processes use the same libraries."""
    total = 0
    for root in roots:
        for pid in tree(root):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{part}:")), 0)
    return total


def own_cpu() -> float:
    """User + system seconds of this process: the client's share."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
