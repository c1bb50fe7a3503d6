"""What filling the full-text index costs deliveries: `python -m bench.beside_indexing`. One message after another comes in by
SMTP, a pause between them, in turns with the index complete and with all of it being made anew. The server is the real one,
but it takes 20 ms without mail for a quiet time instead of 500, so that indexing falls together with nearly every delivery.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.client import Wire, connect, lines
from bench.corpus import corpus
from bench.pillarbox_stack import Pillarbox
from bench.stack import account
from pillarbox.server.control import NAME, call
from pillarbox.store.api import NewMessage
from pillarbox.store.embedded import EmbeddedStore
from pillarbox.store.spool import Spool

_SERVE = """
import sys
from pillarbox.store.embedded import indexer
indexer._TICK, indexer._PAUSE = {tick}, 0.5
sys.argv = ["pillarbox", "serve", "--config", {config!r}]
from pillarbox.cli import main
main()
"""


class Hurried(Pillarbox):
    """The server, with a short quiet time, and some mail in it from the beginning."""

    def __init__(self, directory: Path, messages: list[bytes], tick: float) -> None:
        super().__init__(directory, 1)
        self._messages = messages
        self._tick = tick

    def start(self) -> None:
        super().start()
        super().stop()
        asyncio.run(self._fill())
        code = _SERVE.format(tick=self._tick, config=str(self.directory / "pillarbox.toml"))
        with (self.directory / "log").open("a") as log:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            self.process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log, env=environment)
        self.roots = [self.process.pid]
        self.wait_for_ports()

    async def _fill(self) -> None:
        store = await EmbeddedStore.open(self.directory / "data")
        found = await store.directory.account(account(0))
        assert found is not None
        for i in range(0, len(self._messages), 100):
            some = [NewMessage(Spool.of(octets)) for octets in self._messages[i : i + 100]]
            await store.mail.append(found.id, "Archive", some)
        await store.close()

    def administer(self, verb: str) -> dict[str, object]:
        """A verb of the control socket."""
        return call(self.directory / "data" / NAME, verb, {}) or {}


def waiting(server: Hurried) -> int:
    """Messages that are not in the index yet."""
    accounts: list[dict[str, int]] = server.administer("index_status")["accounts"]  # type: ignore[assignment]
    return sum(each["waiting"] for each in accounts)


async def deliver(wire: Wire, messages: list[bytes], pause: float) -> list[float]:
    """Milliseconds that each took from the envelope to the reply."""
    spent = []
    for octets in messages:
        await asyncio.sleep(pause)
        start = time.perf_counter()
        await wire.ask(b"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<%s>\r\nDATA\r\n" % account(0).encode(), lines(3))
        answer = await wire.ask(octets.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n", lines(1))
        spent.append((time.perf_counter() - start) * 1000)
        assert answer.startswith(b"250"), answer
    return spent


async def measure(server: Hurried, rounds: int, count: int, pause: float) -> None:
    """Print both distributions, in turns."""
    spent: dict[str, list[float]] = {"complete": [], "being made": []}
    new = corpus(count)
    for turn in range(rounds):
        for state in ("complete", "being made") if turn % 2 else ("being made", "complete"):
            if state == "complete":
                while await asyncio.to_thread(waiting, server):
                    await asyncio.sleep(0.2)
            else:
                await asyncio.to_thread(server.administer, "rebuild_index")
            wire = await connect(server, "smtp")
            await wire.ask(b"EHLO bench.test\r\n", lines(1))
            before = await asyncio.to_thread(waiting, server)
            times = await deliver(wire, new, pause)
            wire.close()
            left = await asyncio.to_thread(waiting, server)
            spent[state] += times
            print(f"  {state:10} {_said(times)}  waiting {before} -> {left}", flush=True)
    for state, times in spent.items():
        print(f"{state:10} {_said(times)}")


def _said(times: list[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {cuts[49]:6.2f}  p90 {cuts[89]:6.2f}  p99 {cuts[98]:6.2f}  max {max(times):6.2f} ms  ({len(times)})"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.beside_indexing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--messages", type=int, default=5000, help="that are indexed")
    parser.add_argument("--deliveries", type=int, default=100, help="in each round and state")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two deliveries")
    parser.add_argument("--tick", type=float, default=0.02, help="seconds that the indexer takes for a quiet time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = Hurried(Path(folder, "pillarbox"), corpus(arguments.messages), arguments.tick)
        server.start()
        try:
            asyncio.run(measure(server, arguments.rounds, arguments.deliveries, arguments.pause))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
