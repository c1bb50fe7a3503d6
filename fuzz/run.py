"""One target in this process: guided by coverage under atheris, or blind where atheris is not to be had.

With a seed, a run of the command is the same again with the same Python on the same system, until its time is up; a faster
machine only gets further. For that, nothing may reach the fuzzer that differs from run to run: the order in which a folder
names its files (the kept corpus is given as a sorted list), what earlier runs found (`.fuzz/seeded/NAME` begins empty), the
hashes of strings (the command sets PYTHONHASHSEED), what the code under test takes from chance, and the addresses where code
is loaded, under which libFuzzer files the comparisons that it saw (the command has them not randomised, where the system
allows that; elsewhere runs are only alike).
"""

import random
import secrets
import shutil
import sys
import traceback
from hashlib import sha1
from itertools import count
from pathlib import Path
from time import monotonic

from fuzz import dictionary, mutation
from fuzz.bounds import bounded
from fuzz.place import CORPUS, FINDINGS, WORK

LONGEST = 4096
"""Octets of an input: longer ones are what the tests of limits are for."""
HANGS = 30
"""Seconds by the wall clock after which libFuzzer itself ends a run: for a hang outside of Python."""
MEMORY = 768
"""MiB of the whole process at which a run counts as a finding: a leak over many inputs."""


def guided(target: str, seconds: int, seed: int = 0) -> None:
    """Run under atheris, with chance from `seed` (0: any); ends this process."""
    import atheris

    with atheris.instrument_imports(include=["pillarbox"]):
        from fuzz.targets import TARGETS
    grown = WORK / target
    if seed:
        settle_chance(seed)
        grown = WORK / "seeded" / target
        shutil.rmtree(grown, ignore_errors=True)
    grown.mkdir(parents=True, exist_ok=True)
    kept = WORK / f"{target}.inputs"
    kept.write_text(",".join(map(str, sorted((CORPUS / target).iterdir()))))
    words = dictionary.path_of(target)
    arguments = [
        sys.argv[0], str(grown), f"-seed_inputs=@{kept}", f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-seed={seed}",
        f"-timeout={HANGS}", f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={FINDINGS}/{target}-", "-reload=0",
        "-print_final_stats=1", "-verbosity=1", "-len_control=20", *([f"-dict={words}"] if words else []),
    ]  # fmt: skip
    atheris.Setup(arguments, bounded(TARGETS[target]))
    atheris.Fuzz()


def settle_chance(seed: int) -> None:
    """From now on, whatever asks for chance gets the same in each run of this process."""
    random.seed(seed)
    settled = random.Random(seed)
    secrets.token_bytes = lambda nbytes=None: settled.randbytes(nbytes or 32)  # token_hex and token_urlsafe call it


def blind(target: str, seconds: int, seed: int = 0) -> int:
    """Run damaged inputs, with chance from `seed` (0: any); 1 after a finding."""
    from fuzz.targets import TARGETS

    run = bounded(TARGETS[target])
    seeds = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    end = monotonic() + seconds
    inputs = mutation.damaged(seeds, dictionary.words(target), random.Random(seed or None), LONGEST)
    for number in count():
        octets = seeds[number] if number < len(seeds) else next(inputs)
        try:
            run(octets)
        except BaseException:
            traceback.print_exc()
            (FINDINGS / f"{target}-crash-{sha1(octets).hexdigest()}").write_bytes(octets)
            return 1
        if monotonic() >= end:
            sys.stderr.write(f"stat::number_of_executed_units: {number + 1}\n")
            return 0
    raise AssertionError


def again(target: str, octets: bytes) -> None:
    """One input, once: what it raises is the finding."""
    from fuzz.targets import TARGETS

    bounded(TARGETS[target])(octets)


def available() -> bool:
    """Whether atheris can be had in this Python."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        return False
    return True


def findings(target: str) -> set[Path]:
    """Inputs that were found to break something."""
    return set(FINDINGS.glob(f"{target}-*"))
