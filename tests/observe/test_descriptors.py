"""Out of file descriptors: it is said at once, not all the time, and anew when it happens again."""

import os
import resource

from pillarbox.observe.descriptors import PAUSE, DescriptorGauge


def test_running_out_is_told() -> None:
    lines: list[str] = []
    gauge = DescriptorGauge(lambda event, **_facts: lines.append(event))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    gauge.look()
    assert lines == []
    for expected in (2, 3):
        free = os.dup(2)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            for _ in range(PAUSE + 1 if expected == 2 else 1):
                gauge.look()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert lines == ["out_of_descriptors"] * expected
        gauge.look()
