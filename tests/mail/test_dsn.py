"""Notifications as messages: what machines and people read in them, and what strangers cannot put into them."""

import email
import email.policy
from dataclasses import replace

import pytest

from pillarbox.mail.dsn import MAX_HEADER, Action, RecipientReport, Report, compose

ORIGINAL = b"Message-ID: <m1@here.test>\r\nSubject: lunch\r\nFrom: a@here.test\r\n\r\nAt noon?\r\n"
FAILED = RecipientReport(
    "bob@them.test",
    Action.FAILED,
    "5.1.1",
    "It was given up",
    diagnostic="550 5.1.1 nobody here",
    remote_host="mx.them.test",
    last_attempt=1_700_000_000,
)
DELAYED = RecipientReport("kim@other.test", Action.DELAYED, "4.4.1", "Not yet", retry_until=1_700_400_000)
REPORT = Report(
    host="mx.here.test",
    sender="alice@here.test",
    queue_id="Q1",
    arrived=1_699_999_000,
    now=1_700_000_000,
    message_id="<id1@mx.here.test>",
    boundary="=_b1",
    recipients=[FAILED],
    returned=ORIGINAL,
    whole=True,
)


def parts(report: Report) -> list[email.message.Message]:
    """The three parts, as another program reads them."""
    message = email.message_from_bytes(compose(report))
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message.defects == []
    found = message.get_payload()
    assert isinstance(found, list)
    assert len(found) == 3
    return found


def test_the_header() -> None:
    message = email.message_from_bytes(compose(REPORT))
    assert message["To"] == "<alice@here.test>"
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mx.here.test>"
    assert message["Subject"] == "Your message was not delivered: lunch"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<m1@here.test>"
    assert message["Message-ID"] == "<id1@mx.here.test>"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 -0000"


def test_what_machines_read() -> None:
    status = parts(replace(REPORT, recipients=[FAILED, DELAYED], envelope_id="env+2B"))[1]
    assert status.get_content_type() == "message/delivery-status"
    general, failed, delayed = status.get_payload()
    assert dict(general.items()) == {
        "Original-Envelope-Id": "env+2B",
        "Reporting-MTA": "dns; mx.here.test",
        "Arrival-Date": "Tue, 14 Nov 2023 21:56:40 -0000",
    }
    assert dict(failed.items()) == {
        "Final-Recipient": "rfc822; bob@them.test",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.them.test",
        "Diagnostic-Code": "smtp; 550 5.1.1 nobody here",
        "Last-Attempt-Date": "Tue, 14 Nov 2023 22:13:20 -0000",
    }
    assert delayed["Action"] == "delayed"
    assert delayed["Will-Retry-Until"] == "Sun, 19 Nov 2023 13:20:00 -0000"
    assert "Diagnostic-Code" not in delayed


def test_what_people_read() -> None:
    text = parts(REPORT)[0].get_payload(decode=True)
    assert isinstance(text, bytes)
    for words in (b"bob@them.test", b"mx.them.test said: 550 5.1.1 nobody here", b"Q1", b"could not be delivered"):
        assert words in text
    delayed = parts(replace(REPORT, recipients=[DELAYED]))[0].get_payload(decode=True)
    assert isinstance(delayed, bytes)
    assert b"You need not do anything" in delayed


