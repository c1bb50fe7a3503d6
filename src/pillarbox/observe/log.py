"""The log: readable lines on a terminal, JSON elsewhere; each line of a connection has the connection's id.

Security: strangers choose parts of what is logged. No value can begin a line of its own or steer a terminal, and what
is called a password, token or secret is never written, whatever an engine says about it.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO

import msgspec
import structlog

from pillarbox.observe.damper import Damper
from pillarbox.observe.line_writer import LineWriter
from pillarbox.sasl.secret import Secret
from pillarbox.wire.engine import Link

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LEVEL_NAMES = {number: name for name, number in LEVELS.items()}

EVENT_LEVELS = {
    "command": logging.DEBUG,
    "connected": logging.DEBUG,
    "disconnected": logging.DEBUG,
    "tls": logging.DEBUG,
    "tls_failed": logging.INFO,
    "login_failed": logging.WARNING,
    "login_refused": logging.WARNING,
    "login_deferred": logging.WARNING,
    "password_in_clear": logging.WARNING,
    "password_exposed": logging.WARNING,
    "notice_failed": logging.ERROR,
    "refused": logging.WARNING,
    "made_room": logging.WARNING,
    "proxy_refused": logging.WARNING,
    "lines_left_out": logging.WARNING,
    "write_stalled": logging.INFO,
    "starttls_injection": logging.WARNING,
    "certificates_not_reloaded": logging.ERROR,
    "config_not_reloaded": logging.ERROR,
    "config_needs_restart": logging.WARNING,
    "out_of_descriptors": logging.ERROR,
    "control_bug": logging.ERROR,
    "bug": logging.ERROR,
    "internal_error": logging.ERROR,
    "store_failed": logging.ERROR,
    "store_unavailable": logging.ERROR,
    "segment_damaged": logging.ERROR,
    "sweep_failed": logging.WARNING,
    "placements_failed": logging.WARNING,
    "throttle_forgotten": logging.WARNING,
    "throttle_not_kept": logging.WARNING,
    "tombstone_damaged": logging.ERROR,
    "summary_failed": logging.ERROR,
    "search_index_damaged": logging.WARNING,
    "search_index_failed": logging.WARNING,
    "index_text_failed": logging.WARNING,
    "spool_failed": logging.ERROR,
    "loop_late": logging.WARNING,
    "clock_set_back": logging.WARNING,
    "network_storage": logging.WARNING,
    "relay_failed": logging.WARNING,
    "bounce_dropped": logging.WARNING,
    "confirmation_dropped": logging.WARNING,
    "relay_broken": logging.ERROR,
    "queue_unreadable": logging.ERROR,
    "queue_unwritable": logging.ERROR,
}
"""How important an event is; those that are not named here are INFO."""

_SECRET_WORDS = ("password", "secret", "token", "credential", "initial_response")
_LONGEST_VALUE = 1000
"""Characters of one text; a stranger's line must not fill the disk."""


def _harmless(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No secrets, no control characters, nothing endless."""
    for key, value in facts.items():
        if _names_secret(key) or isinstance(value, Secret):
            facts[key] = "***"
        elif isinstance(value, str):
            if key != "exception" and not (len(value) <= _LONGEST_VALUE and value.isprintable()):
                facts[key] = _one_line(value)
        elif isinstance(value, bytes):
            facts[key] = _one_line(value.decode("ascii", "backslashreplace"))
    return facts


@lru_cache(maxsize=1024)  # the names of facts are in our own code, and few
def _names_secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_WORDS)


def _one_line(text: str) -> str:
    if len(text) > _LONGEST_VALUE:
        text = text[:_LONGEST_VALUE] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _stamp(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Now, in UTC, as RFC 3339 has it."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    facts["timestamp"] = f"{_to_the_second(seconds)}.{microseconds:06d}Z"
    return facts


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


_json = msgspec.json.Encoder(enc_hook=repr)


def _render_json(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> str:
    """As the standard library writes it, for a third of the time. That writes what is beyond printable ASCII, with escapes."""
    try:
        line = msgspec.json.format(_json.encode(facts), indent=0).decode("ascii")
        if line.isprintable():
            return line
    except UnicodeError:
        pass
    return json.dumps(facts, default=repr)


class _ToStructlog(logging.Handler):
    """Lines of libraries that use the standard library's logging (asyncio's warnings, mostly)."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno,
            "library",
            logger=record.name,
            text=record.getMessage(),
            exc_info=record.exc_info or None,
        )


def configure(*, level: str = "info", style: str = "auto", stream: TextIO | None = None) -> LineWriter:
    """Set the log up for this process. `style` is auto, text or json; it goes to standard error unless `stream` is given.
    Returns who writes the lines; the process's end has it write the last ones."""
    stream = stream or sys.stderr
    text = style == "text" or (style == "auto" and stream.isatty())
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper("%H:%M:%S", utc=False) if text else _stamp,
        _harmless,
    ]
    if text:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                exception_formatter=structlog.dev.plain_traceback,  # a rich one shows variables, and so secrets
                pad_event_to=24,
            )
        )
    else:
        processors += [structlog.processors.format_exc_info, _render_json]

    def confess(lost: int) -> str:
        facts: Any = {"event": "log_lines_lost", "lines": lost}
        for processor in processors:
            facts = processor(None, "error", facts)
        return str(facts)

    writer = LineWriter(stream, confess)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    return writer


class Log:
    """Writes events: `tell` for the server itself, `emit` for one connection."""

    def __init__(self, *, level: str = "info") -> None:
        self._least = LEVELS[level]
        self._damper = Damper()
        configured = structlog.get_config()
        self._processors, self._writer = configured["processors"], configured["logger_factory"]()

    def set_level(self, level: str) -> None:
        """From now on."""
        self._least = LEVELS[level]
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(self._least))

    def tell(self, event: str, /, **facts: Any) -> None:
        """Something happened to the server."""
        self._write(event, facts)

    def emit(self, link: Link, event: str, facts: Mapping[str, Any]) -> None:
        """Something happened on a connection."""
        if EVENT_LEVELS.get(event, logging.INFO) < self._least:
            return
        for left_out, lines in self._damper.left_out(time.monotonic()).items():
            self._write("lines_left_out", {"about": left_out, "lines": lines})
        if self._damper.passes(event):
            self._write(event, {"connection": link.id, "peer": link.peer, **facts})

    def _write(self, event: str, facts: dict[str, Any]) -> None:
        level = EVENT_LEVELS.get(event, logging.INFO)
        if level < self._least:
            return
        error = facts.get("error")
        if isinstance(error, BaseException):
            facts = {**facts, "error": f"{type(error).__name__}: {error}"}
            if level >= logging.ERROR:
                facts["exc_info"] = error
        if "event" in facts:
            facts = {**facts, "event_": facts["event"]}
            del facts["event"]
        # What structlog's own loggers do with a line, without what they bind and ask for it: a third of its cost.
        name, line = LEVEL_NAMES[level], {**facts, "event": event}
        for process in self._processors:
            line = process(None, name, line)
        getattr(self._writer, name)(line)
