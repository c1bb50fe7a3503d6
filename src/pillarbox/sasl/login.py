"""LOGIN: name, then password, each asked for (draft-murchison-sasl-login). Obsolete, but Outlook speaks nothing else.

The challenges are exactly `Username:` and `Password:`, which some clients compare. An initial response is the name.

Security: strangers feed this; see `plain`.
"""

from pillarbox.sasl.api import BadExchange, Credentials, Identity
from pillarbox.sasl.plain import text
from pillarbox.sasl.secret import Secret

USERNAME = b"Username:"
PASSWORD = b"Password:"


class LoginExchange:
    """Two questions."""

    __slots__ = ("_authcid", "_credentials")

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._authcid = ""

    async def step(self, response: bytes | None) -> bytes | Identity:
        """See `Exchange.step`."""
        if not response:
            if self._authcid or response is not None:
                raise BadExchange("the name or the password is empty")
            return USERNAME
        if not self._authcid:
            self._authcid = text(response)
            return PASSWORD
        return await self._credentials.check_password(self._authcid, Secret(text(response)))
