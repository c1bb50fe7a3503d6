"""Aliases without bounds."""

import pytest
from tests.transfer.house import a_store

from pillarbox.mail.address import Address
from pillarbox.mail.status import Refused
from pillarbox.store.api import Alias
from pillarbox.transfer.delivery import MAX_DEPTH, AddressBook
from pillarbox.transfer.policy import Policy


async def test_depth_is_bounded() -> None:
    store = await a_store()
    for depth in range(20):
        await store.directory.add_alias(Alias(f"a{depth}@example.test", (f"a{depth + 1}@example.test",)))
    await store.directory.add_alias(Alias("a20@example.test", ("alice@example.test",)))
    book = AddressBook(store.directory, Policy())
    near = await book.resolve(Address.parse(f"a{20 - MAX_DEPTH + 2}@example.test"))
    assert [account.address for account in near.accounts] == ["alice@example.test"]
    with pytest.raises(Refused) as refused:
        await book.resolve(Address.parse("a0@example.test"))
    assert refused.value.reply.code == 451


async def test_breadth_is_bounded() -> None:
    store = await a_store()
    await store.directory.add_alias(Alias("all@example.test", tuple(f"u{n}@far.example" for n in range(2000))))
    with pytest.raises(Refused):
        await AddressBook(store.directory, Policy()).resolve(Address.parse("all@example.test"))


async def test_an_exact_account_beats_everything() -> None:
    store = await a_store()
    directory = store.directory
    await directory.add_alias(Alias("@example.test", ("world@example.test",)))
    await directory.add_alias(Alias("alice+list@example.test", ("bob@example.test",)))
    book = AddressBook(directory, Policy())
    for address, owner in {
        "alice@example.test": "alice",
        "alice+list@example.test": "bob",
        "alice+other@example.test": "alice",
        "who@example.test": "world",
        "postmaster@example.test": "world",
    }.items():
        found = await book.resolve(Address.parse(address))
        assert [account.address for account in found.accounts] == [f"{owner}@example.test"]


async def test_a_malformed_target_leads_nowhere() -> None:
    store = await a_store()
    targets = ("alice@example.test", "not an address")
    found = [Alias("half@example.test", targets), Alias("none@example.test", targets[1:])]
    book = AddressBook(store.directory, Policy())
    for alias in found:
        await store.directory.add_alias(alias)
    assert [a.address for a in (await book.resolve(Address.parse("half@example.test"))).accounts] == [
        "alice@example.test"
    ]
    assert not await book.resolve(Address.parse("none@example.test"))
