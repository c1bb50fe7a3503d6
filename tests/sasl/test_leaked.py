"""What follows an AUTH that was refused in the clear is noticed, and nothing else is taken for it."""

from base64 import b64encode

import pytest
from tests.gates.ports import PORTS, Port, Visit

from pillarbox.sasl.leaked import Leak
from pillarbox.sasl.secret import Secret

NAME, PASSWORD = b64encode(b"anna@example.test"), b64encode(b"tr0ub4dor")
PLAIN = b64encode(b"\0anna@example.test\0tr0ub4dor")
TOLD = [("anna@example.test", "tr0ub4dor")]


class Notes:
    """Credentials, as far as a leak needs them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def typed_in_clear(self, authcid: str, password: Secret) -> None:
        self.told.append((authcid, password.reveal()))


@pytest.mark.parametrize(
    ("mechanism", "initial", "lines", "told"),
    [
        ("PLAIN", PLAIN, [], TOLD),
        ("plain", b"", [PLAIN], TOLD),
        ("LOGIN", b"", [NAME, PASSWORD], TOLD),
        ("login", NAME, [PASSWORD], TOLD),
        ("LOGIN", NAME, [PASSWORD, PASSWORD], TOLD),
        ("LOGIN", b"", [NAME + b"\r\n", PASSWORD + b"\r\n"], TOLD),
        ("PLAIN", PLAIN, [PLAIN], TOLD),  # once is enough
        ("LOGIN", b"", [NAME], []),
        ("LOGIN", b"", [b"*", NAME, PASSWORD], []),
        ("LOGIN", b"", [NAME, b"not base64"], []),
        ("LOGIN", b"", [b64encode(b"\xff\xfe"), PASSWORD], []),
        ("LOGIN", b"", [b64encode(b"x" * 5000), PASSWORD], []),
        ("PLAIN", b64encode(b"no NUL"), [PLAIN], []),
        ("PLAIN", b"=", [PLAIN], []),
        ("SCRAM-SHA-256", b64encode(b"n,,n=anna,r=x"), [b64encode(b"c=biws,r=xy,p=AAAA")], []),
        ("XOAUTH2", b"", [PLAIN], []),
        ("", b"", [PLAIN], []),
    ],
)
def test_leaks(mechanism: str, initial: bytes, lines: list[bytes], told: list[tuple[str, str]]) -> None:
    notes = Notes()
    leak = Leak(notes, mechanism, initial)  # type: ignore[arg-type]
    for line in lines:
        if not leak.line(line):
            pass  # an engine would let go of it here
    assert notes.told == told
    assert "tr0ub4dor" not in repr(leak)


@pytest.mark.parametrize("port", [p for p in PORTS if p.takes_logins and not p.implicit_tls], ids=str)
async def test_a_command_in_between_ends_it(port: Port) -> None:
    """What comes later is no answer to that AUTH any more."""

    for lines in port.good:
        if len(lines) > 1 and b"LOGIN" in lines[0]:
            visit = await Visit.begin(port, tls=False)
            await visit.say(lines[0])
            await visit.say(
                b"b NOOP" if port.name.startswith("imap") else b"NOOP" if "pop3" not in port.name else b"CAPA"
            )
            for line in lines[1:]:
                await visit.say(line)
            assert visit.credentials.in_clear == []
