"""Queue ids: the name of one accepted message in trace fields, logs and the queue."""

import secrets
import time
from base64 import b32hexencode


def fresh_queue_id() -> str:
    """16 letters and digits: milliseconds since the epoch, so that ids sort by time, and 32 random bits."""
    number = (int(time.time() * 1000) & (1 << 48) - 1) << 32 | secrets.randbits(32)
    return b32hexencode(number.to_bytes(10, "big")).decode("ascii").lower()
