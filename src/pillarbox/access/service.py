"""Access: decides whether a peer may log in to an account. One per server, shared by every port.

The order of things keeps it cheap for us and useless for a guesser: refuse who is throttled (no hash is computed), know
again what was verified lately (microseconds), and only then argon2, in a few threads, a few per address block.

Security: an unknown name, a disabled account and a wrong password are the same to the peer: the same text, the same
work, the same delay. A wrong password that is repeated counts once, so a forgotten device cannot lock its owner out;
with SCRAM a repeated password cannot be recognised, and each wrong proof counts.
"""

import asyncio
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pillarbox.access.lines import Lines, LineTooLong
from pillarbox.access.passwords import NOBODY, SALT_LENGTH, SCRAM_ITERATIONS
from pillarbox.access.policy import Policy
from pillarbox.access.throttle import Throttle
from pillarbox.access.verifier import Overloaded, Verifier
from pillarbox.mail.address import Address, BadAddress
from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Credentials, Identity, ScramKeys
from pillarbox.sasl.secret import Secret
from pillarbox.store.api import Account, Directory, PasswordHashes, StoreError
from pillarbox.wire.engine import Link

MAX_NAME = 320
"""Characters of a name that are looked at: a local part, @ and a domain."""

_NOT_NOW = "Logins are not possible at the moment; try again in a minute"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a name stands for. `account` is None for unknown and disabled ones; `reason` is for the log, never the peer.
    `shown` is the name as the log may have it: nothing where it could be a password, typed into the wrong field."""

    name: str
    account: Account | None
    hashes: PasswordHashes | None
    reason: str
    shown: str = ""


class Access:
    """`directory` knows the accounts. `secret` makes the invented SCRAM salts: give the same one after a restart, or a
    patient stranger could tell invented salts from real ones. `clock` in seconds, only forward. `in_clear` is told (peer, our
    port, name, password) of what was sent outside of TLS."""

    def __init__(
        self,
        directory: Directory,
        policy: Policy | None = None,
        *,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        verifier: Verifier | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.directory = directory
        self.throttle = Throttle(self.policy)
        self.verifier = verifier or Verifier(self.policy)
        self.clock = clock
        self.sleep = sleep
        self.pair_lines = Lines(1, self.policy.line)
        self.block_lines = Lines(self.policy.per_block, self.policy.line)
        self.in_clear: Callable[[str, int, str, Secret], None] = _nobody_cares
        self._secret = secret or secrets.token_bytes(32)

    def change(self, policy: Policy) -> None:
        """Another policy from now on. What was counted and verified stays; who stands in a line ends in that line."""
        if policy == self.policy:
            return
        self.policy = policy
        self.throttle.change(policy)
        self.verifier.change(policy)
        self.pair_lines = Lines(1, policy.line)
        self.block_lines = Lines(policy.per_block, policy.line)

    def credentials(self, link: Link) -> Credentials:
        """The credentials interface for one connection."""
        return PeerCredentials(self, link)

    async def candidate(self, authcid: str) -> Candidate:
        """Look a name up: the account's full address in any case, or its local part alone while there is one domain.
        Aliases do not log in. Raises AuthenticationUnavailable when the store is in trouble."""
        typed = name = authcid.strip()[:MAX_NAME]
        try:
            if "@" not in name:
                domains = await self.directory.domains()
                name = f"{name}@{domains[0]}" if len(domains) == 1 else name
            try:
                address = Address.parse(name)
            except BadAddress:
                return Candidate(name.casefold(), None, None, "not an address")
            name = address.key
            account = await self.directory.account(name)
            if account is None:
                ours = "@" in typed and await self.directory.is_local(address.domain)
                return Candidate(name, None, None, "no such account", name if ours else "")
            hashes = await self.directory.hashes(account.id)
        except StoreError:
            raise AuthenticationUnavailable(_NOT_NOW) from None
        if account.disabled:
            return Candidate(name, None, hashes, "the account is disabled", name)
        return Candidate(name, account, hashes, "wrong password", name)

    async def again(self, candidate: Candidate) -> Candidate:
        """The candidate's account as it is now; None when it is gone or disabled. Raises AuthenticationUnavailable."""
        if candidate.account is None:
            return candidate
        try:
            account = await self.directory.account_by_id(candidate.account.id)
            hashes = await self.directory.hashes(candidate.account.id)
        except StoreError:
            raise AuthenticationUnavailable(_NOT_NOW) from None
        present = account is not None and not account.disabled
        return Candidate(candidate.name, account if present else None, hashes, candidate.reason, candidate.shown)

    def invented(self, name: str, purpose: str) -> bytes:
        """32 octets that are always the same for a name, and that nobody can predict."""
        return hmac.digest(self._secret, f"{purpose} {name}".encode("utf-8", "surrogatepass"), hashlib.sha256)

    def close(self) -> None:
        """End the threads."""
        self.verifier.close()


def _nobody_cares(_peer: str, _port: int, _authcid: str, _password: Secret) -> None:
    """Until somebody does (`exposure.Exposures.note`)."""


