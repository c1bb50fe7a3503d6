"""The kept corpus through every target, without atheris: past findings stay found, and each input's time and memory are
bounded. Targets raise what their subjects must not raise."""

import random
import time
import tracemalloc
from pathlib import Path

import pytest
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
SECONDS = 2.0
"""For one input of a few kilobytes, on a machine that does other things too; usual is a millisecond."""
OCTETS = 32 * 1024 * 1024


def inputs(target: str) -> list[Path]:
    return sorted(path for path in (CORPUS / target).iterdir() if path.is_file())


def test_each_target_has_a_corpus_and_each_corpus_a_target() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(TARGETS)
    assert all(len(inputs(target)) >= 3 for target in TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_passes(target: str) -> None:
    run = TARGETS[target]
    for path in inputs(target):
        octets = path.read_bytes()
        start = time.monotonic()
        run(octets)
        assert time.monotonic() - start < SECONDS, path


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
    source = random.Random(target)
    seeds = [path.read_bytes() for path in inputs(target)]
    for _ in range(40):
        octets = bytearray(source.choice(seeds))
        for _change in range(source.randint(1, 4)):
            place = source.randrange(len(octets) + 1)
            match source.randrange(3):
                case 0:
                    octets[place : place + 1] = bytes((source.randrange(256),))
                case 1:
                    del octets[place : place + source.randint(1, 8)]
                case _:
                    octets[place:place] = octets[place : place + source.randint(1, 20)]
        TARGETS[target](bytes(octets))
