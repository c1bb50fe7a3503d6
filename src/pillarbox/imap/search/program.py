"""Running a search program: what is cheap narrows first, and messages are read in batches (RFC 9051 §6.4.4).
Each batch is a turn of the account's, so that neither the event loop nor other accounts wait for a long search.
Header fields are looked for in columns, as soon as a search looks at enough messages to be worth making one."""

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from pillarbox.imap.search.column import COLUMNS, Column
from pillarbox.imap.search.key import All, Either, Key, MessageKey, Not, ViewKey
from pillarbox.imap.search.scope import Candidate, Cost, Positions, Scope
from pillarbox.imap.search.text_keys import BodyHas, HeaderHas, TextHas
from pillarbox.store.api import Mail, MessageRecord

BATCH = 256
"""Records that are looked at before others get their turn: some milliseconds, as all that follows."""

BATCH_MESSAGES = 48
"""The same where octets are read too."""

BATCH_OCTETS = 192 * 1024
"""And so many octets."""

BATCH_FLAGS = 50_000
"""Messages of which only the view is looked at."""

BATCH_WORDS = 2_000
"""And where the store looks whether they hold a word, beside the event loop."""

LARGE = 192 * 1024
"""Longer messages are decoded beside the event loop."""

MANY = 50_000
"""Messages whose fields are looked for in the store's index first: going through a column takes as long as asking it."""

FEW = 4
"""Messages that are read sooner than the store can say what they may hold."""

WORTH_A_COLUMN = 4
"""A column that lacks so many messages for each candidate is not brought up to date: reading the candidates is cheaper."""