class PeerCredentials:
    """`sasl.api.Credentials` for one connection; see `Access`."""

    __slots__ = ("_access", "_block", "_link", "_peer", "_scram_hashes")

    def __init__(self, access: Access, link: Link) -> None:
        self._access = access
        self._link = link
        self._peer = link.peer
        self._block = access.throttle.blocks.of(link.peer)[0]
        self._scram_hashes: PasswordHashes | None = None  # what the running exchange is compared with

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        """See `Credentials.check_password`."""
        candidate = await self._access.candidate(authcid)
        self._refuse_throttled(candidate)
        try:
            # One at a time for an account from a block, the delay included: so many guesses at once are as slow as one
            # after another, and of many connections that log in at once only the first has to be verified.
            async with self._access.pair_lines.turn(f"{self._block} {candidate.name}"):
                self._refuse_throttled(candidate)
                if await self._is_right(candidate, password):
                    return self._welcome(await self._access.again(candidate), candidate.hashes)
                await self._dismiss(candidate)
        except (LineTooLong, Overloaded):
            self._link.emit("login_deferred", name=candidate.shown, reason="too many logins at once")
            raise AuthenticationUnavailable("Too many logins at once; try again in a minute") from None
        raise AuthenticationFailed

    async def _is_right(self, candidate: Candidate, password: Secret) -> bool:
        access, name = self._access, candidate.name
        # App passwords would be further hashes here, each with its own fingerprint.
        argon2_hash = candidate.hashes.argon2 if candidate.account and candidate.hashes else NOBODY
        fingerprint = access.verifier.fingerprint(name, argon2_hash, password)
        valid = access.verifier.recall(fingerprint, access.clock())
        if valid is None:
            async with access.block_lines.turn(self._block):
                self._refuse_throttled(candidate)
                familiar = access.throttle.is_familiar(self._peer, name, access.clock())
                valid = await access.verifier.verify(argon2_hash, password, reserved=familiar)
                now = access.clock()
                access.verifier.remember(fingerprint, now, valid=valid)
                if not valid:
                    access.throttle.failed(self._peer, name, now)
        return valid

    async def scram_keys(self, authcid: str) -> ScramKeys:
        """See `Credentials.scram_keys`."""
        candidate = await self._access.candidate(authcid)
        self._refuse_throttled(candidate)
        self._scram_hashes = candidate.hashes
        invented = ScramKeys(
            self._access.invented(candidate.name, "salt")[:SALT_LENGTH],
            SCRAM_ITERATIONS,
            self._access.invented(candidate.name, "stored key"),
            self._access.invented(candidate.name, "server key"),
        )
        if candidate.hashes is None:
            return invented
        if candidate.account is None:  # disabled: its own salt, as ever, but no proof fits
            return replace(invented, salt=candidate.hashes.scram.salt, iterations=candidate.hashes.scram.iterations)
        return candidate.hashes.scram

    async def scram_verified(self, authcid: str) -> Identity:
        """See `Credentials.scram_verified`."""
        candidate = await self._access.candidate(authcid)
        self._refuse_throttled(candidate)
        if candidate.account is None:
            await self._dismiss(candidate)
            raise AuthenticationFailed
        return self._welcome(candidate, self._scram_hashes)

    async def scram_rejected(self, authcid: str) -> None:
        """See `Credentials.scram_rejected`. Raises AuthenticationUnavailable where `scram_verified` would: of many proofs
        sent at once, the right one does not stand out."""
        candidate = await self._access.candidate(authcid)
        self._refuse_throttled(candidate)
        self._access.throttle.failed(self._peer, candidate.name, self._access.clock())
        await self._dismiss(candidate)

    def typed_in_clear(self, authcid: str, password: Secret) -> None:
        """See `Credentials.typed_in_clear`."""
        self._access.in_clear(self._peer, self._link.local_port, authcid, password)

    def _refuse_throttled(self, candidate: Candidate) -> None:
        seconds = self._access.throttle.wait(self._peer, candidate.name, self._access.clock())
        if seconds > 0:
            minutes = max(1, math.ceil(seconds / 60))
            self._link.emit("login_deferred", name=candidate.shown, reason="throttled", minutes=minutes)
            raise AuthenticationUnavailable(
                f"Too many failed logins; try again in {minutes} minute{'s' if minutes > 1 else ''}"
            )

    def _welcome(self, candidate: Candidate, verified: PasswordHashes | None) -> Identity:
        """`candidate` as it is now; `verified` is what the password was compared with. Between the two it may have been
        changed or disabled, and then the sessions that its AccountClosed ends do not contain this one."""
        if candidate.account is None or candidate.hashes is None or candidate.hashes != verified:
            raise AuthenticationFailed
        self._access.throttle.succeeded(self._peer, candidate.name, self._access.clock())
        return Identity(candidate.account.id, candidate.account.address)

    async def _dismiss(self, candidate: Candidate) -> None:
        """Note the failure and let the peer wait for the answer."""
        self._link.emit("login_refused", name=candidate.shown, reason=candidate.reason)
        access = self._access
        await access.sleep(access.throttle.delay(self._peer, candidate.name, access.clock()))
