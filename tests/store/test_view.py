"""MailboxView: what is counted as it goes is what counting everything would give."""

import random

import pytest

from pillarbox.store.flags import DELETED, FLAGGED, SEEN
from pillarbox.store.view import MailboxView

SETS = [
    frozenset[str](),
    frozenset({SEEN}),
    frozenset({SEEN, FLAGGED}),
    frozenset({DELETED}),
    frozenset({SEEN, DELETED, "$x"}),
]


def recounted(view: MailboxView, flag: str) -> int:
    return sum(flag in view.flag_table.sets[number] for number in view.flags)


@pytest.mark.parametrize("seed", range(20))
def test_counts_follow_every_change(seed: int) -> None:
    rng = random.Random(seed)
    view = MailboxView(1, 1, "INBOX", 1, "m1")
    modseq = 1
    for _ in range(120):
        modseq += 1
        number = view.flag_table.number(rng.choice(SETS))
        match rng.choice(("add", "add many", "set", "run", "run of all", "remove")):
            case "add":
                view.add(view.uidnext, rng.choice(SETS), modseq, rng.randrange(100), 0)
            case "add many":
                for _ in range(rng.randrange(300)):
                    view.add(view.uidnext, rng.choice(SETS), modseq, rng.randrange(100), 0)
            case "set" if view.uids:
                view.set_flags([(rng.randrange(len(view.uids)), number) for _ in range(5)], modseq)
            case "run":
                first = rng.randrange(view.uidnext + 1)
                view.set_run(first, first + rng.randrange(50), number, modseq)
            case "run of all":
                view.set_run(1, view.uidnext, number, modseq)
            case "remove":
                view.remove(rng.sample(range(1, view.uidnext + 1), min(view.uidnext, rng.randrange(60))), modseq)
        if rng.random() < 0.8:
            assert view.octets == sum(view.sizes)
            for flag in (SEEN, DELETED, FLAGGED, "$x", "$nobody"):
                assert view.count(flag) == recounted(view, flag)
            assert view.unseen == len(view.uids) - recounted(view, SEEN)
            assert view.deleted == recounted(view, DELETED)
