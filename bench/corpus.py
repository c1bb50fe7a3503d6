"""The mail that both sides carry: log-normal around 8 KB with a tail, plain, alternative and with attachments; seeded."""

import base64
import random
from functools import lru_cache

_TEXT = """
    the quarterly report meeting agenda please find attached invoice project schedule review comments budget
    travel thank you regards tomorrow morning afternoon delivery order confirmed shipment garden holiday
    photos dinner recipe server update release version notes question answer draft final contract signature
    office phone number address
"""
_WORDS = _TEXT.split()


def _text(rng: random.Random, size: int) -> str:
    lines, line, total = [], "", 0
    while total < size:
        word = rng.choice(_WORDS)
        if len(line) + len(word) > 70:
            lines.append(line)
            total += len(line) + 2
            line = ""
        line += word + " "
    return "\r\n".join([*lines, line]) + "\r\n"


def message(number: int) -> bytes:
    """Message `number` of the corpus: the same octets each time, CRLF line ends."""
    rng = random.Random(f"message {number}")
    size = min(int(rng.lognormvariate(9.0, 0.9)), 1_000_000)
    subject = " ".join(rng.choices(_WORDS, k=rng.randint(2, 8)))
    head = (
        f"Received: from mx{number % 50}.example.org by mail.bench.test with ESMTPS id {rng.getrandbits(40):x};\r\n"
        f"\tTue, {1 + number % 28:02d} Sep 2026 {number % 24:02d}:{number % 60:02d}:00 +0000\r\n"
        f"From: Person {number % 300} <person{number % 300}@example.org>\r\nTo: You <you@bench.test>\r\n"
        f"Subject: {subject} {number}\r\n"
        f"Date: Tue, {1 + number % 28:02d} Sep 2026 {number % 24:02d}:{number % 60:02d}:00 +0000\r\n"
        f"Message-ID: <{number}.{rng.getrandbits(64):x}@example.org>\r\nMIME-Version: 1.0\r\n"
        f"References: <{number - 1}.root@example.org>\r\nX-Mailer: Corpus 1.0\r\n"
    )
    kind = rng.random()
    if kind < 0.3:
        body = f'Content-Type: text/plain; charset="utf-8"\r\n\r\n{_text(rng, size)}'
    else:
        html = "<html><body><p>" + _text(rng, size // 2) + "</p></body></html>\r\n"
        plain = _text(rng, size // 3)
        alternative = (
            '--alt\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\n' + plain + "\r\n--alt\r\n"
            'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
            + html
            + "\r\n--alt--\r\n"
        )
        if kind < 0.75:
            body = 'Content-Type: multipart/alternative; boundary="alt"\r\n\r\n' + alternative
        else:
            blob = base64.encodebytes(rng.randbytes(size)).decode().replace("\n", "\r\n")
            body = (
                'Content-Type: multipart/mixed; boundary="mix"\r\n\r\n--mix\r\n'
                'Content-Type: multipart/alternative; boundary="alt"\r\n\r\n' + alternative + "\r\n--mix\r\n"
                f'Content-Type: application/pdf; name="paper{number}.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
                f'Content-Disposition: attachment; filename="paper{number}.pdf"\r\n\r\n{blob}--mix--\r\n'
            )
    return (head + body).encode()


@lru_cache(maxsize=2)
def corpus(count: int) -> list[bytes]:
    """The first `count` messages."""
    return [message(n) for n in range(count)]


def small(number: int) -> bytes:
    """A message of about 1 KB, made at once, that only one search finds."""
    return (
        f"From: Person {number % 300} <person{number % 300}@example.org>\r\nTo: You <you@bench.test>\r\n"
        f"Subject: about subject{number}x\r\nDate: Tue, {1 + number % 28:02d} Sep 2026 10:00:00 +0000\r\n"
        f"Message-ID: <{number}.small@example.org>\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\nneedle{number}x\r\n{_FILLER}"
    ).encode()


_FILLER = _text(random.Random("filler"), 700)
