"""Measures: everything that metrics are made of, gathered from the rooms when somebody asks."""

import asyncio
import os
import platform
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pillarbox
from pillarbox.access.throttle import Throttle
from pillarbox.net.connections import Connections
from pillarbox.observe import metrics
from pillarbox.observe.descriptors import DescriptorGauge
from pillarbox.observe.exposition import Page
from pillarbox.observe.lag import LagGauge
from pillarbox.observe.tally import Tally
from pillarbox.store.api import Store, StoreError
from pillarbox.store.upkeep import Figures, StoreFigures

_STARTED = time.time()
"""Of the process, near enough: this is imported at its start."""


@dataclass(slots=True)
class Measures:
    """What is asked: `lag` and `descriptors` are filled by who runs the process, the others by the server. `certificates`:
    when each one in use ends, in epoch seconds."""

    tally: Tally = field(default_factory=Tally)
    lag: LagGauge | None = None
    descriptors: DescriptorGauge | None = None
    certificates: Mapping[str, float] = field(default_factory=dict)

    async def page(self, connections: Connections | None, store: Store, throttle: Throttle | None) -> str:
        """Everything, as text for Prometheus. What the store cannot tell just now is left out."""
        page = Page()
        _show_process(page)
        self.tally.show(page)
        if self.lag is not None:
            page.add_durations(metrics.LAG, self.lag.lags)
            page.add(metrics.LAG_SUMMED, self.lag.percentile(50), "0.5")
            page.add(metrics.LAG_SUMMED, self.lag.percentile(99), "0.99")
            page.add(metrics.LAG_SUMMED, self.lag.worst, "1")
        if self.descriptors is not None:
            page.add(metrics.NO_DESCRIPTORS, self.descriptors.seen)
        for name, expiry in self.certificates.items():
            page.add(metrics.CERTIFICATE, expiry, name)
        if connections is not None:
            _show_connections(page, connections)
        if throttle is not None:
            for table, size in throttle.sizes().items():
                page.add(metrics.THROTTLE, size, table)
        figures: Figures | None = getattr(store, "figures", None)
        if figures is not None:
            try:
                _show_store(page, await figures.take())
            except StoreError:
                pass  # a broken disk: the counts of its faults are on the page
        return page.text()


def _show_process(page: Page) -> None:
    page.add(metrics.BUILD, 1, pillarbox.__version__, platform.python_version(), _sqlite(), _event_loop())
    page.add(metrics.START_TIME, _STARTED)
    used = resource.getrusage(resource.RUSAGE_SELF)
    page.add(metrics.CPU, used.ru_utime + used.ru_stime)
    page.add(metrics.MAX_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    try:  # Linux; elsewhere they are left out
        with open("/proc/self/statm", "rb") as file:
            page.add(metrics.MEMORY, int(file.read().split()[1]) * resource.getpagesize())
        page.add(metrics.OPEN_FILES, len(os.listdir("/proc/self/fd")))
    except OSError:
        pass  # nor where there is no descriptor to be had


def _sqlite() -> str:
    apsw = sys.modules.get("apsw")
    return str(apsw.sqlite_lib_version()) if apsw is not None else ""


def _event_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def _show_connections(page: Page, connections: Connections) -> None:
    for listener, traffic in connections.traffic.items():
        page.add(metrics.CONNECTIONS, traffic.connections, listener)
        page.add(metrics.OPEN, traffic.open, listener)
        page.add(metrics.REFUSED, traffic.refused, listener)
        page.add(metrics.MADE_ROOM, traffic.made_room, listener)
        page.add(metrics.RECEIVED, traffic.received, listener)
        page.add(metrics.SENT, traffic.sent, listener)
        for command, count in sorted(traffic.commands.items()):
            page.add(metrics.COMMANDS, count, listener, command)


def _show_store(page: Page, figures: StoreFigures) -> None:
    counted, queue = figures.counted, figures.counted.queue
    page.add(metrics.QUEUE, queue.messages)
    page.add(metrics.QUEUE_BYTES, queue.octets)
    page.add(metrics.QUEUE_OLDEST, max(0.0, time.time() - queue.oldest) if queue.oldest is not None else 0)
    for state, count in queue.recipients.items():
        page.add(metrics.QUEUE_RECIPIENTS, count, state)
    page.add_durations(metrics.COMMIT, figures.commits)
    page.add(metrics.OPERATIONS, figures.operations)
    for part, octets in counted.octets.items():
        page.add(metrics.STORE_BYTES, octets, part)
    page.add(metrics.SEGMENTS, counted.segments)
    page.add(metrics.BLOBS, counted.blobs)
    page.add(metrics.COMPACTED, figures.compacted)
    page.add(metrics.ACCOUNTS, figures.accounts)
    page.add(metrics.MAILBOXES, figures.mailboxes)
    page.add(metrics.STORED, figures.messages)
    page.add(metrics.STORED_BYTES, figures.message_octets)
    page.add(metrics.TO_INDEX, figures.to_index)
    page.add(metrics.DISK_FREE, counted.disk_free)
    page.add(metrics.DISK_SIZE, counted.disk_size)
    page.add(metrics.DISK_FILES, counted.files_free)
