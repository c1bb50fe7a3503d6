"""What a search tells: `* SEARCH`, `* ESEARCH` with RETURN options (RFC 9051 §7.3.4, RFC 4731), `$` (RFC 5182), MODSEQ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from pillarbox.imap.message_set import encode_set
from pillarbox.imap.registry import Registry, capability

capability("ESEARCH", "SEARCHRES")

_json = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Result:
    """What was found, ascending: `shown` are UIDs or sequence numbers, as the client counts. `modseqs` belong to them;
    None when the client did not ask."""

    shown: Sequence[int]
    uids: Sequence[int]
    modseqs: Sequence[int] | None = None


RETURN: Registry[Callable[[Result], str]] = Registry("SEARCH return option")
"""What each RETURN option writes, "" for nothing, by upper-case name."""


@RETURN("MIN")
def minimum(result: Result) -> str:
    """The lowest one."""
    return f"MIN {result.shown[0]}" if result.shown else ""


@RETURN("MAX")
def maximum(result: Result) -> str:
    """The highest one."""
    return f"MAX {result.shown[-1]}" if result.shown else ""


@RETURN("ALL")
def everything(result: Result) -> str:
    """All of them, as a set."""
    return f"ALL {encode_set(result.shown)}" if result.shown else ""


@RETURN("COUNT")
def count(result: Result) -> str:
    """How many."""
    return f"COUNT {len(result.shown)}"


@RETURN("SAVE")
def save(_result: Result) -> str:
    """Nothing: the session keeps it."""
    return ""


def saved(result: Result, options: Sequence[str]) -> Sequence[int]:
    """The UIDs that "$" stands for (RFC 9051 §6.4.4.1, table 4)."""
    uids = result.uids
    if "ALL" in options or "COUNT" in options or not {"MIN", "MAX"} & {*options} or not uids:
        return uids
    ends = [uids[0]] if "MIN" in options else []
    if "MAX" in options and (not ends or uids[-1] != ends[0]):
        ends.append(uids[-1])
    return ends


def search(result: Result) -> bytes:
    """The untagged SEARCH response, sent also when nothing was found: scripts wait for it."""
    # A list of numbers in JSON but for the commas, and its encoder is ten times as fast as anything else at hand.
    numbers = _json.encode(list(result.shown))[1:-1].replace(b",", b" ")
    modseq = b" (MODSEQ %d)" % max(result.modseqs) if result.modseqs else b""
    return b"* SEARCH%b%b%b\r\n" % (b" " if numbers else b"", numbers, modseq)


def esearch(result: Result, options: Sequence[str], tag: str, *, by_uid: bool) -> bytes:
    """The untagged ESEARCH response; the tag is quoted, as Outlook insists."""
    words = [f'* ESEARCH (TAG "{tag}")']
    if by_uid:
        words.append("UID")
    for option in options:
        write = RETURN.get(option)
        if write is not None and (word := write(result)):
            words.append(word)
    if result.modseqs:
        words.append(f"MODSEQ {_modseq(result.modseqs, options)}")
    return f"{' '.join(words)}\r\n".encode()


def _modseq(modseqs: Sequence[int], options: Sequence[str]) -> int:
    """The modseq that belongs to what is told (RFC 4731 §3.2)."""
    if "ALL" in options or "COUNT" in options:
        return max(modseqs)
    ends = [modseqs[0]] if "MIN" in options else []
    if "MAX" in options:
        ends.append(modseqs[-1])
    return max(ends or modseqs)
