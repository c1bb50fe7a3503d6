"""PLAIN: name and password in one message (RFC 4616).

Security: strangers feed this. The message is split at NUL and nothing else; only BadExchange and what Credentials
declare leave it.
"""

from pillarbox.sasl.api import BadExchange, Credentials, Identity
from pillarbox.sasl.authorisation import authorise
from pillarbox.sasl.secret import Secret

MAX_FIELD = 1024
"""Octets of authzid, authcid or password: far above any real one, and it bounds what is hashed."""


class PlainExchange:
    """message = [authzid] NUL authcid NUL passwd"""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def step(self, response: bytes | None) -> bytes | Identity:
        """See `Exchange.step`."""
        if response is None:
            return b""
        authzid, authcid, password = _fields(response)
        identity = await self._credentials.check_password(authcid, password)
        return authorise(identity, authcid=authcid, authzid=authzid)


def in_clear(credentials: Credentials, mechanism: str, message: bytes) -> None:
    """Tell `credentials` what an initial response gave away outside of TLS, if the mechanism is one that shows passwords."""
    if mechanism.upper() == "PLAIN":
        try:
            _, authcid, password = _fields(message)
        except BadExchange:
            return
        credentials.typed_in_clear(authcid, password)


def _fields(message: bytes) -> tuple[str, str, Secret]:
    """authzid, authcid and password. Raises BadExchange."""
    fields = message.split(b"\0")
    if len(fields) != 3:
        raise BadExchange("PLAIN needs an authorization identity, a name and a password")
    authzid, authcid, password = map(text, fields)
    if not authcid or not password:
        raise BadExchange("the name or the password is empty")
    return authzid, authcid, Secret(password)


def text(octets: bytes) -> str:
    """A name or password as text. Raises BadExchange when it is too long, not UTF-8, or contains NUL."""
    if len(octets) > MAX_FIELD:
        raise BadExchange(f"a name or password is longer than {MAX_FIELD} octets")
    if b"\0" in octets:
        raise BadExchange("a name or password contains NUL")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise BadExchange("a name or password is not valid UTF-8") from None
