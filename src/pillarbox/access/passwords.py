"""Passwords: what is kept of them, and the slow comparison.

argon2id with t=2, m=19 MiB, p=1 (OWASP's minimum: 21 ms here) for PLAIN and LOGIN; keys with 50,000 iterations for
SCRAM-SHA-256 (RFC 7677 §4 asks for at least 4,096; each client repeats them at each login, so more would be felt on
old phones). Both are made of the SASLprep form, so that PLAIN and SCRAM agree on what the password is.

Security: both are made with fresh 16-octet salts. Plain text exists in Secret only, and only while it is compared.
"""

import secrets

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from pillarbox.sasl.saslprep import ProhibitedText, saslprep
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import PasswordHashes

SALT_LENGTH = 16
SCRAM_ITERATIONS = 50_000
"""Cyrus SASL, under mbsync and many others, refuses to compute more than 65,536."""
MAX_LENGTH = 512
"""Characters: more than any password manager makes."""

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=SALT_LENGTH)

NOBODY = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"
"""The hash that nobody's password has: what is compared for unknown and disabled accounts, at the same cost."""


class BadPassword(ValueError):
    """Cannot be anybody's password; the text says why."""


def hash_password(password: Secret) -> PasswordHashes:
    """What to keep of a new password. Slow (some 60 ms) on purpose: run it in a thread. Raises BadPassword."""
    text = password.reveal()
    if not text:
        raise BadPassword("the password is empty")
    if len(text) > MAX_LENGTH:
        raise BadPassword(f"the password is longer than {MAX_LENGTH} characters")
    try:
        prepared = saslprep(text).encode()
    except ProhibitedText as e:
        raise BadPassword(f"the password cannot be used: {e}") from None
    if not prepared:
        raise BadPassword("the password consists of invisible characters only")
    scram = derive_keys(prepared, secrets.token_bytes(SALT_LENGTH), SCRAM_ITERATIONS)
    return PasswordHashes(_HASHER.hash(prepared), scram)


def verify_password(argon2_hash: str, password: Secret) -> bool:
    """Whether the password is the one of the hash. Slow (some 20 ms) on purpose: run it in a thread.

    It is as slow for texts that cannot be passwords. A hash that is damaged fits no password.
    """
    try:
        prepared = saslprep(password.reveal()).encode()
    except ProhibitedText:
        argon2_hash, prepared = NOBODY, b""
    try:
        return _HASHER.verify(argon2_hash, prepared)
    except (VerificationError, InvalidHashError):
        return False
