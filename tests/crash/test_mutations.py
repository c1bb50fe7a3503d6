"""Would a loss be noticed? Servers that break one promise each; the comparison with the ledgers must report every one."""

import random
from pathlib import Path

import pytest
from tests.crash.mutations import MUTATIONS
from tests.crash.server import Child
from tests.crash.sink import running_sink
from tests.crash.town import RELAY, Town

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

LIVES = 24
"""In so many it must be noticed; most are in the first, but on a busy machine a short life may see little work."""

LOOK_AT_THE_WORLD = 4
"""After so many lives what was relayed is compared, which takes patience."""


def live_and_look(town: Town, chance: random.Random) -> None:
    """What `survive` does, in short."""
    for number in range(1, LIVES + 1):
        town.live(chance, operations=80)
        town.check()
        town.child.kill()  # nothing happens between two starts
        town.check()
        if number % LOOK_AT_THE_WORLD == 0:
            town.check_world(patience=5.0)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_promise_is_noticed(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    with running_sink() as sink:
        town = Town(Child(tmp_path, extra=RELAY.format(port=sink.port)), sink)
        try:
            town.found()
            (town.child.faults / "mutation").write_text(name)
            with pytest.raises(AssertionError) as caught:
                live_and_look(town, chance)
            print(name, "->", str(caught.value)[:300])
            assert "ended by itself" not in str(caught.value)
        finally:
            town.child.end()
