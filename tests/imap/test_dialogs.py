"""Dialogs: what the client sends (C:) and every octet that the server answers (S:), however the octets are cut."""

import re
from pathlib import Path

import pytest
from tests.imap.client import CUTS, TLS, Cut, Server

CAPABILITIES = re.compile(rb"\[CAPABILITY [^\]]*\]")
DIALOGS = sorted((Path(__file__).parent / "dialogs").glob("*.txt"))


def read(path: Path) -> tuple[bytes, bytes, set[str]]:
    """The client's and the server's octets, and the words of the `#!` line. `\\` at a line's end: no CRLF."""
    sides = {"C": bytearray(), "S": bytearray()}
    options: set[str] = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#!"):
            options.update(line[2:].split())
        if not line or line.startswith("#"):
            continue
        side, text = line[0], line[3:]
        assert line[1:3] in (": ", ":"), line
        sides[side] += text[:-1].encode() if text.endswith("\\") else text.encode() + b"\r\n"
    return bytes(sides["C"]), bytes(sides["S"]), options


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.__name__)
@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
async def test_dialog(server: Server, path: Path, cut: Cut) -> None:
    sent, expected, options = read(path)
    client = server.connect(tls=None if "plain" in options else TLS)
    if "in" in options:
        await client.say('LOGIN alice@example.org "correct horse"')
    answer = CAPABILITIES.sub(b"[CAPABILITY]", await client.send(sent, cut))
    assert answer.decode().split("\r\n") == expected.decode().split("\r\n")
