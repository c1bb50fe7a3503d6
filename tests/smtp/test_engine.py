"""Dialogs with the engine: octets in, replies and accepted messages out; each in every cut."""

from dataclasses import replace

import pytest
from tests.smtp.dialog import MSA, MX, TLS, converse, same_in_every_cut

from pillarbox.wire.engine import Want

HELLO = b"EHLO client.example\r\n"
MAIL = HELLO + b"MAIL FROM:<a@b.example>\r\n"
START = MAIL + b"RCPT TO:<alice@example.test>\r\n"


async def test_a_message_goes_in() -> None:
    run = await same_in_every_cut(START + b"DATA\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\nQUIT\r\n")
    assert run.replies[1:] == [
        "250 2.1.0 Sender ok",
        "250 2.1.5 Recipient ok",
        "354 End the message with a line that has only a dot",
        "250 2.0.0 Accepted",
        "221 2.0.0 Goodbye",
    ]
    assert run.want is Want.CLOSE
    assert run.service.accepted == [
        ("a@b.example", ["alice@example.test"], b"Subject: x\r\n\r\n.dot\r\nend\r\n", "ESMTP")
    ]


async def test_the_greeting_tells_no_version() -> None:
    run = await converse([])
    assert run.said == b"220 mail.example.test ESMTP ready\r\n"


async def test_what_is_offered_to_other_servers() -> None:
    run = await converse([HELLO])
    assert run.said.split(b"\r\n")[1:-1] == [
        b"250-mail.example.test",
        b"250-CHUNKING",
        b"250-8BITMIME",
        b"250-ENHANCEDSTATUSCODES",
        b"250-PIPELINING",
        b"250-SIZE 52428800",
        b"250-SMTPUTF8",
        b"250 STARTTLS",
    ]


async def test_helo_offers_nothing_and_takes_no_parameters() -> None:
    run = await same_in_every_cut(
        b"HELO client.example\r\nMAIL FROM:<a@b.example> SIZE=10\r\nMAIL FROM:<a@b.example>\r\n"
    )
    assert run.said.split(b"\r\n")[1] == b"250 mail.example.test"
    assert run.codes == ["250", "555", "250"]


