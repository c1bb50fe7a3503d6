"""Whatever happens to the benchmark, nothing that it started stays behind.

Three processes: the front, which the user started, waits and passes signals on; the keeper, in a session of its own, adopts
every descendant that loses its parent (PR_SET_CHILD_SUBREAPER), so that daemons stay its descendants; the worker does the
work. When the worker ends, is cut off, overruns its limit, or the front dies (PR_SET_PDEATHSIG), the keeper ends what is
left below it - by construction only processes that the worker started - and removes the folder. Linux only.
"""

import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bench import measure

CUT_OFF = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PATIENCE = 15.0
"""Seconds that servers get to stop after SIGTERM before SIGKILL."""

OVERRUN = 124
"""Exit status when the time limit was reached, as that of timeout(1)."""

_PDEATHSIG, _SUBREAPER = 1, 36


def kept(work: Callable[[Path], int], *, seconds: float | None = None) -> int:
    """Run `work(folder)` in a process of its own; returns its exit status, 128 + signal when it was cut off."""
    front = os.getpid()
    sys.stdout.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, CUT_OFF)  # until there is somebody to pass them on to
    keeper = os.fork()
    if keeper == 0:
        os.setsid()
        _prctl(_PDEATHSIG, signal.SIGTERM)
        gone = os.getppid() != front
        os._exit(128 + signal.SIGTERM if gone else _keep(work, seconds))

    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(keeper, number)

    for number in CUT_OFF:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, CUT_OFF)
    return os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])


def _keep(work: Callable[[Path], int], seconds: float | None) -> int:
    """The keeper: start the worker, wait for whatever comes first, clear up. Signals stay blocked and are waited for."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*CUT_OFF, signal.SIGCHLD})
    _prctl(_SUBREAPER, 1)
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o755)
    try:
        worker = os.fork()
        if worker == 0:
            _prctl(_PDEATHSIG, signal.SIGKILL)
            os._exit(_work(work, folder))
        return _wait(worker, None if seconds is None else time.monotonic() + seconds)
    finally:
        end_descendants()
        shutil.rmtree(folder, ignore_errors=True)


def _work(work: Callable[[Path], int], folder: Path) -> int:
    for number in CUT_OFF:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        return work(folder)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _wait(worker: int, until: float | None) -> int:
    while True:
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == worker:
                status = os.waitstatus_to_exitcode(ended[1])
                return status if status >= 0 else 128 - status
        left = 3600.0 if until is None else until - time.monotonic()
        if left <= 0:
            print("bench: the time limit is reached, everything is stopped", file=sys.stderr, flush=True)
            return OVERRUN
        caught = signal.sigtimedwait({*CUT_OFF, signal.SIGCHLD}, left)
        if caught is not None and caught.si_signo in CUT_OFF:
            print("bench: cut off, everything is stopped", file=sys.stderr, flush=True)
            return 128 + caught.si_signo


def end_descendants(patience: float = PATIENCE) -> None:
    """SIGTERM to everything below this process, SIGKILL to what is still there when patience ends; reaps it all."""
    until = time.monotonic() + patience
    told: set[int] = set()
    while _reap_all():
        below = measure.tree(os.getpid())[1:]
        late = time.monotonic() > until
        for pid in below:
            if late or pid not in told:
                told.add(pid)
                _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(0.05)


def _reap_all() -> bool:
    """Take in whoever ended; False when no child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended by itself


def _prctl(what: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(what, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
