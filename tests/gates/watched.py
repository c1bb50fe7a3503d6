"""The real server as a process, watched from within and from without."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.demo import PORTS, SOURCE, free_offset

from pillarbox.server.control import NAME, ControlError, call

DOMAIN = "example.test"
CONFIG = """host_name = "mx.{domain}"
data = "{data}"
domains = ["{domain}"]
user = "{user}"
[tls]
local_names = ["localhost", "127.0.0.1"]
[relay]
{relay}
[log]
level = "debug"
transcripts = "{transcripts}"
"""


class Watched:
    """One server. Its home, its working directory and its place for temporary files are empty directories of their own, so
    that whatever it leaves outside of its data directory is seen. `relay` is TOML; `trusted` the authority of a smarthost."""

    def __init__(
        self,
        directory: Path,
        *,
        bad_password: str = "",
        user: str = "",
        relay: str = f'everything_to = "world@{DOMAIN}"',
        trusted: Path | None = None,
        source: Path = SOURCE,
    ) -> None:
        self.directory = directory
        self._trusted = trusted
        self._source = source
        self.data, self.transcripts = directory / "data", directory / "transcripts"
        self.report, self.elsewhere = directory / "report", directory / "elsewhere"
        self.output = directory / "output"
        self.config = directory / "pillarbox.toml"
        for folder in (self.report, self.elsewhere):
            folder.mkdir()
            folder.chmod(0o777)
        self.offset = free_offset()
        self._bad = bad_password
        self.process: subprocess.Popen[bytes] | None = None
        ports = "".join(
            f'[listeners.{name}]\nhost = "127.0.0.1"\nport = {port + self.offset}\n'
            f'security = "{"implicit" if name.endswith("s") else "starttls"}"\n'
            for name, port in PORTS.items()
        )
        settings = CONFIG.format(domain=DOMAIN, data=self.data, transcripts=self.transcripts, user=user, relay=relay)
        self.config.write_text(settings + ports)

    @property
    def environment(self) -> dict[str, str]:
        elsewhere = str(self.elsewhere)
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(self._source), str(SOURCE.parent)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            **({"SSL_CERT_FILE": str(self._trusted)} if self._trusted else {}),
            **dict.fromkeys(("HOME", "TMPDIR", "SQLITE_TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"), elsewhere),
        }

    def port(self, listener: str) -> int:
        return PORTS[listener] + self.offset

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.data / "ca.pem"))

    def start(self) -> None:
        """Start it with an umask that hides nothing, and wait until it accepts."""
        launcher = str(Path(__file__).with_name("launcher.py"))
        serve = ["serve", "--config", str(self.config)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, launcher, str(self.report), self._bad, *serve],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.elsewhere,
                umask=0,
            )
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port("imaps")), timeout=5):
                    pass
                self.control("list_domains")
                return
            except (OSError, ControlError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{self.output.read_text()[-3000:]}") from None
                time.sleep(0.02)

    def reload(self) -> None:
        """SIGHUP, and wait until it has been heeded."""
        assert self.process is not None
        before = sum(e["event"] == "config_reloaded" for e in self.events())
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("config_reloaded", before + 1)

    def stop(self) -> None:
        """SIGTERM; it must end well."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0, self.output.read_text()[-3000:]

    def end(self) -> None:
        """Whatever state it is in, it is not running afterwards."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def control(self, verb: str, **arguments: Any) -> Any:
        return call(self.data / NAME, verb, arguments, patience=30)

    def command(self, *arguments: str, typed: str = "") -> str:
        """Run `pillarbox ARGUMENTS` with something on its standard input; all that it prints, well or not."""
        done = subprocess.run(
            [sys.executable, "-m", "pillarbox", *arguments, "--config", str(self.config)],
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.elsewhere,
        )
        return done.stdout

    def events(self) -> list[dict[str, Any]]:
        """Its log so far, but for notices to people."""
        return [json.loads(line) for line in self.output.read_bytes().splitlines() if line.startswith(b"{")]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """The count-th line of the log about an event."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = [e for e in self.events() if e["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            time.sleep(0.05)
        raise AssertionError(f"no {event} in the log:\n{self.output.read_text()[-3000:]}")

    def look(self) -> str:
        """The repr of all that lives in it just now."""
        (self.report / "look").touch()
        deadline = time.monotonic() + 30
        while not (self.report / "reprs.txt").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return (self.report / "reprs.txt").read_text(encoding="utf-8", errors="surrogateescape")

    def open_for_writing(self) -> list[str]:
        """Files that the process holds open for writing just now, whoever in it opened them (SQLite does not ask Python)."""
        assert self.process is not None
        found = []
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
                flags = (
                    (descriptor.parent.parent / "fdinfo" / descriptor.name).read_text().split("flags:")[1].split()[0]
                )
            except FileNotFoundError:
                continue  # closed meanwhile
            if target.startswith("/") and int(flags, 8) & (os.O_WRONLY | os.O_RDWR):
                found.append(target)
        return found

    @property
    def audit(self) -> dict[str, list[Any]]:
        """What the audit hook saw, once the server has stopped."""
        found: dict[str, list[Any]] = json.loads((self.report / "audit.json").read_text())
        return found
