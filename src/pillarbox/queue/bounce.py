"""Decides who is told what about mail (RFC 5321 §6.1, RFC 3461 §5.2, RFC 3464), and makes the notification.

A notification goes to the reverse-path, with a null reverse-path itself. About a message with a null reverse-path nobody
is told, the postmaster neither: it is a notification already, nearly always about forged mail, and a mailbox full of
them hides what matters. The log has the queue id, the addresses and the reason.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pillarbox.mail import xtext
from pillarbox.mail.address import Address, BadAddress
from pillarbox.mail.dsn import Action, RecipientReport, Report, compose
from pillarbox.queue.attempt import Outcome
from pillarbox.queue.policy import Policy
from pillarbox.store.api import Bounce, Delivery, QueueEntry, Relay, Store


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where mail for one address goes: into mailboxes here, and to addresses elsewhere. Both empty: nowhere."""

    deliveries: Sequence[Delivery] = ()
    elsewhere: Sequence[str] = ()


class Locate(Protocol):
    """Finds out where mail for an address goes; the server passes the one that also resolves aliases."""

    async def __call__(self, address: str) -> Whereabouts: ...


def plain_locate(store: Store) -> Locate:
    """Accounts here by their exact address, other domains elsewhere."""

    async def locate(address: str) -> Whereabouts:
        try:
            domain = Address.parse(address).domain
        except BadAddress:
            return Whereabouts()
        if not await store.directory.is_local(domain):
            return Whereabouts(elsewhere=(address,))
        account = await store.directory.account(address)
        return Whereabouts((Delivery(account.id),)) if account is not None else Whereabouts()

    return locate


@dataclass(frozen=True, slots=True)
class Notice:
    """One recipient about whom the sender may be told. `parameters` are those of RCPT: `_is_wanted` goes by NOTIFY."""

    address: str
    parameters: Mapping[str, str]
    action: Action
    outcome: Outcome
    retry_until: float | None = None

    @property
    def report(self) -> RecipientReport:
        """As the notification says it."""
        reply, peer = self.outcome.reply, self.outcome.peer
        alone = peer is not None or reply.is_success
        return RecipientReport(
            address=self.address,
            action=self.action,
            status=reply.enhanced or f"{reply.code // 100}.0.0",
            reason=_REASONS[self.action] if alone else f"{_REASONS[self.action]}: {reply.text}",
            diagnostic=str(reply) if peer is not None else "",
            remote_host=peer.host if peer is not None else "",
            retry_until=self.retry_until,
            original_recipient=xtext.decode(self.parameters.get("ORCPT", "")),
        )


_REASONS = {
    Action.FAILED: "It was given up",
    Action.DELAYED: "It could not be delivered so far",
    Action.DELIVERED: "It is in the mailbox",
    Action.RELAYED: "It was handed to a server that does not confirm deliveries",
    Action.EXPANDED: "The address stands for several; it was handed to all of them",
}
_DEFAULT_NOTIFY = "FAILURE,DELAY"
_NOTIFY = {Action.FAILED: "FAILURE", Action.DELAYED: "DELAY"}


@dataclass(frozen=True, slots=True)
class Subject:
    """The message that a notification is about. `parameters` are those of MAIL; `head(limit)` gives its first octets, at
    least the header if that is shorter."""

    queue_id: str
    reverse_path: str
    arrived: float
    size: int
    parameters: Mapping[str, str]
    head: Callable[[int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Bounces:
    """Makes notifications. `new_id` gives random letters and digits."""

    store: Store
    policy: Policy
    locate: Locate
    new_id: Callable[[], str]

    def about(self, entry: QueueEntry) -> Subject:
        """An entry of the queue as the subject of a notification."""

        async def head(limit: int) -> bytes:
            return await self.store.queue.content(entry.id, 0, limit) or b""

        return Subject(entry.id, entry.reverse_path, entry.created, entry.size, entry.parameters, head)

    async def make(self, subject: Subject, notices: Sequence[Notice], now: float) -> Bounce | None:
        """The notification, None when nobody is to be told. The caller discards its spool."""
        wanted = [notice for notice in notices if _is_wanted(notice)]
        if not subject.reverse_path or not wanted:
            return None
        where = await self.locate(subject.reverse_path)
        if not where.deliveries and not where.elsewhere:
            return None
        failed = any(notice.action is Action.FAILED for notice in wanted)
        header_only = not failed or subject.parameters.get("RET", "").upper() == "HDRS"  # RFC 3461 §4.3
        returned = await subject.head(self.policy.returned)
        queue_id = self.new_id()
        report = Report(
            host=self.policy.host_name,
            sender=subject.reverse_path,
            queue_id=subject.queue_id,
            arrived=subject.arrived,
            now=now,
            message_id=f"<{queue_id}.bounce@{self.policy.host_name}>",
            boundary=f"=_{self.new_id()}_{queue_id}",
            recipients=[n.report for n in wanted],
            returned=returned,
            whole=not header_only and subject.size <= self.policy.returned,
            envelope_id=xtext.decode(subject.parameters.get("ENVID", "")),
        )
        spool = self.store.spool()
        spool.write(compose(report))
        relay = None
        if not where.elsewhere:
            spool.prepend(b"Return-Path: <>\r\n")  # RFC 5321 §4.4: final delivery adds it
        else:
            parameters = {"BODY": "8BITMIME"} | ({"SMTPUTF8": ""} if report.utf8 else {})
            relay = Relay(queue_id, "", [(address, {}) for address in where.elsewhere], parameters=parameters)
        return Bounce(spool, where.deliveries, relay)


def _is_wanted(notice: Notice) -> bool:
    """RFC 3461 §4.1: without NOTIFY, failures and delays are told."""
    notify = notice.parameters.get("NOTIFY", _DEFAULT_NOTIFY).upper().split(",")
    return _NOTIFY.get(notice.action, "SUCCESS") in notify
