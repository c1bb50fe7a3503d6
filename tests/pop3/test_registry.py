"""What is derived from the table, and that the table is whole."""

import pytest

from pillarbox.pop3 import engine
from pillarbox.pop3.registry import CAPABILITIES, TABLE, State, command

assert engine  # loads the commands

RFC_1939 = {"USER", "PASS", "QUIT", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "TOP", "UIDL"}


def test_every_command_is_there_and_says_where_it_comes_from() -> None:
    assert {e.name for e in TABLE.values()} == RFC_1939 | {"CAPA", "STLS", "AUTH", "UTF8", "LANG"}
    for entry in TABLE.values():
        assert entry.rfc.startswith("RFC ")
        assert entry.run.__doc__
        assert not entry.capability or entry.capability in CAPABILITIES


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="two commands"):
        command("QUIT", state=State.ANY, rfc="RFC 1939 §6")(TABLE[b"QUIT"].run)
