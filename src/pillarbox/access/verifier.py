"""Verifier: compares passwords in a few threads, and knows again those it compared lately.

What is remembered is a keyed hash of (stored argon2 hash, password), made with a key that lives only in this process. A
new password changes the stored hash, so what was remembered of the old one fits nothing any more: no invalidation can be
forgotten. The keyed hash is kept for good and for wrong passwords alike; both cost a microsecond the second time.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pillarbox.access.passwords import verify_password
from pillarbox.access.policy import Policy
from pillarbox.access.recent import Recent
from pillarbox.sasl.secret import Secret


class Overloaded(Exception):
    """Too many passwords wait for a worker already."""


class Verifier:
    """`compare` is the slow comparison; it runs in a thread."""

    def __init__(self, policy: Policy, compare: Callable[[str, Secret], bool] = verify_password) -> None:
        self._policy = policy
        self._compare = compare
        self._key = secrets.token_bytes(32)
        self._good: Recent[bytes, bool] = Recent(policy.remembered, policy.verified_for)
        self._wrong: Recent[bytes, bool] = Recent(policy.remembered, policy.rejected_for)
        self._pool = ThreadPoolExecutor(policy.workers, thread_name_prefix="password")
        self._waiting = 0

    def change(self, policy: Policy) -> None:
        """Another policy from now on; what is remembered stays."""
        if policy.workers != self._policy.workers:
            self._pool.shutdown(wait=False)  # what it has to do, it does
            self._pool = ThreadPoolExecutor(policy.workers, thread_name_prefix="password")
        self._policy = policy
        self._good.size, self._good.lifetime = policy.remembered, policy.verified_for
        self._wrong.size, self._wrong.lifetime = policy.remembered, policy.rejected_for

    def fingerprint(self, name: str, argon2_hash: str, password: Secret) -> bytes:
        """What one attempt is remembered by."""
        digest = hashlib.blake2b(key=self._key, digest_size=24)
        for text in (name, argon2_hash, password.reveal()):
            octets = text.encode("utf-8", "surrogatepass")
            digest.update(len(octets).to_bytes(4, "big") + octets)
        return digest.digest()

    def recall(self, fingerprint: bytes, now: float) -> bool | None:
        """True: verified lately. False: rejected lately. None: not known."""
        if self._good.get(fingerprint, now):
            self._good.put(fingerprint, True, now)  # noqa: FBT003
            return True
        return False if self._wrong.get(fingerprint, now) else None

    async def verify(self, argon2_hash: str, password: Secret, *, reserved: bool) -> bool:
        """Compare in a thread; `reserved` opens the places kept for familiar clients. Raises Overloaded."""
        if self._waiting >= self._policy.queue - (0 if reserved else self._policy.queue_reserved):
            raise Overloaded
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._compare, argon2_hash, password)
        finally:
            self._waiting -= 1

    def remember(self, fingerprint: bytes, now: float, *, valid: bool) -> None:
        """Know this attempt again."""
        (self._good if valid else self._wrong).put(fingerprint, True, now)  # noqa: FBT003

    def close(self) -> None:
        """Let the threads end when they are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
