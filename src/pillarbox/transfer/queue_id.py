"""Queue ids: the name of one accepted message in trace fields, logs and the queue."""

import random
import time
from itertools import product

_PAIRS = list(map("".join, product("0123456789abcdefghijklmnopqrstuv", repeat=2)))
"""Ten bits as two letters or digits (RFC 4648 §7, in lower case)."""


_random = random.Random()  # nobody gains by guessing one: seeded by the system once, not asked for each message


def fresh_queue_id() -> str:
    """16 letters and digits: milliseconds since the epoch, so that ids sort by time, and 32 random bits."""
    number = (int(time.time() * 1000) & (1 << 48) - 1) << 32 | _random.getrandbits(32)
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(70, -1, -10)])
