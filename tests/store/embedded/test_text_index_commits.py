"""Commits of the full-text index: all or nothing, and the event loop goes on meanwhile."""

import random
import string
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from pillarbox.store.embedded import text_index
from pillarbox.store.embedded.schema import INDEX_FILE
from pillarbox.store.embedded.words import Words

STEP, BLOBS = 200, 4_000


@pytest.fixture
def index(tmp_path: Path) -> Iterator[apsw.Connection]:
    (tmp_path / INDEX_FILE).touch()
    connection = text_index.prepare(tmp_path, BLOBS)
    yield connection
    connection.close()


def fill(index: apsw.Connection) -> None:
    source = random.Random(1)
    vocabulary = ["".join(source.choices(string.ascii_lowercase, k=source.randint(3, 9))) for _ in range(5_000)]
    for start in range(1, BLOBS + 1, STEP):
        texts = [
            Words(blob, b"", " ".join(source.choices(vocabulary, k=200)).encode(), is_whole=True)
            for blob in range(start, start + STEP)
        ]
        text_index.add(index, texts, (), (), start + STEP - 1)


def test_others_compute_while_it_merges(index: apsw.Connection) -> None:
    """SQLite merges runs of entries within a commit, for some tenths of a second: without the interpreter's lock."""
    fill(index)
    spans: list[tuple[float, float]] = []

    def take_out() -> None:
        for start in range(1, BLOBS + 1, STEP):
            began = time.perf_counter()
            text_index.remove(index, range(start, start + STEP))
            spans.append((began, time.perf_counter()))

    taking = threading.Thread(target=take_out)
    ticks = []
    taking.start()
    while taking.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    began, ended = max(spans, key=lambda span: span[1] - span[0])
    assert ended - began > 0.05, "the test needs a merge"
    assert sum(began < tick < ended for tick in ticks) > 10


def test_all_or_nothing(index: apsw.Connection) -> None:
    def fail() -> None:
        with text_index.transaction(index):
            index.execute("UPDATE progress SET mark = 7")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert text_index.mark(index) == 0
    with text_index.transaction(index):
        index.execute("UPDATE progress SET mark = 7")
    assert text_index.mark(index) == 7
