"""Memory that was used for a moment goes back to the system."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pillarbox.server.heap import give_memory_back

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

if sys.argv[1] == "give back":
    give_memory_back()
before = resident()
for _ in range(2):  # after the first of them glibc would keep the second
    block = b"x" * 19 * 2**20
    on_top = [b"y" * 100_000 for _ in range(20)]  # what lies behind it in the heap
    del block
print((resident() - before) // 2**20)
"""


@pytest.mark.parametrize(
    ("what", "environment", "kept"),
    [
        ("give back", {}, False),
        ("nothing", {}, True),
        ("give back", {"MALLOC_MMAP_THRESHOLD_": "1073741824"}, True),  # whoever runs it knows better
    ],
)
def test_a_large_block_goes_back_though_others_lie_behind_it(
    what: str, environment: dict[str, str], *, kept: bool
) -> None:
    assert os.confstr("CS_GNU_LIBC_VERSION"), "this is about glibc"
    command = [sys.executable, "-c", SCRIPT, what]
    run = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    assert (int(run.stdout) >= 15) == kept
