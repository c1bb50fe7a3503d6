"""The real server as a child process on free ports, which tests start, kill and start again on the same data."""

import atexit
import json
import os
import signal
import socket
import ssl
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.crash.launcher import deaths
from tests.crash.nursery import Forked, Nursery
from tests.demo import PORTS, SOURCE, free_offset

from pillarbox.server.control import NAME, ControlError, call

PASSWORD = "correct horse battery"
DOMAIN = "example.test"
START_PATIENCE = 30.0

PATIENCE = 120.0
"""Seconds for a command; a check reads every octet, maybe at low priority on a machine that does much else."""


@lru_cache(maxsize=1)
def nursery() -> Nursery:
    """Where servers come from."""
    path = os.pathsep.join([str(SOURCE), str(SOURCE.parent)])
    made = Nursery({**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"})
    atexit.register(made.close)
    return made


class Child:
    """One data directory and its server. `extra` is more TOML for the configuration."""

    def __init__(self, directory: Path, *, extra: str = "") -> None:
        self.data = directory / "data"
        self.faults = directory / "faults"
        self.log = directory / "log.json"
        self.config = directory / "pillarbox.toml"
        self.faults.mkdir(parents=True, exist_ok=True)
        self.offset = free_offset()
        self.process: Forked | None = None
        ports = "".join(
            f'[listeners.{name}]\nhost = "127.0.0.1"\nport = {port + self.offset}\n'
            f'security = "{"implicit" if name.endswith("s") else "starttls"}"\n'
            for name, port in PORTS.items()
        )
        self.config.write_text(
            f'host_name = "mx.{DOMAIN}"\ndata = "{self.data}"\ndomains = ["{DOMAIN}"]\n{extra}\n'
            f'[tls]\nlocal_names = ["localhost", "127.0.0.1"]\n[submission]\nrecipients_per_hour = 0\n'
            f"recipients_per_day = 0\n{ports}"
        )

    def port(self, listener: str) -> int:
        return PORTS[listener] + self.offset

    def start(self, *death: str, limits: dict[int, tuple[int, int]] | None = None) -> None:
        """Start it, and wait until it accepts. `death` is a label, "before" or "after", and a number."""
        self.process = Forked(nursery(), "launcher", [str(self.config), str(self.faults), *death], self.log, limits)
        deadline = time.monotonic() + START_PATIENCE
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port("imaps")), timeout=5):
                    pass
                self.control("list_domains")  # the last thing that opens
                return
            except (OSError, ControlError):
                if self.process.poll() == -signal.SIGKILL and death:
                    return  # its point came before it listened
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-3000:]}") from None
                time.sleep(0.02)

    @property
    def running(self) -> bool:
        """Whether there is a process that lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def fired(self) -> list[tuple[str, str]]:
        """The points at which it died, in order: label, when."""
        return deaths(self.faults)

    def trust(self) -> ssl.SSLContext:
        """What its clients believe."""
        return ssl.create_default_context(cafile=str(self.data / "ca.pem"))

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, as systemd does it; it must end well."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0

    def end(self) -> None:
        """Whatever state it is in, it is not running afterwards."""
        if self.running:
            self.kill()

    def control(self, verb: str, **arguments: Any) -> Any:
        """What `pillarbox account` and the others do. Raises ControlError for a refusal only, OSError when the line breaks."""
        try:
            return call(self.data / NAME, verb, arguments, patience=PATIENCE)
        except ControlError as error:
            if "in the middle of its answer" in error.text:
                raise ConnectionResetError from error
            raise

    def events(self) -> list[dict[str, Any]]:
        """Its log so far, but for what is no JSON: a notice for people."""
        found = []
        for line in self.log.read_bytes().splitlines():
            if line.startswith(b"{"):
                found.append(json.loads(line))
        return found
