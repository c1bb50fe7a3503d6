"""MIME: what is made of a message at delivery."""

from typing import Any

import pytest

from pillarbox.mail import header
from pillarbox.mail.full_text import full_text
from pillarbox.mail.summary import summarise

KINDS = {"plain": b"text/plain", "alternative": b"multipart/alternative", "attachment": b"multipart/mixed"}


def _of_kind(mail: list[bytes], kind: str) -> bytes:
    """The one nearest to 16 KB."""
    fitting = [octets for octets in mail if b"\r\nContent-Type: " + KINDS[kind] in octets[: octets.index(b"\r\n\r\n")]]
    return min(fitting, key=lambda octets: abs(len(octets) - 16384))


@pytest.mark.parametrize("kind", KINDS)
def test_summary(benchmark: Any, mail: list[bytes], kind: str) -> None:
    assert benchmark(summarise, _of_kind(mail, kind)).bodystructure


@pytest.mark.parametrize("kind", KINDS)
def test_text_for_the_index(benchmark: Any, mail: list[bytes], kind: str) -> None:
    assert benchmark(full_text, _of_kind(mail, kind))


def test_selected_header_fields(benchmark: Any, mail: list[bytes]) -> None:
    octets = mail[0]
    head = octets[: header.header_end(octets)]
    names = frozenset((b"from", b"to", b"subject", b"date", b"message-id"))
    assert benchmark(header.select, head, names)
