"""What the crash tests' two processes agree on: operations, their effects, and the messages that are in them.

An operation is a list that JSON can carry. `Book.apply` says what it does to what one task owns: its mailboxes and its queue
entries. The child chooses operations by its book; the parent replays what was acknowledged and compares.
"""

import copy
import random
from dataclasses import dataclass, field

Operation = list[object]


@dataclass
class Box:
    """One mailbox of one task: uid -> (key of the message, flags)."""

    uidvalidity: int = 0
    uidnext: int = 1
    messages: dict[int, tuple[str, frozenset[str]]] = field(default_factory=dict)

    def add(self, key: str, flags: frozenset[str]) -> None:
        """The next UID."""
        self.messages[self.uidnext] = (key, flags)
        self.uidnext += 1


@dataclass
class Book:
    """What one task owns."""

    boxes: dict[str, Box] = field(default_factory=dict)
    queued: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)

    def after(self, operation: Operation, result: object = None) -> "Book":
        """A new book, with the operation's effects."""
        book = copy.deepcopy(self)
        book.apply(operation, result)
        return book

    def apply(self, operation: Operation, result: object) -> None:
        """Do it here."""
        kind, name, *rest = operation
        box = self.boxes.setdefault(str(name), Box())
        match kind, rest:
            case "recreate", []:
                self.boxes[str(name)] = Box(uidvalidity=int(result) if isinstance(result, int) else 0)
            case "append", [str(key), list(flags)]:
                box.add(key, frozenset(flags))
            case "accept", [str(key)]:
                box.add(key, frozenset())
                self.queued.add(key)
                self.accepted.add(key)
            case "finish", [str(key)]:
                self.queued.discard(key)
            case "flags", [list(uids), bool(add), str(flag)]:
                for uid in uids:
                    key, flags = box.messages[uid]
                    box.messages[uid] = (key, flags | {flag} if add else flags - {flag})
            case "copy" | "move", [list(uids), str(target)]:
                for uid in uids:
                    self.boxes[target].add(*box.messages[uid])
                    if kind == "move":
                        del box.messages[uid]
            case "expunge", [list(uids)]:
                for uid in uids:
                    del box.messages[uid]
            case _:
                raise AssertionError(operation)


def choose(book: Book, names: tuple[str, str], chance: random.Random, key: str) -> Operation:
    """What a task does next."""
    name, other = chance.sample(names, 2)
    uids = sorted(book.boxes[name].messages)
    some = sorted(chance.sample(uids, min(len(uids), chance.randrange(1, 6))))
    flag = chance.choice(["\\Seen", "$A"])
    kind = chance.choices(
        ["append", "accept", "finish", "flags", "copy", "move", "expunge", "recreate"], [5, 5, 3, 5, 2, 2, 3, 0.2]
    )[0]
    match kind:
        case "finish" if book.queued:
            return [kind, name, chance.choice(sorted(book.queued))]
        case "flags" if some:
            return [kind, name, some, chance.random() < 0.6, flag]
        case "copy" | "move" if some:
            return [kind, name, some, other]
        case "expunge" if some:
            return [kind, name, some]
        case "recreate":
            return [kind, name]
        case "accept":
            return [kind, name, key]
        case _:
            return ["append", name, key, chance.sample(["\\Seen", "$B"], chance.randrange(3))]


def body(key: str) -> bytes:
    """The message of a key: everything follows from the key."""
    chance = random.Random(key)
    size = chance.choice([10, 1000, 8000, 8000, 60_000]) if chance.random() > 0.005 else 5_000_000
    return b"Message-ID: <" + key.encode() + b"@example.test>\r\n\r\n" + chance.randbytes(size)


def key_of(octets: bytes) -> str:
    """The key that a message says it has."""
    return octets[13 : octets.index(b"@")].decode()
