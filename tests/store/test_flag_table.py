"""FlagTable: one number for each set of flags, one spelling for each keyword."""

from pillarbox.store.flags import NONE, FlagTable


def test_numbers_lead_back() -> None:
    table = FlagTable()
    assert table.number(NONE) == 0
    first = table.number(frozenset(("\\Seen", "Blue")))
    assert table.number(frozenset(("Blue", "\\Seen"))) == first
    assert table.sets[first] == {"\\Seen", "Blue"}
    assert table.encoded[first] == b"Blue \\Seen"


def test_keywords_are_listed_once_as_they_were_first_spelt() -> None:
    table = FlagTable()
    assert table.keywords == []
    blue = table.number(frozenset(("Blue",)))
    assert table.number(frozenset(("BLUE",))) == blue
    table.number(frozenset(("\\seen", "$Junk", "blue")))
    table.number(frozenset(("\\Odd", "$junk")))
    assert table.keywords == ["Blue", "$Junk"]
    assert table.sets[-1] == {"\\Odd", "$Junk"}
