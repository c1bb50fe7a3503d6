"""When a recipient is tried again, and when it is given up."""

from pillarbox.queue.policy import Schedule


def next_attempt(schedule: Schedule, attempts: int, created: float, now: float, chance: float) -> float | None:
    """Epoch seconds of the next try after `attempts` failed ones, None when it is time to give up.

    `created`: when the message was accepted. `chance`: a random number from 0 to 1. The last try is at the very end of
    the lifetime, however long the waits have become.
    """
    deadline = created + schedule.lifetime
    if now >= deadline:
        return None
    exponent = min(attempts - 1, 64)  # far beyond `longest`, and no overflow
    wait = min(schedule.first * schedule.factor**exponent, schedule.longest)
    wait *= 1 + schedule.jitter * (2 * chance - 1)
    return min(now + wait, deadline)


def warning_due(schedule: Schedule, created: float, now: float) -> bool:
    """Whether the sender should learn that the message is late."""
    return now - created >= schedule.warn_after
