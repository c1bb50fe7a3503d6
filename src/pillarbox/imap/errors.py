"""The only exceptions that commands raise on purpose; the engine's top turns each into a response (RFC 9051 §7.1).

Texts go to the client: they never repeat what it sent.
"""


class BadSyntax(Exception):
    """The command is malformed: BAD, and the stream is still in step. The text says what was expected."""


class Refused(Exception):
    """The command cannot be done, for a known reason: NO, with a response code such as "NONEXISTENT" ("" for none)."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Disconnect(Exception):
    """The stream is out of step, or the peer is no IMAP client: BYE, and the connection is closed."""
