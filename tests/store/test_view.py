"""MailboxView: what is counted as it goes is what counting everything would give."""

import itertools
import random

import pytest

from pillarbox.store.flags import DELETED, FLAGGED, SEEN
from pillarbox.store.view import MailboxView, one_pass

SETS = [
    frozenset[str](),
    frozenset({SEEN}),
    frozenset({SEEN, FLAGGED}),
    frozenset({DELETED}),
    frozenset({SEEN, DELETED, "$x"}),
]


def recounted(view: MailboxView, flag: str) -> int:
    return sum(flag in view.flag_table.sets[number] for number in view.flags)


def contents(view: MailboxView) -> dict[int, tuple[int, int]]:
    """Number of flags and size of each message, by UID."""
    return dict(zip(view.uids, zip(view.flags, view.sizes, strict=True), strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_counts_follow_every_change(seed: int) -> None:
    rng = random.Random(seed)
    view = MailboxView(1, 1, "INBOX", 1, "m1")
    modseq = 1
    for _ in range(120):
        modseq += 1
        number = view.flag_table.number(rng.choice(SETS))
        before = contents(view)
        what = rng.choice(
            ("add", "add many", "set", "run", "runs", "run of all", "remove", "remove many", "remove neighbours")
        )
        match what:
            case "add":
                view.add(view.uidnext, rng.choice(SETS), modseq, rng.randrange(100), 0)
            case "add many":
                new = range(view.uidnext, view.uidnext + rng.randrange(1, 300))
                view.add_all([(uid, rng.choice(SETS), rng.randrange(100), 7 * uid) for uid in new], modseq)
                assert list(view.uids[-len(new) :]) == list(new)
                assert list(view.internaldates[-len(new) :]) == [7 * uid for uid in new]
            case "set" if view.uids:
                view.set_flags([(rng.randrange(len(view.uids)), number) for _ in range(5)], modseq)
            case "run":
                first = rng.randrange(view.uidnext + 1)
                view.set_runs([(first, first + rng.randrange(50), number)], modseq)
            case "runs":
                first = sorted(rng.sample(range(1, view.uidnext + 1), min(view.uidnext, rng.randrange(200))))
                runs = [(a, min(a + rng.randrange(3), b - 1), number) for a, b in itertools.pairwise(first)]
                view.set_runs(runs, modseq)
                meant = {uid for a, b, _ in runs for uid in range(a, b + 1)}
                now = {uid: (number if uid in meant else flags, size) for uid, (flags, size) in before.items()}
                assert contents(view) == now
                assert {
                    uid for uid, m in zip(view.uids, view.modseqs, strict=True) if m == modseq
                } == meant & before.keys()
            case "run of all":
                view.set_runs([(1, view.uidnext, number)], modseq)
            case "remove" | "remove many" | "remove neighbours":
                most = 60 if what == "remove" else 400
                gone = rng.sample(range(1, view.uidnext + 1), min(view.uidnext, rng.randrange(most)))
                if what == "remove neighbours":
                    at = rng.randrange(len(view.uids) + 1)
                    gone = list(view.uids[at : at + 200])
                view.remove(gone, modseq)
                left = {uid: was for uid, was in before.items() if uid not in gone}
                assert contents(view) == left
        if rng.random() < 0.8:
            assert view.octets == sum(view.sizes)
            for flag in (SEEN, DELETED, FLAGGED, "$x", "$nobody"):
                assert view.count(flag) == recounted(view, flag)
            assert view.unseen == len(view.uids) - recounted(view, SEEN)
            assert view.deleted == recounted(view, DELETED)


def test_a_few_messages_never_take_a_pass_through_a_large_mailbox() -> None:
    assert not one_pass(150, 1_000_000)
    assert not one_pass(100, 100)
    assert one_pass(150, 1000)
    assert one_pass(100_001, 1_000_000)


def test_an_expunge_leaves_what_others_hold_and_copies_nothing_else() -> None:
    view = MailboxView(1, 1, "INBOX", 1, "m1")
    view.add_all([(uid, SETS[0], uid * 10, uid) for uid in range(1, 11)], 1)
    snapshot, held, sizes = view.uids, view.flags, id(view.sizes)
    view.remove([3, 4], 2)
    assert view.uids is not snapshot
    assert view.flags is not held
    assert id(view.sizes) == sizes
    assert (list(snapshot), len(held)) == ([*range(1, 11)], 10)
    assert list(view.sizes) == [10, 20, 50, 60, 70, 80, 90, 100]
    assert len(view.flags) == len(view.modseqs) == len(view.internaldates) == len(view.uids) == 8
    with memoryview(view.internaldates) as part:  # it holds the array too
        view.remove([1], 3)
        assert len(part) == 8
    assert len(view.internaldates) == 7
