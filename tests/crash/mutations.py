"""A server that breaks its promises, each in one way. What looks for losses must notice every one of them.

The launcher applies the mutation that the file `mutation` in the folder of faults names.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from pillarbox.mail.status import Reply
from pillarbox.queue.round import Round
from pillarbox.store.embedded import segments, state
from pillarbox.store.embedded.batch import Batch
from pillarbox.store.embedded.incoming import Intake
from pillarbox.store.embedded.writer import Writer
from pillarbox.transfer.service import TransferService

MUTATIONS: dict[str, Callable[[], None]] = {}
"""By what they do."""


def mutation(function: Callable[[], None]) -> Callable[[], None]:
    """Put it into the table."""
    MUTATIONS[function.__name__] = function
    return function


def every(number: int) -> Callable[[], bool]:
    """True at each so many-th call."""
    calls = iter(range(1, 10**9))
    return lambda: next(calls) % number == 0


def at_commit(alter: Callable[[Batch], None]) -> None:
    """Alter each batch before it is committed."""
    commit = Batch.commit

    def altered(batch: Batch, *arguments: Any) -> None:
        alter(batch)
        commit(batch, *arguments)

    Batch.commit = altered  # type: ignore[method-assign]


def forget(rows: str, number: int) -> None:
    """Now and then a batch loses these rows."""
    now = every(number)

    def alter(batch: Batch) -> None:
        if getattr(batch, rows) and now():
            setattr(batch, rows, [])

    at_commit(alter)


def leave_out(*beginnings: str, number: int = 1) -> None:
    """Now and then statements that begin like this are not executed; those of one batch together."""
    now = every(number)

    def alter(batch: Batch) -> None:
        if any(sql.startswith(beginnings[0]) for sql, _ in batch.statements) and now():
            batch.statements = [(sql, row) for sql, row in batch.statements if not sql.startswith(beginnings)]

    at_commit(alter)


def after_loading(alter: Callable[[state.Mailbox], None]) -> None:
    """Alter each mailbox at the start."""
    load = state.load

    def altered(index: Any, known: state.State) -> None:
        load(index, known)
        for owner in known.owners.values():
            for mailbox in owner.mailboxes.values():
                alter(mailbox)

    state.load = altered


@mutation
def acknowledge_before_the_commit() -> None:
    commit = Batch.commit
    promised = Writer._commit

    def late(self: Writer, batch: Batch, operations: Any) -> None:
        Batch.commit = lambda *_: None  # type: ignore[method-assign]
        promised(self, batch, operations)
        time.sleep(0.03)
        commit(batch, self._connection, self._log)

    Writer._commit = late  # type: ignore[method-assign]


@mutation
def drop_a_batch() -> None:
    commit = Batch.commit
    now = every(15)

    def sometimes(batch: Batch, *arguments: Any) -> None:
        if not now():
            commit(batch, *arguments)

    Batch.commit = sometimes  # type: ignore[method-assign]


@mutation
def write_a_wrong_octet() -> None:
    write = segments.write_all
    now = every(10)

    def wrong(file: int, buffers: Any, offset: int) -> None:
        if now():
            buffers = [bytes([octets[0] ^ 1]) + octets[1:] if len(octets) > 300 else octets for octets in buffers]
        write(file, buffers, offset)

    segments.write_all = wrong


@mutation
def keep_a_wrong_octet_with_the_right_checksum() -> None:
    digest = Intake._digest
    now = every(10)

    def wrong(self: Intake, octets: bytes, note: bytes) -> Any:
        return digest(self, octets[:-3] + b"?\r\n" if now() else octets, note)

    Intake._digest = wrong  # type: ignore[method-assign]


@mutation
def give_a_uid_again() -> None:
    def alter(mailbox: state.Mailbox) -> None:
        mailbox.uidnext = max(1, mailbox.uidnext - 1)

    after_loading(alter)


@mutation
def give_a_mailbox_another_uidvalidity() -> None:
    def alter(mailbox: state.Mailbox) -> None:
        mailbox.uidvalidity += 1

    after_loading(alter)


@mutation
def give_a_modseq_again() -> None:
    load = state.load

    def altered(index: Any, known: state.State) -> None:
        load(index, known)
        for owner in known.owners.values():
            owner.modseq = max(1, owner.modseq - 50)

    state.load = altered


@mutation
def lose_a_change_of_flags() -> None:
    forget("changes", 4)


@mutation
def lose_an_expunge() -> None:
    forget("expunges", 3)


@mutation
def lose_a_message() -> None:
    forget("messages", 8)


@mutation
def deliver_to_one_of_two() -> None:
    now = every(5)

    def alter(batch: Batch) -> None:
        if len(batch.messages) > 1 and now():
            del batch.messages[-1]

    at_commit(alter)


@mutation
def lose_a_copy() -> None:
    forget("copies", 2)


@mutation
def count_wrongly() -> None:
    def alter(batch: Batch) -> None:
        for draft in batch.mailboxes.values():
            draft.octets += 1

    at_commit(alter)


@mutation
def forget_to_relay() -> None:
    leave_out("INSERT INTO queue", number=3)


@mutation
def relay_again() -> None:
    leave_out("UPDATE queue_recipients SET address", "DELETE FROM queue")


@mutation
def record_late_what_was_relayed() -> None:
    record = Round._record

    async def late(self: Round, *arguments: Any, **named: Any) -> None:
        await asyncio.sleep(0.3)
        await record(self, *arguments, **named)

    Round._record = late  # type: ignore[method-assign]


@mutation
def refuse_what_was_committed() -> None:
    accept = TransferService.accept
    now = every(20)

    async def refused(self: TransferService, *arguments: Any) -> Reply:
        reply = await accept(self, *arguments)
        return Reply(451, "4.3.0", "Try again later") if now() else reply

    TransferService.accept = refused  # type: ignore[method-assign]


@mutation
def lose_a_subscription() -> None:
    leave_out("INSERT OR IGNORE INTO subscriptions", "DELETE FROM subscriptions")


@mutation
def lose_a_domain() -> None:
    leave_out("INSERT INTO domains", number=2)


@mutation
def lose_an_alias() -> None:
    leave_out("INSERT INTO aliases", number=2)


@mutation
def keep_a_removed_account() -> None:
    leave_out("DELETE FROM accounts")


@mutation
def lose_a_new_mailbox() -> None:
    forget("created", 2)


@mutation
def lose_a_rename() -> None:
    leave_out("UPDATE mailboxes SET name")
