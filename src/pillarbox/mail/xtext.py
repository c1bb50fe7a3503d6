"""xtext: ASCII without `+`, `=`, spaces and controls; any octet as `+` and two hexadecimal digits (RFC 3461 §4).

Security: strangers feed this; both patterns are linear.
"""

import re

_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*+")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_PRINTABLE = re.compile(r"[\x20-\x7e]*+")


def decode(text: str) -> str:
    """What xtext stands for; where it is malformed it stands for itself."""
    return _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text)


def is_printable(text: str) -> bool:
    """Whether this is well-formed xtext that stands for printable ASCII, as notifications need it (RFC 3461 §4.2, §4.4)."""
    return _XTEXT.fullmatch(text) is not None and _PRINTABLE.fullmatch(decode(text)) is not None
