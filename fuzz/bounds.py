"""What one input may cost: processor time and memory, measured around each run of a target.

A timer of processor time interrupts an input that takes too long, so that the traceback shows the loop it was in; other
programs on the machine do not count. Memory is what the process grew by at its peak.
"""

import resource
import signal
import traceback
from collections.abc import Callable
from time import process_time
from types import FrameType

SLOWEST = 2.0
"""Seconds of processor time after which an input is interrupted, whatever its length."""
BASE, PER_OCTET = 0.25, 0.000_25
"""Seconds that an input may take at all, and for each of its octets: about twenty times what is usual under
instrumentation, a hundred times without."""
LARGEST = 64 * 1024 * 1024
"""Octets that one input may add to the peak of the process."""


class TooSlow(BaseException):
    """An input took more time than its length allows. No `Exception`: what is interrupted must not catch it."""


class TooLarge(AssertionError):
    """An input took more memory than any input may."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow(f"more than {SLOWEST} s of processor time")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bounded(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, raising TooSlow and TooLarge where an input costs too much. For the main thread."""
    signal.signal(signal.SIGPROF, _interrupt)

    def run(octets: bytes) -> None:
        memory, start = _peak(), process_time()
        signal.setitimer(signal.ITIMER_PROF, SLOWEST)
        try:
            target(octets)
        except BaseException:
            traceback.print_exc()  # with the causes, which the fuzzer does not print
            raise
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        took, grew = process_time() - start, _peak() - memory
        if took > BASE + PER_OCTET * len(octets):
            raise TooSlow(f"{took:.2f} s of processor time for {len(octets)} octets")
        if grew > LARGEST:
            raise TooLarge(f"{grew >> 20} MiB for {len(octets)} octets")

    return run
