"""What a client gives away when AUTH is refused outside of TLS: an initial response, and, since some do not wait for the
answer, the lines behind it.

SCRAM leaks no password, whatever is sent. Security: strangers feed this. Nothing depends on what the lines say: they are
answered as the commands that they are not; only `credentials` is told, as of any password in the clear.
"""

import binascii

from pillarbox.sasl.api import BadExchange, Credentials
from pillarbox.sasl.plain import in_clear, text
from pillarbox.sasl.secret import Secret

_RESPONSES = {"PLAIN": 1, "LOGIN": 2}
"""Mechanisms that show passwords, and how many responses a client has to give."""


class Leak:
    """Follows one exchange that was refused. `initial` is the initial response in base64, b"" for none."""

    __slots__ = ("_credentials", "_left", "_mechanism", "_name", "told")

    def __init__(self, credentials: Credentials, mechanism: str, initial: bytes = b"") -> None:
        self._credentials = credentials
        self._mechanism = mechanism.upper()
        self._left = _RESPONSES.get(self._mechanism, 0)
        self._name = ""
        self.told = False
        if initial:
            self.line(initial)

    def line(self, line: bytes) -> bool:
        """A line that may belong to it; whether another one may."""
        if self._left == 0:
            return False
        self._left -= 1
        try:
            self._response(binascii.a2b_base64(line.strip(), strict_mode=True))
        except (binascii.Error, BadExchange):
            self._left = 0
        return self._left > 0

    def _response(self, response: bytes) -> None:
        if self._mechanism == "PLAIN":
            in_clear(self._credentials, self._mechanism, response)
            self.told = True
        elif self._left:
            self._name = text(response)
        else:
            self._credentials.typed_in_clear(self._name, Secret(text(response)))
            self.told = True
