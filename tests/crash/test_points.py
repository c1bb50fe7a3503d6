"""No point of the commit path without a label that a test kills at."""

from tests.crash.points import AT_START, ELSEWHERE, GIVING_UP, IN_LIFE, in_source


def test_every_label_in_the_source_is_known() -> None:
    killed = {*IN_LIFE, *AT_START, *GIVING_UP}
    found = in_source()
    unknown = {
        label
        for label in found - killed
        if label.split(":")[0] not in ELSEWHERE and label.split(".")[0] not in ELSEWHERE
    }
    assert unknown == set(), "new points: kill there (tests/crash/points.py), or say where they are tested"
    assert killed - found == set(), "these are gone from the source"
