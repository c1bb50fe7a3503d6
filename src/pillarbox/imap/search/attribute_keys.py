"""Search keys on sizes (RFC 9051 §6.4.4), modseqs (RFC 7162 §3.1.5) and permanent ids (RFC 8474 §6)."""

from dataclasses import dataclass

from pillarbox.imap.errors import BadSyntax
from pillarbox.imap.search.key import KEY, Key, MessageKey, Reading, ViewKey
from pillarbox.imap.search.scope import Candidate, Positions, Scope


@dataclass(frozen=True, slots=True)
class Size(ViewKey):
    """RFC822.SIZE is above, or below, a number of octets."""

    octets: int
    larger: bool

    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """By the array of sizes."""
        border, sizes = self.octets, scope.sizes
        if self.larger:
            return [at for at in candidates if sizes[at] > border]
        return [at for at in candidates if sizes[at] < border]


@dataclass(frozen=True, slots=True)
class Modseq(ViewKey):
    """The message's modseq is at least this one."""

    least: int

    def select(self, scope: Scope, candidates: Positions) -> Positions:
        """By the array of modseqs."""
        least, modseqs = self.least, scope.modseqs
        return [at for at in candidates if modseqs[at] >= least]


@dataclass(frozen=True, slots=True)
class EmailId(MessageKey):
    """The message has this permanent id."""

    id: str

    def accepts(self, candidate: Candidate) -> bool:
        """Exactly this one."""
        return candidate.record.email_id == self.id


@dataclass(frozen=True, slots=True)
class ThreadId(MessageKey):
    """The message belongs to this thread."""

    id: str

    def accepts(self, candidate: Candidate) -> bool:
        """Exactly this one."""
        return candidate.record.thread_id == self.id


@KEY("LARGER")
def larger(reading: Reading) -> Key:
    """LARGER octets."""
    return Size(reading.cursor.sp().number64(), larger=True)


@KEY("SMALLER")
def smaller(reading: Reading) -> Key:
    """SMALLER octets."""
    return Size(reading.cursor.sp().number64(), larger=False)


@KEY("MODSEQ")
def modseq(reading: Reading) -> Key:
    """MODSEQ [entry type] n; all flags have the one modseq, so that the entry does not matter."""
    reading.uses_modseq = True
    cursor = reading.cursor.sp()
    if cursor.peek() == b'"':
        cursor.string()
        if cursor.sp().keyword() not in ("PRIV", "SHARED", "ALL"):
            raise BadSyntax("Expected priv, shared or all")
        cursor.sp()
    return Modseq(cursor.number64())


def _id(reading: Reading) -> str:
    return reading.cursor.sp().astring().decode("utf-8", "replace")


@KEY("EMAILID")
def email_id(reading: Reading) -> Key:
    """EMAILID objectid."""
    return EmailId(_id(reading))


@KEY("THREADID")
def thread_id(reading: Reading) -> Key:
    """THREADID objectid."""
    return ThreadId(_id(reading))
