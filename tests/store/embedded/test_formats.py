"""What is packed comes back the same: summaries, runs, UIDs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.mail.summary import Summary
from pillarbox.store.embedded import changelog, summaries

flags = st.frozensets(st.sampled_from(["\\Seen", "\\Deleted", "$Junk", "käse", "x"]))
uids = st.integers(1, 2**32 - 2)


@given(
    st.builds(
        Summary,
        st.binary(),
        st.binary(),
        st.binary(),
        st.integers(0, 2**32 - 1),
        st.text(st.characters()),
        st.none() | st.integers(-(2**62), 2**62),
        st.text(st.characters()),
    )
)
def test_a_summary_comes_back(summary: Summary) -> None:
    assert summaries.unpack(summaries.pack(summary)) == summary


@pytest.mark.parametrize("octets", [b"", b"\1", b"\0" + bytes(32), b"\3" + bytes(32), b"\2" + bytes(33)])
def test_what_is_no_summary_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="summary"):
        summaries.unpack(octets)
    with pytest.raises(ValueError, match="summary"):
        summaries.unpack_listed([octets])


@given(st.lists(st.tuples(uids, uids, flags)))
def test_runs_come_back(runs: list[changelog.Run]) -> None:
    assert changelog.decode_runs(changelog.encode_runs(runs)) == runs


@given(st.lists(st.integers(1, 300), unique=True).map(sorted))
def test_uids_come_back(some: list[int]) -> None:
    assert changelog.decode_uids(changelog.encode_uids(some)) == some


def test_neighbours_are_stored_as_one_pair() -> None:
    assert len(changelog.encode_uids(range(5, 100_000))) == 16  # and the checksum


def test_what_older_versions_wrote_without_a_checksum_is_read() -> None:
    assert changelog.decode_uids(changelog.encode_uids([1, 2, 3, 9])[:-8]) == [1, 2, 3, 9]
    run = (3, 9, frozenset({"\\Seen"}))
    assert changelog.decode_runs(changelog.encode_runs([run])[:-10]) == [run]


def test_every_flipped_bit_is_noticed() -> None:
    for octets, decode in (
        (changelog.encode_uids([1, 2, 7, 300]), changelog.decode_uids),
        (changelog.encode_runs([(3, 9, frozenset({"\\Seen", "x"}))]), changelog.decode_runs),
    ):
        for bit in range(8 * len(octets) - 80):  # the rest is the checksum
            damaged = bytearray(octets)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ValueError):
                decode(bytes(damaged))


def test_octets_that_would_fill_the_memory_are_refused() -> None:
    with pytest.raises(ValueError):
        changelog.decode_uids(b"\1\0\0\0\xf0\xff\xff\xff")