@pytest.mark.parametrize(
    ("octets", "replies"),
    [
        (b"NOOP\r\n", ["250 2.0.0"]),
        (b"NOOP with words\r\n", ["250 2.0.0"]),
        (b"noop\r\nNoOp \r\n", ["250 2.0.0", "250 2.0.0"]),
        (b"HELP\r\n", ["214 2.0.0"]),
        (b"VRFY alice\r\n", ["252 2.5.0"]),
        (b"VRFY\r\n", ["501 5.5.4"]),
        (b"EXPN team\r\n", ["502 5.7.2"]),
        ("VRFY ü\r\n".encode(), ["501 5.5.2"]),
        ("VRFY ü SMTPUTF8\r\n".encode(), ["252 2.5.0"]),
        (b"RSET\r\n", ["250 2.0.0"]),
        (b"RSET now\r\n", ["501 5.5.4"]),
        (b"QUIT now\r\n", ["501 5.5.4"]),
        (b"FROB\r\n", ["500 5.5.1"]),
        (b"\r\n", ["500 5.5.1"]),
        (b" NOOP\r\n", ["500 5.5.1"]),
        (b"EHLO\r\n", ["501 5.5.4"]),
        (b"EHLO two words\r\n", ["501 5.5.4"]),
        (b"HELO \xc3\xbc.example\r\n", ["501 5.5.2"]),
        (b"EHLO [192.0.2.1]\r\n", ["250 STARTTLS"]),
        (b"EHLO [IPv6:2001:db8::1]\r\n", ["250 STARTTLS"]),
        (b"EHLO [2001:db8::1]\r\n", ["501 5.5.4"]),
        (b"EHLO under_score\r\n", ["250 STARTTLS"]),
        (b"MAIL FROM:<a@b>\r\n", ["503 5.5.1"]),
        (b"RCPT TO:<a@b>\r\n", ["503 5.5.1"]),
        (b"DATA\r\n", ["503 5.5.1"]),
        (b"AUTH PLAIN AGEAYg==\r\n", ["502 5.5.1"]),
    ],
)
async def test_without_a_transaction(octets: bytes, replies: list[str]) -> None:
    run = await same_in_every_cut(octets)
    assert [" ".join(reply.split()[: len(r.split())]) for reply, r in zip(run.replies, replies, strict=True)] == replies
    assert run.want is Want.OCTETS


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"MAIL FROM:<>\r\n", "250 2.1.0"),
        (b"mail from:<a@b.example>\r\n", "250 2.1.0"),
        (b"MAIL FROM: <a@b.example>\r\n", "250 2.1.0"),
        (b"MAIL FROM:<a@b.example> \r\n", "250 2.1.0"),
        (b"MAIL FROM:<@x.example,@y.example:a@b.example>\r\n", "250 2.1.0"),
        (b'MAIL FROM:<"a b>c"@b.example>\r\n', "250 2.1.0"),
        (b"MAIL FROM:<a@[192.0.2.1]>\r\n", "250 2.1.0"),
        (b"MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME\r\n", "250 2.1.0"),
        (b"MAIL FROM:<a@b.example> size=52428800 body=7bit smtputf8\r\n", "250 2.1.0"),
        (b"MAIL FROM:<a@b.example> AUTH=<>\r\n", "250 2.1.0"),
        ("MAIL FROM:<ü@bücher.example> SMTPUTF8\r\n".encode(), "250 2.1.0"),
        ("MAIL FROM:<ü@b.example>\r\n".encode(), "550 5.6.7"),
        (b"MAIL FROM:<\xff@b.example> SMTPUTF8\r\n", "501 5.5.2"),
        (b"MAIL FROM:<a@b.example> SIZE=52428801\r\n", "552 5.3.4"),
        (b"MAIL FROM:<a@b.example> SIZE=big\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@b.example> SIZE=\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@b.example> SIZE\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@b.example> SMTPUTF8=yes\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@b.example> RET=FULL\r\n", "555 5.5.4"),
        (b"MAIL FROM:<a@b.example> a=b=c\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@b.example>SIZE=1\r\n", "501 5.1.7"),
        (b"MAIL FROM:a@b.example\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a@b.example\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a@b..example>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a b@b.example>\r\n", "501 5.1.7"),
        (b"MAIL TO:<a@b.example>\r\n", "501 5.1.7"),
        (b"MAIL\r\n", "501 5.1.7"),
        (b"MAIL FROM:<banned@b.example>\r\n", "550 5.7.1"),
    ],
)
async def test_mail(octets: bytes, reply: str) -> None:
    run = await same_in_every_cut(HELLO + octets)
    assert run.replies[1][: len(reply)] == reply


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"RCPT TO:<alice@example.test>\r\n", "250 2.1.5"),
        (b"RCPT TO: <alice@example.test>\r\n", "250 2.1.5"),
        (b"RCPT TO:<postmaster>\r\n", "250 2.1.5"),
        (b"RCPT TO:<PostMaster>\r\n", "250 2.1.5"),
        (b"RCPT TO:<@x.example:alice@example.test>\r\n", "250 2.1.5"),
        (b"RCPT TO:<nobody@example.test>\r\n", "550 5.1.1"),
        (b"RCPT TO:<>\r\n", "501 5.1.3"),
        (b"RCPT TO:<alice>\r\n", "501 5.1.3"),
        (b"RCPT TO:<alice@example.test> NOTIFY=NEVER\r\n", "555 5.5.4"),
        ("RCPT TO:<ü@example.test>\r\n".encode(), "553 5.6.7"),
        (b"MAIL FROM:<c@b.example>\r\n", "503 5.5.1"),
        (b"DATA\r\n", "554 5.5.1"),
        (b"STARTTLS\r\n", "503 5.5.1"),
    ],
)
async def test_in_a_transaction(octets: bytes, reply: str) -> None:
    run = await same_in_every_cut(MAIL + octets)
    assert run.replies[2][: len(reply)] == reply


async def test_people_may_forget_to_say_smtputf8() -> None:
    """Apple Mail on iOS does; what the next server must be told is seen from the addresses."""
    octets = (
        "MAIL FROM:<alice@example.test>\r\nRCPT TO:<jürgen@bücher.example>\r\nRSET\r\nMAIL FROM:<ä@example.test>\r\n"
    )
    run = await same_in_every_cut(HELLO + b"AUTH PLAIN AGFsaWNlAHBpbGxhcmJveA==\r\n" + octets.encode(), MSA, tls=TLS)
    assert list(run.codes[1:]) == ["235", "250", "250", "250", "250"]


async def test_postmaster_without_a_domain_is_ours() -> None:
    run = await converse([MAIL + b"RCPT TO:<postmaster>\r\nDATA\r\n.\r\n"])
    assert run.service.accepted[0][1] == ["postmaster@mail.example.test"]


