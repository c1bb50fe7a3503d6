"""The log: one line an event, ids on each, and no secrets."""

import errno
import io
import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from pillarbox.observe.log import Log, configure
from pillarbox.observe.observers import Observers
from pillarbox.observe.tally import Tally
from pillarbox.sasl.secret import Secret
from pillarbox.wire.engine import Link

LINK = Link(peer="192.0.2.7", id="c1")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(level: str = "info", **facts: Any) -> list[dict[str, Any]]:
    stream = io.StringIO()
    writer = configure(level=level, style="json", stream=stream)
    Log(level=level).emit(LINK, "login", facts)
    writer.drain()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_have_ids() -> None:
    (line,) = _lines(account="alice@example.test")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(line.pop("timestamp"))).total_seconds()) < 60
    assert line == {
        "event": "login",
        "level": "info",
        "connection": "c1",
        "peer": "192.0.2.7",
        "account": "alice@example.test",
    }


def test_no_secret_is_written() -> None:
    (line,) = _lines(
        password="hunter2", initial_response=b"hunter2", value=Secret("hunter2"), nested={"a": Secret("hunter2")}
    )
    assert "hunter2" not in json.dumps(line)


@pytest.mark.parametrize("style", ["text", "json"])
def test_no_value_begins_a_line_or_steers_a_terminal(style: str) -> None:
    stream = io.StringIO()
    writer = configure(style=style, stream=stream)
    Log().emit(LINK, "login_failed", {"name": "a\n12:00:00 [info] all is well \x1b[2J"})
    writer.drain()
    assert stream.getvalue().count("\n") == 1
    assert "\x1b[2J" not in stream.getvalue()


@pytest.mark.parametrize(
    "value",
    [
        "plain", "jörg@example.test", "a \u2028 b", "\udc80", "\x7f", "quoted \"\\", 7, 2**70, 0.25, True, None,
        ["list", "\x9b2J", "ü"], {"in": {"side": ["\x1b[2J"]}}, object,
    ],
)  # fmt: skip
def test_json_is_the_standard_librarys(value: Any) -> None:
    stream = io.StringIO()
    writer = configure(style="json", stream=stream)
    Log().tell("login", nested=[value], plain=1)
    writer.drain()
    line = stream.getvalue()
    assert line == json.dumps(json.loads(line)) + "\n"
    assert json.loads(line)["nested"] == json.loads(json.dumps([value], default=repr))


def test_levels() -> None:
    stream = io.StringIO()
    writer = configure(level="warning", style="json", stream=stream)
    log = Log(level="warning")
    log.emit(LINK, "login", {})
    log.emit(LINK, "command", {})
    log.emit(LINK, "login_failed", {})
    writer.drain()
    log.set_level("info")
    log.emit(LINK, "login", {})
    log.emit(LINK, "command", {})
    writer.drain()
    events = [(line["event"], line["level"]) for line in map(json.loads, stream.getvalue().splitlines())]
    assert events == [("login_failed", "warning"), ("login", "info")]


@pytest.mark.parametrize("style", ["text", "json"])
def test_bugs_have_a_traceback_without_variables(style: str) -> None:
    stream = io.StringIO()
    writer = configure(style=style, stream=stream)
    try:
        password = "hunter2"
        raise LookupError("a bug")
    except LookupError as error:
        Log().emit(LINK, "bug", {"error": error})
    writer.drain()
    assert password not in stream.getvalue()
    assert "Traceback" in stream.getvalue()
    assert "test_log.py" in stream.getvalue()


def test_a_full_disk_under_the_log_stops_nobody() -> None:
    class Disk(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(text)

    stream = Disk()
    writer = configure(style="json", stream=stream)
    log = Log()
    log.tell("started")
    log.emit(LINK, "login", {})
    logging.getLogger("asyncio").warning("slow")
    writer.drain()
    stream.full = False
    log.tell("stopped")
    writer.drain()
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["level"], first["lines"]) == ("log_lines_lost", "error", 3)
    assert second["event"] == "stopped"


def test_libraries_are_heard() -> None:
    stream = io.StringIO()
    writer = configure(style="json", stream=stream)
    logging.getLogger("asyncio").warning("something %s", "odd")
    writer.drain()
    assert json.loads(stream.getvalue())["text"] == "something odd"


def test_observers() -> None:
    counter = Tally()
    observers = Observers([counter])
    observers.emit(LINK, "login", {})
    observers.emit(LINK, "login", {})
    assert counter.events["login"] == 2
    assert observers.tap(LINK, "imap") is None
