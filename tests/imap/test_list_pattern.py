"""Patterns of LIST."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.imap.list_pattern import Pattern


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b/c", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("%/%", "a/b", True),
        ("a*", "a", True),
        ("a%", "a", True),
        ("a/%", "a", False),
        ("*c", "a/b/c", True),
        ("%c", "a/c", False),
        ("%*%", "a/b", True),
        ("inbox", "INBOX", True),
        ("InB%", "INBOX", True),
        ("inbox", "inboxes", False),
        ("a", "A", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_table(pattern: str, name: str, matches: bool) -> None:
    assert Pattern(pattern).matches(name) is matches


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_like_a_regular_expression(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(letter, re.escape(letter)) for letter in pattern)
    assert Pattern(pattern).matches(name) is bool(re.fullmatch(expression, name))


def test_a_hostile_pattern_costs_no_more_than_its_length() -> None:
    start = time.process_time()
    assert not Pattern("a*" * 500 + "b").matches("a" * 1000)
    assert time.process_time() - start < 1
