"""A server's life as a process: limits, ports, privileges, signals, systemd.

SIGHUP serves renewed certificates and a changed configuration; SIGTERM and SIGINT let running commands end and stop; a
second one stops at once.

Security: ports are opened first, then root is given up for good; files that are made are for their owner alone.
"""

import asyncio
import encodings
import errno
import gc
import importlib
import os
import pkgutil
import pwd
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pillarbox
from pillarbox.net.listener import inherited
from pillarbox.observe.descriptors import ADVICE, DescriptorGauge
from pillarbox.observe.lag import LagGauge
from pillarbox.observe.log import Log, configure
from pillarbox.observe.observers import Observers
from pillarbox.observe.transcript import TranscriptDirectory
from pillarbox.server.assembly import Server, StartError
from pillarbox.server.config import ConfigError
from pillarbox.server.measures import Measures
from pillarbox.server.settings import Config

RESERVED_FILES = 500
"""Descriptors kept for segments, the index, spools and relaying; the rest may be connections."""

GARBAGE = 10_000
"""Objects more than at the last look before the collector looks for circles: they are few here, and by Python's own 700 it
would look at each second message."""

TURN = 0.0002
"""Seconds for which a thread may run Python code while another one waits to. A commit leaves the interpreter and comes back
some ten times, for SQLite and the disk; by Python's own 5 ms a busy event loop would let it wait each time."""

Ready = Callable[[Server], None]


def run(
    config: Config,
    *,
    transcript: Path | None = None,
    ready: Ready | None = None,
    reread: Callable[[], Config] | None = None,
) -> None:
    """Run a server until a signal ends it. `ready` is called once it serves; `reread` gives the configuration anew at
    SIGHUP (without it only certificates are reloaded). Raises BindError, StartError, before it serves."""
    os.umask(0o077)
    lines = configure(level=config.log.level, style=config.log.format)
    room = raise_file_limit()
    log = Log(level=config.log.level)
    transcripts = transcript or (Path(config.log.transcripts) if config.log.transcripts else None)
    measures = Measures()
    observer = Observers([log, measures.tally], TranscriptDirectory(transcripts) if transcripts else None)

    def tell(event: str, /, **facts: Any) -> None:
        log.tell(event, **facts)
        measures.tally.tell(event, **facts)

    measures.lag, measures.descriptors = LagGauge(tell), DescriptorGauge(tell)
    sockets = inherited(os.environ)
    server = Server(config, observer=observer, tell=tell, sockets=sockets, room=room, measures=measures)
    server.bind()
    drop_privileges(config.user, (server.directory, *((transcripts,) if transcripts else ())))
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(server, log, ready, reread))
    finally:
        lines.drain()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where there is one; None is asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def raise_file_limit() -> int:
    """As many open files as the system allows; returns how many connections that is room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > soft:
        soft = 65536 if hard == resource.RLIM_INFINITY else hard
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        except (ValueError, OSError):  # a system with a lower limit of its own
            soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(soft - RESERVED_FILES, soft // 2)


def drop_privileges(user: str, directories: tuple[Path, ...]) -> None:
    """Become `user` for good and hand its directories over; nothing happens without a user, or as that user.

    Raises StartError."""
    if not user:
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartError(f"there is no user {user!r} to run as; `useradd --system {user}` makes one") from None
    own = os.geteuid()
    if own == entry.pw_uid:
        return
    if own != 0:  # files of the wrong owner would stay behind
        raise StartError(
            f"it was started as {_user_name(own)}, and `user` in the configuration is {user!r}; start it as root or as {user}"
        )
    load_everything()
    for directory in directories:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid == 0:
            os.chown(directory, entry.pw_uid, entry.pw_gid)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def load_everything() -> None:
    """Import all that is otherwise imported when it is first wanted: the user that we become may not be allowed to read it
    (a virtual environment below /root), and need not be."""
    import dns.rdata

    for package in (pillarbox, encodings):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(("pillarbox.cli", "pillarbox.__main__")):
                with suppress(ImportError):  # codecs of other systems
                    importlib.import_module(module.name)
    dns.rdata.load_all_types()  # type: ignore[no-untyped-call]


def _user_name(number: int) -> str:
    try:
        return repr(pwd.getpwuid(number).pw_name)
    except KeyError:
        return f"user {number}"


def notify(state: str, environment: MutableMapping[str, str] | None = None) -> None:
    """Tell systemd (sd_notify(3)), if it started us."""
    address = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            pass  # systemd is not listening: nobody to tell


async def _serve(server: Server, log: Log, ready: Ready | None, reread: Callable[[], Config] | None) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: _on_loop_error(log, context))
    stopping = asyncio.Event()
    impatient = asyncio.Event()

    def stop() -> None:
        (impatient if stopping.is_set() else stopping).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    reloads: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        task = asyncio.create_task(_reload(server, log, reread))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    await server.start()
    sys.setswitchinterval(TURN)
    gc.set_threshold(GARBAGE)
    gc.freeze()  # what is loaded by now stays: collections need not look through it again and again
    notify("READY=1")
    gauges = (server.measures.lag, server.measures.descriptors)
    looking = (_watchdog(), *(gauge.run() for gauge in gauges if gauge is not None))
    watchers = [asyncio.create_task(watching) for watching in looking]
    if ready is not None:
        ready(server)
    await stopping.wait()
    notify("STOPPING=1")
    log.tell("stopping")
    for watcher in watchers:
        watcher.cancel()
    ending = asyncio.create_task(server.stop())
    hurry = asyncio.create_task(impatient.wait())
    await asyncio.wait({ending, hurry}, return_when=asyncio.FIRST_COMPLETED)
    if not ending.done():
        server.hurry()
    await ending
    hurry.cancel()


async def _reload(server: Server, log: Log, reread: Callable[[], Config] | None) -> None:
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    if reread is None:
        await server.reload_certificates()
    else:
        try:
            config = reread()
        except ConfigError as error:
            log.tell("config_not_reloaded", reason=str(error))
        else:
            if await server.reconfigure(config):
                log.set_level(config.log.level)
    notify("READY=1")


async def _watchdog() -> None:
    """Tell systemd's watchdog that the loop turns (WatchdogSec=)."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit():
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(microseconds) / 2_000_000)


def _on_loop_error(log: Log, context: dict[str, Any]) -> None:
    """What the event loop could not give to anyone."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        log.tell("out_of_descriptors", advice=ADVICE)
        return
    log.tell("bug", text=context.get("message", ""), error=error or "unknown")
