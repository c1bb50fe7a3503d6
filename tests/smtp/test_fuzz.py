"""Whatever comes: only declared exceptions leave the engine, and nothing is accepted that was not sent as a message."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.smtp.dialog import MSA, MX, TLS, converse

from pillarbox.wire.engine import Want

PIECES = st.sampled_from(
    [
        b"EHLO x\r\n",
        b"HELO x\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"MAIL FROM:<>",
        b" SIZE=10",
        b" SMTPUTF8",
        b"RCPT TO:<alice@example.test>\r\n",
        b"RCPT TO:<nobody@example.test>\r\n",
        b"DATA\r\n",
        b".\r\n",
        b"..\r\n",
        b"\r\n.\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b".",
        b"BDAT 5\r\n",
        b"BDAT 3 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"abc",
        b"hello",
        b"RSET\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH PLAIN AGFsaWNlAHBpbGxhcmJveA==\r\n",
        b"AGFsaWNlAHBpbGxhcmJveA==\r\n",
        b"*\r\n",
        b"=\r\n",
        b"STARTTLS\r\n",
        b"NOOP\r\n",
        b"VRFY x\r\n",
        b"HELP\r\n",
        b"QUIT\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\x00",
        b"\xff\xfe",
        "MAIL FROM:<ü@ü.example> SMTPUTF8\r\n".encode(),
        b"AUTH SCRAM-SHA-256 biwsbj1hbGljZSxyPXg=\r\n",
        b"x" * 2100,
    ]
)


@given(pieces=st.lists(st.one_of(PIECES, PIECES, PIECES, st.binary(max_size=20)), max_size=30), data=st.data())
@settings(max_examples=300, deadline=None)
async def test_nothing_undeclared_leaves(pieces: list[bytes], data: st.DataObject) -> None:
    octets = b"".join(pieces)
    size = data.draw(st.integers(1, 64))
    policy, tls = data.draw(st.sampled_from([(MX, None), (MX, TLS), (MSA, TLS), (MSA, None)]))
    whole = await converse([octets], policy, tls=tls)
    assert not [facts for event, facts in whole.events if event == "internal_error"]
    assert whole.said.endswith(b"\r\n")
    assert whole.want in (Want.OCTETS, Want.TLS, Want.CLOSE)
    for line in whole.said.split(b"\r\n")[:-1]:
        assert line[:3].isdigit()
        assert line[3:4] in (b" ", b"-")
    if b"STARTTLS" not in octets.upper():  # there it matters by design what comes in the same breath
        cut = await converse([octets[i : i + size] for i in range(0, len(octets), size)], policy, tls=tls)
        if b"SCRAM" not in octets:  # its challenge is random
            assert cut.said == whole.said
        assert cut.service.accepted == whole.service.accepted
