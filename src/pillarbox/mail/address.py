"""Addresses: local-part@domain (RFC 5321 §4.1.2, RFC 6531 for UTF-8, RFC 5890 for IDNA).

Security: strangers feed this. Parsing is linear and raises only `BadAddress`.
"""

import re
from functools import lru_cache
from typing import Self

import idna
import msgspec

MAX_LOCAL_PART = 64  # RFC 5321 §4.5.3.1.1, octets
MAX_DOMAIN = 255  # RFC 5321 §4.5.3.1.2, octets

_DOT_STRING = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]+)*"
)
_QUOTED_STRING = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"')
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_LITERAL = re.compile(r"\[[A-Za-z0-9.:_-]+\]")


class BadAddress(ValueError):
    """Not an address by RFC 5321; the message says what is wrong, for people."""


class Address(msgspec.Struct, frozen=True):
    """A mailbox address. `local_part` is unquoted; `domain` is in its lower-case A-label form."""

    local_part: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `local-part@domain`, quoted local parts and address literals included.

        Raises BadAddress.
        """
        local, at, domain = text.rpartition("@")
        if not at or not local:
            raise BadAddress("an address has the form name@domain")
        if local.startswith('"'):
            if not _QUOTED_STRING.fullmatch(local):
                raise BadAddress("the quoted part before @ is malformed")
            local = re.sub(r"\\(.)", r"\1", local[1:-1])
        elif not _DOT_STRING.fullmatch(local):
            raise BadAddress("the part before @ is malformed")
        try:
            octets = len(local.encode())
        except UnicodeEncodeError:
            raise BadAddress("the part before @ is not valid UTF-8") from None
        if octets > MAX_LOCAL_PART:
            raise BadAddress(f"the part before @ is longer than {MAX_LOCAL_PART} octets")
        return cls(local, normalise_domain(domain))

    @property
    def key(self) -> str:
        """The form that accounts and aliases are looked up by: case does not matter."""
        return f"{self.local_part}@{self.domain}".casefold()

    @property
    def is_ascii(self) -> bool:
        """Whether it can be sent without SMTPUTF8 (RFC 6531)."""
        return self.local_part.isascii()

    def __str__(self) -> str:
        if _DOT_STRING.fullmatch(self.local_part):
            return f"{self.local_part}@{self.domain}"
        quoted = self.local_part.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"@{self.domain}'


@lru_cache(maxsize=4096)  # the same few thousand domains come again and again
def normalise_domain(domain: str) -> str:
    """A domain in the form it is compared and looked up in: A-labels, lower case; literals as they are.

    Raises BadAddress.
    """
    if domain.startswith("["):
        if _LITERAL.fullmatch(domain) and len(domain) <= MAX_DOMAIN:
            return domain.lower()
        raise BadAddress("the address literal is malformed")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise BadAddress("the domain is not a valid internationalised name") from None
    domain = domain.removesuffix(".").lower()
    if not domain or len(domain) > MAX_DOMAIN:
        raise BadAddress("the domain is empty or too long")
    for label in domain.split("."):
        if len(label) > 63 or not _LABEL.fullmatch(label):
            raise BadAddress("the domain has a malformed label")
    return domain
