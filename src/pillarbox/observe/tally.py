"""Tally: counts what happens, for metrics. It hears the same events as the log, whatever the log's level.

Security: facts may hold what strangers chose. Only what is in a fixed list becomes a label, all else counts as "other".
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pillarbox.observe import metrics
from pillarbox.observe.exposition import Page
from pillarbox.observe.metrics import FAULTS, OTHER, Metric
from pillarbox.sasl.registry import MECHANISMS
from pillarbox.wire.engine import Link

_MECHANISMS = frozenset((*MECHANISMS, "LOGIN", "USER"))
_VERSIONS = frozenset(("TLSv1.2", "TLSv1.3"))
_SUBJECTS = dict(
    zip("1234567", ("address", "mailbox", "system", "network", "protocol", "content", "policy"), strict=True)
)


class Series:
    """One metric with the values of its labels. There is one object for each, `series` finds it: an object of its own is its
    own key, which costs a fourth of a tuple."""

    __slots__ = ("labels", "metric")

    def __init__(self, metric: Metric, labels: tuple[str, ...]) -> None:
        self.metric = metric
        self.labels = labels


Values = Counter[Series]

_COUNTED = (
    metrics.DELIVERED, metrics.QUEUED, metrics.RELAYED, metrics.IN_CLEAR, metrics.EXPOSED, metrics.HANDSHAKES_FAILED,
)  # fmt: skip
"""Counters without labels that are counted here: shown as 0 until something happens."""


@cache  # labels are bounded, see the module
def series(metric: Metric, *labels: str) -> Series:
    """The series of these labels."""
    return Series(metric, labels)


class Tally:
    """How often everything happened since the start: `emit` for connections, `tell` for the server itself."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        counters = [metric for metric in metrics.METRICS if metric.kind == "counter"]
        self._values: Values = Counter({series(metric, value): 0 for metric in counters for value in metric.seen})
        self._values.update({series(metric): 0 for metric in _COUNTED})

    def emit(self, _link: Link, event: str, facts: Mapping[str, Any]) -> None:
        """Something happened on a connection."""
        self.events[event] += 1
        rule = _RULES.get(event)
        if rule is not None:
            rule(self._values, facts)

    def tell(self, event: str, /, **facts: Any) -> None:
        """Something happened to the server."""
        self.events[event] += 1
        rule = _RULES.get(event)
        if rule is not None:
            rule(self._values, facts)

    def show(self, page: Page) -> None:
        """Put all counts on a page."""
        for event, count in sorted(self.events.items()):
            page.add(metrics.EVENTS, count, event)
        for counted, count in self._values.items():
            page.add(counted.metric, count, *counted.labels)


# --- rules: what an event adds to, apart from its own count ---------------------------------------------------------------


def _one_of(known: frozenset[str], value: Any) -> str:
    return value if isinstance(value, str) and value in known else OTHER


_BY_SOURCE = {
    submitted: (series(metrics.MESSAGES, source), series(metrics.MESSAGE_BYTES, source))
    for submitted, source in ((True, "submission"), (False, "network"))
}
_DELIVERED, _QUEUED = series(metrics.DELIVERED), series(metrics.QUEUED)


def _accepted(values: Values, facts: Mapping[str, Any]) -> None:
    """Once for each message, so that all is at hand."""
    messages, octets = _BY_SOURCE[facts["submitted"]]
    values[messages] += 1
    values[octets] += facts["size"]
    values[_DELIVERED] += facts["delivered"]
    values[_QUEUED] += facts["relayed"]


def _login(values: Values, facts: Mapping[str, Any]) -> None:
    values[series(metrics.LOGINS, _one_of(_MECHANISMS, facts.get("mechanism")), "ok")] += 1


def _login_failed(values: Values, facts: Mapping[str, Any]) -> None:
    outcome = "unavailable" if facts.get("reason") else "failed"
    values[series(metrics.LOGINS, _one_of(_MECHANISMS, facts.get("mechanism")), outcome)] += 1


def _deferred_login(values: Values, facts: Mapping[str, Any]) -> None:
    values[series(metrics.THROTTLED, "throttled" if facts.get("reason") == "throttled" else "busy")] += 1


def _tls(values: Values, facts: Mapping[str, Any]) -> None:
    values[series(metrics.HANDSHAKES, _one_of(_VERSIONS, facts.get("version")))] += 1


def _one_more(metric: Metric) -> Callable[[Values, Mapping[str, Any]], None]:
    def rule(values: Values, _facts: Mapping[str, Any]) -> None:
        values[series(metric)] += 1

    return rule


def _by_fault(metric: Metric) -> Callable[[Values, Mapping[str, Any]], None]:
    known = frozenset(FAULTS)

    def rule(values: Values, facts: Mapping[str, Any]) -> None:
        values[series(metric, _one_of(known, facts.get("fault")))] += 1

    return rule


def _by_code(metric: Metric) -> Callable[[Values, Mapping[str, Any]], None]:
    """Replies are ours, and so are their codes."""

    def rule(values: Values, facts: Mapping[str, Any]) -> None:
        code = str(facts.get("reply", ""))[:3]
        values[series(metric, code if code.isascii() and code.isdigit() else OTHER)] += 1

    return rule


def _by_reason(metric: Metric) -> Callable[[Values, Mapping[str, Any]], None]:
    """Why a recipient did not get it. The code is another server's: whatever it says."""

    def rule(values: Values, facts: Mapping[str, Any]) -> None:
        values[series(metric, reason_of(str(facts.get("status", ""))))] += 1

    return rule


def reason_of(status: str) -> str:
    """One of metrics.REASONS for an enhanced status code, "" for none."""
    _, _, rest = status.partition(".")
    if rest == "4.3":
        return "dns"  # RFC 3463 §3.5: directory server failure
    return _SUBJECTS.get(rest.partition(".")[0], OTHER)


def _dns(values: Values, facts: Mapping[str, Any]) -> None:
    values[series(metrics.DNS_FAILURES, _one_of(frozenset(("timeout", "servfail")), facts.get("kind")))] += 1


_RULES: dict[str, Callable[[Values, Mapping[str, Any]], None]] = {
    "message_accepted": _accepted,
    "message_refused": _by_code(metrics.MESSAGES_REFUSED),
    "recipient_refused": _by_code(metrics.RECIPIENTS_REFUSED),
    "login": _login,
    "login_failed": _login_failed,
    "login_deferred": _deferred_login,
    "password_in_clear": _one_more(metrics.IN_CLEAR),
    "password_exposed": _one_more(metrics.EXPOSED),
    "tls": _tls,
    "tls_failed": _one_more(metrics.HANDSHAKES_FAILED),
    "relay_delivered": _one_more(metrics.RELAYED),
    "relay_deferred": _by_reason(metrics.DEFERRED),
    "relay_failed": _by_reason(metrics.BOUNCED),
    "dns_failed": _dns,
    "store_unavailable": _by_fault(metrics.STORE_FAULTS),
    "spool_failed": _by_fault(metrics.SPOOL_FAULTS),
    "store_failed": _by_fault(metrics.STORE_REFUSALS),
}
