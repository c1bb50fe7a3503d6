"""Keeps the few of many: `python -m fuzz.keep [TARGET ...]` copies from `.fuzz/NAME/` to the corpus those inputs that reach
lines which no kept one reaches, the shortest first. A corpus stays small enough to be run with every `make test`."""

import sys
from hashlib import sha1
from types import FrameType
from typing import Any

from fuzz.bounds import bounded
from fuzz.place import CORPUS, WORK, names

LONGEST = 1024
"""Octets of an input that is kept."""
MOST = 30
"""Inputs that are added to one corpus."""
_OURS = "/src/pillarbox/"

Line = tuple[str, int]


class Reached:
    """The lines of ours that run while it is on."""

    def __init__(self) -> None:
        self.lines: set[Line] = set()

    def __enter__(self) -> "Reached":
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._ran if _OURS in frame.f_code.co_filename else None

    def _ran(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._ran


def keep(target: str) -> int:
    """Add to the corpus of a target; how many."""
    from fuzz.targets import TARGETS

    run = TARGETS[target]
    known: set[Line] = set()
    for path in (CORPUS / target).iterdir():
        with Reached() as reached:
            run(path.read_bytes())
        known |= reached.lines
    grown = [path.read_bytes() for path in (WORK / target).iterdir()] if (WORK / target).is_dir() else []
    added = 0
    for octets in sorted((octets for octets in grown if len(octets) <= LONGEST), key=len):
        bounded(run)(octets)
        with Reached() as reached:
            run(octets)
        if reached.lines - known and added < MOST:
            known |= reached.lines
            (CORPUS / target / f"reached-{sha1(octets).hexdigest()[:10]}").write_bytes(octets)
            added += 1
    return added


def main() -> None:
    """Go through the targets."""
    for target in sys.argv[1:] or names():
        print(f"{target:14} {keep(target):4} added", flush=True)


if __name__ == "__main__":
    main()
