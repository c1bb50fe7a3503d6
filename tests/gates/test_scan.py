"""Scanners find nothing, and docs/security.md says what they found."""

import pytest
from tests.gates import scan
from tests.gates.scan import CHECKS, PORTS, STARTTLS, Report, all_strong, nmap_mail


@pytest.mark.interop
@pytest.mark.timeout(1000)  # a minute or two on a machine of its own
def test_scanners_find_nothing() -> None:
    assert scan.missing() == ""
    report = scan.scan()
    assert report.failed == []
    assert report.table() == scan.written(), "make scan writes it anew"
    for port in PORTS.values():
        for check in CHECKS:
            asked = {"relay": port in (25, 465, 587), "logins": port in STARTTLS}.get(check, True)
            assert bool(report.passed.get((check, port))) == asked, (check, port)


WEAK = {
    25: {
        "smtp-open-relay": "Server is an open relay (16/16 tests)",
        "smtp-commands": "mail, AUTH PLAIN LOGIN, STARTTLS",
    },
    110: {"pop3-capabilities": "STLS USER TOP"},
    143: {"imap-capabilities": "IMAP4rev1 STARTTLS AUTH=PLAIN"},
    993: {"imap-capabilities": "IMAP4rev1"},
}


@pytest.mark.parametrize("port", WEAK)
def test_weak_servers_would_be_found(port: int) -> None:
    report = Report()
    nmap_mail(port, WEAK[port], report)
    assert len(report.failed) == len(WEAK[port])
    assert not report.passed


def test_weak_suites_would_be_found() -> None:
    strong = ["TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]
    assert all_strong(strong)
    assert not all_strong([])
    for weak in (
        "AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "DHE-RSA-AES256-SHA256",
    ):
        assert not all_strong([*strong, weak])
