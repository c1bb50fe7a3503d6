"""The only exceptions that commands raise on purpose; the engine's top turns each into a reply.

Texts go to the client: they never repeat what it sent, and never say "+OK" or "-ERR" themselves.
"""


class BadSyntax(Exception):
    """The command is malformed or unknown: -ERR, and it counts as a bad one. The text says what was expected."""


class Refused(Exception):
    """The command cannot be done, for a known reason. `code` is a response code (RFC 2449 §8, RFC 3206), "" for none."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Disconnect(Exception):
    """The connection ends: the peer speaks another protocol, or tries too much. The text may be "": then nothing is said."""
