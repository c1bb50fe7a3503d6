"""The words of a text say exactly whether it holds a needle without white space; random texts of what is hard."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.mail.full_text import FullText
from pillarbox.mail.search_text import folded
from pillarbox.store.embedded import text_index
from pillarbox.store.embedded.words import MAX_WORDS, exchanged, words, words_of

HARD = 'abA1"éÉ日İßſΣςﬃ¨ﷺ\u0301\u0327\u0345\u00a0\u0085\u001c\u00ad\u200b\ufdfa\U0001f600\ud800\0 \n\u2003'


@given(st.text(st.one_of(st.sampled_from(HARD), st.characters()), max_size=40), st.data())
def test_a_needle_is_in_the_text_if_it_is_in_its_words(text: str, data: st.DataObject) -> None:
    found = words_of(text)
    for piece in (folded(text), *data.draw(st.lists(st.text(st.sampled_from(HARD), max_size=3), max_size=5))):
        start = data.draw(st.integers(0, len(piece)))
        needle = folded(piece[start : start + data.draw(st.integers(1, 6))])
        if text_index.is_within_a_word(needle):
            assert (needle in found) == (needle in folded(text)), (needle, found)


@pytest.mark.parametrize("seed", range(20))
def test_an_entry_has_the_trigrams_of_every_piece_of_its_text(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        text = "".join(source.choices('abA1"éÉ日İßﬃ¨\u0301\u0327\ud800\0 \n\u2003', k=source.randrange(3, 40)))
        entry = words(1, FullText("", text, is_whole=True)).entry.decode()
        text = folded(text)
        start = source.randrange(len(text))
        query = text_index.terms(text[start : start + source.randrange(1, 12)])
        assert all(each[1:-1].replace('""', '"') in entry for each in (query.split(" AND ") if query else ()))


@pytest.mark.parametrize(
    "text", ["The the THE", "The \u201cthe\u201d the Käse kÄse", "ΣΊΣΥΦΟΣ Σ", "x\u00a8y e\u0301 É"]
)
def test_each_word_of_the_folded_text_is_there_once(text: str) -> None:
    assert set(words_of(text).split()) == set(folded(text).split())
    assert words_of(f"{text} {text}").count(" ") == words_of(text).count(" ")
    entry = words(1, FullText("", text, is_whole=True)).entry.decode()
    assert set(entry.split()) == set(exchanged(folded(text)).split())


@pytest.mark.parametrize(
    ("text", "is_whole"),
    [
        ("a\0b", True),
        ("half \ud800 a pair", False),
        ("\ufdfa" * (MAX_WORDS // 18 - 1), True),
        ("\ufdfa " * (MAX_WORDS // 18), True),  # one word, again and again
        ("\ufdfa" * (MAX_WORDS // 18 + 1), False),
    ],
)
def test_what_the_words_cannot_say_wholly_is_known(text: str, is_whole: bool) -> None:
    for full in (FullText("", text, is_whole=True), FullText(text, "", is_whole=True)):
        assert words(1, full).is_whole == is_whole
    assert not words(1, FullText("", text, is_whole=False)).is_whole
