"""The log's lines are written by a thread: nobody waits for the disk, and what is lost is said."""

import io
import subprocess
import sys
import threading
import time

import pytest
from tests.demo import SOURCE

from pillarbox.observe import line_writer
from pillarbox.observe.line_writer import LineWriter

PATIENCE = 10.0


def _confess(lost: int) -> str:
    return f"{lost} lost"


class Disk(io.StringIO):
    """Stands still until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.goes, self.asked = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.asked.set()
        assert self.goes.wait(PATIENCE)
        return super().write(text)


def test_lines_are_written_by_and_by_and_in_order() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream, _confess)
    for number in range(1000):
        writer.write(str(number))
    until = time.monotonic() + PATIENCE
    while stream.getvalue().count("\n") < 1000 and time.monotonic() < until:
        time.sleep(0.001)
    assert stream.getvalue().split() == [str(number) for number in range(1000)]


def test_nobody_waits_for_a_disk_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_writer, "LAST_WAIT", 0.01)
    stream = Disk()
    writer = LineWriter(stream, _confess)
    writer.write("first")
    assert stream.asked.wait(PATIENCE)
    for _ in range(line_writer.ROOM + 5):
        writer.write("more")
    writer.drain()  # gives up
    stream.goes.set()
    monkeypatch.setattr(line_writer, "LAST_WAIT", PATIENCE)
    writer.drain()
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["first", "5 lost"]
    assert lines[2:] == ["more"] * line_writer.ROOM


def test_the_end_of_the_process_writes_what_waits() -> None:
    program = (
        "import sys; from pillarbox.observe.log import Log, configure; configure(style='json'); Log().tell('stopped')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True
    )
    assert '"event": "stopped"' in ended.stderr
