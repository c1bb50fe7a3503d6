"""Cost grows with the length of an input, not faster: each kept input and each word of a dictionary, repeated, in two
lengths."""

from time import process_time

import pytest

from fuzz import dictionary
from fuzz.place import CORPUS
from fuzz.targets import TARGETS

SHORT, LONG = 8 * 1024, 32 * 1024
FREE = 0.1
"""Seconds of processor time below which nothing is compared: too short to measure on a busy machine."""
FASTER = 9
"""Times that four times the length may cost. Linear is 4; the rest is what caches and the machine do."""
HEADS = {"imap": 2, "pop3": 2, "smtp": 2, "smtp_client": 2, "transcript": 2, "tls": 2}
"""Octets at the start of an input that say what it is; 1 for the targets below."""
KINDS = ("control", "dns", "packed_state", "sasl", "sasl_client", "words")
SQUARE = {"imap": ("two-uploads", "into-inbox")}
"""What costs more by its meaning: each repetition adds messages, and each looks at all of them."""


def cost(target: str, octets: bytes) -> float:
    """Seconds of processor time, the least of some tries."""
    best = 60.0
    for _ in range(3):
        start = process_time()
        TARGETS[target](octets)
        best = min(best, process_time() - start)
        if best < FREE:
            break
    return best


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("target", TARGETS)
def test_cost_is_linear(target: str) -> None:
    head = HEADS.get(target, 1 if target in KINDS else 0)
    seeds = {path.name: path.read_bytes() for path in CORPUS.joinpath(target).iterdir() if "reached-" not in path.name}
    seeds |= {repr(word): bytes(head) + word for word in dictionary.words(target)}
    for name, octets in seeds.items():
        if name in SQUARE.get(target, ()):
            continue
        start, unit = octets[:head], octets[head:] or b"x"
        long = cost(target, (start + unit * (LONG // len(unit) + 1))[:LONG])
        if long > FREE:
            short = cost(target, (start + unit * (SHORT // len(unit) + 1))[:SHORT])
            assert long < FASTER * max(short, FREE / FASTER), f"{name}: {short:.2f} s and {long:.2f} s"
