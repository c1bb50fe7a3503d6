"""Queue ids: the name of one accepted message in trace fields, logs and the queue."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that is mistaken on the phone


def fresh_queue_id() -> str:
    """16 characters: milliseconds since the epoch, so that ids sort by time, and 30 random bits."""
    number = (int(time.time() * 1000) & (1 << 50) - 1) << 30 | secrets.randbits(30)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
