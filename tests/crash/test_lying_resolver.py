"""The resolver lies to the running server: nothing is believed, nothing is lost, and nobody else notices."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.crash.sink import running_sink
from tests.crash.test_faults import RELAYING, House, count
from tests.net.dns_lies import LIES
from tests.net.dns_server import DnsServer

pytestmark = pytest.mark.slow


async def test_lies_delay_mail_for_their_names_only(tmp_path: Path) -> None:
    names = [f"{name}.test" for name in LIES]
    zone = {(name, "MX"): ["10 mx.world.test."] for name in (*names, "honest.test")}
    zone |= {(host, "A"): ["127.0.0.1"] for host in ("mx.world.test", "evil.test", "elsewhere.test")}
    with running_sink() as sink:
        async with DnsServer(zone) as dns:
            dns.lies = {f"{name}.test": lie for name, lie in LIES.items()}
            house = House(tmp_path, RELAYING.format(dns=dns.port, port=sink.port))
            try:
                await asyncio.to_thread(house.start)
                await asyncio.to_thread(house.prepare)
                for name in names:
                    await asyncio.to_thread(house.submit, "lied", f"someone@{name}")
                await asyncio.to_thread(house.submit, "true", "someone@honest.test")
                began = time.monotonic()
                await asyncio.to_thread(house.send, "second")
                assert time.monotonic() - began < 2
                async with asyncio.timeout(60):
                    while {e["recipient"].partition("@")[2] for e in house.said("relay_deferred", "info")} < set(names):
                        await asyncio.sleep(0.1)
                assert [b"Subject: true" in taken.octets for taken in sink.taken] == [True]
                waiting = [r["address"] for e in house.child.control("list_queue") for r in e["recipients"]]
                assert sorted(waiting) == sorted(f"someone@{name}" for name in names)
                assert await asyncio.to_thread(count, house) == 2  # no bounce among it
                dns.lies.clear()
                async with asyncio.timeout(60):
                    while len(sink.taken) < 1 + len(names) or house.child.control("list_queue"):
                        await asyncio.sleep(0.1)
                assert len(sink.taken) == 1 + len(names)
                await asyncio.to_thread(house.child.stop)
                assert house.said("bug", "error") == []
            finally:
                house.child.end()