@pytest.mark.parametrize(
    ("returned", "whole", "content_type", "octets"),
    [
        (ORIGINAL, True, "message/rfc822", ORIGINAL),
        (ORIGINAL, False, "text/rfc822-headers", ORIGINAL.partition(b"\r\n\r\n")[0] + b"\r\n"),
        ("Subject: ü\r\n\r\nx\r\n".encode(), True, "message/global", "Subject: ü\r\n\r\nx\r\n".encode()),
        ("Subject: ü\r\n\r\nx\r\n".encode(), False, "message/global-headers", "Subject: ü\r\n".encode()),
        (b"Subject: x\r\n\r\n\xff8 bit\r\n", True, "message/rfc822", b"Subject: x\r\n\r\n\xff8 bit\r\n"),
        (b"no header end", True, "message/rfc822", b"no header end"),
        (b"", True, "message/rfc822", b""),
    ],
)
def test_what_comes_back(returned: bytes, whole: bool, content_type: str, octets: bytes) -> None:
    composed = compose(replace(REPORT, returned=returned, whole=whole))
    part = composed.rsplit(b"--=_b1\r\n", 1)[1]
    header, _, body = part.partition(b"\r\n\r\n")
    assert f"Content-Type: {content_type}\r\n".encode() in header + b"\r\n"
    encoding = b"7bit" if octets.isascii() else b"8bit"
    assert b"Content-Transfer-Encoding: " + encoding in header
    assert body.startswith(octets)
    assert composed.endswith(b"\r\n--=_b1--\r\n")


def test_huge_headers_are_cut_at_a_line() -> None:
    returned = b"".join(b"X-%05d: %b\r\n" % (n, b"x" * 90) for n in range(2000)) + b"\r\nTHE BODY"
    composed = compose(replace(REPORT, returned=returned, whole=False))
    assert MAX_HEADER - 1000 < len(composed) < MAX_HEADER + 4000
    assert b"THE BODY" not in composed


def test_internationalised_addresses() -> None:
    report = replace(REPORT, recipients=[replace(FAILED, address="jürgen@them.test")])
    assert report.utf8
    composed = compose(report)
    assert b"Content-Type: message/global-delivery-status\r\n" in composed
    assert "Final-Recipient: utf-8; jürgen@them.test\r\n".encode() in composed
    assert not REPORT.utf8
    assert compose(REPORT).isascii()


def test_strangers_cannot_add_fields() -> None:
    evil = "550 5.1.1 x\r\nX-Evil: 1\r\n\r\n--=_b1\r\n"
    report = replace(
        REPORT,
        recipients=[
            replace(FAILED, diagnostic=evil, address="b\r\nX-Evil: 2@t", remote_host="h\r\nX-Evil: 3", reason=evil)
        ],
        returned=b"Subject: a\r\n b\r\nMessage-ID: <x y>\r\nX: \r\n\r\n--=_b1\r\n",
    )
    composed = compose(replace(report, boundary="=_other"))
    own = composed[: composed.rindex(b"Content-Type: message/rfc822")]
    assert b"\nX-Evil" not in own
    assert b"\n--=_b1" not in own
    assert b"In-Reply-To" not in own  # a Message-ID that is none is not referred to
    assert b"Subject: Your message was not delivered: a b\r\n" in own


DELIVERED = RecipientReport(
    "kim@here.test", Action.DELIVERED, "2.0.0", "It is in the mailbox", original_recipient="rfc822;k@here.test"
)


def test_confirmations() -> None:
    report = replace(REPORT, recipients=[DELIVERED], whole=False)
    text, status, returned = parts(report)
    words = text.get_payload(decode=True)
    assert isinstance(words, bytes)
    assert b"the confirmation that you asked for" in words
    assert b"not" not in words
    assert dict(status.get_payload()[1].items()) == {
        "Original-Recipient": "rfc822;k@here.test",
        "Final-Recipient": "rfc822; kim@here.test",
        "Action": "delivered",
        "Status": "2.0.0",
    }
    assert returned.get_content_type() == "text/rfc822-headers"
    assert email.message_from_bytes(compose(report))["Subject"] == "Your message was delivered: lunch"


def test_the_gravest_is_said_first() -> None:
    report = replace(REPORT, recipients=[DELIVERED, DELAYED, FAILED])
    assert report.gravest is Action.FAILED
    assert replace(REPORT, recipients=[DELIVERED, DELAYED]).gravest is Action.DELAYED


def test_original_recipients_in_utf8_make_it_internationalised() -> None:
    assert replace(REPORT, recipients=[replace(DELIVERED, original_recipient="utf-8;kïm@here.test")]).utf8
