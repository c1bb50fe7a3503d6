"""A seeded corpus: messages as they come in a working life, and the odd shapes that break servers.

Sizes follow a log-normal distribution around 8 KB; the same seed gives the same octets everywhere.
"""

from base64 import encodebytes
from collections.abc import Iterator
from email.utils import formatdate
from random import Random

MEDIAN = 8 * 1024
SPREAD = 1.1
LARGEST = 1024 * 1024
LONGEST_LINE = 998  # octets without CRLF, RFC 5322 §2.1.1

_SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ran",
    "tes",
    "ju",
    "vor",
    "el",
    "na",
    "si",
    "ter",
    "mo",
    "pla",
    "quin",
    "de",
    "ob",
    "ru",
    "fen",
    "ti",
    "as",
    "go",
    "li",
]
_WORDS_8BIT = ["Grüße", "naïve", "Ærø", "česky", "привет", "こんにちは", "€", "mañana"]


def messages(seed: int, count: int, *, sender: str, recipient: str) -> Iterator[bytes]:
    """Messages from `sender` to `recipient`, CRLF line ends, each with Date, From, To, Message-ID and X-Corpus."""
    for number in range(count):
        rng = Random(f"{seed}:{number}")
        size = min(LARGEST, int(rng.lognormvariate(0, SPREAD) * MEDIAN))
        kind = rng.choices(list(_KINDS), weights=[w for w, _ in _KINDS.values()])[0]
        head = (
            f"From: {sender}\r\nTo: {recipient}\r\nSubject: {kind} {_words(rng, 5)}\r\n"
            f"Date: {formatdate(1_700_000_000 + 97 * number)}\r\n"
            f"Message-ID: <{seed}.{number}@corpus.example>\r\nX-Corpus: {number}\r\n"
        ).encode()
        yield head + _KINDS[kind][1](rng, size)


def _words(rng: Random, count: int) -> str:
    return " ".join("".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(count))


def _lines(rng: Random, size: int, *, words: list[str] | None = None) -> str:
    lines, length = [], 0
    while length < size:
        line = _words(rng, rng.randint(0, 12)) if words is None else " ".join(rng.choices(words, k=rng.randint(0, 9)))
        lines.append(line)
        length += len(line) + 2
    return "\r\n".join(lines) + "\r\n"


def _plain(rng: Random, size: int) -> bytes:
    return b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n" + _lines(rng, size).encode()


def _bare(rng: Random, size: int) -> bytes:
    """No MIME at all."""
    return b"\r\n" + _lines(rng, size).encode()


def _alternative(rng: Random, size: int) -> bytes:
    boundary = f"=_{rng.getrandbits(64):x}"
    text, html = _lines(rng, size // 3), _lines(rng, size // 2).replace("\r\n", "<br>\r\n")
    return (
        f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}"
        f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{html}"
        f"--{boundary}--\r\n"
    ).encode()


def _attachment(rng: Random, size: int) -> bytes:
    boundary = f"b{rng.getrandbits(64):x}"
    body = encodebytes(rng.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    return (
        (
            f"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\nThis is MIME.\r\n"
            f"--{boundary}\r\nContent-Type: text/plain\r\n\r\n{_words(rng, 20)}\r\n"
            f'--{boundary}\r\nContent-Type: application/octet-stream; name="{_words(rng, 2)}.bin"\r\n'
            f"Content-Disposition: attachment;\r\n\tfilename*=utf-8''{_words(rng, 1)}%C3%A9.bin\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n"
        ).encode()
        + body
        + f"--{boundary}--\r\nepilogue, which is kept\r\n".encode()
    )


def _eight_bit(rng: Random, size: int) -> bytes:
    text = _lines(rng, size // 2, words=_WORDS_8BIT)
    charset = rng.choice(["utf-8", "iso-8859-1"])
    return (
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ).encode() + text.encode(charset, "replace")


def _long_lines(rng: Random, size: int) -> bytes:
    line = (_words(rng, 400))[:LONGEST_LINE].ljust(LONGEST_LINE, "x")
    return b"\r\n" + f"{line}\r\n".encode() * max(1, size // LONGEST_LINE)


def _dots(rng: Random, size: int) -> bytes:
    shapes = [".", "..", "...", ". ", ".x", "..x", "", " .", "From here", ">From there", "\t", "x "]
    lines = "\r\n".join(rng.choices(shapes, k=max(3, size // 40)))
    return f"\r\n{lines}\r\n.\r\n".encode()


def _nested(rng: Random, size: int) -> bytes:
    inner = b"Content-Type: text/plain\r\n\r\n" + _lines(rng, size).encode()
    for level in range(rng.randint(2, 8)):
        mark = f"level{level}".encode()
        inner = (
            b'Content-Type: multipart/mixed; boundary="'
            + mark
            + b'"\r\n\r\n--'
            + mark
            + b"\r\n"
            + inner
            + b"--"
            + mark
            + b"--\r\n"
        )
    return b"MIME-Version: 1.0\r\n" + inner


def _broken(rng: Random, size: int) -> bytes:
    """MIME that no parser agrees on: it is kept as it is."""
    return (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=missing\r\nContent-Type: text/html; charset=rot13\r\n"
        b"X-Folded: one\r\n\t\r\n two\r\nContent-Transfer-Encoding: base64\r\n\r\n--other\r\n\r\n"
        + _lines(rng, size).encode()
    )


def _empty(rng: Random, size: int) -> bytes:
    return rng.choice([b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"])


_KINDS = {
    "plain": (35, _plain),
    "bare": (5, _bare),
    "alternative": (25, _alternative),
    "attachment": (14, _attachment),
    "eight-bit": (9, _eight_bit),
    "long-lines": (3, _long_lines),
    "dots": (4, _dots),
    "nested": (2, _nested),
    "broken": (2, _broken),
    "empty": (1, _empty),
}
"""Kind of message: its weight, and what writes the rest of its header and its body."""
