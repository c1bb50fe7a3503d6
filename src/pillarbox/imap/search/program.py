"""Running a search program: what is cheap narrows first, and messages are read in batches (RFC 9051 §6.4.4)."""

from collections.abc import Iterator, Sequence

from pillarbox.imap.search.key import All, Either, Key, MessageKey, Not, ViewKey
from pillarbox.imap.search.scope import Candidate, Cost, Positions, Scope
from pillarbox.imap.turns import give_way
from pillarbox.store.api import Mail

BATCH = 256
"""Messages that are looked at before others get their turn."""

BATCH_OCTETS = 1024 * 1024
"""Octets that are decoded before others get their turn: some ten milliseconds."""


class Program:
    """One search over one mailbox of an account."""

    __slots__ = ("account", "mail", "mailbox", "scope")

    def __init__(self, mail: Mail, account: int, mailbox: int, scope: Scope) -> None:
        self.mail = mail
        self.account = account
        self.mailbox = mailbox
        self.scope = scope

    async def run(self, key: Key, candidates: Positions) -> Positions:
        """Those of the candidates that match, in order."""
        if not candidates:
            return candidates
        match key:
            case ViewKey():
                return key.select(self.scope, candidates)
            case MessageKey():
                return await self._look((key,), candidates)
            case Not():
                gone = set(await self.run(key.key, candidates))
                return [each for each in candidates if each not in gone] if gone else candidates
            case Either():
                cheap, dear = sorted((key.left, key.right), key=_cost)
                found = set(await self.run(cheap, candidates))
                found.update(await self.run(dear, [each for each in candidates if each not in found]))
                return [each for each in candidates if each in found]
            case All():
                return await self._narrow(key.keys, candidates)
        raise TypeError(key)

    async def _narrow(self, keys: Sequence[Key], candidates: Positions) -> Positions:
        """One key after the other, the cheapest first; those that read the same of a message in one go."""
        for cost in Cost:
            level = [key for key in keys if key.cost == cost]
            plain = tuple(key for key in level if isinstance(key, MessageKey))
            if plain and candidates:
                candidates = await self._look(plain, candidates)
            for key in level:
                if not isinstance(key, MessageKey):
                    candidates = await self.run(key, candidates)
        return candidates

    async def _look(self, keys: tuple[MessageKey, ...], candidates: Positions) -> list[int]:
        """The candidates that every key accepts; messages that are gone meanwhile match nothing."""
        cost = max(key.cost for key in keys)
        uids = self.scope.uids
        found: list[int] = []
        first = keys[0].accepts if len(keys) == 1 else None
        for batch in self._batches(candidates, cost):
            numbers = [uids[at] for at in batch]
            records = await self.mail.records(self.account, self.mailbox, numbers)
            for at, uid, record in zip(batch, numbers, records, strict=True):
                if record is None:
                    continue
                candidate = Candidate(record)
                if cost is not Cost.RECORD and not await self._read(candidate, uid, cost):
                    continue
                if first(candidate) if first else all(key.accepts(candidate) for key in keys):
                    found.append(at)
            await give_way()
        return found

    async def _read(self, candidate: Candidate, uid: int, cost: Cost) -> bool:
        """Get what the keys need of a message; False when it is gone."""
        length = candidate.record.summary.header_size if cost is Cost.HEADER else None
        octets = await self.mail.octets(self.account, self.mailbox, uid, 0, length)
        if octets is None:
            return False
        candidate.octets = octets
        candidate.header = octets[: candidate.record.summary.header_size]
        return True

    def _batches(self, candidates: Positions, cost: Cost) -> Iterator[Positions]:
        """Candidates in batches, bounded in size when messages are read whole."""
        if cost is not Cost.OCTETS:
            for start in range(0, len(candidates), BATCH):
                yield candidates[start : start + BATCH]
            return
        sizes = self.scope.sizes
        batch: list[int] = []
        total = 0
        for at in candidates:
            batch.append(at)
            total += sizes[at]
            if total > BATCH_OCTETS or len(batch) == BATCH:
                yield batch
                batch, total = [], 0
        if batch:
            yield batch


def _cost(key: Key) -> Cost:
    return key.cost
