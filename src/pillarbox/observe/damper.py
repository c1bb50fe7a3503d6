"""Damper: lines that strangers can provoke without end are written so often, and then only counted.

Security: whoever can make us write a line for each connection can fill the disk. What people have done is never left out.
"""

from collections import Counter

PROVOKED = frozenset((
    "refused", "made_room", "tls_failed", "tls_without_stls", "login_failed", "login_refused", "login_deferred", "hung_up",
    "recipient_refused", "message_refused", "starttls_injection", "http_on_mail_port", "password_in_clear", "write_stalled",
    "maildrop_in_use", "proxy_refused", "store_failed", "too_slow",
))  # fmt: skip
"""Events that need neither an account nor a message that is taken, or that a broken disk repeats for each command."""

LINES = 100
"""Of one event within PERIOD: enough to see who it is, and for programs that read the log."""

PERIOD = 10.0
"""Seconds."""


class Damper:
    """`lines` of each event within `period` seconds pass."""

    def __init__(self, lines: int = LINES, period: float = PERIOD) -> None:
        self._lines, self._period = lines, period
        self._until = 0.0
        self._counts: Counter[str] = Counter()

    def passes(self, event: str) -> bool:
        """Whether this line is written; it is counted in any case."""
        if event not in PROVOKED:
            return True
        self._counts[event] += 1
        return self._counts[event] <= self._lines

    def left_out(self, now: float) -> dict[str, int]:
        """When a period has ended: what was left out in it, by event. Call it before each line; `now` only moves forward."""
        if now < self._until:
            return {}
        found = {event: count - self._lines for event, count in self._counts.items() if count > self._lines}
        self._counts.clear()
        self._until = now + self._period
        return found
