"""Responses as values and octets (RFC 9051 §7)."""

import re

import msgspec

from pillarbox.imap.mailbox_name import encode_utf7
from pillarbox.wire.engine import Want

_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_QUOTABLE = re.compile(rb"[^\r\n\x00\x80-\xff]*")
_QUOTABLE_UTF8 = re.compile(rb"[^\r\n\x00]*")


class Completion(msgspec.Struct, frozen=True):
    """How a command ended: OK, NO or BAD, a text for people, a response code without brackets ("" for none), and what
    the connection needs next."""

    status: str
    text: str
    code: str = ""
    then: Want = Want.OCTETS

    def encode(self, tag: str) -> bytes:
        """The tagged response."""
        code = f"[{self.code}] " if self.code else ""
        return f"{tag} {self.status} {code}{self.text}\r\n".encode()


def ok(text: str, code: str = "", *, then: Want = Want.OCTETS) -> Completion:
    """The command is done."""
    return Completion("OK", text, code, then)


def no(text: str, code: str = "") -> Completion:
    """The command cannot be done."""
    return Completion("NO", text, code)


def bad(text: str, code: str = "") -> Completion:
    """The command is not understood, or not allowed now."""
    return Completion("BAD", text, code)


def untagged(text: str) -> bytes:
    """One untagged response."""
    return f"* {text}\r\n".encode()


def string(octets: bytes, *, utf8: bool = False) -> bytes:
    """quoted where that is possible, else a literal."""
    if (_QUOTABLE_UTF8 if utf8 else _QUOTABLE).fullmatch(octets) and len(octets) <= 1000:
        return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%s" % (len(octets), octets)


def nstring(octets: bytes | None, *, utf8: bool = False) -> bytes:
    """NIL for None."""
    return b"NIL" if octets is None else string(octets, utf8=utf8)


def astring(octets: bytes, *, utf8: bool = False) -> bytes:
    """An atom where that is possible, else a string."""
    return octets if _ATOM.fullmatch(octets) and octets.upper() != b"NIL" else string(octets, utf8=utf8)


def mailbox(name: str, *, utf8: bool) -> bytes:
    """A mailbox name; in UTF-8 only for clients that enabled it. Always quoted but for INBOX: clients expect that form."""
    if name == "INBOX":
        return b"INBOX"
    return string(name.encode("utf-8", "replace"), utf8=True) if utf8 else string(encode_utf7(name).encode("ascii"))
