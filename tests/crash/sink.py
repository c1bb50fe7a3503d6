"""The rest of the world: an SMTP server that writes down what it took, in which life of the other side, and when it said so."""

import math
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast


@dataclass(slots=True)
class Taken:
    """One message: in which life of the other side it came, its octets, and when 250 had been sent (monotonic clock); infinite
    as long as it has not."""

    life: int
    octets: bytes
    told: float = math.inf


class Sink(socketserver.ThreadingTCPServer):
    """`taken`: each message for which 250 was sent, or was to be. `life` is set by the test."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.life = 0
        self.taken: list[Taken] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        try:
            self._converse()
        except OSError:
            pass  # the other side was killed

    def _converse(self) -> None:
        sink = cast(Sink, self.server)
        life = sink.life
        self.wfile.write(b"220 world.test ready\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                octets = b""
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    octets += line[1:] if line.startswith(b".") else line
                if not line:
                    return
                taken = Taken(life, octets)
                sink.taken.append(taken)
                self.wfile.write(b"250 2.0.0 taken\r\n")
                taken.told = time.monotonic()
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@contextmanager
def running_sink(port: int = 0) -> Iterator[Sink]:
    """One on a port of loopback; 0 is any free one."""
    with Sink(port) as sink:
        thread = threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield sink
        sink.shutdown()
        thread.join()