async def test_source_routes_are_removed() -> None:
    run = await converse([MAIL + b"RCPT TO:<@x.example,@y.example:alice@example.test>\r\nDATA\r\n.\r\n"])
    assert run.service.accepted[0][1] == ["alice@example.test"]


async def test_utf8_in_a_transaction_that_asked_for_it() -> None:
    octets = "MAIL FROM:<ü@b.example> SMTPUTF8\r\nRCPT TO:<ö@example.test>\r\nDATA\r\nx\r\n.\r\n".encode()
    run = await same_in_every_cut(HELLO + octets)
    assert run.service.accepted == [("ü@b.example", ["ö@example.test"], b"x\r\n", "UTF8SMTP")]


async def test_replies_keep_the_order_of_pipelined_commands() -> None:
    run = await same_in_every_cut(
        MAIL
        + b"RCPT TO:<nobody@example.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\n"
        + b"DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\nRSET\r\nQUIT\r\nNOOP\r\n"
    )
    assert run.codes == ["250", "250", "550", "250", "550", "354", "250", "250", "550", "554", "250", "221"]
    assert len(run.service.accepted) == 1


async def test_ehlo_and_rset_abort_a_transaction() -> None:
    for abort in (b"RSET\r\n", HELLO, b"HELO x\r\n"):
        run = await same_in_every_cut(START + abort + b"DATA\r\n")
        assert run.codes[-1] == "503"
        assert run.service.accepted == []


async def test_too_many_recipients() -> None:
    octets = b"".join(b"RCPT TO:<u%d@example.test>\r\n" % number for number in range(102))
    run = await converse([MAIL + octets + b"DATA\r\nx\r\n.\r\n"])
    assert run.codes[2:] == ["250"] * 100 + ["452", "452", "354", "250"]
    assert run.replies[102].startswith("452 4.5.3")
    assert len(run.service.accepted[0][1]) == 100


async def test_a_recipient_that_is_given_twice_is_one() -> None:
    run = await converse([START + b"RCPT TO:<alice@example.test>\r\nDATA\r\nx\r\n.\r\n"])
    assert run.codes[2:] == ["250", "250", "354", "250"]
    assert run.service.accepted[0][1] == ["alice@example.test"]


async def test_a_service_without_room_refuses_data() -> None:
    run = await same_in_every_cut(MAIL + b"RCPT TO:<full@example.test>\r\nDATA\r\nNOOP\r\n")
    assert run.codes == ["250", "250", "250", "452", "250"]


@pytest.mark.parametrize(
    "verb", [b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"OPTIONS * HTTP/1.1", b"CONNECT a:25 HTTP/1.1"]
)
async def test_http_is_hung_up_on(verb: bytes) -> None:
    run = await same_in_every_cut(verb + b"\r\nHost: x\r\n\r\n" + START)
    assert run.want is Want.CLOSE
    assert run.codes == ["500"]
    assert b"HTTP" not in run.said
    engine = run.engine
    assert engine.backlog < 200  # nothing was made of the rest


@pytest.mark.parametrize(
    "octets",
    [
        b"NOOP \x00\r\n",
        b"NO\x00OP\r\n",
        b"NOOP\x7f\r\n",
        b"NOOP \x1b[2J\r\n",
        b"NOOP\n",
        b"NOOP\nNOOP\r\n",
        b"NOOP\rNOOP\r\n",
        b"NOOP\r\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS ClientHello
        b"\x00" * 5000,
        b"x" * 100 + b"\x00" + b"x" * 5000 + b"\r\n",
    ],
)
async def test_control_characters_end_the_session(octets: bytes) -> None:
    run = await same_in_every_cut(HELLO + octets + b"NOOP\r\n")
    assert run.want is Want.CLOSE
    assert run.codes == ["250", "500"]
    assert run.replies[1].startswith("500 5.5.2")


@pytest.mark.parametrize("length", [2047, 2048, 2049, 2050, 4096, 10_000])
async def test_long_lines_are_skipped(length: int) -> None:
    line = b"NOOP " + b"x" * (length - 7) + b"\r\n"
    assert len(line) == length
    run = await same_in_every_cut(line + b"NOOP\r\n")
    assert run.replies == (["250 2.0.0 Ok"] if length <= 2048 else ["500 5.5.6 The line is too long"]) + [
        "250 2.0.0 Ok"
    ]


async def test_long_lines_are_errors_too() -> None:
    run = await same_in_every_cut((b"x" * 3000 + b"\r\n") * 12)
    assert run.codes == ["500"] * 10 + ["421"]


async def test_memory_is_bounded_by_the_line_limit() -> None:
    run = await converse([b"x" * 1000] * 100)
    assert run.engine.backlog <= 2048


