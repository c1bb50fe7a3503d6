"""Credentials out of a dictionary, for the tests of mechanisms and engines."""

from dataclasses import dataclass, field

from pillarbox.sasl.api import AuthenticationFailed, AuthenticationUnavailable, Identity, ScramKeys
from pillarbox.sasl.scram_message import derive_keys
from pillarbox.sasl.secret import Secret


@dataclass
class FakeCredentials:
    """address -> password. `calls` is what was asked, without secrets; `in_clear` what was typed outside of TLS; set
    `unavailable` to a text to refuse for now."""

    passwords: dict[str, str]
    salt: bytes = b"0123456789abcdef"
    iterations: int = 4096
    unavailable: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    in_clear: list[tuple[str, str]] = field(default_factory=list)

    def _identity(self, authcid: str) -> Identity:
        names = list(self.passwords)
        return Identity(names.index(authcid) + 1, authcid)

    def _note(self, call: str, authcid: str) -> None:
        self.calls.append((call, authcid))
        if self.unavailable:
            raise AuthenticationUnavailable(self.unavailable)

    async def check_password(self, authcid: str, password: Secret) -> Identity:
        self._note("check_password", authcid)
        if self.passwords.get(authcid) != password.reveal():
            raise AuthenticationFailed
        return self._identity(authcid)

    async def scram_keys(self, authcid: str) -> ScramKeys:
        self._note("scram_keys", authcid)
        known = self.passwords.get(authcid)
        keys = derive_keys((known or "").encode(), self.salt, self.iterations)
        return keys if known else ScramKeys(keys.salt, keys.iterations, bytes(32), bytes(32))

    async def scram_verified(self, authcid: str) -> Identity:
        self._note("scram_verified", authcid)
        if authcid not in self.passwords:
            raise AuthenticationFailed
        return self._identity(authcid)

    async def scram_rejected(self, authcid: str) -> None:
        self._note("scram_rejected", authcid)

    def typed_in_clear(self, authcid: str, password: Secret) -> None:
        self.in_clear.append((authcid, password.reveal()))
