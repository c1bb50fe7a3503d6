"""How the C library gives memory back.

By itself glibc keeps tens of MB once it has seen some large messages, or a few passwords of 19 MiB each: it moves the limit
above which a block is the system's own up to the largest block that was ever freed.
"""

import ctypes
import os

_SETTINGS = (
    ("MALLOC_TRIM_THRESHOLD_", -1, 8 * 1024 * 1024),  # M_TRIM_THRESHOLD: octets free at the end before they go back
    ("MALLOC_MMAP_THRESHOLD_", -3, 4 * 1024 * 1024),  # M_MMAP_THRESHOLD: larger blocks go back at once
)
"""Of mallopt(3): the variable that says it in its place, the parameter's number in glibc's malloc.h, its value."""


def give_memory_back() -> None:
    """Fix both limits for this process, but for what the environment sets; nothing where the C library is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # musl and others have no such function, and do not need it
        return
    for variable, parameter, value in _SETTINGS:
        if variable not in os.environ:
            mallopt(parameter, value)