class Program:
    """One search over one mailbox of an account. `give_way` lets others have their turn; it raises ConnectionError when the
    client is gone."""

    __slots__ = ("account", "give_way", "mail", "mailbox", "scope")

    def __init__(
        self, mail: Mail, account: int, mailbox: int, scope: Scope, give_way: Callable[[], Awaitable[None]]
    ) -> None:
        self.give_way = give_way
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
                return await self._select(key, candidates)
            case MessageKey():
                return await self._look((key,), candidates)
            case Not():
                gone = set(await self.run(key.key, candidates))
                await self._breathe(candidates)
                return [each for each in candidates if each not in gone] if gone else candidates
            case Either():
                cheap, dear = sorted((key.left, key.right), key=_cost)
                found = set(await self.run(cheap, candidates))
                await self._breathe(candidates)
                found.update(await self.run(dear, [each for each in candidates if each not in found]))
                await self._breathe(candidates)
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

    async def _breathe(self, candidates: Positions) -> None:
        """Before one more pass over many candidates."""
        if len(candidates) > BATCH_FLAGS:
            await self.give_way()

    async def _select(self, key: ViewKey, candidates: Positions) -> Positions:
        """By the view alone."""
        if len(candidates) <= BATCH_FLAGS or not key.looks_at_each:
            return key.select(self.scope, candidates)
        found: list[int] = []
        for start in range(0, len(candidates), BATCH_FLAGS):
            async with self.mail.turn(self.account):
                found += key.select(self.scope, candidates[start : start + BATCH_FLAGS])
            await self.give_way()
        return found

    async def _look(self, keys: tuple[MessageKey, ...], candidates: Positions) -> Positions:
        """The candidates that every key accepts."""
        others: list[MessageKey] = []
        for key in keys:
            if not isinstance(key, HeaderHas) or not key.has_column:
                others.append(key)
            elif len(candidates) > MANY and len(named := await self._named(key.needle, candidates)) <= BATCH:
                candidates = named
                others.append(key)
            elif (column := await self._column(key, candidates)) is not None:
                candidates = self._among(column.holding(key.needle), candidates)
            else:
                others.append(key)
        for key in others:
            if isinstance(key, BodyHas | TextHas) and len(candidates) > FEW:
                candidates = await self._named(key.needle, candidates)
        if not others:
            return candidates
        found: list[int] = []
        if len(candidates) > FEW:
            found, candidates = await self._by_words(others, candidates)
        if candidates:
            found += await self._read_all(tuple(others), candidates)
        return sorted(found)

    async def _named(self, needle: str, candidates: Positions) -> Positions:
        """The candidates of which the store cannot say that they hold the needle nowhere, in the header or the body."""
        async with self.mail.turn(self.account):
            may = await self.mail.may_hold(self.account, self.mailbox, needle)
        return candidates if may is None else self._among(may, candidates)

    async def _by_words(self, keys: Sequence[MessageKey], candidates: Positions) -> tuple[list[int], Positions]:
        """The candidates that every key accepts by what the store knows, and those that must be read to know it."""
        texts = [key for key in keys if isinstance(key, BodyHas | TextHas)]
        if len(texts) < len(keys):
            return [], candidates
        surely: list[int] = []
        perhaps: list[int] = []
        for start in range(0, len(candidates), BATCH_WORDS):
            position = {self.scope.uids[at]: at for at in candidates[start : start + BATCH_WORDS]}
            left = [*position]
            unsure: set[int] = set()
            async with self.mail.turn(self.account):
                for key in texts:
                    in_header = isinstance(key, TextHas)
                    held = await self.mail.holding(self.account, self.mailbox, left, key.needle, header=in_header)
                    unsure.update(held.perhaps)
                    left = [*held.surely, *held.perhaps]
            surely += [position[uid] for uid in left if uid not in unsure]
            perhaps += [position[uid] for uid in left if uid in unsure]
            await self.give_way()
        return surely, sorted(perhaps)

    async def _column(self, key: HeaderHas, candidates: Positions) -> Column | None:
        """The field's column with every message in it, or None when it is not worth it."""
        uids = self.scope.uids
        column = COLUMNS.of(self.scope.selected.view, key.name)
        missing = len(uids) - bisect_right(uids, column.scanned)
        if missing > max(BATCH, WORTH_A_COLUMN * len(candidates)):
            return None
        while (start := bisect_right(uids, column.scanned)) < len(uids):
            batch = uids[start : start + BATCH]
            async with self.mail.turn(self.account):
                records = await self.mail.records(self.account, self.mailbox, batch)
                if column.scanned < batch[0]:  # else another search was faster
                    column.extend(batch, records)
            await self.give_way()
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
        found: list[int] = []
        for batch in self._batches(candidates, cost):
            async with self.mail.turn(self.account):
                found += await self._read_some(keys, batch, cost)
            await self.give_way()
        return found

    async def _read_some(self, keys: tuple[MessageKey, ...], batch: Positions, cost: Cost) -> list[int]:
        """One batch of them."""
        uids = self.scope.uids
        numbers = [uids[at] for at in batch]
        found: list[int] = []
        first = keys[0].accepts if len(keys) == 1 else None
        records = await self.mail.records(self.account, self.mailbox, numbers)
        contents = [b""] * len(numbers) if cost is Cost.RECORD else await self._contents(numbers, records, cost)
        for at, record, octets in zip(batch, records, contents, strict=True):
            if record is None or octets is None:
                continue
            candidate = Candidate(record, octets[: record.summary.header_size], octets)
            if len(octets) > LARGE:
                matches = await self.mail.compute(lambda c=candidate: all(key.accepts(c) for key in keys))  # type: ignore[misc]
            else:
                matches = first(candidate) if first else all(key.accepts(candidate) for key in keys)
            if matches:
                found.append(at)
        return found

    async def _contents(
        self, uids: Sequence[int], records: Sequence[MessageRecord | None], cost: Cost
    ) -> Sequence[bytes | None]:
        """What the keys need of each message's octets."""
        sizes = None
        if cost is Cost.HEADER:
            sizes = [0 if record is None else record.summary.header_size for record in records]
        return await self.mail.contents(self.account, self.mailbox, uids, sizes)

    def _batches(self, candidates: Positions, cost: Cost) -> Iterator[Positions]:
        """Candidates in batches, bounded in size when messages are read whole."""
        if cost is not Cost.OCTETS:
            size = BATCH if cost is Cost.RECORD else min(BATCH, BATCH_MESSAGES)
            for start in range(0, len(candidates), size):
                yield candidates[start : start + size]
            return
        sizes = self.scope.sizes
        batch: list[int] = []
        total = 0
        for at in candidates:
            batch.append(at)
            total += sizes[at]
            if total > BATCH_OCTETS or len(batch) >= min(BATCH, BATCH_MESSAGES):
                yield batch
                batch, total = [], 0
        if batch:
            yield batch


def _cost(key: Key) -> Cost:
    return key.cost
