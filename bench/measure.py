"""What the operating system says a server used: CPU seconds of a process tree, memory as PSS."""

import os
import resource
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> tuple[int, float] | None:
    """(parent, CPU seconds including reaped children) of a process, or None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / _TICK


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
    return sum(found[1] for root in roots for pid in tree(root) if (found := _stat(pid)))


def pss(roots: list[int]) -> int:
    """Proportional set size of process trees, octets."""
    total = 0
    for root in roots:
        for pid in tree(root):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total


def own_cpu() -> float:
    """User + system seconds of this process: the client's share."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
