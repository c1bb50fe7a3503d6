"""The kept corpus through every target, without atheris: past findings stay found, and each input's time and memory are
bounded. Targets raise what their subjects must not raise."""

import random
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from fuzz import dictionary
from fuzz.bounds import bounded
from fuzz.mutation import damaged
from fuzz.place import CORPUS
from fuzz.run import LONGEST
from fuzz.targets import TARGETS

OCTETS = 32 * 1024 * 1024


def inputs(target: str) -> list[Path]:
    return sorted(path for path in (CORPUS / target).iterdir() if path.is_file())


def test_each_target_has_a_corpus_and_each_corpus_a_target() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)
    assert all(len(inputs(target)) >= 3 for target in TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_passes(target: str) -> None:
    run = bounded(TARGETS[target])
    for path in inputs(target):
        try:
            run(path.read_bytes())
        except BaseException as error:
            error.add_note(str(path))
            raise


@pytest.mark.parametrize("target", TARGETS)
def test_memory_is_bounded(target: str) -> None:
    largest = max(inputs(target), key=lambda path: path.stat().st_size).read_bytes()
    TARGETS[target](largest)  # what is made once for all does not count
    tracemalloc.start()
    try:
        TARGETS[target](largest)
        assert tracemalloc.get_traced_memory()[1] < OCTETS
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_inputs_pass(target: str) -> None:
    run = bounded(TARGETS[target])
    seeds = [path.read_bytes() for path in inputs(target)]
    for octets in islice(damaged(seeds, dictionary.words(target), random.Random(target), LONGEST), 60):
        try:
            run(octets)
        except BaseException as error:
            error.add_note(repr(octets))
            raise
