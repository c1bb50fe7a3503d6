"""The gate: credentials are refused in the clear on every port, by every mechanism and command, from everywhere; and port 25
takes none at all. Each row of the table is one port, TLS state, command and peer."""

from base64 import b64decode, b64encode

import pytest
from tests.gates.ports import NAME, PASSWORD, PASSWORD64, PLAIN, PORTS, Lines, Port, Visit

import pillarbox
from pillarbox.sasl.client import ScramClient
from pillarbox.sasl.secret import Secret
from pillarbox.wire.engine import Want

PEERS = ("127.0.0.1", "::1", "10.0.0.7", "203.0.113.9")
CLOSED_STATES = [(port, False) for port in PORTS if not port.implicit_tls] + [
    (port, True) for port in PORTS if not port.takes_logins
]
OPEN_PORTS = [port for port in PORTS if port.takes_logins]


async def attempt(visit: Visit, lines: Lines) -> list[bytes]:
    """Send the lines as long as the connection stands."""
    replies = []
    for line in lines:
        if visit.engine.want is Want.OCTETS:
            replies.append(await visit.say(line))
    return replies


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(("port", "tls"), CLOSED_STATES, ids=lambda value: str(value))
async def test_refused(port: Port, tls: bool, peer: str) -> None:
    for lines in port.attempts:
        visit = await Visit.begin(port, tls=tls, peer=peer)
        for reply in await attempt(visit, lines):
            assert port.success not in reply, lines
            assert not reply.startswith(port.invites), lines  # it must not ask for the rest of the secret
        assert visit.credentials.calls == [], lines
        everything = repr(visit.said) + repr(visit.events)
        assert PASSWORD not in everything
        assert PLAIN.decode() not in everything
        assert PASSWORD64.decode() not in everything


@pytest.mark.parametrize("port", [p for p in OPEN_PORTS if not p.implicit_tls], ids=str)
async def test_a_password_in_the_clear_is_noted(port: Port) -> None:
    for lines in port.good:
        if len(lines) == 1 or lines[-1].startswith(b"PASS "):  # the others are refused before a password is sent
            visit = await Visit.begin(port, tls=False)
            await attempt(visit, lines)
            assert [event for event, _ in visit.events].count("password_in_clear") == 1, lines
    if port.name == "imap":  # a literal that did not wait for leave brought the secret too
        visit = await Visit.begin(port, tls=False)
        await visit.say(b"a LOGIN {1+}\r\nx {1+}\r\ny")
        assert "password_in_clear" in [event for event, _ in visit.events]


@pytest.mark.parametrize("port", [p for p in OPEN_PORTS if not p.implicit_tls], ids=str)
async def test_what_was_typed_in_the_clear_is_kept_for_its_owner(port: Port) -> None:
    """Refused unseen, but access is told, so that it can find out later whether to warn somebody."""
    for lines in port.good:
        for chunks in (
            lines,
            (b"\r\n".join(lines),),
        ):  # a client that waits for each answer, and one that waits for none
            visit = await Visit.begin(port, tls=False)
            await attempt(visit, chunks)
            assert visit.credentials.in_clear == [(NAME, PASSWORD)], chunks
            assert visit.credentials.calls == []
    for lines in port.attempts:
        visit = await Visit.begin(port, tls=True)
        await attempt(visit, lines)
        assert visit.credentials.in_clear == []


@pytest.mark.parametrize(("port", "tls"), CLOSED_STATES, ids=lambda value: str(value))
async def test_nothing_is_offered_where_it_is_refused(port: Port, tls: bool) -> None:
    visit = await Visit.begin(port, tls=tls)
    offered = await visit.say(port.capabilities)
    for word in (b"AUTH ", b"AUTH=", b"SASL ", b"\r\nUSER", b"PLAIN", b"SCRAM"):
        assert word not in offered
    assert (b"LOGINDISABLED" in offered) == port.name.startswith("imap")


@pytest.mark.parametrize("port", OPEN_PORTS, ids=str)
async def test_accepted_inside_tls(port: Port) -> None:
    for lines in port.good:
        visit = await Visit.begin(port, tls=True)
        assert (await attempt(visit, lines))[-1].find(port.success) >= 0, lines
        assert visit.credentials.calls == [("check_password", NAME)]
        assert PASSWORD not in repr(visit.said) + repr(visit.events)


@pytest.mark.parametrize("port", OPEN_PORTS, ids=str)
async def test_scram_is_accepted_inside_tls(port: Port) -> None:
    visit = await Visit.begin(port, tls=True)
    client = ScramClient(NAME, Secret(PASSWORD), lambda: "client")
    command = next(lines[0].rpartition(b"PLAIN")[0] for lines in port.good if b"PLAIN" in lines[0])
    reply = await visit.say(command + b"SCRAM-SHA-256 " + b64encode(client.initial()))
    for _ in range(2):
        challenge = reply.strip().split(b" ", 1)[1]
        reply = await visit.say(b64encode(client.answer(b64decode(challenge))))
    assert port.success in reply
    client.succeeded()


@pytest.mark.parametrize("port", [p for p in OPEN_PORTS if not p.implicit_tls], ids=str)
async def test_a_secret_in_the_same_breath_as_starttls_is_never_used(port: Port) -> None:
    for lines in port.good:
        visit = await Visit.begin(port, tls=False)
        await visit.say(port.starttls + b"\r\n" + b"\r\n".join(lines))
        assert visit.engine.want is Want.CLOSE
        assert visit.credentials.calls == []


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("port", PORTS, ids=str)
async def test_strangers_learn_no_version(port: Port, tls: bool) -> None:
    visit = await Visit.begin(port, tls=tls)
    for question in (port.capabilities, b"HELP", b'b ID ("name" "x")', b"IMPLEMENTATION", b"QUIT"):
        if visit.engine.want is Want.OCTETS:
            await visit.say(question)
    assert pillarbox.__version__.encode() not in b"".join(visit.said)
