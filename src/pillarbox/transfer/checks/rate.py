"""How many recipients an account may write to in an hour and in a day: what limits the harm of a stolen password."""

import time
from collections import deque
from collections.abc import Callable

from pillarbox.mail.envelope import Envelope, ForwardPath
from pillarbox.mail.status import Reply
from pillarbox.smtp.service import Client
from pillarbox.transfer.checks.verdict import PASS, Check, Verdict

HOUR = 3600.0
DAY = 86400.0


class _Window:
    """Recipients within the last `length` seconds."""

    __slots__ = ("_length", "_sent", "_total")

    def __init__(self, length: float) -> None:
        self._length = length
        self._sent: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, now: float, count: int) -> None:
        """So many were written to."""
        self._sent.append((now, count))
        self._total += count

    def wait(self, now: float, wanted: int, limit: int) -> float:
        """Seconds until `wanted` more are within the limit; 0 when they are."""
        while self._sent and self._sent[0][0] <= now - self._length:
            self._total -= self._sent.popleft()[1]
        over = self._total + wanted - limit
        if over <= 0:
            return 0.0
        for at, count in self._sent:
            over -= count
            if over <= 0:
                return at + self._length - now
        return self._length  # more than the limit in one message


class Sent:
    """What each account wrote lately, whatever the limits are: in memory, so a restart begins anew."""

    __slots__ = ("_accounts",)

    def __init__(self) -> None:
        self._accounts: dict[int, tuple[_Window, _Window]] = {}

    def of(self, account: int) -> tuple[_Window, _Window]:
        """An account's hour and day."""
        windows = self._accounts.get(account)
        if windows is None:
            windows = self._accounts[account] = (_Window(HOUR), _Window(DAY))
        return windows


class RateCheck(Check):
    """Counts accepted recipients in sliding windows. `clock` in seconds, only forward. A limit of 0 means none."""

    def __init__(
        self, per_hour: int, per_day: int, clock: Callable[[], float] = time.monotonic, sent: Sent | None = None
    ) -> None:
        self._limits = ((per_hour, "an hour"), (per_day, "a day"))
        self._clock = clock
        self._sent = sent or Sent()

    async def recipient(self, client: Client, envelope: Envelope, forward_path: ForwardPath) -> Verdict:
        """Whether one more recipient is within the limits."""
        assert client.identity is not None
        now, wanted = self._clock(), len(envelope.forward_paths) + 1
        windows = self._sent.of(client.identity.account)
        for window, (limit, name) in zip(windows, self._limits, strict=True):
            if limit and (wait := window.wait(now, wanted, limit)):
                client.link.emit("rate_limited", account=client.identity.address, limit=limit, within=name)
                minutes = max(1, round(wait / 60))
                text = f"The limit is {limit} recipients within {name}, and it is reached; try again in {minutes} min"
                return Verdict(Reply(450, "4.7.1", text))
        return PASS

    def accepted(self, client: Client, envelope: Envelope) -> None:
        """Count the recipients of a message that was taken."""
        assert client.identity is not None
        if any(limit for limit, _ in self._limits):
            for window in self._sent.of(client.identity.account):
                window.add(self._clock(), len(envelope.forward_paths))
