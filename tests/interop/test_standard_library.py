"""Python's own smtplib, poplib and imaplib, on all seven ports."""

import imaplib
import poplib
import smtplib

import pytest
from tests.demo import PASSWORD, Demo
from tests.interop.conftest import ALICE, BOB, Inbox, message

pytestmark = pytest.mark.interop


def smtp(demo: Demo, listener: str) -> smtplib.SMTP:
    if listener == "submissions":
        return smtplib.SMTP_SSL("localhost", demo.port(listener), context=demo.trust)
    client = smtplib.SMTP("localhost", demo.port(listener))
    client.starttls(context=demo.trust)
    return client


def pop3(demo: Demo, listener: str) -> poplib.POP3:
    if listener == "pop3s":
        return poplib.POP3_SSL("localhost", demo.port(listener), context=demo.trust)
    client = poplib.POP3("localhost", demo.port(listener))
    client.stls(demo.trust)
    return client


def imap(demo: Demo, listener: str) -> imaplib.IMAP4:
    if listener == "imaps":
        return imaplib.IMAP4_SSL("localhost", demo.port(listener), ssl_context=demo.trust)
    client = imaplib.IMAP4("localhost", demo.port(listener))
    client.starttls(demo.trust)
    return client


@pytest.mark.parametrize("listener", ["submissions", "submission"])
def test_smtplib_submits(demo: Demo, token: str, bob: Inbox, listener: str) -> None:
    with smtp(demo, listener) as client:
        client.login(ALICE, PASSWORD)
        assert client.sendmail(ALICE, [BOB], message(token)) == {}
    assert bob.fetch(token).endswith(message(token))


def test_smtplib_sends_unicode_addresses_and_text(demo: Demo, token: str, bob: Inbox) -> None:
    with smtp(demo, "submissions") as client:
        client.login(ALICE, PASSWORD)
        octets = message(token, text="Grüße, привет")
        client.sendmail(ALICE, [BOB], octets, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert bob.fetch(token).endswith(octets)


def test_smtplib_brings_mail_on_25(demo: Demo, token: str, bob: Inbox) -> None:
    with smtp(demo, "smtp") as client:
        assert not client.has_extn("auth")
        client.sendmail("carol@elsewhere.example", [BOB], message(token))
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("carol@elsewhere.example", ["nobody@example.test"], message(token))
    assert refused.value.recipients["nobody@example.test"][0] == 550
    assert bob.fetch(token).endswith(message(token))


@pytest.mark.parametrize("listener", ["submission", "pop3", "imap"])
def test_no_password_before_tls(demo: Demo, listener: str) -> None:
    port = demo.port(listener)
    if listener == "submission":
        with smtplib.SMTP("localhost", port) as client, pytest.raises(smtplib.SMTPException):
            client.login(ALICE, PASSWORD)
    elif listener == "pop3":
        maildrop = poplib.POP3("localhost", port)
        with pytest.raises(poplib.error_proto):
            maildrop.user(ALICE)
        maildrop.quit()
    else:
        mailboxes = imaplib.IMAP4("localhost", port)
        with pytest.raises(imaplib.IMAP4.error):
            mailboxes.login(ALICE, PASSWORD)
        mailboxes.logout()


@pytest.mark.parametrize("listener", ["pop3s", "pop3"])
def test_poplib_keeps_then_deletes(demo: Demo, token: str, bob: Inbox, listener: str) -> None:
    bob.append(message(token))

    def log_in() -> poplib.POP3:
        client = pop3(demo, listener)
        client.user(BOB)
        client.pass_(PASSWORD)
        return client

    client = log_in()
    count, _ = client.stat()
    uidl = client.uidl(count)
    _, lines, _ = client.retr(count)
    assert b"".join(line + b"\r\n" for line in lines) == message(token)
    _, top, _ = client.top(count, 1)
    assert top[-2:] == [b"", b"first"]
    client.quit()
    client = log_in()
    assert client.uidl(count) == uidl
    client.dele(count)
    client.rset()
    client.dele(count)
    client.quit()
    assert bob.uids(token) == []


@pytest.mark.parametrize("listener", ["imaps", "imap"])
def test_imaplib_whole_life_of_a_message(demo: Demo, token: str, listener: str) -> None:
    client = imap(demo, listener)
    client.login(BOB, PASSWORD)
    name = f"box{token}"
    assert client.create(name)[0] == "OK"
    assert client.append(name, r"(\Flagged)", '"24-Nov-2026 12:00:00 +0100"', message(token))[0] == "OK"
    assert client.select(name) == ("OK", [b"1"])
    _, answer = client.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE RFC822)")
    assert answer[0][1] == message(token)
    assert b'INTERNALDATE "24-Nov-2026' in answer[0][0]
    assert client.search(None, "FLAGGED", "SUBJECT", token) == ("OK", [b"1"])
    assert client.search(None, "SUBJECT", "nothing-like-it") == ("OK", [b""])
    _, stored = client.store("1", "+FLAGS", r"(\Seen $Label1)")
    assert b"$Label1" in stored[0]
    assert client.copy("1", "Archive")[0] == "OK"
    assert client.rename(name, name + "x")[0] == "OK"
    client.select(name + "x")
    client.store("1", "+FLAGS", r"\Deleted")
    assert client.expunge() == ("OK", [b"1"])
    client.close()
    assert client.delete(name + "x")[0] == "OK"
    status, listing = client.list()
    assert status == "OK"
    assert any(b"\\Sent" in line for line in listing)
    client.logout()
