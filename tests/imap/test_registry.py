"""The tables: each command says which RFC it obeys, is in a dialog, and nothing is named twice."""

import importlib
import pkgutil
import re

import pytest
from tests.imap.client import Server
from tests.imap.test_dialogs import DIALOGS, read

import pillarbox.imap.commands
from pillarbox.imap.capabilities import capabilities
from pillarbox.imap.registry import TABLE, Entry, Registry, State, command

MODULES = [
    importlib.import_module(f"pillarbox.imap.commands.{module.name}")
    for module in pkgutil.iter_modules(pillarbox.imap.commands.__path__)
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_each_file_names_its_rfc(module: object) -> None:
    assert re.search(r"RFC \d{4}", module.__doc__ or "")


@pytest.mark.parametrize("entry", TABLE.values(), ids=lambda entry: entry.name)
def test_each_command_says_what_it_does_and_is_in_a_dialog(entry: Entry) -> None:
    assert entry.command.__doc__
    if entry.name.removeprefix("UID ") in ("FETCH", "SEARCH"):
        return  # they have tables of their own
    sent = b"".join(read(path)[0] for path in DIALOGS)
    assert re.search(rb"(?im)^\S+ " + entry.name.encode() + rb"\b", sent), f"no dialog has {entry.name}"


def test_names_are_taken_once() -> None:
    entry = TABLE[b"NOOP"]
    with pytest.raises(ValueError, match="NOOP"):
        command("NOOP", state=State.ANY)(entry.command)
    registry: Registry[int] = Registry("thing")
    registry("ONE")(1)
    with pytest.raises(ValueError, match="ONE"):
        registry("ONE")(2)
    assert registry.get("ONE") == 1
    assert dict(registry) == {"ONE": 1}


async def test_capabilities_come_from_the_table(server: Server) -> None:
    words = capabilities((await server.client()).engine.session).split()
    assert len(words) == len(set(words))
    assert {entry.capability for entry in TABLE.values() if entry.capability} <= set(words)


@pytest.mark.parametrize("entry", TABLE.values(), ids=lambda entry: entry.name)
async def test_the_state_is_checked_before_anything_else(server: Server, entry: Entry) -> None:
    for state, client in (
        (State.NOT_AUTHENTICATED, server.connect()),
        (State.AUTHENTICATED, await server.client()),
        (State.SELECTED, await server.client("INBOX")),
    ):
        answer = await client.say(f"{entry.name}")
        if not entry.state & state:
            assert answer in (
                ["BAD Log in first"],
                ["BAD You are logged in already"],
                ["BAD Select a mailbox first"],
            )
        else:
            assert not answer[-1].startswith(("BAD Log in", "BAD You are", "BAD Select"))
