"""Every attack in a small size: whoever behaves well is served meanwhile, memory stays bounded, and all is well afterwards.

Counts and memory are asserted, never milliseconds: machines that run tests are noisy. `make dos` has the figures.
"""

import asyncio
from pathlib import Path

import pytest
from tests.dos.attacker import load
from tests.dos.harness import OPERATIONS, PROGRESS, run
from tests.dos.town import fill

pytestmark = pytest.mark.slow

SECONDS = 3.0
SCALE = 0.15
ATTACKS = load()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("town") / "prepared"
    asyncio.run(fill(directory, 0))
    return directory


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name: str, prepared: Path, tmp_path: Path) -> None:
    attack = ATTACKS[name]
    outcome = run(attack, tmp_path, prepared, seconds=SECONDS, scale=SCALE)
    assert outcome.done, "the attack did nothing"
    assert not attack.shown or outcome.done.get(attack.shown), outcome.done
    assert not outcome.bugs
    assert not outcome.during.errors
    assert not outcome.after.errors
    for operation in OPERATIONS:
        assert outcome.during.count(operation), operation
        assert outcome.after.count(operation) >= PROGRESS, operation
    assert outcome.peak - outcome.quiet < attack.memory * 2**20
