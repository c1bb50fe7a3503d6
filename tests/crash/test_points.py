"""No point of the commit path without a label that a test kills at."""

from tests.crash.points import AT_START, BACKING_UP, ELSEWHERE, GIVING_UP, IN_LIFE, PLACING, RESTORING, in_source


def test_every_label_in_the_source_is_known() -> None:
    killed = {*IN_LIFE, *AT_START, *GIVING_UP, *BACKING_UP, *RESTORING, *PLACING}
    found = in_source()
    unknown = {
        label for label in found - killed if not {label, label.split(":")[0], label.split(".")[0]} & ELSEWHERE.keys()
    }
    assert unknown == set(), "new points: kill there (tests/crash/points.py), or say where they are tested"
    assert killed - found == set(), "these are gone from the source"
