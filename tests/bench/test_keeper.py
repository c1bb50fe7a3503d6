"""However the benchmark is cut off, its servers end and its folder goes; and CPU is counted finely."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import measure

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0

PROGRAM = """
import os, subprocess, sys, time
from pathlib import Path
from bench.keeper import kept

def work(folder):
    daemon = "import os, time, signal, sys\\n" \\
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\\n" \\
        "os.fork() and os._exit(0)\\nos.setsid()\\n" \\
        "open(sys.argv[1], 'w').write(str(os.getpid()) + '\\\\n')\\ntime.sleep(600)"
    subprocess.run([sys.executable, "-c", daemon, str(folder / "pid")], check=True)
    while not (folder / "pid").exists() or not (folder / "pid").read_text().endswith("\\n"):
        time.sleep(0.01)
    print(folder, (folder / "pid").read_text().strip(), flush=True)
    ENDING

sys.exit(kept(work, seconds=SECONDS))
"""


def started(ending: str = "time.sleep(600)", seconds: float | None = None) -> tuple[subprocess.Popen[str], Path, int]:
    """The program above; returns it, its folder, and the id of the daemon that it left to itself."""
    program = PROGRAM.replace("ENDING", ending).replace("SECONDS", repr(seconds))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    front = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert front.stdout is not None
    with front.stdout:
        folder, pid = front.stdout.readline().split()
    assert alive(int(pid)) or ending != "time.sleep(600)"
    return front, Path(folder), int(pid)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(folder: Path, pid: int) -> bool:
    """Wait until both are."""
    until = time.monotonic() + PATIENCE
    while alive(pid) or folder.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_daemons_too_and_removes_the_folder(number: signal.Signals) -> None:
    front, folder, pid = started()
    front.send_signal(number)
    assert front.wait(PATIENCE) == 128 + number
    assert not alive(pid)
    assert not folder.exists()


def test_a_front_that_is_killed_takes_everything_with_it() -> None:
    front, folder, pid = started()
    front.kill()
    front.wait(PATIENCE)
    assert gone(folder, pid)


@pytest.mark.parametrize(
    ("ending", "status"),
    [("return 0", 0), ("return 3", 3), ("raise RuntimeError('broken')", 1), ("os.kill(os.getpid(), 9)", 137)],
)
def test_every_other_end_leaves_nothing_either(ending: str, status: int) -> None:
    front, folder, pid = started(ending)
    assert front.wait(PATIENCE) == status
    assert not alive(pid)
    assert not folder.exists()


def test_the_time_limit() -> None:
    front, folder, pid = started(seconds=1.0)
    assert front.wait(PATIENCE) == 124
    assert not alive(pid)
    assert not folder.exists()


@pytest.mark.slow
def test_the_benchmark_itself_is_cut_off(tmp_path: Path) -> None:
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]), "TMPDIR": str(tmp_path),
    }  # fmt: skip
    front = subprocess.Popen(
        [sys.executable, "-m", "bench", "--alone", "--only", "smtp-reused", "--rounds", "100"],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert front.stdout is not None
    with front.stdout:
        while not front.stdout.readline().startswith("  Pillarbox"):
            assert front.poll() is None
        below = measure.tree(front.pid)[1:]
        assert len(below) >= 3  # keeper, worker, server
        front.terminate()
        assert front.wait(PATIENCE) == 128 + signal.SIGTERM
    assert not any(map(alive, below))
    assert not list(tmp_path.iterdir())


def test_cpu_is_finer_than_a_clock_tick() -> None:
    own = os.getpid()
    before = measure.cpu([own])
    until = time.process_time() + 0.003
    while time.process_time() < until:
        pass
    used = measure.cpu([own]) - before
    assert 0.003 <= used < 0.5
    assert round(used * 100) / 100 != used  # not a multiple of a tick
