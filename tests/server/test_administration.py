"""The verbs of administration do what they say, refuse with advice, and speak in values that JSON can carry."""

import json
from typing import Any

import pytest

from pillarbox.access.policy import Budget, Policy
from pillarbox.access.throttle import Throttle
from pillarbox.sasl.api import ScramKeys
from pillarbox.sasl.secret import Secret
from pillarbox.server.administration import VERBS, Administration, Refusal
from pillarbox.store.api import PasswordHashes, Relay
from pillarbox.store.memory import MemoryStore


def quick(password: Secret) -> PasswordHashes:
    return PasswordHashes(f"hash of {password.reveal()}", ScramKeys(b"salt", 4096, b"stored", b"server"))


class Office:
    """Administration of a store, with wake-ups of the queue counted."""

    def __init__(self) -> None:
        self.woken = 0
        self.store = MemoryStore()
        self._administration = Administration(
            self.store, hashing=quick, queue_changed=self._wake, clock=lambda: 1_000_000.0
        )

    def _wake(self) -> None:
        self.woken += 1

    async def __call__(self, verb: str, /, **arguments: Any) -> Any:
        result = await self._administration.perform(verb, json.loads(json.dumps(arguments)))
        return json.loads(json.dumps(result))

    async def refusal(self, verb: str, /, **arguments: Any) -> Refusal:
        with pytest.raises(Refusal) as refused:
            await self(verb, **arguments)
        return refused.value


@pytest.fixture
async def office() -> Office:
    office = Office()
    await office("add_domain", domain="Example.TEST")
    await office("add_account", address="Anna@example.test", password="first password")
    return office


async def test_an_account_from_beginning_to_end(office: Office) -> None:
    added = await office("add_account", address="bob@example.test", password="x" * 9, quota=10**9)
    assert added.pop("created") > 0
    assert added == {"address": "bob@example.test", "disabled": False, "quota": 10**9, "octets": 0, "messages": 0}
    account = await office.store.directory.account("bob@example.test")
    assert account is not None
    await office("set_password", address="BOB@example.test", password="another one")
    hashes = await office.store.directory.hashes(account.id)
    assert hashes is not None
    assert hashes.argon2 == "hash of another one"
    await office("set_disabled", address="bob@example.test", disabled=True)
    assert [a["disabled"] for a in await office("list_accounts")] == [False, True]
    await office("remove_account", address="bob@example.test")
    assert [a["address"] for a in await office("list_accounts")] == ["Anna@example.test"]


@pytest.mark.parametrize(
    ("verb", "arguments", "text", "advice"),
    [
        ("add_account", {"address": "anna@example.test", "password": "x"}, "already", "account list"),
        ("add_account", {"address": "a@other.test", "password": "x"}, "not a domain", "domain add other.test"),
        ("add_account", {"address": "no-at-sign", "password": "x"}, "Not an address", "looks like"),
        ("check_new_account", {"address": "anna@example.test"}, "already", "account list"),
        ("set_password", {"address": "who@example.test", "password": "x"}, "no account", "account list"),
        ("remove_account", {"address": "who@example.test"}, "no account", "account list"),
        ("add_domain", {"domain": "example.test"}, "already", ""),
        ("add_domain", {"domain": "-.-"}, "malformed", ""),
        ("remove_domain", {"domain": "other.test"}, "not a domain", "domain list"),
        ("remove_domain", {"domain": "example.test"}, "", ""),
        ("remove_alias", {"address": "office@example.test"}, "no alias", "alias list"),
        ("add_alias", {"address": "office@example.test", "targets": []}, "at least one", ""),
        ("add_alias", {"address": "office@example.test", "targets": ["who@example.test"]}, "Nobody", "account list"),
        ("add_alias", {"address": "office@other.test", "targets": ["anna@example.test"]}, "not a domain", "domain add"),
        ("add_alias", {"address": "anna@example.test", "targets": ["x@other.test"]}, "already", "alias remove"),
        ("add_alias", {"address": "a@example.test", "targets": ["A@example.test"]}, "lead back to itself", ""),
        ("retry_queue", {"entry": "nothing"}, "no nothing in the queue", "queue list"),
        ("hold_queue", {"entry": "nothing"}, "no nothing in the queue", "queue list"),
        ("delete_queue", {"entry": "nothing"}, "no nothing in the queue", "queue list"),
        ("fly", {}, "does not know 'fly'", "Restart"),
        ("add_domain", {"name": "x.test"}, "called wrongly", ""),
        ("add_domain", {"domain": 5}, "called wrongly", ""),
        ("add_alias", {"address": "a@example.test", "targets": [None]}, "called wrongly", ""),
        ("set_disabled", {"address": "anna@example.test", "disabled": "no"}, "called wrongly", ""),
        ("check_account", {"address": "anna\0@example.test"}, "NUL", ""),
        ("check_account", {"address": "\ud800@example.test"}, "not Unicode", ""),
        ("add_alias", {"address": "b@example.test", "targets": ["\ud800@example.test"]}, "not Unicode", ""),
        ("restore_mail", {"snapshot": "/\ud800", "address": "a@example.test"}, "not Unicode", ""),
        ("add_account", {"address": "b@example.test", "password": "x", "quota": "\ud800"}, "called wrongly", ""),
        ("perform", {"verb": "x", "arguments": {}}, "does not know", ""),
    ],
)
async def test_refusals_say_what_and_what_to_do(
    office: Office, verb: str, arguments: dict[str, Any], text: str, advice: str
) -> None:
    refusal = await office.refusal(verb, **arguments)
    assert text in refusal.text
    assert advice in refusal.advice
    assert not refusal.later


