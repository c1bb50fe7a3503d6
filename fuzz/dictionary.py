"""Dictionaries: `fuzz/dictionaries/NAME.dict`, one `"word"` a line, in libFuzzer's notation."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "dictionaries"
_WORD = re.compile(rb'(?:\w+=)?"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb'\\(x[0-9A-Fa-f]{2}|["\\])')


def path_of(target: str) -> Path | None:
    """The target's dictionary, if it has one."""
    path = FOLDER / f"{target}.dict"
    return path if path.exists() else None


def words(target: str) -> list[bytes]:
    """The words of a dictionary; ValueError for a line that libFuzzer would refuse."""
    path = path_of(target)
    found = []
    for line in path.read_bytes().splitlines() if path else []:
        if not line or line.startswith(b"#"):
            continue
        word = _WORD.fullmatch(line)
        if word is None:
            raise ValueError(f"{path}: {line!r} is no dictionary entry")
        found.append(_ESCAPE.sub(_plain, word[1]))
    return found


def _plain(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1][1:], 16),)) if escape[1].startswith(b"x") else escape[1]
