"""NOT, OR and UID (RFC 9051 §6.4.4)."""

from pillarbox.imap.search.key import KEY, Either, In, Key, Not, Reading


@KEY("NOT")
def negation(reading: Reading) -> Key:
    """NOT key."""
    reading.cursor.sp()
    return Not(reading.key())


@KEY("OR")
def either(reading: Reading) -> Key:
    """OR key key."""
    reading.cursor.sp()
    left = reading.key()
    reading.cursor.sp()
    return Either(left, reading.key())


@KEY("UID")
def uid(reading: Reading) -> Key:
    """UID sequence-set."""
    return In(reading.cursor.sp().uid_set())
