"""The contract of every home: domains, accounts, aliases."""

import pytest
from tests.store.conftest import HASHES

from pillarbox.mail.address import BadAddress
from pillarbox.sasl.api import ScramKeys
from pillarbox.store.api import (
    Alias,
    AlreadyExists,
    NoSuchAccount,
    NotFound,
    PasswordHashes,
    Store,
    StoreError,
)
from pillarbox.store.changes import AccountClosed, Change


async def test_domains(store: Store) -> None:
    directory = store.directory
    await directory.add_domain("Zebra.Test.")
    assert await directory.domains() == ["example.test", "zebra.test"]
    assert await directory.is_local("ZEBRA.test")
    assert not await directory.is_local("other.test")
    assert not await directory.is_local("not a domain")
    with pytest.raises(AlreadyExists):
        await directory.add_domain("EXAMPLE.TEST")
    with pytest.raises(BadAddress):
        await directory.add_domain("not a domain")
    await directory.remove_domain("zebra.test")
    with pytest.raises(NotFound):
        await directory.remove_domain("zebra.test")
    assert await directory.domains() == ["example.test"]


async def test_internationalised_domains_have_one_form(store: Store) -> None:
    await store.directory.add_domain("bücher.example")
    assert await store.directory.is_local("xn--bcher-kva.example")
    account = await store.directory.add_account("jürgen@BÜCHER.example", HASHES)
    assert await store.directory.account("JÜRGEN@xn--bcher-kva.example") == account


async def test_a_domain_in_use_stays(store: Store, alice: int) -> None:
    with pytest.raises(StoreError):
        await store.directory.remove_domain("example.test")
    await store.directory.remove_account(alice)
    await store.directory.add_alias(Alias("@example.test", ("someone@elsewhere.test",)))
    with pytest.raises(StoreError):
        await store.directory.remove_domain("example.test")
    await store.directory.remove_alias("@example.test")
    await store.directory.remove_domain("example.test")


async def test_accounts(store: Store, alice: int) -> None:
    directory = store.directory
    account = await directory.account("ALICE@Example.Test")
    assert account is not None
    assert (account.id, account.address, account.disabled, account.quota) == (alice, "alice@example.test", False, 0)
    assert await directory.account_by_id(alice) == account
    bob = await directory.add_account("Bob.B@example.test", HASHES, quota=5)
    assert (bob.address, bob.quota) == ("Bob.B@example.test", 5)
    assert await directory.accounts() == sorted([account, bob], key=lambda a: a.address)
    assert await directory.account("alice+tag@example.test") is None
    assert await directory.account("nobody") is None
    assert await directory.account_by_id(bob.id + 100) is None
    for address, error in (
        ("Alice@example.test", AlreadyExists),
        ("a@other.test", NotFound),
        ("nonsense", BadAddress),
    ):
        with pytest.raises(error):
            await directory.add_account(address, HASHES)


async def test_passwords(store: Store, alice: int) -> None:
    told: list[Change] = []
    store.changes.watch(alice, told.append)
    assert await store.directory.hashes(alice) == HASHES
    new = PasswordHashes("other", ScramKeys(b"s", 4096, b"k", b"v"))
    await store.directory.set_hashes(alice, new)
    assert await store.directory.hashes(alice) == new
    assert told == [AccountClosed(alice)]
    assert await store.directory.hashes(alice + 100) is None
    with pytest.raises(NoSuchAccount):
        await store.directory.set_hashes(alice + 100, new)


async def test_disabling(store: Store, alice: int) -> None:
    told: list[Change] = []
    store.changes.watch(alice, told.append)
    await store.directory.set_disabled(alice, disabled=True)
    account = await store.directory.account_by_id(alice)
    assert account is not None
    assert account.disabled
    assert told == [AccountClosed(alice)]
    await store.directory.set_disabled(alice, disabled=False)
    account = await store.directory.account("alice@example.test")
    assert account is not None
    assert not account.disabled
    with pytest.raises(NoSuchAccount):
        await store.directory.set_disabled(alice + 100, disabled=True)


async def test_removing_an_account(store: Store, alice: int) -> None:
    told: list[Change] = []
    store.changes.watch(alice, told.append)
    validity = (await store.mail.open(alice, "INBOX")).uidvalidity
    await store.directory.remove_account(alice)
    assert told == [AccountClosed(alice)]
    assert await store.directory.account("alice@example.test") is None
    with pytest.raises(NoSuchAccount):
        await store.mail.mailboxes(alice)
    with pytest.raises(NoSuchAccount):
        await store.directory.remove_account(alice)
    again = await store.directory.add_account("alice@example.test", HASHES)
    assert again.id != alice
    assert (await store.mail.open(again.id, "INBOX")).uidvalidity != validity


async def test_aliases(store: Store, alice: int) -> None:
    directory = store.directory
    team = Alias("Team@example.test", ("alice@example.test", "x@elsewhere.test"))
    await directory.add_alias(team)
    await directory.add_alias(Alias("@example.test", ("alice@example.test",)))
    assert await directory.alias("team@EXAMPLE.test") == team
    assert await directory.alias("@Example.Test") is not None
    assert await directory.alias("other@example.test") is None
    assert await directory.alias("nonsense") is None
    assert len(await directory.aliases()) == 2
    for alias, error in (
        (Alias("TEAM@example.test", ()), AlreadyExists),
        (Alias("alice@example.test", ()), AlreadyExists),
        (Alias("x@other.test", ()), NotFound),
        (Alias("nonsense", ()), BadAddress),
    ):
        with pytest.raises(error):
            await directory.add_alias(alias)
    with pytest.raises(AlreadyExists):
        await directory.add_account("team@example.test", HASHES)
    await directory.remove_alias("TEAM@example.test")
    with pytest.raises(NotFound):
        await directory.remove_alias("team@example.test")
