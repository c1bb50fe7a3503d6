"""Letters to owners."""

from email import message_from_bytes, policy
from typing import Any

import pytest
from tests.store.conftest import HASHES

from pillarbox.access.exposure import Exposure
from pillarbox.server.notice import Notices
from pillarbox.store.api import Account, StoreUnavailable
from pillarbox.store.memory import MemoryStore

NOON = 1_700_049_600.0
PORTS = {"imaps": ("127.0.0.1", 993), "pop3s": ("127.0.0.1", 10995), "smtp": ("127.0.0.1", 25)}


class House:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.notices = Notices(
            self.store,
            "mail.example.test",
            lambda: PORTS,
            lambda event, /, **facts: self.told.append((event, facts)),
            clock=lambda: NOON,
        )

    async def account(self, address: str = "anna@example.test", quota: int = 0) -> Account:
        await self.store.directory.add_domain(address.rpartition("@")[2])
        return await self.store.directory.add_account(address, HASHES, quota=quota)

    async def letters(self, account: Account) -> list[bytes]:
        view = await self.store.mail.open(account.id, "INBOX")
        return [await self.store.mail.octets(account.id, view.mailbox, uid) or b"" for uid in view.uids]


async def test_a_letter_is_well_formed() -> None:
    house = House()
    anna = await house.account()
    await house.notices.password_exposed(anna, Exposure("203.0.113.9", 143, NOON))
    (octets,) = await house.letters(anna)
    assert octets.count(b"\n") == octets.count(b"\r\n")
    letter = message_from_bytes(octets, policy=policy.default)
    assert letter.defects == []
    assert letter["From"].addresses[0].addr_spec == "postmaster@example.test"
    assert letter["To"] == "anna@example.test"
    assert letter["Auto-Submitted"] == "auto-generated"
    text = letter.get_content()
    assert "on 15 November 2023 at 12:00 UTC" in text
    assert "203.0.113.9" in text
    assert "to port 143 of this server" in text
    assert "IMAP: server mail.example.test, port 993, SSL/TLS" in text
    assert "POP3: server mail.example.test, port 10995, SSL/TLS" in text
    assert "SMTP (outgoing" not in text  # that listener is off
    assert house.told == [
        ("password_exposed", {"account": "anna@example.test", "peer": "203.0.113.9", "port": 143, "owner_told": True})
    ]


async def test_once_a_day_over_restarts_too() -> None:
    house = House()
    anna = await house.account()
    for at in (NOON, NOON + 3600, NOON + 86400):
        await house.notices.password_exposed(anna, Exposure("203.0.113.9", 110, at))
    assert len(await house.letters(anna)) == 2
    assert [facts["owner_told"] for _, facts in house.told] == [True, False, True]


async def test_a_full_account_or_a_broken_store_is_said_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    anna = await house.account(quota=10)
    await house.notices.password_exposed(anna, Exposure("203.0.113.9", 110, NOON))
    assert [event for event, _ in house.told] == ["notice_failed", "password_exposed"]

    async def broken(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the disk is full")

    house.told.clear()
    monkeypatch.setattr(house.store, "accept", broken)
    await house.notices.password_exposed(anna, Exposure("203.0.113.9", 110, NOON))
    assert house.told[0] == ("notice_failed", {"account": "anna@example.test", "error": "the disk is full"})
    assert house.told[1][1]["owner_told"] is False


async def test_internationalised_addresses() -> None:
    house = House()
    anna = await house.account("änne@example.test")
    await house.notices.password_exposed(anna, Exposure("2001:db8::1", 587, NOON))
    (octets,) = await house.letters(anna)
    assert "To: änne@example.test\r\n".encode() in octets
