"""The house rules that a test can hold."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pillarbox
from tests.demo import PORTS, free_offset


def test_every_module_says_what_it_is() -> None:
    names = [m.name for m in pkgutil.walk_packages(pillarbox.__path__, "pillarbox.")]
    assert names
    without = [
        n for n in names if not n.endswith("__main__") and not (importlib.import_module(n).__doc__ or "").strip()
    ]
    assert not without


def test_two_tests_never_get_the_same_port() -> None:
    """Their servers bind later than they choose, so what one has chosen is nobody else's, in another process neither."""
    mine = [free_offset() for _ in range(50)]
    ask = "from tests.demo import free_offset; print(*[free_offset() for _ in range(50)])"
    theirs = subprocess.run([sys.executable, "-c", ask], cwd=Path(__file__).parents[1], capture_output=True, check=True)
    ports = [offset + port for offset in mine + list(map(int, theirs.stdout.split())) for port in PORTS.values()]
    assert len(set(ports)) == 100 * len(PORTS)
