"""Queue ids: the name of one accepted message in trace fields, logs and the queue."""

import os
import time
from itertools import product

_PAIRS = list(map("".join, product("0123456789abcdefghijklmnopqrstuv", repeat=2)))
"""Ten bits as two letters or digits (RFC 4648 §7, in lower case)."""


def fresh_queue_id() -> str:
    """16 letters and digits: milliseconds since the epoch, so that ids sort by time, and 32 random bits."""
    number = (int(time.time() * 1000) & (1 << 48) - 1) << 32 | int.from_bytes(os.urandom(4), "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(70, -1, -10)])
