"""Events become counts: with labels of our own only, and for nothing."""

import time
from typing import Any

import pytest
from tests.observe.exposition import NAME, Read

from pillarbox.observe import metrics
from pillarbox.observe.exposition import Page
from pillarbox.observe.metrics import FAULTS, METRICS, REASONS
from pillarbox.observe.tally import Tally, reason_of
from pillarbox.store.durations import Durations
from pillarbox.store.faults import KINDS
from pillarbox.wire.engine import Link

LINK = Link()
NASTY = 'x"} 1\nevil{a="\\'


def page_of(tally: Tally) -> Read:
    page = Page()
    tally.show(page)
    return Read(page.text())


def test_names_follow_the_conventions() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert NAME.match(metric.name)
        assert metric.name.startswith(("pillarbox_", "process_"))
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.meaning.endswith("."), metric.name
        assert not metric.seen or len(metric.labels) == 1


def test_faults_are_those_of_the_store() -> None:
    assert FAULTS == KINDS


@pytest.mark.parametrize(
    ("event", "facts", "name", "labels"),
    [
        ("login", {"mechanism": "PLAIN"}, "logins_total", {"mechanism": "PLAIN", "outcome": "ok"}),
        ("login_failed", {"mechanism": "USER"}, "logins_total", {"mechanism": "USER", "outcome": "failed"}),
        ("login_failed", {"mechanism": "LOGIN", "reason": "later"}, "logins_total",
         {"mechanism": "LOGIN", "outcome": "unavailable"}),
        ("login", {"mechanism": NASTY}, "logins_total", {"mechanism": "other", "outcome": "ok"}),
        ("login", {}, "logins_total", {"mechanism": "other", "outcome": "ok"}),
        ("login_deferred", {"reason": "throttled"}, "logins_deferred_total", {"reason": "throttled"}),
        ("login_deferred", {"reason": "too many logins at once"}, "logins_deferred_total", {"reason": "busy"}),
        ("message_refused", {"reply": "552 5.3.4 too large"}, "messages_refused_total", {"code": "552"}),
        ("message_refused", {"reply": NASTY}, "messages_refused_total", {"code": "other"}),
        ("recipient_refused", {"reply": "550 5.1.1 no"}, "recipients_refused_total", {"code": "550"}),
        ("relay_delivered", {}, "relayed_total", {}),
        ("relay_deferred", {"status": "4.4.3"}, "relay_deferred_total", {"reason": "dns"}),
        ("relay_failed", {"status": "5.1.1"}, "relay_failed_total", {"reason": "address"}),
        ("relay_failed", {"status": NASTY}, "relay_failed_total", {"reason": "other"}),
        ("dns_failed", {"kind": "timeout"}, "dns_failures_total", {"reason": "timeout"}),
        ("store_unavailable", {"fault": "disk_full"}, "store_write_failures_total", {"fault": "disk_full"}),
        ("spool_failed", {"fault": NASTY}, "spool_failures_total", {"fault": "other"}),
        ("store_failed", {"fault": "io_error"}, "store_refusals_total", {"fault": "io_error"}),
        ("tls", {"version": "TLSv1.3"}, "tls_handshakes_total", {"version": "TLSv1.3"}),
        ("tls_failed", {}, "tls_failures_total", {}),
        ("password_in_clear", {}, "passwords_in_clear_total", {}),
        ("password_exposed", {}, "passwords_exposed_total", {}),
    ],
)  # fmt: skip
def test_an_event_counts_once(event: str, facts: dict[str, Any], name: str, labels: dict[str, str]) -> None:
    for told in (False, True):
        tally = Tally()
        before = page_of(tally).values
        if told:
            tally.tell(event, **facts)
        else:
            tally.emit(LINK, event, facts)
        after = page_of(tally)
        changed = {
            key: value - before.get(key, 0) for key, value in after.values.items() if value != before.get(key, 0)
        }
        assert changed == {
            (f"pillarbox_{name}", frozenset(labels.items())): 1,
            ("pillarbox_events_total", frozenset({("event", event)})): 1,
        }


def test_messages() -> None:
    tally = Tally()
    facts = {"size": 1000, "delivered": 2, "relayed": 3}
    tally.emit(LINK, "message_accepted", {**facts, "submitted": True})
    tally.emit(LINK, "message_accepted", {**facts, "submitted": False})
    tally.emit(LINK, "message_accepted", {**facts, "submitted": False})
    page = page_of(tally)
    assert page.value("pillarbox_messages_received_total", source="submission") == 1
    assert page.value("pillarbox_messages_received_bytes_total", source="network") == 2000
    assert page.value("pillarbox_messages_delivered_total") == 6
    assert page.value("pillarbox_recipients_queued_total") == 9


@pytest.mark.parametrize(
    ("status", "reason"),
    [("", "other"), ("4", "other"), ("4.4", "network"), ("5.7.1", "policy"), ("4.4.3", "dns"), ("4.99.3", "other"),
     ("5.0.0", "other"), ("5.²", "other"), ("a.b.c", "other")],
)  # fmt: skip
def test_reasons(status: str, reason: str) -> None:
    assert reason_of(status) == reason
    assert reason in REASONS


def test_what_was_never_seen_is_shown_as_zero() -> None:
    page = page_of(Tally())
    assert page.values["pillarbox_store_write_failures_total", frozenset({("fault", "disk_full")})] == 0
    assert page.values["pillarbox_dns_failures_total", frozenset({("reason", "timeout")})] == 0


def test_labels_are_escaped() -> None:
    page = Page()
    page.add(metrics.EVENTS, 1, NASTY)
    [((_, labels), _)] = Read(page.text()).values.items()
    assert dict(labels)["event"] == 'x\\"} 1\\nevil{a=\\"\\\\'


def test_histograms_add_up() -> None:
    durations = Durations((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        durations.note(seconds)
    page = Page()
    page.add_durations(metrics.COMMIT, durations)
    read, name = Read(page.text()), "pillarbox_store_commit_seconds"
    assert [read.value(f"{name}_bucket", le=le) for le in ("0.1", "1.0", "+Inf")] == [2, 3, 4]
    assert read.value(f"{name}_count") == durations.count == 4
    assert read.value(f"{name}_sum") == pytest.approx(7.65)


def test_counting_costs_nothing() -> None:
    """What a message costs: one event, and of a connection its share. The bound is ten times what it takes, for machines
    that are busy."""
    tally, facts = Tally(), {"size": 1000, "delivered": 1, "relayed": 0, "submitted": False, "queue_id": "x"}
    rounds = []
    for _ in range(20):
        began = time.thread_time()
        for _ in range(500):
            tally.emit(LINK, "message_accepted", facts)
        rounds.append((time.thread_time() - began) / 500)
    assert min(rounds) < 10e-6
