"""The last line: every operation of the store is asked with bob's account and the number of one of alice's mailboxes."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.gates.neighbours import MAILBOX, Neighbours, neighbours
from tests.store.conftest import HOMES

from pillarbox.store.api import Mail, NoSuchMailbox, StoreMode
from pillarbox.store.flags import SEEN

Attempt = Callable[[Mail, int, int], Awaitable[object]]

BY_NUMBER: dict[str, Attempt] = {
    "open_by_id": lambda mail, bob, box: mail.open_by_id(bob, box),
    "claim_recent": lambda mail, bob, box: mail.claim_recent(bob, box),
    "first_recent": lambda mail, bob, box: mail.first_recent(bob, box),
    "copy": lambda mail, bob, box: mail.copy(bob, box, [1], "INBOX"),
    "move": lambda mail, bob, box: mail.move(bob, box, [1], "INBOX"),
    "store_flags": lambda mail, bob, box: mail.store_flags(bob, box, [1], StoreMode.ADD, frozenset((SEEN,))),
    "expunge": lambda mail, bob, box: mail.expunge(bob, box, None, deleted_only=False),
    "expunged_since": lambda mail, bob, box: mail.expunged_since(bob, box, 0),
    "records": lambda mail, bob, box: mail.records(bob, box, [1]),
    "listed": lambda mail, bob, box: mail.listed(bob, box, [1]),
    "email_ids": lambda mail, bob, box: mail.email_ids(bob, box, [1]),
    "octets": lambda mail, bob, box: mail.octets(bob, box, 1),
    "contents": lambda mail, bob, box: mail.contents(bob, box, [1]),
    "may_hold": lambda mail, bob, box: mail.may_hold(bob, box, "zinnober"),
    "holding": lambda mail, bob, box: mail.holding(bob, box, [1], "zinnober", header=True),
    "find_message_id": lambda mail, bob, box: mail.find_message_id(bob, box, "<Zinnober@example.test>"),
}


def test_each_operation_that_takes_a_number_has_a_row() -> None:
    takes_a_number = {
        name
        for name, method in inspect.getmembers(Mail, inspect.isfunction)
        if "mailbox" in inspect.signature(method).parameters and not name.startswith("_")
    }
    assert set(BY_NUMBER) == takes_a_number


@pytest.mark.parametrize("home", sorted(HOMES))
@pytest.mark.parametrize("operation", BY_NUMBER)
async def test_a_number_of_hers_is_nothing_to_him(home: str, operation: str, tmp_path: Path) -> None:
    async with neighbours(home, tmp_path) as world:
        hers = await world.store.mail.open(world.alice.id, MAILBOX)
        await refused(world, BY_NUMBER[operation], hers.mailbox)


async def refused(world: Neighbours, attempt: Attempt, mailbox: int) -> None:
    with pytest.raises(NoSuchMailbox):
        await attempt(world.store.mail, world.bob.id, mailbox)
