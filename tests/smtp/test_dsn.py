"""DSN: what a sender may say about notifications (RFC 3461), and where."""

import base64

import pytest
from tests.smtp.dialog import MSA, TLS, converse, same_in_every_cut

LOGIN = b"EHLO a.example\r\nAUTH PLAIN " + base64.b64encode(b"\0alice\0pillarbox") + b"\r\n"
FROM, TO = b"MAIL FROM:<alice@example.test>", b"RCPT TO:<bob@b.example>"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (b"RET=FULL", "250"),
        (b"ret=hdrs ENVID=QQ314159", "250"),
        (b"ENVID=a+20b+2B", "250"),
        (b"ENVID=" + b"x" * 100, "250"),
        (b"ENVID=" + b"x" * 101, "501"),
        (b"ENVID", "501"),
        (b"ENVID=a+0D+0AX-Evil:+201", "501"),
        (b"ENVID=a+4", "501"),
        (b"ENVID=a ENVID=a", "501"),
        (b"RET", "501"),
        (b"RET=BOTH", "501"),
        (b"RET=FULL RET=HDRS", "501"),
        (b"NOTIFY=NEVER", "555"),  # belongs to RCPT
    ],
)
async def test_mail(parameters: bytes, code: str) -> None:
    run = await same_in_every_cut(LOGIN + FROM + b" " + parameters + b"\r\n", MSA, tls=TLS)
    assert run.codes[2:] == [code]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (b"NOTIFY=NEVER", "250"),
        (b"notify=success,Failure,DELAY", "250"),
        (b"NOTIFY=SUCCESS ORCPT=rfc822;bob+40b.example", "250"),
        (b"ORCPT=rfc822;bob@b.example", "250"),
        (b"ORCPT=utf-8;b\\x{FC}@b.example", "250"),
        (b"ORCPT=rfc822;" + b"x" * 493, "250"),
        (b"ORCPT=rfc822;" + b"x" * 494, "501"),
        (b"ORCPT=bob@b.example", "501"),
        (b"ORCPT=;bob@b.example", "501"),
        (b"ORCPT=rfc822;bob+0A", "501"),
        (b"ORCPT", "501"),
        (b"NOTIFY", "501"),
        (b"NOTIFY=NEVER,DELAY", "501"),
        (b"NOTIFY=SUCCESS,", "501"),
        (b"NOTIFY=ALWAYS", "501"),
        (b"NOTIFY=DELAY NOTIFY=DELAY", "501"),
        (b"RET=FULL", "555"),  # belongs to MAIL
    ],
)
async def test_rcpt(parameters: bytes, code: str) -> None:
    run = await same_in_every_cut(LOGIN + FROM + b"\r\n" + TO + b" " + parameters + b"\r\n", MSA, tls=TLS)
    assert run.codes[3:] == [code]


async def test_original_recipients_in_utf8_need_smtputf8() -> None:
    rcpt = TO + " ORCPT=utf-8;bü@b.example\r\n".encode()
    run = await converse([LOGIN + FROM + b" SMTPUTF8\r\n" + rcpt], MSA, tls=TLS)
    assert run.codes[3:] == ["250"]
    run = await converse([LOGIN + FROM + b"\r\n" + rcpt], MSA, tls=TLS)
    assert run.codes[3:] == ["501"]


async def test_offered_to_our_own_accounts_only() -> None:
    assert b"250-DSN\r\n" in (await converse([b"EHLO a.example\r\n"], MSA, tls=TLS)).said
    dialog = b"EHLO a.example\r\n" + FROM + b" RET=FULL\r\n" + FROM + b"\r\n" + TO + b" NOTIFY=SUCCESS\r\n"
    run = await converse([dialog], tls=TLS)
    assert b"DSN\r\n" not in run.said
    assert run.codes == ["250", "555", "250", "555"]
