"""One try to hand a message to the servers of one destination (RFC 5321 §5.1)."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pillarbox.mail.status import Reply
from pillarbox.queue.routing import Peer
from pillarbox.smtp.client.policy import TlsMode
from pillarbox.smtp.client.transaction import Recipient, Transaction

Content = Callable[[], AsyncIterator[bytes]]
"""Begins to read the message from its start."""

MAX_SESSIONS = 2
"""Servers that are asked in one try after they talked to us: a second opinion, not a tour of all backups."""

MAX_UNREACHABLE = 6
"""Addresses that may be out of reach in one try: each costs a connection time-out."""


class PeerFailed(Exception):
    """The session did not get as far as a transaction: another address may help. `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class TlsFailed(PeerFailed):
    """The TLS handshake failed."""


class Sender(Protocol):
    """Speaks SMTP with one peer; `net.smtp_sender` does it over sockets."""

    async def send(self, peer: Peer, transaction: Transaction, content: Content) -> str:
        """Afterwards each recipient of the transaction has its outcome; returns the TLS version, "" without TLS.
        Raises PeerFailed, TlsFailed."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way. `reverse_path` "" is the null path; the rest as in Transaction."""

    reverse_path: str
    size: int
    content: Content
    eight_bit: bool
    utf8: bool
    parameters: dict[str, str]

    def transaction(self, recipients: Sequence[Recipient]) -> Transaction:
        """A transaction for some of the recipients."""
        return Transaction(self.reverse_path, recipients, self.size, self.eight_bit, self.utf8, self.parameters)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient, and who said so. `peer` is None when nobody was reached; `notifying` as in Transaction."""

    reply: Reply
    peer: Peer | None = None
    tls: str = ""
    notifying: bool = False

    def __str__(self) -> str:
        return f"{self.peer.host} [{self.peer.address}]: {self.reply}" if self.peer else str(self.reply)


@dataclass(slots=True)
class Attempt:
    """Tries peers in order until each recipient is decided or patience ends. One outcome for each recipient, in order."""

    sender: Sender
    message: Outgoing
    recipients: Sequence[Recipient]
    per_transaction: int

    async def run(self, peers: Sequence[Peer]) -> list[Outcome]:
        """Never raises for what other servers do."""
        outcomes: dict[int, Outcome] = {}
        pending = list(range(len(self.recipients)))
        unreachable: list[Outcome] = []
        sessions = 0
        for number, peer in enumerate(peers):
            if not pending or sessions >= MAX_SESSIONS or len(unreachable) >= MAX_UNREACHABLE:
                break
            try:
                found = await self._session(peer, pending)
            except PeerFailed as failure:
                unreachable.append(Outcome(_temporary(failure.reply), peer))
                continue
            sessions += 1
            outcomes.update(found)
            another_family = any(p.family != peer.family for p in peers[number + 1 :])
            pending = [i for i in pending if _again(found[i].reply, another_family=another_family)]
        last = unreachable[-1] if unreachable else Outcome(Reply(451, "4.4.0", "no server was tried"))
        return [outcomes.get(i, last) for i in range(len(self.recipients))]

    async def _session(self, peer: Peer, wanted: Sequence[int]) -> dict[int, Outcome]:
        """Everyone who is wanted, in as many transactions as this server needs. Raises PeerFailed before the first one."""
        found: dict[int, Outcome] = {}
        waiting = list(wanted)
        while waiting:
            batch = waiting[: self.per_transaction]
            try:
                outcomes = await self._transaction(peer, batch)
            except PeerFailed as failure:
                if not found:
                    raise
                outcomes = [Outcome(_temporary(failure.reply), peer)] * len(batch)
            found |= zip(batch, outcomes, strict=True)
            delivered = any(outcome.reply.is_success for outcome in outcomes)
            # 452 after others got through: too many recipients for one transaction, the rest come in the next.
            rest = [i for i in batch if found[i].reply.code == 452 and delivered]
            waiting = rest + waiting[len(batch) :]
        return found

    async def _transaction(self, peer: Peer, batch: Sequence[int]) -> list[Outcome]:
        transaction = self.message.transaction([self.recipients[i] for i in batch])
        try:
            tls = await self.sender.send(peer, transaction, self.message.content)
        except TlsFailed:
            if peer.tls is not TlsMode.OPPORTUNISTIC:
                raise
            # RFC 7435 §3: encryption when it works; a server with broken TLS still gets its mail.
            tls = await self.sender.send(replace(peer, tls=TlsMode.NONE), transaction, self.message.content)
        undecided = Reply(451, "4.4.2", "the session ended without an answer")
        return [Outcome(reply or undecided, peer, tls, transaction.notifying) for reply in transaction.outcomes]


def _again(reply: Reply, *, another_family: bool) -> bool:
    """Whether another peer may help. A refusal by policy (5.7.z) often means one address family's reverse DNS only."""
    if reply.is_success:
        return False
    return not reply.is_permanent or (another_family and reply.enhanced.startswith("5.7."))


def _temporary(reply: Reply) -> Reply:
    """A server that refuses to talk at all has said nothing about the message: others may take it, or it itself later."""
    return Reply(451, "4.4.0", f"refused the session: {reply}") if reply.is_permanent else reply