async def test_too_many_errors_end_the_session() -> None:
    run = await same_in_every_cut(b"FROB\r\n" * 20)
    assert run.codes == ["500"] * 10 + ["421"]
    assert run.want is Want.CLOSE


async def test_guessing_recipients_ends_the_session() -> None:
    policy = replace(MX, max_refused_recipients=3)
    run = await same_in_every_cut(MAIL + b"RCPT TO:<nobody@example.test>\r\n" * 5, policy)
    assert run.codes == ["250", "250", "550", "550", "550", "421"]


async def test_a_bug_is_a_451_and_costs_only_this_connection() -> None:
    run = await same_in_every_cut(HELLO + b"MAIL FROM:<bug@b.example>\r\nNOOP\r\n")
    assert run.replies[1].startswith("451 4.3.0")
    assert run.want is Want.CLOSE
    ((_event, facts),) = [found for found in run.events if found[0] == "internal_error"]
    assert isinstance(facts["error"], RuntimeError)


async def test_every_reply_has_an_enhanced_code() -> None:
    octets = START + b"VRFY x\r\nEXPN x\r\nHELP\r\nNOOP\r\nFROB\r\nMAIL FROM:<>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
    run = await converse([octets])
    for reply in run.replies[1:]:
        code, enhanced, *_ = reply.split()
        assert code[0] == "3" or (enhanced[0] == code[0] and enhanced.count(".") == 2), reply


async def test_an_unfinished_message_is_forgotten_at_disconnect() -> None:
    run = await converse([START + b"DATA\r\nhalf a mess"])
    run.engine.disconnected()
    assert run.service.accepted == []
    assert run.service.bodies[0].discarded


async def test_silence() -> None:
    run = await converse([START])
    assert run.engine.timeout == 300.0
    run.engine.timed_out()
    assert b"".join(run.engine.out.take()).startswith(b"421 4.4.2 ")
    assert run.engine.want is Want.CLOSE
    run = await converse([START + b"DATA\r\nhalf a mess"])
    assert run.engine.timeout == 180.0  # RFC 5321 §4.5.3.2.5
    run.engine.timed_out()
    assert run.engine.want is Want.CLOSE
    assert run.service.accepted == []


async def test_shutdown_between_commands() -> None:
    run = await converse([START])
    rung = []
    run.engine.out.on_ring = lambda: rung.append(True)
    run.engine.shutting_down()
    assert b"".join(run.engine.out.take()).startswith(b"421 4.3.2 ")
    assert run.engine.want is Want.CLOSE
    assert rung


async def test_shutdown_lets_a_message_come_in() -> None:
    run = await converse([START + b"DATA\r\nhalf"])
    engine = run.engine
    engine.shutting_down()
    assert engine.want is Want.OCTETS
    engine.receive(b" and half\r\n.\r\nMAIL FROM:<>\r\n")
    await engine.process()
    assert [reply[:3] for reply in b"".join(engine.out.take()).split(b"\r\n")[:-1]] == [b"250", b"421"]
    assert run.service.accepted[0][2] == b"half and half\r\n"


async def test_submission_takes_any_host_name() -> None:
    for name in (b"[2001:db8::1]", b"My_Laptop!", b"[fe80::1%eth0]"):
        run = await same_in_every_cut(b"EHLO " + name + b"\r\n", MSA, tls=TLS)
        assert run.codes == ["250"]


async def test_a_line_that_never_ends_ends_the_connection() -> None:
    run = await converse([HELLO] + [b"A" * 4096] * 100)
    assert run.codes[-1] == "421"
    assert run.want is Want.CLOSE


async def test_commands_without_a_message_come_to_an_end() -> None:
    policy = replace(MX, max_commands=20)
    run = await same_in_every_cut(HELLO + b"NOOP\r\n" * 30, policy=policy)
    assert run.codes == ["250"] * 20 + ["421"]
    assert run.want is Want.CLOSE


async def test_who_delivers_may_go_on_for_ever() -> None:
    message = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"
    run = await converse([HELLO, message * 50], policy=replace(MX, max_commands=5))
    assert len(run.service.accepted) == 50


async def test_empty_chunks_count_and_full_ones_do_not() -> None:
    policy = replace(MX, max_commands=20)
    run = await converse([START, b"BDAT 1\r\nx" * 100], policy=policy)
    assert run.want is Want.OCTETS
    run = await converse([START, b"BDAT 0\r\n" * 100], policy=policy)
    assert run.codes[-1] == "421"
