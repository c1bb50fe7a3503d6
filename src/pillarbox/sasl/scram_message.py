"""The messages and keys of SCRAM-SHA-256 that both sides share (RFC 5802 §3, §5, §7; RFC 7677).

Security: strangers feed the parsers. They are linear and raise only BadExchange.
"""

import binascii
import hashlib
import hmac
import re

from pillarbox.sasl.api import BadExchange, ScramKeys

MAX_MESSAGE = 4096
"""Octets of one message; a real one has some two hundred."""

_ATTRIBUTE = re.compile(rb"([A-Za-z])=([^,\0]*)")
_NONCE = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,512}")  # printable = %x21-2B / %x2D-7E


def mac(key: bytes, octets: bytes) -> bytes:
    """HMAC with SHA-256."""
    return hmac.digest(key, octets, "sha256")


def xor(left: bytes, right: bytes) -> bytes:
    """Octet by octet; both have the length of a SHA-256 digest."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(32, "big")


def salted_password(password: bytes, salt: bytes, iterations: int) -> bytes:
    """Hi(): slow on purpose, and it lets other threads run meanwhile. `password` is prepared by SASLprep."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


def derive_keys(password: bytes, salt: bytes, iterations: int) -> ScramKeys:
    """What a server keeps of a password. `password` is prepared by SASLprep."""
    salted = salted_password(password, salt, iterations)
    client_key = mac(salted, b"Client Key")
    return ScramKeys(salt, iterations, hashlib.sha256(client_key).digest(), mac(salted, b"Server Key"))


def attributes(message: bytes) -> list[tuple[str, bytes]]:
    """The attributes of a message in order: ("r", b"..."). Raises BadExchange."""
    if len(message) > MAX_MESSAGE:
        raise BadExchange("the message is too long")
    found = [_ATTRIBUTE.fullmatch(part) for part in message.split(b",")]
    if not all(found):
        raise BadExchange("the message is not a list of SCRAM attributes")
    return [(m[1].decode(), m[2]) for m in found if m]


def expect(given: list[tuple[str, bytes]], names: str) -> list[bytes]:
    """The values of the leading attributes, which must have these names in this order; more may follow.

    A mandatory extension (m) is refused because none is known (RFC 5802 §5.1). Raises BadExchange.
    """
    if any(name == "m" for name, _ in given):
        raise BadExchange("SCRAM extensions are not supported")
    if [name for name, _ in given[: len(names)]] != list(names):
        raise BadExchange(f"SCRAM attributes {', '.join(names)} are missing or out of order")
    return [value for _, value in given[: len(names)]]


def nonce_text(octets: bytes) -> str:
    """A nonce. Raises BadExchange."""
    value = octets.decode("latin-1")
    if not _NONCE.fullmatch(value):
        raise BadExchange("the nonce is not printable text")
    return value


def unescape(saslname: bytes) -> str:
    """A name as text: =2C is a comma, =3D an equals sign, any other = an error (RFC 5802 §5.1). Raises BadExchange."""
    try:
        name = saslname.decode()
    except UnicodeDecodeError:
        raise BadExchange("the name is not valid UTF-8") from None
    if re.search("=(?!2C|3D)", name):
        raise BadExchange("the name contains an = that is not escaped")
    return name.replace("=2C", ",").replace("=3D", "=")


def escape(name: str) -> bytes:
    """The opposite of `unescape`."""
    return name.replace("=", "=3D").replace(",", "=2C").encode()


def decode(value: bytes, length: int | None = None) -> bytes:
    """Base64, strictly; `length` octets if given. Raises BadExchange."""
    try:
        octets = binascii.a2b_base64(value, strict_mode=True)
    except binascii.Error:
        raise BadExchange("malformed base64 in a SCRAM attribute") from None
    if length is not None and len(octets) != length:
        raise BadExchange("a SCRAM attribute has the wrong length")
    return octets


def encode(octets: bytes) -> bytes:
    """Base64."""
    return binascii.b2a_base64(octets, newline=False)
