"""Running a search program: what is cheap narrows first, and messages are read in batches (RFC 9051 §6.4.4).
Header fields are looked for in columns, as soon as a search looks at enough messages to be worth making one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from pillarbox.imap.search.column import COLUMNS, Column
from pillarbox.imap.search.key import All, Either, Key, MessageKey, Not, ViewKey
from pillarbox.imap.search.scope import Candidate, Cost, Positions, Scope
from pillarbox.imap.search.text_keys import BodyHas, HeaderHas, TextHas
from pillarbox.imap.turns import give_way
from pillarbox.store.api import Mail

BATCH = 256
"""Messages that are looked at before others get their turn."""

BATCH_OCTETS = 1024 * 1024
"""Octets that are decoded before others get their turn: some ten milliseconds."""

FEW = 4
"""Messages that are read sooner than the store can say what they may hold."""

WORTH_A_COLUMN = 4
"""A column that lacks so many messages for each candidate is not brought up to date: reading the candidates is cheaper."""


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

    async def _look(self, keys: tuple[MessageKey, ...], candidates: Positions) -> Positions:
        """The candidates that every key accepts."""
        others: list[MessageKey] = []
        for key in keys:
            column = await self._column(key, candidates) if isinstance(key, HeaderHas) and key.has_column else None
            if column is None or not isinstance(key, HeaderHas):
                others.append(key)
            else:
                candidates = self._among(column.holding(key.needle), candidates)
        for key in others:
            if isinstance(key, BodyHas | TextHas) and len(candidates) > FEW:
                may = await self.mail.may_hold(self.account, self.mailbox, key.needle)
                if may is not None:
                    candidates = self._among(may, candidates)
        return await self._read_all(tuple(others), candidates) if others and candidates else candidates

    async def _column(self, key: HeaderHas, candidates: Positions) -> Column | None:
        """The field's column with every message in it, or None when it is not worth it."""
        uids = self.scope.uids
        column = COLUMNS.of(self.scope.selected.view, key.name)
        missing = len(uids) - bisect_right(uids, column.scanned)
        if missing > max(BATCH, WORTH_A_COLUMN * len(candidates)):
            return None
        while (start := bisect_right(uids, column.scanned)) < len(uids):
            batch = uids[start : start + BATCH]
            records = await self.mail.records(self.account, self.mailbox, batch)
            if column.scanned < batch[0]:  # else another search was faster
                column.extend(batch, records)
            await give_way()
        if missing:
            column.tidy(self.scope.selected.view.uids)  # others may know of newer messages than this search
            COLUMNS.trim()
        return column

    def _among(self, found: Iterable[int], candidates: Positions) -> list[int]:
        """The candidates that have these UIDs, which ascend."""
        uids = self.scope.uids
        among: list[int] = []
        at = next_one = 0
        every = isinstance(candidates, range)
        for uid in found:
            at = bisect_left(uids, uid, at)
            if at == len(uids):
                break
            if uids[at] != uid:
                continue
            if not every:
                next_one = bisect_left(candidates, at, next_one)
                if next_one == len(candidates):
                    break
            if at in candidates if every else candidates[next_one] == at:
                among.append(at)
        return among

    async def _read_all(self, keys: tuple[MessageKey, ...], candidates: Positions) -> list[int]:
        """The candidates that every key accepts, read one by one; those that are gone meanwhile match nothing."""
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