async def test_aliases_lead_to_accounts_catch_alls_and_elsewhere(office: Office) -> None:
    await office("add_alias", address="office@example.test", targets=["anna+office@example.test", "x@elsewhere.test"])
    await office("add_alias", address="@example.test", targets=["office@example.test"])
    await office("add_alias", address="all@example.test", targets=["anything-at-all@example.test"])  # by the catch-all
    assert await office("list_aliases") == [
        {"address": "@example.test", "targets": ["office@example.test"]},
        {"address": "all@example.test", "targets": ["anything-at-all@example.test"]},
        {"address": "office@example.test", "targets": ["anna+office@example.test", "x@elsewhere.test"]},
    ]
    assert await office("list_domains") == [{"domain": "example.test", "accounts": 1, "aliases": 3}]
    assert "already" in (await office.refusal("check_new_account", address="office@example.test")).text
    assert "alias list" in (await office.refusal("check_account", address="office@example.test")).advice
    await office("remove_alias", address="all@example.test")
    assert len(await office("list_aliases")) == 2


async def test_aliases_never_go_in_circles(office: Office) -> None:
    await office("add_alias", address="one@example.test", targets=["anna@example.test"])
    await office("add_alias", address="two@example.test", targets=["one@example.test"])
    await office("remove_alias", address="one@example.test")
    refusal = await office.refusal("add_alias", address="one@example.test", targets=["two@example.test"])
    assert "lead back" in refusal.text


async def test_the_queue(office: Office) -> None:
    spool = office.store.spool()
    spool.write(b"Subject: x\r\n\r\n")
    recipients = [("x@elsewhere.test", {"NOTIFY": "NEVER"}), ("y@elsewhere.test", {})]
    await office.store.accept(spool, [], Relay("Q1", "anna@example.test", recipients))
    [entry] = await office("list_queue")
    assert (entry["id"], entry["size"], entry["reverse_path"]) == ("Q1", 14, "anna@example.test")
    assert [(r["address"], r["state"]) for r in entry["recipients"]] == [
        ("x@elsewhere.test", "queued"),
        ("y@elsewhere.test", "queued"),
    ]
    await office("hold_queue", entry="Q1")
    assert [r["state"] for r in (await office("list_queue"))[0]["recipients"]] == ["held", "held"]
    assert await office("retry_queue") == 0
    await office("release_queue", entry="Q1")
    assert await office("retry_queue", entry="Q1") == 2
    await office("delete_queue", entry="Q1")
    assert await office("list_queue") == []
    assert office.woken == 5


async def test_a_password_that_cannot_be_one_is_refused() -> None:
    store = MemoryStore()
    await store.directory.add_domain("example.test")
    with pytest.raises(Refusal, match="will not do"):
        await Administration(store).perform("add_account", {"address": "a@example.test", "password": ""})


def test_every_verb_is_documented() -> None:
    assert len(VERBS) >= 20
    assert all(method.__doc__ for method in VERBS.values())


async def test_wrong_passwords_are_listed_and_forgiven() -> None:
    throttle = Throttle(Policy(block=Budget(2, 60)))
    administration = Administration(MemoryStore(), throttle=throttle, monotonic=lambda: 0.0)
    for _ in range(2):
        throttle.failed("203.0.113.7", "alice@example.test", 0)
    throttle.failed("198.51.100.1", "bob@example.test", 0)
    listed = await administration.perform("list_suspicions", {})
    assert listed[0] == {"block": "203.0.113.0/24", "account": "", "wrong": 2.0, "wait": 60.0}
    assert len(listed) == 6
    assert await administration.perform("forgive", {"who": "203.0.113.99"}) == 2
    assert throttle.wait("203.0.113.7", "carol@example.test", 0) == 0
    assert await administration.perform("forgive", {"who": "ALICE@example.test"}) == 1
    assert await administration.perform("forgive", {"who": "198.51.100.0/24"}) == 2
    assert await administration.perform("forgive", {}) == 1
    assert await administration.perform("list_suspicions", {}) == []
    with pytest.raises(Refusal, match="Not an address"):
        await administration.perform("forgive", {"who": "nonsense"})


async def test_wrong_passwords_are_counted_by_a_running_server_only() -> None:
    for verb in ("list_suspicions", "forgive"):
        with pytest.raises(Refusal, match="No server is running"):
            await Administration(MemoryStore()).perform(verb, {})
