"""Charset names in mail to Python's decoders.

Security: strangers name the charset. Names are looked up in a fixed table and never given to `codecs.lookup`, which would
search the disk for a module of that name and remember each miss for ever; codecs that are no charsets (rot13, zlib,
idna, unicode_escape…) are not in the table. `decode` never raises.
"""

import re
from encodings.aliases import aliases
from functools import lru_cache

_NO_CHARSETS = frozenset((
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs", "oem", "tactis",
    "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape",
))  # fmt: skip

_ALSO = {
    "ansi_x3.4_1968": "cp1252",
    "ascii": "cp1252",  # what says it is ASCII and has 8-bit octets is nearly always this
    "us_ascii": "cp1252",
    "iso_8859_1": "cp1252",  # WHATWG Encoding §4.2: senders mean windows-1252
    "iso8859_1": "cp1252",
    "latin1": "cp1252",
    "latin_1": "cp1252",
    "l1": "cp1252",
    "8859": "cp1252",
    "x_ansi": "cp1252",
    "ansi": "cp1252",
    "windows_31j": "cp932",
    "x_sjis": "cp932",
    "x_ms_cp932": "cp932",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_6_i": "iso8859_6",
    "iso_8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",  # the superset that senders use under the old name
    "gb_2312_80": "gb18030",
    "gbk": "gb18030",
    "x_gbk": "gb18030",
    "ks_c_5601_1987": "cp949",
    "ks_c_5601": "cp949",
    "euc_kr": "cp949",
    "x_euc_jp": "euc_jp",
    "big5": "big5hkscs",
    "x_x_big5": "big5hkscs",
    "iso_2022_jp": "iso2022_jp_2",
    "utf8": "utf_8",
    "utf_8": "utf_8",
    "utf_8mb4": "utf_8",
    "unicode_1_1_utf_7": "utf_7",
    "unicode_1_1_utf_8": "utf_8",
    "x_unknown": "utf_8",
    "unknown_8bit": "utf_8",
    "x_user_defined": "cp1252",
    "x_mac_roman": "mac_roman",
    "macintosh": "mac_roman",
    "x_mac_cyrillic": "mac_cyrillic",
}

_TABLE: dict[str, str] = (
    {alias: codec for alias, codec in aliases.items() if codec not in _NO_CHARSETS}
    | {codec: codec for codec in aliases.values() if codec not in _NO_CHARSETS}
    | _ALSO
)

_ESCAPE = 0x1B  # with it ISO-2022 changes what the octets mean
_SEPARATOR = re.compile(r"[^a-z0-9.]+")
_CODE_PAGE = re.compile("^(?:x_)?(?:windows|win|cp)_?(?=[0-9])")
_LONGEST = 40
"""Characters of a charset's name; RFC 2978 §2.3 allows 40."""


def codec(name: str) -> str | None:
    """The Python codec that decodes this charset, or None when it is unknown or no charset."""
    return None if len(name) > _LONGEST else _codec(name)


@lru_cache(maxsize=256)
def _codec(name: str) -> str | None:
    key = _SEPARATOR.sub("_", name.lower()).strip("_")
    return _TABLE.get(key) or _TABLE.get(_CODE_PAGE.sub("cp", key))


def is_known(name: str) -> bool:
    """Whether texts in this charset can be decoded (SEARCH CHARSET, BADCHARSET)."""
    return codec(name) is not None


def decode(octets: bytes, charset: str = "") -> str:
    """The text of octets in a charset; what cannot be decoded becomes U+FFFD.

    Without a charset, or with an unknown one: UTF-8 when it is that, else windows-1252.
    """
    if octets.isascii() and _ESCAPE not in octets and (not charset or charset.isascii()):
        known = codec(charset) if charset else None
        if known is None or known in _ASCII_SUPERSETS:
            return octets.decode("ascii")
    known = codec(charset) if charset else None
    if known is None or known == "cp1252":
        # Much mail says ISO-8859-1 or nothing and is UTF-8; the reverse hardly ever validates.
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets.decode("cp1252", "replace")
    try:
        text = octets.decode(known, "replace")
        if known == "utf_7":  # it can spell half a surrogate pair, which no index and no wire takes
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text
    except (UnicodeError, LookupError, ValueError, OverflowError):
        return octets.decode("utf-8", "replace")


_ASCII_SUPERSETS = frozenset(("utf_8", "cp1252", "cp1250", "cp1251", "latin_1", "gb18030", "euc_jp", "cp949"))
