"""What a person reads in a message: transfer encodings and charsets decoded, HTML stripped. For SEARCH and previews.

Security: strangers wrote the message. Every expression here is linear; nothing raises. The text is for matching, not
for showing as HTML.
"""

import html
import re
from binascii import a2b_qp
from collections.abc import Iterator

from pillarbox.mail.charset import decode
from pillarbox.mail.content_type import decoded_parameter, parameter, parse_token
from pillarbox.mail.encoded_word import decode_words, lenient_base64
from pillarbox.mail.header import FIELD, MAX_HEADER, unfold
from pillarbox.mail.mime import Part

_BLOCK = re.compile(  # a class of first letters is the one thing that a choice rules out without a try
    r"</?(?:[Aa](?i:ddress|rticle)|[Bb](?i:lockquote|r)|[Cc](?i:enter)|[Dd](?i:d|iv|l|t)|[Ff](?i:igure|ooter|orm)|"
    r"[Hh](?i:[1-6]|eader|r)|[Ll](?i:i)|[Mm](?i:ain)|[Nn](?i:av)|[Oo](?i:l|ption)|[Pp](?i:|re)|[Ssſ](?i:ection)|"
    r"[Tt](?i:able|body|d|foot|h|head|itle|r)|[Uu](?i:l))\b[^<>]*>"
)
_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
_HIDDEN = re.compile(r"<(?:script|style)\b", re.IGNORECASE)
_HIDDEN_END = re.compile(r"</(?:script|style)\b[^<>]*>", re.IGNORECASE)


def decode_transfer(octets: bytes, encoding: bytes) -> bytes | None:
    """A body without its transfer encoding (lower case), or None when the encoding is unknown (RFC 3516 UNKNOWN-CTE)."""
    if encoding in (b"7bit", b"8bit", b"binary"):
        return octets
    if encoding == b"base64":
        return lenient_base64(octets)
    if encoding == b"quoted-printable":
        return a2b_qp(octets)
    return None


def part_text(octets: bytes, part: Part, limit: int | None = None) -> str:
    """The text of a text part, at most from its first `limit` octets. HTML is stripped."""
    end = part.end if limit is None else min(part.end, part.body + limit)
    body = octets[part.body : end]
    decoded = decode_transfer(body, part.encoding)
    text = decode(body if decoded is None else decoded, parameter(part.parameters, b"charset").decode("latin-1"))
    return html_text(text) if part.subtype in (b"html", b"xhtml") else text


def html_text(source: str) -> str:
    """The text between the tags: comments, scripts and styles left out, blocks kept apart by a line break."""
    if "<!--" in source:
        first, *others = source.split("<!--")
        source = first + "".join(piece.partition("-->")[2] for piece in others)
    first, *others = _HIDDEN.split(source)
    if others:
        kept = [first]
        for piece in others:
            found = _HIDDEN_END.search(piece)
            if found is not None:
                kept.append(piece[found.end() :])
        source = "".join(kept)
    return html.unescape(_TAG.sub("", _BLOCK.sub("\n", source)))


def header_text(octets: bytes, start: int, stop: int) -> str:
    """A header's fields, each unfolded and decoded on a line of its own."""
    return fields_text(FIELD.findall(octets, start, min(stop, start + MAX_HEADER)))


def fields_text(header: list[tuple[bytes, bytes]]) -> str:
    """The same of names and raw values."""
    fields = [(name, unfold(value)) for name, value in header]
    lines = b"\n".join(map(b": ".join, fields))
    if b"=?" in lines or not lines.isascii():
        return "\n".join([f"{name.decode('latin-1')}: {decode_words(value)}" for name, value in fields])
    return lines.decode("ascii")  # nothing to decode: what is the same for all fields is done for all of them at once


def walk(part: Part) -> Iterator[Part]:
    """The part and all parts inside of it, in the order in which they stand."""
    stack = [part]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(reversed(part.parts))


def body_texts(octets: bytes, tree: Part) -> Iterator[str]:
    """What a person can read in the body: text parts, the headers of messages inside, names of attachments."""
    for part in walk(tree):
        if part.type == b"text" and not part.is_opaque:
            yield part_text(octets, part)
        elif part.is_message:
            inner = part.parts[0]
            yield header_text(octets, inner.start, inner.body)
        if name := file_name(part):
            yield name


def file_name(part: Part) -> str:
    """An attachment's name, decoded; "" if it has none."""
    declared = part.fields.get(b"content-disposition")
    if declared:
        name = decoded_parameter(parse_token(declared)[1], b"filename")
        if name:
            return name
    return decoded_parameter(part.parameters, b"name") if part.parameters else ""


def one_line(text: str, limit: int) -> str:
    """The start of a text with all white space simple, at most `limit` characters."""
    line = " ".join(text[: limit * 2].split())[:limit]
    return line if len(line) == limit else " ".join(text[: limit * 8].split())[:limit]
